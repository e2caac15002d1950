"""The server is stopped as a crash would, with all its processes, whatever is under way."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import open_ledger
from ledger.postgres.address import PostgresAddress
from projections import generations
from projections.customers import CUSTOMERS
from projections.follow import follow
from projections.generations import BUILDING, LIVE, Generation
from projections.query import listing
from projections.registry import PROJECTIONS
from tests.crash.launching import Child, Launcher, wait_until
from tests.crash.loading import made_up, opening
from tests.crash.oracle import Acknowledged, check, check_durable, check_views
from tests.ledger.sending import order, positions
from tests.places import plain_connection
from tests.servers.postgres import Server
from tests.web.serving import serving

SEED = time.time_ns()
STOPS = 3
LINES = 8_000
"""More than are appended until the last stop."""
UNREACHABLE = 7

REBUILT_LINES = 4_000
REBUILD_STOPS = 2
SMALL_RANGES = {"projections.ranges.RANGE_TOUCHPOINTS": 100, "projections.ranges.IN_PROCESS_MAX": 0}
"""So that a rebuild of a small log has forty ranges, and lets workers fold them."""

NOT_PATIENT = {"ledger.postgres.store.CONNECT_SECONDS_MAX": 1}
"""How long it is waited for a server that does not answer, in seconds."""

WATCHED = """
CREATE TABLE filled (generation bigint, number bigint);
CREATE FUNCTION note_filled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO filled VALUES (NEW.generation, NEW.number);
    PERFORM pg_sleep(0.1);
    RETURN NULL;
END $$;
CREATE TRIGGER watched AFTER INSERT ON rebuilt_ranges
    FOR EACH ROW EXECUTE FUNCTION note_filled();
"""
"""Keeps which ranges were ever folded, also of a generation that is live; and takes its time."""


@pytest.fixture
def acknowledged(tmp_path: Path) -> Acknowledged:
    load = made_up(SEED, LINES)
    path = tmp_path / "load.ndjson"
    path.write_bytes(b"\n".join(load.lines))
    return Acknowledged(load, path)


def test_stops_while_appending_and_following_lose_nothing(
    server: Server, on_server: PostgresAddress, children: Launcher, acknowledged: Acknowledged
) -> None:
    chance = random.Random(SEED)
    for _ in range(STOPS):
        appending = acknowledged.start(children, on_server, tuned=NOT_PATIENT)
        following = children.start("follow_on", *opening(on_server), tuned=NOT_PATIENT)
        time.sleep(chance.uniform(0.1, 0.6))
        server.stop("immediate")
        for child in (appending, following):
            assert child.wait() == UNREACHABLE, child.err.read_text()
            assert child.err.read_text().count("\n") == 1
        acknowledged.note(appending)
        server.start()
        check_durable(on_server, acknowledged)
    assert acknowledged.groups > STOPS
    acknowledged.finish(children, on_server)
    check(on_server, acknowledged)


def test_a_server_over_http_asks_to_come_back_and_is_well_again_by_itself(
    server: Server, on_server: PostgresAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, value in NOT_PATIENT.items():
        monkeypatch.setattr(place, value)
    with (
        open_ledger(on_server) as ledger,
        serving(ledger) as running,
        running.client("operator", "*") as client,
    ):
        post, path = client.post, "/v1/events"
        assert post(path, order("before")).json()["status"] == "recorded"
        server.stop("immediate")
        for reply in (
            post(path, order("lost")), client.get("/readyz"), client.get("/v1/customers"),
        ):  # fmt: skip
            assert (reply.status, reply.json()["code"]) == (503, "unreachable")
            assert int(reply.headers["retry-after"]) >= 1
        assert client.get("/healthz").status == 200
        server.start()
        wait_until(lambda: client.get("/readyz").status == 200)
        found = [post(path, order(id_)).json()["status"] for id_ in ("before", "lost")]
        assert found == ["duplicate", "recorded"]
        assert positions(ledger) == [1, 2]


class Rebuilding:
    """A rebuild of the customers, which is watched, and the table that readers have meanwhile."""

    def __init__(self, address: PostgresAddress, children: Launcher) -> None:
        self._address = address
        self._children = children
        self.rows = self.shown()
        self.live = self.generation(LIVE)
        self._before = 0

    def start(self) -> Child:
        self._before = len(self.filled())
        command = (*opening(self._address), "projection", "rebuild", "customers", "--workers", "2")
        return self._children.start("command", *command, tuned=SMALL_RANGES)

    def wait_for(self, ranges: int) -> None:
        """Wait until so many more are done than when it was started, and are on the disk.

        Views are not durable at once; a commit that is takes along what came before it.
        """
        wait_until(lambda: len(self.filled()) >= self._before + ranges)
        with plain_connection(self._address) as connection:
            connection.execute("SELECT pg_logical_emit_message(true, 'test', 'durable')")

    def filled(self) -> list[tuple[int, int]]:
        """The ranges that were ever folded and kept, with the generation that they went to."""
        with plain_connection(self._address) as connection:
            found = connection.execute("SELECT generation, number FROM filled ORDER BY 1, 2")
            return list(found)

    def generation(self, state: str) -> Generation:
        with open_ledger(self._address) as ledger, ledger.store.cursor() as cursor:
            found = generations.find(CUSTOMERS.name, state, cursor)
        assert found is not None
        return found

    def shown(self) -> list[Any]:
        """What readers see of the view."""
        with open_ledger(self._address) as ledger:
            return list(listing(ledger, CUSTOMERS, limit=1_000))

    def check_resumable(self) -> None:
        """Readers are served as before, and what was done is kept."""
        assert self.generation(LIVE).number == self.live.number
        assert self.shown() == self.rows
        building = self.generation(BUILDING)
        assert {generation for generation, _ in self.filled()} == {building.number}
        assert 0 < len(self.filled()) < building.ranges
        with plain_connection(self._address) as connection:
            kept = connection.execute("SELECT generation, number FROM rebuilt_ranges ORDER BY 2")
            assert list(kept) == self.filled()

    def finish(self) -> None:
        """The same command goes on: no range is folded twice, and the new table goes live."""
        building = self.generation(BUILDING)
        child = self.start()
        assert child.wait() == 0, child.err.read_text()
        assert self.generation(LIVE).number == building.number
        numbers = [number for _, number in self.filled()]
        assert numbers == list(range(building.ranges))


@pytest.fixture
def rebuilding(
    on_server: PostgresAddress, children: Launcher, tmp_path: Path
) -> Iterator[Rebuilding]:
    load = made_up(SEED, REBUILT_LINES)
    path = tmp_path / "rebuilt.ndjson"
    path.write_bytes(b"\n".join(load.lines))
    Acknowledged(load, path, fullest=1_000).finish(children, on_server)
    with open_ledger(on_server) as ledger:
        follow(ledger, PROJECTIONS)
    with plain_connection(on_server) as connection:
        connection.execute(WATCHED)
    yield Rebuilding(on_server, children)
    with open_ledger(on_server) as ledger:
        check_views(ledger)


def test_a_rebuild_goes_on_after_stops_of_the_server(
    server: Server, rebuilding: Rebuilding
) -> None:
    chance = random.Random(SEED)
    for _ in range(REBUILD_STOPS):
        child = rebuilding.start()
        rebuilding.wait_for(chance.randint(1, 8))
        server.stop("immediate")
        server.start()
        assert child.wait() == UNREACHABLE, child.err.read_text()
        assert "cannot be reached" in last_line(child)
        rebuilding.check_resumable()
    rebuilding.finish()


def test_a_rebuild_goes_on_after_kills_of_its_processes(rebuilding: Rebuilding) -> None:
    chance = random.Random(SEED)
    child = rebuilding.start()
    rebuilding.wait_for(chance.randint(1, 8))
    os.kill(chance.choice(workers_of(child)), signal.SIGKILL)
    assert child.wait() == 1
    assert last_line(child) == (
        "Error: a worker was ended from outside; the same command goes on with the work"
    )
    rebuilding.check_resumable()
    child = rebuilding.start()
    rebuilding.wait_for(1)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    wait_until(lambda: not processes_of_group(child))
    rebuilding.check_resumable()
    rebuilding.finish()


def last_line(child: Child) -> str:
    """The one line in which a command says how it failed, behind its progress."""
    *progress, last = child.err.read_text().splitlines()
    assert all(line.startswith("{") for line in progress)
    return last


def workers_of(child: Child) -> list[int]:
    return [pid for pid, command in processes_of_group(child) if "spawn_main" in command]


def processes_of_group(child: Child) -> list[tuple[int, str]]:
    """The processes that a child has started, with their command lines."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,pgid=,args="], capture_output=True, text=True, check=True
    )
    rows = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
    return [
        (int(pid), command)
        for pid, group, command in rows
        if int(group) == child.pid and int(pid) != child.pid
    ]
