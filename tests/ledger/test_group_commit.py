"""Callers of the log at the same time share transactions, and each hears what became of its own."""

import io
import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import msgspec
import psycopg
import pytest

from ledger.address import Address, parse_url
from ledger.errors import Locked, TrackingConflict, Unreachable
from ledger.ledger import Ledger, create_ledger, open_ledger
from ledger.log import Appended, Move, Quarantined, Submission, tracked
from ledger.quarantine import Received
from ledger.receipt import Receipt
from ledger.record import Duplicate, Record, Recorded, records_of
from ledger.sqlite.address import SQLiteAddress
from schemas.door import Refused, parse
from tests.ledger.sending import NOW, Event, adds_up, line, order, send
from tests.servers.postgres import temporary_server

PATIENCE_SECONDS = 20
OTHER = {"order_id": "A1", "total": {"amount": "99.00", "currency": "EUR"}}
SOURCE, ANOTHER = "kafka:t1:0", "kafka:t1:1"
Call = tuple[Sequence[Submission], Sequence[Move]]


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger, whose clock goes on whenever it is read: once for each transaction."""
    if request.param == "sqlite":
        address = parse_url(f"sqlite:///{tmp_path / 'ledger.db'}")
    else:
        dsn = request.getfixturevalue("postgres_database")
        address = parse_url(dsn, keys=tmp_path / "ledger.keys")
    yield from opened(address)


def opened(address: Address) -> Iterator[Ledger]:
    create_ledger(address)
    with open_ledger(address, itertools.count(NOW).__next__) as ledger:
        yield ledger


def submissions(ledger: Ledger, *events: Event) -> list[Submission]:
    raws = [line(event) for event in events]
    records = records_of([parse(raw) for raw in raws], ledger.vault)
    return [
        Submission(Received(raw, "test"), record) for raw, record in zip(raws, records, strict=True)
    ]


def broken(ledger: Ledger, id_: str) -> Submission:
    """What no store takes: a record without a digest."""
    (whole,) = submissions(ledger, order(id_))
    record = msgspec.structs.replace(cast(Record, whole.record), digest=cast(bytes, None))
    return Submission(whole.received, record)


def together(ledger: Ledger, *calls: Call) -> list[Any]:
    """Appended at the same time, in this order: the answers, or what was raised.

    Nobody gets at the ledger before all of them have come.
    """
    gathering = ledger.log._gathering
    with ThreadPoolExecutor(len(calls)) as threads:
        answers: list[Future[Appended]] = []
        with ledger.store.cursor(write=True):
            for call in calls:
                answers.append(threads.submit(ledger.log.append, *call))
                wait_until(lambda: gathering._busy and len(gathering._waiting) == len(answers) - 1)
        return [answer.exception() or answer.result() for answer in answers]


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.001)


def outcomes(answers: Sequence[Appended]) -> list[Any]:
    return [outcome for answer in answers for outcome in answer.outcomes]


def transactions(ledger: Ledger) -> int:
    """In how many transactions something was recorded."""
    return len({stored.recorded_at for stored in ledger.log.page(0, 100_000)})


def count(ledger: Ledger) -> int:
    """How many touchpoints there are; their positions and versions are dense."""
    with ledger.store.cursor() as cursor:
        rows = cursor.execute(
            "SELECT notification_id, originator_id, originator_version FROM stored_events "
            "ORDER BY notification_id"
        ).fetchall()
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    last: dict[Any, int] = {}
    for _, stream, version in rows:
        assert version == last.get(stream, 0) + 1
        last[stream] = version
    assert ledger.log.head().position == len(rows)
    return len(rows)


def stands_at(ledger: Ledger, name: str = SOURCE) -> int:
    with ledger.store.cursor() as cursor:
        return tracked(name, cursor)


def test_64_callers_of_one_touchpoint_each_share_one_transaction(ledger: Ledger) -> None:
    calls = [
        (submissions(ledger, order(str(n), subject=f"customer:{n % 9}")), ()) for n in range(64)
    ]
    answers = together(ledger, *calls)
    assert outcomes(answers) == [Recorded(n) for n in range(1, 65)]
    assert {answer.receipt.head for answer in answers} == {64}
    assert all(answer.receipt == Receipt(received=1, recorded=1, head=64) for answer in answers)
    assert (count(ledger), transactions(ledger)) == (64, 1)


def test_64_threads_that_append_as_they_like_need_far_fewer_transactions(ledger: Ledger) -> None:
    work = [
        [submissions(ledger, order(f"{t}-{n}", subject=f"customer:{n}")) for n in range(10)]
        for t in range(64)
    ]
    gate = threading.Barrier(64)

    def append_all(mine: list[list[Submission]]) -> list[Appended]:
        gate.wait()
        return [ledger.log.append(one) for one in mine]

    with ThreadPoolExecutor(64) as threads:
        answers = list(itertools.chain.from_iterable(threads.map(append_all, work)))
    positions = {outcome.position for outcome in outcomes(answers)}
    assert positions == set(range(1, 641))
    assert all(outcomes([a])[0].position <= a.receipt.head for a in answers)
    assert count(ledger) == 640
    assert transactions(ledger) < 320


def test_one_caller_alone_has_each_of_its_appends_in_a_transaction(ledger: Ledger) -> None:
    for n in range(3):
        ledger.log.append(submissions(ledger, order(str(n))))
    assert (count(ledger), transactions(ledger)) == (3, 3)


def test_more_than_5_000_touchpoints_at_a_time_are_several_transactions(ledger: Ledger) -> None:
    calls = [
        (submissions(ledger, *(order(f"{call}-{n}") for n in range(900))), ()) for call in range(6)
    ]
    answers = together(ledger, *calls)
    assert [answer.receipt.head for answer in answers] == [4_500] * 5 + [5_400]
    assert (count(ledger), transactions(ledger)) == (5_400, 2)


def test_the_same_touchpoint_of_50_threads_is_one_row_and_all_hear_its_position(
    ledger: Ledger,
) -> None:
    """FAULTS 3."""
    send(ledger, order("before"))
    calls = [(submissions(ledger, order("same")), ()) for _ in range(50)]
    answers = together(ledger, *calls)
    assert outcomes(answers) == [Recorded(2)] + [Duplicate(2)] * 49
    assert sum(answer.receipt.duplicate for answer in answers) == 49
    again = together(ledger, *calls)
    assert outcomes(again) == [Duplicate(2)] * 50
    assert {answer.receipt.head for answer in again} == {2}
    assert count(ledger) == 2


def test_other_content_under_the_same_id_is_a_conflict_in_its_group_too(ledger: Ledger) -> None:
    """FAULTS 3."""
    same = submissions(ledger, order("same")), ()
    other = submissions(ledger, order("same", data=OTHER)), ()
    first, second, third, fourth = together(ledger, same, other, same, other)
    assert outcomes([first, third]) == [Recorded(1), Duplicate(1)]
    for answer in (second, fourth):
        (outcome,) = answer.outcomes
        assert isinstance(outcome, Quarantined)
        assert "position 1" in outcome.refused.message
        assert (answer.receipt.conflict, adds_up(answer.receipt)) == (1, True)
    assert count(ledger) == 1


def test_each_caller_has_a_receipt_of_its_own(ledger: Ledger) -> None:
    refused = Submission(Received(b"not even JSON", "test"), Refused("not_json", "", "no JSON"))
    send(ledger, order("known"))
    mixed, plain, none = together(
        ledger,
        ([refused, *submissions(ledger, order("known"), order("1"))], ()),
        (submissions(ledger, order("2"), order("3")), ()),
        ((), ()),
    )
    assert mixed.receipt == Receipt(received=3, recorded=1, duplicate=1, quarantined=1, head=4)
    assert plain.receipt == Receipt(received=2, recorded=2, head=4)
    assert none.receipt == Receipt(head=4)
    assert mixed.outcomes[1:] == [Duplicate(1), Recorded(2)]
    assert plain.outcomes == [Recorded(3), Recorded(4)]
    with ledger.store.cursor() as cursor:
        (entry,) = ledger.quarantine.entries(cursor)
    assert entry.entry == mixed.outcomes[0].entry


def test_who_expects_its_source_elsewhere_is_refused_alone(ledger: Ledger) -> None:
    one, wrong, two = together(
        ledger,
        (submissions(ledger, order("1")), ()),
        (submissions(ledger, order("2")), [Move(SOURCE, 5, 6)]),
        (submissions(ledger, order("3")), [Move(ANOTHER, 0, 9)]),
    )
    assert isinstance(wrong, TrackingConflict)
    assert "stands at 0, not at 5" in str(wrong)
    assert outcomes([one, two]) == [Recorded(1), Recorded(2)]
    assert (stands_at(ledger), stands_at(ledger, ANOTHER)) == (0, 9)
    assert (count(ledger), transactions(ledger)) == (2, 1)


def test_moves_of_the_same_source_in_a_group_are_judged_one_after_the_other(
    ledger: Ledger,
) -> None:
    first, zombie, second = together(
        ledger,
        (submissions(ledger, order("1")), [Move(SOURCE, 0, 1)]),
        (submissions(ledger, order("2")), [Move(SOURCE, 0, 1)]),
        (submissions(ledger, order("3")), [Move(SOURCE, 1, 2)]),
    )
    assert outcomes([first, second]) == [Recorded(1), Recorded(2)]
    assert isinstance(zombie, TrackingConflict)
    assert "stands at 1, not at 0" in str(zombie)
    assert (stands_at(ledger), transactions(ledger)) == (2, 1)


def test_when_one_of_a_callers_moves_is_refused_none_of_them_is_made(ledger: Ledger) -> None:
    refused, accepted = together(
        ledger,
        (submissions(ledger, order("1")), [Move(SOURCE, 0, 7), Move(ANOTHER, 3, 4)]),
        (submissions(ledger, order("2")), [Move(SOURCE, 0, 1), Move(SOURCE, 1, 2)]),
    )
    assert isinstance(refused, TrackingConflict)
    assert outcomes([accepted]) == [Recorded(1)]
    assert (stands_at(ledger), stands_at(ledger, ANOTHER)) == (2, 0)


def test_who_brings_what_the_store_cannot_take_fails_alone(ledger: Ledger) -> None:
    one, guilty, two = together(
        ledger,
        (submissions(ledger, order("1")), [Move(SOURCE, 0, 1)]),
        ([*submissions(ledger, order("2")), broken(ledger, "3")], [Move(ANOTHER, 0, 1)]),
        (submissions(ledger, order("4")), [Move(SOURCE, 1, 2)]),
    )
    assert isinstance(guilty, Exception)
    assert outcomes([one, two]) == [Recorded(1), Recorded(2)]
    assert (stands_at(ledger), stands_at(ledger, ANOTHER)) == (2, 0)
    assert count(ledger) == 2


def test_who_moves_its_source_back_fails_alone(ledger: Ledger) -> None:
    send(ledger, order("0"), moves=[Move(SOURCE, 0, 5)])
    one, guilty, two = together(
        ledger,
        (submissions(ledger, order("1")), ()),
        (submissions(ledger, order("2")), [Move(SOURCE, 5, 3)]),
        (submissions(ledger, order("3")), ()),
    )
    assert isinstance(guilty, Exception)
    assert outcomes([one, two]) == [Recorded(2), Recorded(3)]
    assert (count(ledger), stands_at(ledger)) == (3, 5)


def test_versions_of_a_group_that_failed_are_not_remembered(ledger: Ledger) -> None:
    gone = io.BytesIO(b"its file is closed before it can be kept")
    gone.close()
    kept = Submission(Received(gone, "test"), Refused("too_large", "", "too large"))
    with pytest.raises(ValueError, match="closed file"):
        ledger.log.append([*submissions(ledger, order("1")), kept])
    for elsewhere in opened(ledger.address):  # the log is as long as if that had not failed
        send(elsewhere, order("1", subject="customer:7"))
    send(ledger, order("2"))
    assert count(ledger) == 2


def test_decisions_and_appends_at_the_same_time_leave_no_gap_in_a_stream(ledger: Ledger) -> None:
    def append_some(number: int) -> None:
        for n in range(10):
            mine = submissions(ledger, order(f"{number}-{n}", subject=f"customer:{n % 2}"))
            if number % 2:
                ledger.log.append(mine)
                continue
            with ledger.store.cursor(write=True) as cursor:
                ledger.log.append_within(mine, cursor)

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(append_some, range(12)))
    assert count(ledger) == 120


def test_a_ledger_that_is_locked_for_too_long_fails_all_and_works_again_afterwards(
    tmp_path: Path,
) -> None:
    address = parse_url(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert isinstance(address, SQLiteAddress)
    for ledger in opened(address):
        send(ledger, order("0"))
        for connection in cast(Any, ledger.store)._appending._pool:
            connection._sqlite_conn.execute("PRAGMA busy_timeout = 500")
        calls = [submissions(ledger, order(str(n))) for n in range(1, 9)]
        with closing(sqlite3.connect(address.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert all(isinstance(error, Locked) for error in failures(ledger, calls))
            other.execute("ROLLBACK")
        assert all_appended(ledger, calls) == 9


def test_a_server_that_is_down_fails_all_and_the_next_append_works_when_it_is_back(
    tmp_path: Path,
) -> None:
    with temporary_server() as server:
        for ledger in opened(parse_url(server.dsn(), keys=tmp_path / "ledger.keys")):
            send(ledger, order("0"))
            pool = cast(Any, ledger.store).pool
            seconds, pool.timeout = pool.timeout, 1
            calls = [submissions(ledger, order(str(n))) for n in range(1, 9)]
            server.stop("immediate")
            began = time.monotonic()
            assert all(isinstance(error, Unreachable) for error in failures(ledger, calls))
            assert time.monotonic() - began < 5, "one after the other waited for the server"
            server.start()
            pool.timeout = seconds
            assert all_appended(ledger, calls) == 9


def failures(ledger: Ledger, calls: Sequence[Sequence[Submission]]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as threads:
        return [each.exception() for each in [threads.submit(ledger.log.append, c) for c in calls]]


def all_appended(ledger: Ledger, calls: Sequence[Sequence[Submission]]) -> int:
    with ThreadPoolExecutor(len(calls)) as threads:
        list(threads.map(ledger.log.append, calls))
    return count(ledger)


def test_what_only_the_server_refuses_fails_its_caller_alone(
    postgres_database: str, tmp_path: Path
) -> None:
    for ledger in opened(parse_url(postgres_database, keys=tmp_path / "ledger.keys")):
        with psycopg.connect(postgres_database, autocommit=True) as server:
            server.execute("ALTER TABLE touchstone.stored_events ADD CHECK (id <> 'bad')")
        good, bad, better = together(
            ledger, *((submissions(ledger, order(id_)), ()) for id_ in ("good", "bad", "better"))
        )
        assert isinstance(bad, Exception)
        assert outcomes([good, better]) == [Recorded(1), Recorded(2)]
        assert count(ledger) == 2


def test_readers_are_woken_once_for_each_transaction_that_records_something(
    postgres_database: str, tmp_path: Path
) -> None:
    for ledger in opened(parse_url(postgres_database, keys=tmp_path / "ledger.keys")):
        calls = [(submissions(ledger, order(str(n))), ()) for n in range(5)]
        with psycopg.connect(postgres_database, autocommit=True) as reader:
            reader.execute("LISTEN touchstone")
            together(ledger, *calls)  # recorded
            together(ledger, *calls)  # duplicates
            send(ledger, order("last"))
            told = [(n.channel, n.payload) for n in reader.notifies(timeout=5, stop_after=2)]
            told += [(n.channel, n.payload) for n in reader.notifies(timeout=0.2)]
        assert told == [("touchstone", "touchstone")] * 2
