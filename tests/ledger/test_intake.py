"""Intake: whatever comes is recorded or kept with its reason, and the counts add up."""

import json
import os
import resource
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.intake import GROUP_TOUCHPOINTS_MAX, Stop, take
from ledger.ledger import Ledger
from ledger.log import Outcome, Quarantined
from ledger.quarantine import Received
from ledger.receipt import Receipt
from ledger.record import Recorded
from schemas.door import TOUCHPOINT_BYTES_MAX
from schemas.fields import rfc3339
from tests.ledger.sending import (
    HOUR,
    NOW,
    SECOND,
    Event,
    adds_up,
    assert_dense,
    kept_bytes,
    line,
    order,
    orders,
    positions,
    send,
    send_file,
    waiting,
)
from tests.schemas.strategies import events

EUR = {"amount": "12.50", "currency": "EUR"}
SMALLEST = (
    b'{"specversion":"1.0","id":"1","source":"shop","type":"order.completed.v1",'
    b'"subject":"customer:42","time":"2026-01-05T10:00:00Z",'
    b'"data":{"order_id":"A1","total":{"amount":"12.50","currency":"EUR"}}}'
)

shared_ledger = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_the_smallest_line_of_the_catalogue_is_accepted(ledger: Ledger) -> None:
    assert send_file(ledger, SMALLEST).recorded == 1


def order_with(**data: Any) -> Event:
    return order("bad", data={"order_id": "A1", "total": EUR} | data)


def note_with(**data: Any) -> Event:
    said = {"note_id": "N1", "text": "tea", "agent": "Ana", "internal": True} | data
    return order("bad", type="note.added.v1", data=said)


def written(event: Event, old: str, new: str) -> bytes:
    """The event as JSON with a piece of its text exchanged, for what json.dumps will not write."""
    text = json.dumps(event)
    assert old in text
    return text.replace(old, new).encode()


def without(event: Event, name: str) -> Event:
    return {key: value for key, value in event.items() if key != name}


DEPTH = 10_000
NOT_MONEY = order("bad", data={"order_id": "A1", "total": {"amount": 12.5, "currency": "EUR"}})
NESTED = written(order_with(extra={"a": 0}), '{"a": 0}', '{"a":' * DEPTH + "0" + "}" * DEPTH)
SURROGATE = written(note_with(text="HALF"), "HALF", "\\ud800")
BAD: dict[str, tuple[bytes | Event, str, str, str]] = {
    "truncated JSON": (line(order("bad"))[:-19], "json_invalid", "", "Invalid JSON: EOF"),
    "no JSON": (b"hello", "json_invalid", "", "Invalid JSON"),
    "invalid UTF-8": (b'{"type":"order.completed.v1","id":"\xff"}', "json_invalid", "", "unicode"),
    "no object": (b"[1,2]", "object_type", "", "expected an object"),
    "a type nearly right": (order("bad", type="order.complete.v1"), "unknown_type", "type",
                            "did you mean order.completed.v1?"),
    "a type far off": (order("bad", type="zzz"), "unknown_type", "type", "touchstone schema list"),
    "no type": (without(order("bad"), "type"), "missing", "type", "no type"),
    "a type that is no text": (order("bad", type=5), "invalid", "type", "`type` is a string"),
    "no id": (without(order(), "id"), "missing", "id", "this field is required"),
    "an empty id": (order(""), "string_too_short", "id", "at least 1 character"),
    "no time": (without(order("bad"), "time"), "missing", "time", "this field is required"),
    "no order id": (order("bad", data={"total": EUR}), "missing", "data.order_id", "required"),
    "a null for what is required": (order_with(order_id=None), "string_type", "data.order_id",
                                    "expected a valid string"),
    "a field too many": (order_with(colour="red"), "unknown_field", "data.colour",
                         "not a field of this type"),
    "an attribute by a wrong name": (order("bad", Subject="x"), "unknown_field", "Subject",
                                     "not a field of the envelope"),
    "another version of CloudEvents": (order("bad", specversion="0.3"), "literal_error",
                                       "specversion", "'1.0'"),
    "a text for a list": (order_with(lines="P1"), "tuple_type", "data.lines", "expected a valid"),
    "a number for money": (NOT_MONEY, "string_type", "data.total.amount", "expected a valid"),
    "money without a currency": (order_with(total={"amount": "1"}), "missing",
                                 "data.total.currency", "required"),
    "money of no country": (order_with(total=EUR | {"currency": "ZZZ"}), "currency",
                            "data.total.currency", "ISO 4217"),
    "1e999 for money": (order_with(total=EUR | {"amount": "1e999"}), "form",
                        "data.total.amount", "decimal"),
    "a time without its offset": (order("bad", time="2026-01-05T10:00:00"), "time_form", "time",
                                  "with its offset"),
    "a time of the year 10000": (order("bad", time="10000-01-05T10:00:00Z"), "time_form", "time",
                                 "expected an RFC 3339"),
    "a number for a time": (order("bad", time=1767607200), "time_form", "time", "RFC 3339"),
    "a day that is not": (order("bad", time="2026-02-30T10:00:00Z"), "datetime_from_date_parsing",
                          "time", "expected a valid datetime"),
    "a time 25 hours ahead": (order("bad", time=rfc3339(NOW + 25 * HOUR)), "time_ahead", "time",
                              "24 hours ahead"),
    "a subject without a kind": (order("bad", subject="42"), "subject", "subject", "customer:42"),
    "an email that is none": (order("bad", subject="email:nobody"), "subject", "subject",
                              "not an email address"),
    "nesting without end": (NESTED, "json_invalid", "", "recursion limit"),
    "a NUL in a text": (note_with(text="a\0b"), "form", "data.text", "form"),
    "a NUL in an id": (order("a\0b"), "form", "id", "form"),
    "a NUL in a map": (order_with(extra={"a": "\0"}), "nul", "data.extra", "NUL"),
    "1e999 in a map": (written(order_with(extra={"a": "BIG"}), '"BIG"', "1e999"), "finite",
                       "data.extra", "not finite"),
    "half of a surrogate pair": (SURROGATE, "json_invalid", "", "hex escape"),
    "an integer of 100 digits": (order_with(extra={"a": int("9" * 100)}), "integer_range",
                                 "data.extra", "64 bits"),
    "an integer of 5,000 digits": (written(order_with(extra={"a": "BIG"}), '"BIG"', "9" * 5_000),
                                   "json_invalid", "", "number out of range"),
    "a sequence beyond 64 bits": (order("bad", sequence=2**63), "less_than_equal", "sequence",
                                  "less than or equal"),
    "a text that is too long": (note_with(text="x" * 70_000), "string_too_long", "data.text",
                                "at most 65536"),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "reason", "path", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_kept_with_its_reason_and_the_rest_is_recorded(
    ledger: Ledger, bad: bytes | Event, reason: str, path: str, words: str
) -> None:
    raw = bad if isinstance(bad, bytes) else line(bad)
    receipt = send_file(ledger, b"\n".join((line(order("1")), raw, line(order("2")))))
    assert (receipt.received, receipt.recorded, receipt.quarantined) == (3, 2, 1)
    (entry,) = waiting(ledger)
    assert (entry.reason, entry.path) == (reason, path)
    assert words in entry.message
    assert entry.context == {"file": "file.ndjson", "line": 2}
    assert kept_bytes(ledger, entry.entry) == raw


def test_a_line_of_fifty_megabytes_costs_only_itself(ledger: Ledger) -> None:
    huge = b'{"id":"' + b"x" * 50_000_000 + b'"}'
    receipt = send_file(ledger, b"\n".join((line(order("1")), huge, line(order("2")))))
    assert (receipt.received, receipt.recorded, receipt.quarantined) == (3, 2, 1)
    (entry,) = waiting(ledger)
    assert (entry.reason, entry.size) == ("too_large", len(huge))
    assert "1,048,576 bytes" in entry.message


def test_more_oversized_lines_than_files_may_be_open_are_all_kept(ledger: Ledger) -> None:
    long = b"x" * (TOUCHPOINT_BYTES_MAX + 1)
    lines = (long + str(n).encode() for n in range(40))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 30, hard))
    try:
        receipt = send_file(ledger, b"\n".join([*lines, line(order("1"))]))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (receipt.quarantined, receipt.recorded) == (40, 1)


def test_a_time_just_within_24_hours_ahead_is_recorded(ledger: Ledger) -> None:
    _, outcomes = send(
        ledger,
        order("1", time=rfc3339(NOW + 24 * HOUR)),
        order("2", time=rfc3339(NOW + 24 * HOUR + 1)),
    )
    assert isinstance(outcomes[0], Recorded)
    assert isinstance(outcomes[1], Quarantined)


def test_ids_that_come_twice_in_a_file_are_counted_as_what_they_are(ledger: Ledger) -> None:
    other = order("2", data={"order_id": "A2", "total": EUR})
    receipt = send_file(ledger, b"\n".join(map(line, (order("1"), order("1"), order("2"), other))))
    assert (receipt.recorded, receipt.duplicate, receipt.conflict) == (2, 1, 1)
    assert waiting(ledger)[0].context["line"] == 4


def test_a_null_for_what_may_be_absent_is_accepted(ledger: Ledger) -> None:
    optional = ("sequence", "correlationid", "causationid", "traceparent", "datacontenttype")
    event = order_with(coupon=None, lines=None, extra=None) | dict.fromkeys(optional)
    assert send(ledger, event)[0].recorded == 1


def test_errors_name_the_field_but_never_quote_the_value(ledger: Ledger) -> None:
    _, (outcome,) = send(ledger, order_with(total={"amount": "secret", "currency": "EUR"}))
    assert isinstance(outcome, Quarantined)
    assert "secret" not in str(outcome.refused)


def test_an_array_is_taken_in_like_lines(ledger: Ledger) -> None:
    content = b"[" + b",".join(map(line, orders(range(5)))) + b"]"
    assert send_file(ledger, content).recorded == 5
    assert send_file(ledger, content).duplicate == 5


ALMOST = st.builds(
    lambda event, cut, byte: line(event)[:cut] + byte + line(event)[cut + 1 :],
    events(),
    st.integers(0, 400),
    st.binary(max_size=2),
)
CONTENT = st.binary(max_size=120) | st.lists(
    st.binary(max_size=20) | events().map(line) | ALMOST, max_size=6
).map(b"\n".join)


@shared_ledger
@given(content=CONTENT, again=st.booleans())
def test_the_counts_add_up_for_any_bytes(ledger: Ledger, content: bytes, again: bool) -> None:
    before = len(positions(ledger))
    receipts = [send_file(ledger, content) for _ in range(1 + again)]
    assert all(adds_up(receipt) for receipt in receipts)
    recorded = sum(receipt.recorded for receipt in receipts)
    assert receipts[-1].head == len(positions(ledger)) == before + recorded


@shared_ledger
@given(sent=st.lists(events(), max_size=6))
def test_sending_again_changes_nothing(ledger: Ledger, sent: list[Event]) -> None:
    first, _ = send(ledger, *sent)
    log = ledger.log.page(0, 100_000)
    again, _ = send(ledger, *sent)
    assert ledger.log.page(0, 100_000) == log
    assert again.duplicate == first.recorded + first.duplicate
    assert (again.recorded, again.conflict) == (0, first.conflict)
    assert_dense(ledger)


def test_a_long_file_is_taken_in_in_groups_and_each_is_told_of_once_it_is_durable(
    ledger: Ledger,
) -> None:
    count = 2 * GROUP_TOUCHPOINTS_MAX + 10
    items = [Received(line(event), "append") for event in orders(range(count))]
    heads: list[tuple[int, int]] = []
    told: list[Outcome] = []

    def on_group(receipt: Receipt) -> None:
        heads.append((receipt.recorded, len(positions(ledger))))

    take(ledger, items, on_group=on_group, on_outcome=lambda _, outcome: told.append(outcome))
    assert heads == [(1_000, 1_000), (2_000, 2_000), (2_010, 2_010)]
    assert told == [Recorded(n) for n in range(1, count + 1)]


def test_a_request_to_stop_ends_the_intake_after_the_group_in_hand(ledger: Ledger) -> None:
    stop = Stop()
    items = [Received(line(event), "append") for event in orders(range(3_000))]

    def on_group(receipt: Receipt) -> None:
        stop.signal = 15

    receipt = take(ledger, items, stop=stop, on_group=on_group)
    assert (receipt.received, receipt.recorded, receipt.head) == (1_000, 1_000, 1_000)
    assert take(ledger, items).recorded == 2_000


def test_a_clock_that_is_behind_refuses_what_has_not_happened_yet_by_its_own_time(
    ledger: Ledger,
) -> None:
    ledger.log.clock = lambda: NOW - 60 * 24 * HOUR + SECOND
    _, (outcome,) = send(ledger, order("1"))
    assert isinstance(outcome, Quarantined)
    assert outcome.refused.reason == "time_ahead"
