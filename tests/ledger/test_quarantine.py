"""Quarantine: what could not be recorded is there whole, until it is dealt with."""

import io
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.importing import Import
from ledger.intake import append, take
from ledger.ledger import Ledger
from ledger.log import Quarantined
from ledger.mapping import Mapping, load_mapping
from ledger.quarantine import DISCARDED, PART_BYTES, RECORDED, WAITING, Entry, Received
from ledger.retrying import Retried, by_mapping, retry
from schemas.door import Refused
from schemas.fields import rfc3339
from schemas.purchase import OrderCompleted
from schemas.replay import decode
from tests.ledger.conftest import SetClock
from tests.ledger.sending import (
    HOUR,
    NOW,
    SECOND,
    kept_bytes,
    line,
    order,
    positions,
    query,
    send,
    waiting,
)

AHEAD = order("1", time=rfc3339(NOW + 30 * HOUR))


def only(ledger: Ledger, status: str | None = None) -> Entry:
    (entry,) = waiting(ledger, status)
    return entry


def retried(ledger: Ledger, mapping: Mapping | None = None) -> Retried:
    return retry(ledger, only(ledger, WAITING), by_mapping(mapping) if mapping else None)


def parts(ledger: Ledger) -> int:
    ((number,),) = query(ledger, "SELECT COUNT(*) FROM quarantine_parts")
    return int(number)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(min_size=1, max_size=300))
def test_any_bytes_come_back_as_they_were(ledger: Ledger, content: bytes) -> None:
    why = Refused("row", "", "a test")
    _, (outcome,) = append(ledger, [(Received(content, "test"), why)])
    assert isinstance(outcome, Quarantined)
    assert kept_bytes(ledger, outcome.entry) == content


def test_fifty_megabytes_come_back_as_they_were_from_parts(ledger: Ledger) -> None:
    pattern = bytes(range(256)) * 4_096
    with io.BytesIO(pattern * 48 + b"the end") as file:
        received = Received(file, "test")
        append(ledger, [(received, Refused("too_large", "", "too long"))])
    entry = only(ledger)
    assert entry.size == 48 * len(pattern) + 7
    assert parts(ledger) == 48 * len(pattern) // PART_BYTES + 1
    assert kept_bytes(ledger, entry.entry) == pattern * 48 + b"the end"


def test_parts_that_are_exchanged_do_not_open(ledger: Ledger) -> None:
    send(ledger, b"first", b"other")
    with ledger.store.cursor(write=True) as cursor:
        cursor.execute("UPDATE quarantine_parts SET entry = 3 - entry + 10")
        cursor.execute("UPDATE quarantine_parts SET entry = entry - 10")
    with pytest.raises(InvalidTag):
        kept_bytes(ledger, 1)


def test_an_entry_says_what_came_through_which_door_when_and_why_not(
    ledger: Ledger, clock: SetClock
) -> None:
    clock.now += SECOND
    send(ledger, b"{}", door="kafka")
    entry = only(ledger)
    assert (entry.door, entry.reason, entry.path, entry.size) == ("kafka", "missing", "type", 2)
    assert (entry.received_at, entry.times, entry.status) == (NOW + SECOND, 1, WAITING)


def test_the_same_bytes_again_are_one_entry_that_counts(ledger: Ledger, clock: SetClock) -> None:
    for _ in range(3):
        send(ledger, b"broken", b"broken too")
        clock.now += SECOND
    entries = waiting(ledger)
    assert [(e.times, e.received_at) for e in entries] == [(3, NOW + 2 * SECOND)] * 2
    assert parts(ledger) == 2


def test_the_same_bytes_at_another_door_or_offset_are_another_entry(ledger: Ledger) -> None:
    why = Refused("json_invalid", "", "broken")
    places = [{"topic_id": "t", "partition": 0, "offset": n} for n in (1, 2, 2)]
    items = [(Received(b"broken", "kafka", place), why) for place in places]
    append(ledger, [*items, (Received(b"broken", "append"), why)])
    assert [entry.times for entry in waiting(ledger)] == [1, 2, 1]


def test_a_retry_records_with_the_original_time_and_closes_the_entry(
    ledger: Ledger, clock: SetClock
) -> None:
    send(ledger, AHEAD)
    clock.now += 10 * HOUR
    result = retried(ledger)
    assert (result.refused, result.receipt.recorded) == (None, 1)
    assert waiting(ledger) == []
    entry = only(ledger, RECORDED)
    assert (parts(ledger), kept_bytes(ledger, entry.entry)) == (0, b"")
    (stored,) = ledger.log.page(0, 10)
    assert decode(stored.topic, stored.state).at == NOW + 30 * HOUR
    assert stored.recorded_at == NOW + 10 * HOUR


def test_a_retry_of_what_is_still_broken_keeps_it_waiting_whole(ledger: Ledger) -> None:
    send(ledger, AHEAD)
    result = retried(ledger)
    assert result.refused is not None
    assert result.refused.reason == "time_ahead"
    assert result.receipt.quarantined == 1
    assert only(ledger, WAITING).times == 2
    assert kept_bytes(ledger, 1) == line(AHEAD)


def test_a_retry_of_a_conflict_is_still_a_conflict(ledger: Ledger) -> None:
    send(ledger, order("1"), order("1", subject="customer:7"))
    result = retried(ledger)
    assert (result.receipt.conflict, result.receipt.recorded) == (1, 0)
    assert only(ledger, WAITING).reason == "conflict"
    assert positions(ledger) == [1]


def test_a_retry_of_what_was_sent_again_in_the_meantime_closes_the_entry(
    ledger: Ledger, clock: SetClock
) -> None:
    send(ledger, AHEAD)
    clock.now += 10 * HOUR
    send(ledger, AHEAD)
    result = retried(ledger)
    assert (result.receipt.duplicate, result.refused) == (1, None)
    assert waiting(ledger) == []


def test_what_is_refused_again_after_it_was_closed_waits_again(
    ledger: Ledger, clock: SetClock
) -> None:
    send(ledger, b"broken")
    settle(ledger, DISCARDED, "a test")
    send(ledger, b"broken")
    entry = only(ledger, WAITING)
    assert (entry.times, entry.note) == (2, "a test")  # the discard stays on record
    assert kept_bytes(ledger, entry.entry) == b"broken"


def settle(ledger: Ledger, status: str, note: str) -> None:
    with ledger.store.cursor(write=True) as cursor:
        ledger.quarantine.settle(1, status, note, NOW, cursor)


def test_discarding_removes_the_bytes_and_keeps_the_note(ledger: Ledger) -> None:
    send(ledger, b"broken")
    settle(ledger, DISCARDED, "test data")
    entry = only(ledger, DISCARDED)
    assert (entry.note, entry.size, entry.reason) == ("test data", 6, "json_invalid")
    assert (parts(ledger), kept_bytes(ledger, 1)) == (0, b"")
    assert waiting(ledger) == []


MAPPING = """
source = "till"
[rows]
format = "csv"
delimiter = ";"
[[touchpoint]]
type = "order.completed.v1"
id = "{number}"
subject = "customer:{customer}"
time = "{when}"
[touchpoint.data]
order_id = "{number}"
total = { amount = { column = "TOTAL", as = "decimal" }, currency = "EUR" }
"""
ROWS = b"""number;customer;when;total;sum
1;42;2026-01-05T10:00:00Z;12.50;12.50
2;43;2026-01-05T10:00:00Z;;7.00
3;44;2026-01-05T10:00:00Z;9.00;9.00
"""


@pytest.fixture
def mapping(tmp_path: Path) -> Mapping:
    """A mapping that takes the total from a column that is empty in one of the rows."""
    return written(tmp_path, MAPPING.replace("TOTAL", "total"))


def written(folder: Path, text: str) -> Mapping:
    path = folder / "mapping.toml"
    path.write_text(text, "utf-8")
    return load_mapping(path)


def import_rows(ledger: Ledger, mapping: Mapping, folder: Path) -> None:
    path = folder / "rows.csv"
    path.write_bytes(ROWS)
    with mapping.read(path) as rows:
        receipt = take(ledger, Import(mapping, rows, "rows.csv").items())
    assert (receipt.received, receipt.recorded, receipt.quarantined) == (3, 2, 1)


def test_a_row_that_gives_no_touchpoint_is_kept_as_it_stands(
    ledger: Ledger, mapping: Mapping, tmp_path: Path
) -> None:
    import_rows(ledger, mapping, tmp_path)
    entry = only(ledger, WAITING)
    assert (entry.reason, entry.context["line"], entry.context["row"]) == ("row", 3, 2)
    assert kept_bytes(ledger, entry.entry) == ROWS.splitlines(keepends=True)[2]


def test_a_row_waits_until_its_mapping_is_mended_and_is_then_recorded_once(
    ledger: Ledger, mapping: Mapping, tmp_path: Path
) -> None:
    import_rows(ledger, mapping, tmp_path)
    assert retried(ledger).refused is not None
    assert retried(ledger, mapping).refused is not None
    assert len(positions(ledger)) == 2
    mended = written(tmp_path, MAPPING.replace("TOTAL", "sum"))
    result = retried(ledger, mended)
    assert (result.refused, result.receipt.recorded) == (None, 1)
    assert waiting(ledger) == []
    (stored,) = ledger.log.identified("2", "till")
    data = decode(stored.topic, stored.state).data
    assert isinstance(data, OrderCompleted)
    assert (data.order_id, data.total.amount) == ("2", "7.00")
