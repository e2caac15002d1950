"""Servers of their own, ledgers on them, and processes that are started in no time."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.address import parse_url
from ledger.ledger import create_ledger
from ledger.postgres.address import PostgresAddress
from tests.crash.consuming_records import Produced, producing
from tests.crash.launching import Launcher, forking
from tests.servers.kafka import Broker
from tests.servers.postgres import Server, temporary_server


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server that may be stopped, and keeps its word: fsync is on."""
    with temporary_server() as server:
        yield server


@pytest.fixture
def server(own_server: Server, tmp_path: Path) -> Server:
    """The module's server, running, with a new database for the test."""
    own_server.start()
    own_server.drop("crash")
    own_server.created("crash")
    return own_server


@pytest.fixture
def on_server(server: Server, tmp_path: Path) -> PostgresAddress:
    """Where an empty ledger is on the server."""
    address = parse_url(server.dsn("crash"), keys=tmp_path / "ledger.keys")
    assert isinstance(address, PostgresAddress)
    create_ledger(address)
    return address


@pytest.fixture(scope="session")
def forking_process() -> "Iterator[subprocess.Popen[str]]":
    with forking() as process:
        yield process


@pytest.fixture
def children(forking_process: "subprocess.Popen[str]", tmp_path: Path) -> Iterator[Launcher]:
    """Starts processes of the test's own, none of which outlives it."""
    opened = Launcher(forking_process, tmp_path)
    yield opened
    opened.end()


@pytest.fixture
def produced(kafka_broker: Broker) -> Iterator[Produced]:
    with producing(kafka_broker.servers) as opened:
        yield opened


@pytest.fixture(autouse=True)
def shown_seed(request: pytest.FixtureRequest) -> None:
    """Chance has a seed, which pytest shows when the test fails."""
    seed = getattr(request.module, "SEED", None)
    if seed is not None:
        print(f"seed {seed}")  # noqa: T201
