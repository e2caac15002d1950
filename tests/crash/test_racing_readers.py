"""Readers that race open write transactions: they never skip a position, nor see one twice."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from ledger.ledger import Ledger, open_ledger
from ledger.log import Submission
from ledger.postgres.address import PostgresAddress
from ledger.quarantine import Received
from ledger.record import records_of
from schemas.door import parse
from tests.crash.launching import PATIENCE_SECONDS, wait_until
from tests.ledger.sending import assert_dense, line, order
from tests.servers.postgres import Server

SEED = time.time_ns()
WRITERS = 8
APPENDS = 15
HELD_SECONDS_MAX = 0.01
PAGE = 7

Write = Callable[[Callable[[], None]], None]
"""Append something, and call what is given before the commit."""
Read = Callable[[int], list[int]]
"""The positions that a reader finds behind one, a page of them."""


def skipped_positions(write: Write, read: Read, dsn: str) -> list[int]:
    """Positions that are never seen by a reader who goes on behind the last that he has seen.

    One writer appends and holds its transaction open. Another that comes after it either waits
    for it or commits before it; the reader reads in between, and again when both are done.
    """
    has_appended, may_commit = threading.Event(), threading.Event()

    def hold() -> None:
        has_appended.set()
        assert may_commit.wait(PATIENCE_SECONDS)

    seen: list[int] = []
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(write, hold)
        try:
            assert has_appended.wait(PATIENCE_SECONDS)
            second = threads.submit(write, lambda: None)
            wait_until(lambda: second.done() or somebody_waits(dsn))
            seen += read(0)
        finally:
            may_commit.set()
        first.result()
        second.result()
    seen += read(max(seen, default=0))
    return sorted(set(read(0)) - set(seen))


def somebody_waits(dsn: str) -> bool:
    """Whether a session waits for a lock of another."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall()
    return bool(rows)


def submission(ledger: Ledger, id_: str) -> Submission:
    raw = line(order(id_, subject=f"customer:{random.randrange(5)}"))
    (record,) = records_of([parse(raw)], ledger.vault)
    return Submission(Received(raw, "test"), record)


def by_the_library(ledger: Ledger) -> Read:
    recorder: Any = ledger.store.recorder()

    def read(after: int) -> list[int]:
        found = recorder.select_notifications(after, PAGE, inclusive_of_start=False)
        return [notification.id for notification in found]

    return read


def by_our_pages(ledger: Ledger) -> Read:
    return lambda after: [stored.position for stored in ledger.log.page(after, PAGE)]


@pytest.mark.parametrize("reading", [by_the_library, by_our_pages])
def test_a_position_is_never_seen_before_an_earlier_one(
    on_server: PostgresAddress, reading: Callable[[Ledger], Read]
) -> None:
    def write(before_commit: Callable[[], None]) -> None:
        with open_ledger(on_server) as ledger:
            made = submission(ledger, uuid4().hex)
            with ledger.store.cursor(write=True) as cursor:
                ledger.log.append_within([made], cursor)
                before_commit()

    with open_ledger(on_server) as ledger:
        assert skipped_positions(write, reading(ledger), on_server.conninfo) == []
        assert_dense(ledger)


class HeldDatastore(PostgresDatastore):
    """The library's datastore, whose transactions are held open for a moment."""

    before_commit: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def get_connection(self) -> Iterator[Any]:
        with super().get_connection() as connection, connection.transaction():
            yield connection
            self.before_commit()


def test_the_same_readers_skip_what_the_function_of_the_library_inserts(server: Server) -> None:
    """It takes no lock: so the test above can see the fault that it looks for."""
    opened: list[HeldDatastore] = []

    def recorder() -> PostgresApplicationRecorder:
        opened.append(
            HeldDatastore(
                "crash", "127.0.0.1", server.port, "touchstone", "", enable_db_functions=True
            )
        )
        return PostgresApplicationRecorder(opened[-1])

    def write(before_commit: Callable[[], None]) -> None:
        writer = recorder()
        opened[-1].before_commit = before_commit
        event = StoredEvent(uuid4(), 1, "topic", b"{}")
        writer.insert_events([event])

    reader = recorder()
    reader.create_table()

    def read(after: int) -> list[int]:
        found = reader.select_notifications(after, PAGE, inclusive_of_start=False)
        return [notification.id for notification in found]

    try:
        assert skipped_positions(write, read, server.dsn("crash")) == [1]
    finally:
        for datastore in opened:
            datastore.close()


def tailed(read: Read, until: int) -> list[int]:
    """All positions in the order in which a reader sees them, up to the last that there will be."""
    seen: list[int] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not seen or seen[-1] < until:
        assert time.monotonic() < deadline, "the reader stands still"
        seen += read(seen[-1] if seen else 0)
    return seen


def append_and_hold(address: PostgresAddress, number: int) -> None:
    """A writer that holds some of its transactions open, and lets others go on at once."""
    chance = random.Random(SEED + number)
    with open_ledger(address) as ledger:
        for n in range(APPENDS):
            made = submission(ledger, f"{number} {n}")
            if chance.random() < 0.3:
                ledger.log.append([made])
                continue
            with ledger.store.cursor(write=True) as cursor:
                ledger.log.append_within([made], cursor)
                time.sleep(chance.uniform(0, HELD_SECONDS_MAX))


def test_readers_that_race_many_writers_see_every_position_once(
    on_server: PostgresAddress,
) -> None:
    end = WRITERS * APPENDS
    with open_ledger(on_server) as one, open_ledger(on_server) as other:
        with ThreadPoolExecutor(WRITERS + 2) as threads:
            readers = [
                threads.submit(tailed, read, end)
                for read in (by_the_library(one), by_our_pages(other))
            ]
            writers = [threads.submit(append_and_hold, on_server, n) for n in range(WRITERS)]
            for writer in writers:
                writer.result()
        for reader in readers:
            assert reader.result() == list(range(1, end + 1))
        assert_dense(one)
