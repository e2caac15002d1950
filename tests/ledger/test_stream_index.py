"""The index of streams of an embedded ledger: chains by a prefix, which streams may share."""

import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from uuid import UUID

import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import Address
from ledger.errors import SchemaMismatch
from ledger.ledger import create_ledger, open_ledger
from ledger.sqlite.address import SQLiteAddress
from ledger.sqlite.connections import SQLiteLedgerCursor
from ledger.sqlite.store import SQLiteStore
from ledger.sqlite.streams import is_whole, prefix_of
from projections.reading import range_bounds
from tests.ledger.sending import orders, send, versions
from tests.places import SQLitePlaces, a_place, plain_connection

SHARING = [UUID(f"abcdefabcdef{tail:020x}") for tail in (1, 2, 3)]
STREAMS = [*SHARING, UUID("abcdefabcdee" + "0" * 20), UUID("abcdefabcdf0" + "0" * 20)]
OLDER = 4
"""The version of the schema that had a b-tree of streams and versions."""


def event(stream: UUID, version: int) -> StoredEvent:
    return StoredEvent(stream, version, "topic", f"{stream} {version}".encode())


def whole(address: Address) -> bool:
    with plain_connection(address) as connection:
        return is_whole(connection)


def make_older(address: SQLiteAddress) -> None:
    with plain_connection(address) as connection:
        connection.executescript(
            "DROP TABLE stream_ends; DROP TABLE stream_links; CREATE UNIQUE INDEX "
            "stored_events_stream ON stored_events (originator_id, originator_version); "
            f"PRAGMA user_version = {OLDER}"
        )


def test_the_streams_of_these_tests_share_a_prefix() -> None:
    assert len({prefix_of(stream.hex) for stream in SHARING}) == 1
    assert len({prefix_of(stream.hex) for stream in STREAMS}) == 3


@given(
    groups=st.lists(
        st.tuples(st.integers(0, 1), st.lists(st.sampled_from(STREAMS), min_size=1)), max_size=8
    ),
    reads=st.sampled_from([(None, None), (1, None), (None, 2), (1, 3)]),
    ranges=st.integers(1, 1 << 52),
)
def test_each_stream_is_read_whole_whoever_wrote_it(
    groups: list[tuple[int, list[UUID]]],
    reads: tuple[int | None, int | None],
    ranges: int,
    sqlite_places: SQLitePlaces,
) -> None:
    """Two writers in turn, streams that share a chain and others that do not."""
    written: dict[UUID, list[StoredEvent]] = defaultdict(list)
    with a_place(sqlite_places) as address, closing(address.store()) as store:
        assert isinstance(store, SQLiteStore)
        writers = store.recorder(), store.recorder()
        for writer, streams in groups:
            group = []
            for stream in streams:
                written[stream].append(event(stream, len(written[stream])))
                group.append(written[stream][-1])
            writers[writer].insert_events(group)
        gt, lte = reads
        for stream in STREAMS:
            expected = [
                e for e in written[stream]
                if (gt is None or e.originator_version > gt)
                and (lte is None or e.originator_version <= lte)
            ]  # fmt: skip
            read = writers[0].select_events
            assert read(stream, gt=gt, lte=lte) == expected
            assert read(stream, gt=gt, lte=lte, desc=True, limit=1) == expected[::-1][:1]
        assert whole(address)
        number = SHARING[0].int * ranges >> 128
        first, last = range_bounds(number, ranges)
        with store.cursor() as cursor:
            joined = cursor.states_in_range(first, last, 1 << 40)
        states = joined[0].split(b",") if joined else []
        inside = [e for s, events in written.items() if first <= s.hex <= last for e in events]
        assert sorted(states) == sorted(e.state for e in inside)


def test_a_range_that_is_too_long_for_one_value_is_read_row_by_row(
    file_address: SQLiteAddress,
) -> None:
    everything = (*range_bounds(0, 1), 50)
    with open_ledger(file_address) as ledger:
        send(ledger, *orders(range(60), 7))
        with ledger.store.cursor() as cursor:
            assert isinstance(cursor, SQLiteLedgerCursor)
            (joined,) = cursor.states_in_range(*everything)
            before = cursor.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, len(joined) - 1)
            states = cursor.states_in_range(*everything)
            cursor.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)
    assert len(states) == 50
    assert sorted(json.loads(b"[%b]" % joined), key=str) == sorted(map(json.loads, states), key=str)


@pytest.mark.parametrize("again", [0, 1])
def test_a_version_is_used_once(again: int, file_address: SQLiteAddress) -> None:
    one, other, _ = SHARING
    with closing(file_address.store()) as store:
        recorder = store.recorder()
        recorder.insert_events([event(one, 0), event(one, 1), event(other, 0)])
        with pytest.raises(IntegrityError, match=f"version {again} already"):
            recorder.insert_events([event(other, 1), event(one, again)])
        recorder.insert_events([event(other, 1), event(one, 2)])
        assert [e.originator_version for e in recorder.select_events(other)] == [0, 1]
    assert whole(file_address)


def test_an_older_ledger_is_upgraded_with_what_is_in_it(file_address: SQLiteAddress) -> None:
    with open_ledger(file_address) as ledger:
        send(ledger, *orders(range(50), 7))
        before = versions(ledger)
    make_older(file_address)
    with pytest.raises(SchemaMismatch, match="touchstone init"):
        open_ledger(file_address)
    assert not create_ledger(file_address)
    assert whole(file_address)
    with open_ledger(file_address) as ledger:
        assert len(ledger.log.streams(before)) == 50
        send(ledger, *orders(range(50, 57), 7))
        assert versions(ledger) == {s: [*v, len(v) + 1] for s, v in before.items()}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE stream_links SET previous = 0 WHERE position = 5",
        "DELETE FROM stream_links WHERE position = 5",
        "UPDATE stream_ends SET position = position - 1 WHERE position = 6",
        "DELETE FROM stream_ends WHERE position = 6",
    ],
)
def test_a_damaged_index_is_found(damage: str, file_address: SQLiteAddress) -> None:
    with open_ledger(file_address) as ledger:
        send(ledger, *orders(range(6), 3))
    assert file_address.diagnose()[1] is None
    with plain_connection(file_address) as connection:
        assert connection.execute(damage).rowcount == 1
    _, found = file_address.diagnose()
    assert found is not None
    assert "index of streams" in found
