"""Ledgers for the tests of the engine: real files, with a clock that the test can set."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from tests.projections.ledgers import Clock, Workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(workshop: Workshop, clock: Clock) -> Iterator[Ledger]:
    with workshop.ledger(clock) as made:
        yield made


@pytest.fixture
def folder(workshop: Workshop) -> Path:
    """The folder of a new ledger, for tests in which several processes open it."""
    return workshop.copied()
