"""A group of the log: all of it or nothing, with the tracking of its source, whatever fails."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

import ledger.postgres.store
from ledger.address import Address
from ledger.errors import LedgerError, Locked, TrackingConflict
from ledger.ledger import Ledger, open_ledger
from ledger.log import Move, tracked
from ledger.receipt import Receipt
from ledger.sqlite.address import SQLiteAddress
from ledger.sqlite.store import SQLiteStore
from tests.ledger.conftest import SetClock
from tests.ledger.sending import (
    adds_up,
    assert_dense,
    order,
    orders,
    positions,
    query,
    send,
    waiting,
)
from tests.places import held, plain_connection

PARTITION = "kafka:t1:0"


def stands_at(ledger: Ledger, name: str = PARTITION) -> int:
    with ledger.store.cursor() as cursor:
        return tracked(name, cursor)


def test_tracking_moves_together_with_the_group(ledger: Ledger) -> None:
    send(ledger, order("1"), order("2"), moves=[Move(PARTITION, 0, 2)])
    send(ledger, order("3"), moves=[Move(PARTITION, 2, 3), Move("kafka:t1:1", 0, 7)])
    assert (stands_at(ledger), stands_at(ledger, "kafka:t1:1")) == (3, 7)
    assert positions(ledger) == [1, 2, 3]


@pytest.mark.parametrize(
    "move",
    [Move(PARTITION, 3, 5), Move(PARTITION, 0, 2), Move(PARTITION, 1, 9), Move(PARTITION, 2, 1)],
    ids=["a gap", "a batch that came before", "the batch of a zombie", "a way back"],
)
def test_a_source_that_stands_elsewhere_is_refused_and_nothing_is_recorded(
    ledger: Ledger, move: Move
) -> None:
    send(ledger, order("1"), order("2"), moves=[Move(PARTITION, 0, 2)])
    with pytest.raises(TrackingConflict, match="stands at 2"):
        send(ledger, order("3"), b"not even JSON", moves=[Move("kafka:t1:1", 0, 1), move])
    assert (stands_at(ledger), stands_at(ledger, "kafka:t1:1")) == (2, 0)
    assert positions(ledger) == [1, 2]
    assert waiting(ledger) == []


def test_a_group_of_nothing_but_duplicates_still_moves_its_source(ledger: Ledger) -> None:
    send(ledger, order("1"), moves=[Move(PARTITION, 0, 1)])
    receipt, _ = send(ledger, order("1"), moves=[Move(PARTITION, 1, 2)])
    assert (receipt.duplicate, stands_at(ledger)) == (1, 2)


def test_a_group_without_any_touchpoint_still_moves_its_source(ledger: Ledger) -> None:
    send(ledger, moves=[Move(PARTITION, 0, 4)])
    assert stands_at(ledger) == 4


def test_a_move_that_goes_nowhere_is_allowed(ledger: Ledger) -> None:
    send(ledger, order("1"), moves=[Move(PARTITION, 0, 0)])
    assert (stands_at(ledger), positions(ledger)) == (0, [1])


FAULTS = {
    True: (
        "CREATE TRIGGER fails BEFORE INSERT ON stored_events "
        "WHEN NEW.id = '{id}' BEGIN SELECT RAISE(ABORT, 'a fault'); END",
        "DROP TRIGGER fails",
    ),
    False: (
        "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'a fault'; END $$; "
        "CREATE TRIGGER fails BEFORE INSERT ON stored_events "
        "FOR EACH ROW WHEN (NEW.id = '{id}') EXECUTE FUNCTION fails()",
        "DROP TRIGGER fails ON stored_events; DROP FUNCTION fails()",
    ),
}
"""What makes a database fail at an id, and what ends that; in a file, and on a server."""


@contextmanager
def failing_at(ledger: Ledger, id_: str) -> Iterator[None]:
    """The database fails when it comes to this id."""
    fault, healed = FAULTS[isinstance(ledger.address, SQLiteAddress)]
    with plain_connection(ledger.address) as connection:
        connection.execute(fault.format(id=id_))
        try:
            yield
        finally:
            connection.execute(healed)


def test_when_something_fails_in_the_middle_of_a_group_none_of_it_is_recorded(
    ledger: Ledger,
) -> None:
    send(ledger, order("1"))
    with failing_at(ledger, "3"), pytest.raises(Exception, match="a fault"):
        send(ledger, order("2"), b"broken", order("3"), order("4"), moves=[Move(PARTITION, 0, 4)])
    assert positions(ledger) == [1]
    assert (stands_at(ledger), waiting(ledger)) == (0, [])
    receipt, _ = send(ledger, order("2"), b"broken", order("3"), moves=[Move(PARTITION, 0, 3)])
    assert (receipt.recorded, receipt.quarantined) == (2, 1)
    assert_dense(ledger)


def connections_of(ledger: Ledger) -> list[Any]:
    """The open connections to a file, those that read and those that append."""
    store = ledger.store
    assert isinstance(store, SQLiteStore)
    return [*store.pool._pool, *store._appending._pool]


@contextmanager
def full_disk(ledger: Ledger, spare: int) -> Iterator[None]:
    """The file may grow by so many pages and no more, for each of the ledger's connections."""
    connections = connections_of(ledger)
    pages = query(ledger, "PRAGMA page_count")[0][0]
    for connection in connections:
        connection._sqlite_conn.execute(f"PRAGMA max_page_count = {pages + spare}")
    try:
        yield
    finally:
        for connection in connections:
            connection._sqlite_conn.execute("PRAGMA max_page_count = 4294967294")


@pytest.mark.parametrize("spare", [0, 1, 5, 20])
def test_a_full_disk_is_told_clearly_and_the_ledger_works_again_once_there_is_space(
    file_ledger: Ledger, spare: int
) -> None:
    ledger = file_ledger
    send(ledger, *orders(range(10)), moves=[Move(PARTITION, 0, 10)])
    many = orders(range(10, 1_000))
    with full_disk(ledger, spare):
        with pytest.raises(LedgerError, match="the disk is full; nothing of this group"):
            send(ledger, *many, moves=[Move(PARTITION, 10, 1_000)])
        assert [stored.position for stored in ledger.log.page(0, 99)] == list(range(1, 11))
        assert (ledger.log.head().position, stands_at(ledger)) == (10, 10)
    receipt, _ = send(ledger, *many, moves=[Move(PARTITION, 10, 1_000)])
    assert (receipt.recorded, receipt.head) == (990, 1_000)
    assert_dense(ledger)


def test_another_writer_that_holds_the_ledger_too_long_is_named_as_the_reason(
    address: Address, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ledger.postgres.store._SETTINGS, "lock_timeout", "10ms")
    with open_ledger(address, clock) as opened:
        send(opened, order("1"))
        if isinstance(address, SQLiteAddress):
            for connection in connections_of(opened):
                connection._sqlite_conn.execute("PRAGMA busy_timeout = 10")
        with held(address), pytest.raises(Locked, match="another process holds the ledger"):
            send(opened, order("2"))
        send(opened, order("2"))
        assert positions(opened) == [1, 2]


def test_readers_go_on_while_somebody_writes(ledger: Ledger) -> None:
    send(ledger, order("1"))
    with held(ledger.address):
        assert len(ledger.log.page(0, 10)) == 1


def test_many_threads_that_send_the_same_touchpoints_record_each_once(
    ledger: Ledger, address: Address, clock: SetClock
) -> None:
    with open_ledger(address, clock) as other:

        def send_some(number: int) -> Receipt:
            overlapping = orders(range(5 * number, 5 * number + 20), customers=4)
            return send((ledger, other)[number % 2], *overlapping)[0]

        with ThreadPoolExecutor(8) as threads:
            receipts = list(threads.map(send_some, range(20)))
    assert all(adds_up(receipt) for receipt in receipts)
    assert sum(receipt.recorded for receipt in receipts) == len(positions(ledger)) == 115
    assert_dense(ledger)


def test_a_reader_of_the_table_sees_a_group_as_a_whole_or_not_at_all(ledger: Ledger) -> None:
    seen: set[int] = set()
    with plain_connection(ledger.address) as reader, ThreadPoolExecutor(1) as thread:
        writing = thread.submit(
            lambda: [send(ledger, *orders(range(n, n + 100))) for n in range(0, 2_000, 100)]
        )
        while not writing.done():
            seen.add(reader.execute("SELECT COUNT(*) FROM stored_events").fetchone()[0])
        writing.result()
    assert all(count % 100 == 0 for count in seen)
