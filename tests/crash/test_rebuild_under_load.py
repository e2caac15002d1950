"""A rebuild while a process appends all the time: readers never see less than they saw before."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from domain.loyalty import Member
from ledger.ledger import Ledger, open_ledger
from ledger.postgres.address import PostgresAddress
from ledger.store import Cursor
from projections import generations
from projections.loyalty import LOYALTY
from projections.tickets import TICKETS
from tests.cli.facts import order, programme, ticket
from tests.crash.launching import PATIENCE_SECONDS, Child, Launcher
from tests.crash.loading import Load, opening
from tests.crash.oracle import Acknowledged, check_views
from tests.places import plain_connection

LOCKED, INTERRUPTED = 8, 130
CUSTOMERS = 200
LINES = 50_000
FIRST_LINES = 12_000
"""What is there when the rebuild begins."""
FULLEST_GROUP = 20
SMALL_RANGES = {"projections.ranges.RANGE_TOUCHPOINTS": 200, "projections.ranges.IN_PROCESS_MAX": 0}
POLL_SECONDS = 0.005


class Seen(NamedTuple):
    """What readers see of the views, all of which can only grow."""

    ticket_position: int
    tickets: int
    loyalty_position: int
    members: int
    points: int


def seen_in(cursor: Cursor) -> Seen:
    """All of it in one snapshot."""
    tickets, loyalty = (generations.live(view.name, cursor) for view in (TICKETS, LOYALTY))
    assert tickets is not None
    assert loyalty is not None
    (count,) = cursor.execute(f"SELECT count(*) FROM {tickets.table}").fetchone()
    states = cursor.execute(f"SELECT state FROM {loyalty.table}").fetchall()
    members = [msgspec.json.decode(state, type=Member) for (state,) in states]
    points = sum(
        lot.earned
        for member in members
        for account in member.programmes.values()
        for lot in account.lots
    )
    return Seen(tickets.position, count, loyalty.position, len(members), points)


class Readers:
    """Poll what there is to see, as the ledger shows it and as its SQL views do."""

    def __init__(self, ledger: Ledger, address: PostgresAddress) -> None:
        self._ledger = ledger
        self._address = address
        self._stopped = threading.Event()
        self.seen: list[Seen] = []
        self.by_sql: list[tuple[int, int]] = []
        self._threads = [threading.Thread(target=t) for t in (self._poll, self._poll_by_sql)]

    @contextmanager
    def reading(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in self._threads:
                thread.join()

    def _poll(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            with self._ledger.store.cursor() as cursor:
                self.seen.append(seen_in(cursor))

    def _poll_by_sql(self) -> None:
        with plain_connection(self._address) as connection:
            while not self._stopped.wait(POLL_SECONDS):
                (tickets,) = connection.execute("SELECT count(*) FROM tickets").fetchone()
                (members,) = connection.execute("SELECT count(*) FROM loyalty").fetchone()
                self.by_sql.append((tickets, members))


def never_falls(seen: Sequence[tuple[int, ...]]) -> bool:
    return all(
        earlier <= later
        for before, after in pairwise(seen)
        for earlier, later in zip(before, after, strict=True)
    )


def busy_shop() -> Load:
    """Orders that earn points, and tickets: nothing in it takes anything away."""
    facts = [programme()]
    for number in range(1, LINES):
        at, subject = "2026-02-03T10:00:00Z", f"customer:{number % CUSTOMERS}"
        if number % 3:
            facts.append(order(f"A{number}", "50.00", at, subject=subject))
        else:
            facts.append(ticket("opened", f"T{number}", at, subject))
    lines = [json.dumps(fact).encode() for fact in facts]
    return Load(lines, frozenset(fact["id"] for fact in facts), {})


@pytest.fixture
def filled(on_server: PostgresAddress, children: Launcher, tmp_path: Path) -> Acknowledged:
    """A ledger with views that goes on to be filled."""
    load, path = busy_shop(), tmp_path / "shop.ndjson"
    path.write_bytes(b"\n".join(load.lines[:FIRST_LINES]))
    acknowledged = Acknowledged(load, path)
    child = acknowledged.start(children, on_server, 1_000)
    assert child.wait() == 0, child.err.read_text()
    acknowledged.note(child)
    assert children.start("command", *opening(on_server), "-q", "projection", "run").wait() == 0
    path.write_bytes(b"\n".join(load.lines))
    return acknowledged


def rebuild(children: Launcher, address: PostgresAddress) -> Child:
    command = ("projection", "rebuild", "tickets", "loyalty", "--workers", "2")
    return children.start("command", *opening(address), *command, tuned=SMALL_RANGES)


def wait_for_ranges(address: PostgresAddress, least: int) -> None:
    """Wait until a rebuild that is under way has so many ranges behind it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with plain_connection(address) as connection:
        while connection.execute("SELECT count(*) FROM rebuilt_ranges").fetchone()[0] < least:
            assert time.monotonic() < deadline, "the rebuild stands still"
            time.sleep(0.002)


def test_readers_see_no_step_back_while_a_view_is_rebuilt_and_the_log_grows(
    on_server: PostgresAddress, children: Launcher, filled: Acknowledged
) -> None:
    with open_ledger(on_server) as ledger:
        readers = Readers(ledger, on_server)
        with readers.reading():
            appending = filled.start(children, on_server, FULLEST_GROUP)
            following = children.start("follow_on", *opening(on_server))
            interrupted = rebuild(children, on_server)
            wait_for_ranges(on_server, 4)
            second = rebuild(children, on_server)
            assert second.wait() == LOCKED, second.err.read_text()
            os.kill(interrupted.pid, signal.SIGINT)
            assert interrupted.wait() == INTERRUPTED, interrupted.err.read_text()
            with ledger.store.cursor() as cursor:  # the last of the two to go live
                building = generations.find(LOYALTY.name, generations.BUILDING, cursor)
            assert building is not None
            began = ledger.log.head().position
            resumed = rebuild(children, on_server)
            assert resumed.wait() == 0, resumed.err.read_text()
            with ledger.store.cursor() as cursor:
                live = generations.live(LOYALTY.name, cursor)
            head = ledger.log.head().position
            was_killed = [child.kill() == -signal.SIGKILL for child in (appending, following)]
        assert all(was_killed), "there was nothing to append or to follow any more"
        assert head > began > FIRST_LINES
        assert live is not None
        assert live.number == building.number
        assert live.position >= began, "it went live without what came before it was caught up"
        assert never_falls(readers.seen)
        assert never_falls(readers.by_sql)
        assert readers.seen[0].points > 0
        filled.note(appending)
        check_views(ledger)
