"""The log: once each, dense positions, gap-free streams, times that never go back."""

import sqlite3
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.address import Address
from ledger.ledger import Ledger, open_ledger
from ledger.log import Quarantined, Stored
from ledger.record import Duplicate, Recorded
from ledger.sqlite.address import SQLiteAddress
from tests.ledger.conftest import SetClock
from tests.ledger.sending import (
    HOUR,
    NOW,
    SECOND,
    Event,
    adds_up,
    assert_dense,
    order,
    orders,
    positions,
    query,
    send,
)
from tests.places import PostgresPlaces, plain_connection

OTHER = {"order_id": "A1", "total": {"amount": "99.00", "currency": "EUR"}}


def recorded_ats(ledger: Ledger) -> list[int]:
    return [stored.recorded_at for stored in ledger.log.page(0, 1_000)]


def test_a_touchpoint_is_recorded_at_the_next_position(ledger: Ledger) -> None:
    receipt, outcomes = send(ledger, order("1"), order("2"))
    assert outcomes == [Recorded(1), Recorded(2)]
    assert (receipt.received, receipt.recorded, receipt.head) == (2, 2, 2)


def test_the_same_touchpoint_again_is_a_duplicate_that_names_its_position(ledger: Ledger) -> None:
    send(ledger, order("1"), order("2"))
    receipt, outcomes = send(ledger, order("2"), order("3"))
    assert outcomes == [Duplicate(2), Recorded(3)]
    assert (receipt.recorded, receipt.duplicate, receipt.head) == (1, 1, 3)


def test_the_same_id_of_another_source_is_another_touchpoint(ledger: Ledger) -> None:
    _, outcomes = send(ledger, order("1"), order("1", source="till"))
    assert outcomes == [Recorded(1), Recorded(2)]


def test_other_content_under_a_known_id_is_a_conflict_and_is_kept(ledger: Ledger) -> None:
    send(ledger, order("1"))
    receipt, (outcome,) = send(ledger, order("1", data=OTHER))
    assert isinstance(outcome, Quarantined)
    assert outcome.refused.reason == "conflict"
    assert "position 1" in outcome.refused.message
    assert (receipt.conflict, receipt.quarantined, receipt.recorded) == (1, 0, 0)
    assert positions(ledger) == [1]


def test_a_group_may_repeat_itself_and_contradict_itself(ledger: Ledger) -> None:
    receipt, outcomes = send(
        ledger, order("1"), order("1"), order("2"), order("1", data=OTHER), order("2"), order("3")
    )
    assert [outcomes[n] for n in (0, 1, 2, 4, 5)] == [
        Recorded(1),
        Duplicate(1),
        Recorded(2),
        Duplicate(2),
        Recorded(3),
    ]
    assert isinstance(outcomes[3], Quarantined)
    assert adds_up(receipt)
    assert_dense(ledger)


def test_an_empty_group_changes_nothing(ledger: Ledger) -> None:
    receipt, outcomes = send(ledger)
    assert (receipt.received, receipt.head, outcomes) == (0, 0, [])


GROUPS = st.lists(st.lists(st.integers(1, 30), max_size=8), max_size=12)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(groups=GROUPS)
def test_however_groups_overlap_each_is_there_once_and_nothing_has_a_gap(
    ledger: Ledger, groups: list[list[int]]
) -> None:
    example = uuid4()  # the examples share a ledger
    before = len(positions(ledger))
    sent = [
        [order(f"{example}/{n}", subject=f"customer:{n % 3}") for n in group] for group in groups
    ]
    receipts = [send(ledger, *group)[0] for group in sent]
    distinct = {event["id"] for group in sent for event in group}
    assert len(positions(ledger)) == before + len(distinct)
    assert sum(receipt.recorded for receipt in receipts) == len(distinct)
    assert all(adds_up(receipt) for receipt in receipts)
    assert_dense(ledger)


def test_the_time_of_recording_does_not_go_back_when_the_clock_does(
    ledger: Ledger, clock: SetClock
) -> None:
    send(ledger, order("1"))
    clock.now = NOW - 2 * HOUR
    send(ledger, order("2"))
    clock.now = NOW + SECOND
    send(ledger, order("3"))
    assert recorded_ats(ledger) == [NOW, NOW, NOW + SECOND]
    assert ledger.log.head().recorded_at == NOW + SECOND


def test_what_was_known_at_a_moment_ends_with_the_last_recorded_by_then(
    ledger: Ledger, clock: SetClock
) -> None:
    for number, seconds in enumerate((0, 0, 5, 5, 5, 9, 20)):
        clock.now = NOW + seconds * SECOND
        send(ledger, order(str(number)))
    known = {s: ledger.log.known_until(NOW + s * SECOND) for s in (-1, 0, 4, 5, 8, 9, 19, 20, 99)}
    assert known == {-1: 0, 0: 2, 4: 2, 5: 5, 8: 5, 9: 6, 19: 6, 20: 7, 99: 7}


def test_of_an_empty_log_nothing_was_ever_known(ledger: Ledger) -> None:
    assert ledger.log.known_until(NOW) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stored_events SET topic = 'another' WHERE notification_id = 1",
        "UPDATE stored_events SET recorded_at = 0",
        "DELETE FROM stored_events WHERE notification_id = 2",
        "DELETE FROM stored_events",
    ],
)
def test_the_database_itself_refuses_to_change_or_remove_a_fact(
    ledger: Ledger, statement: str
) -> None:
    send(ledger, order("1"), order("2"))
    with (
        plain_connection(ledger.address) as connection,
        pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException), match="append-only"),
    ):
        connection.execute(statement)
    assert positions(ledger) == [1, 2]


def test_a_server_refuses_to_empty_the_log_as_well(
    postgres_places: PostgresPlaces, clock: SetClock
) -> None:
    with open_ledger(postgres_places.taken(), clock) as ledger:
        send(ledger, order("1"))
        with (
            plain_connection(ledger.address) as connection,
            pytest.raises(psycopg.errors.RaiseException, match="append-only"),
        ):
            connection.execute("TRUNCATE stored_events")
        assert positions(ledger) == [1]


def test_vacuum_keeps_every_position(ledger: Ledger) -> None:
    send(ledger, *orders(range(1, 50)))
    before = ledger.log.page(0, 100)
    with plain_connection(ledger.address) as connection:
        connection.execute(
            "VACUUM" if isinstance(ledger.address, SQLiteAddress) else "VACUUM FULL stored_events"
        )
    assert ledger.log.page(0, 100) == before
    send(ledger, *orders(range(40, 60)))
    assert_dense(ledger)


def test_two_processes_that_append_in_turn_keep_the_versions_of_a_stream(
    ledger: Ledger, address: Address, clock: SetClock
) -> None:
    with open_ledger(address, clock) as other:
        for number in range(0, 40, 4):
            send(ledger, *orders((number, number + 1), customers=2))
            send(other, *orders((number + 1, number + 2, number + 3), customers=2))
    assert len(positions(ledger)) == 40
    assert_dense(ledger)


def page_of(log: Ledger, after: int, limit: int, until: int | None = None) -> list[int]:
    return [stored.position for stored in log.log.page(after, limit, until)]


def test_pages_follow_each_other_in_the_order_of_positions(ledger: Ledger) -> None:
    send(ledger, *orders(range(1, 8)))
    assert page_of(ledger, 0, 3) == [1, 2, 3]
    assert page_of(ledger, 3, 3) == [4, 5, 6]
    assert page_of(ledger, 6, 3) == [7]
    assert page_of(ledger, 0, 100, until=2) == [1, 2]
    assert [stored.position for stored in ledger.log.last(2)] == [6, 7]


def test_a_touchpoint_is_found_by_its_id_and_its_stream_by_its_subject(ledger: Ledger) -> None:
    events: list[Event] = [order("1"), order("1", source="till"), order("2", subject="customer:7")]
    send(ledger, *events)
    assert [s.position for s in ledger.log.identified("1")] == [1, 2]
    assert [s.position for s in ledger.log.identified("1", "till")] == [2]
    assert ledger.log.identified("3") == []
    ((stream,),) = query(ledger, "SELECT originator_id FROM stored_events WHERE id = '2'")
    found: list[Stored] = ledger.log.streams([stream])
    assert [s.position for s in found] == [3]
