"""When a call happened: four times, and a clock that is wrong is put right."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.rows import WrittenNumber
from schemas.door import Refused
from schemas.envelope import UNTOLD
from schemas.fields import moment
from tests.web.segment.shapes import RECEIVED
from web.segment.clock import TOLERANCE, _of_delivery, _short, times_of

AT = "2026-01-05T10:00:01Z"
"""RECEIVED, written."""


def told(call: dict[str, Any], sent_at: object = None, **more: Any) -> tuple[str, str]:
    """The time that a call is given, and the one that is kept as it was told."""
    found = times_of(call, sent_at, RECEIVED, **more)
    assert found.extensions["receivedat"] == AT
    return found.time, found.extensions["originaltimestamp"]


@pytest.mark.parametrize(
    ("call", "sent_at", "time", "original"),
    [
        # A clock that is right, or as good as right: nothing moves, not even by the way it took.
        ({"timestamp": "2026-01-05T10:00:00.000Z"}, "2026-01-05T10:00:00.5Z", "10:00:00", None),
        ({"timestamp": "2026-01-05T10:00:00Z"}, "2026-01-05T10:04:59Z", "10:00:00", None),
        ({"timestamp": "2026-01-05T10:00:00Z"}, None, "10:00:00", None),
        ({"timestamp": "2026-01-05T10:00:00Z"}, "yesterday", "10:00:00", None),
        # Segment's rule: received - (sent - told).
        ({"timestamp": "2026-01-05T11:00:00Z"}, "2026-01-05T11:00:01Z", "10:00:00", "11:00:00"),
        ({"timestamp": "2026-01-05T08:59:00Z"}, "2026-01-05T09:00:01Z", "09:59:00", "08:59:00"),
        ({"originalTimestamp": "2026-01-05T09:00:00Z"}, "2026-01-05T09:00:01Z",
         "10:00:00", "09:00:00"),
        # Nobody sends what has not happened yet: that time is of another clock.
        ({"timestamp": "2026-01-05T10:00:00Z"}, "2026-01-05T09:00:01Z", "10:00:00", None),
        # RudderStack's: what has both was timed by whoever wrote the program.
        ({"timestamp": "2026-01-01T09:00:00Z", "originalTimestamp": "2026-01-05T09:00:00Z"},
         "2026-01-05T09:00:01Z", None, "09:00:00"),
        # Without any, it happened when it came.
        ({}, None, "10:00:01", UNTOLD),
        ({"timestamp": None, "originalTimestamp": ""}, "2026-01-05T09:00:01Z", "10:00:01", UNTOLD),
        # Other forms that libraries, or those who go without one, send.
        ({"timestamp": "2026-01-05T10:00:00"}, None, "10:00:00", None),
        ({"timestamp": 1767607200}, None, "10:00:00", None),
        ({"timestamp": 1767607200000}, None, "10:00:00", None),
        ({"timestamp": 1767607200000.0}, None, "10:00:00", None),
    ],
)  # fmt: skip
def test_a_time_is_put_right_where_the_clock_is_wrong(
    call: dict[str, Any], sent_at: object, time: str | None, original: str | None
) -> None:
    expected = f"2026-01-05T{time}Z" if time else "2026-01-01T09:00:00Z"
    kept = original or time
    assert told(call, sent_at) == (expected, kept if kept == UNTOLD else f"2026-01-05T{kept}Z")


def test_the_clock_that_a_time_was_told_by_is_kept() -> None:
    assert told({"timestamp": "2026-01-05T12:00:00+02:00"}) == ("2026-01-05T12:00:00+02:00",) * 2
    moved = told({"timestamp": "2026-01-05T13:00:00+02:00"}, "2026-01-05T11:00:01Z")
    assert moved == ("2026-01-05T12:00:00+02:00", "2026-01-05T13:00:00+02:00")


def test_history_stays_where_it_was_told_to_be() -> None:
    old = {"timestamp": "1997-01-01T00:00:00Z"}
    assert told(old, "2026-01-05T11:00:01Z") == ("1996-12-31T23:00:00Z", "1997-01-01T00:00:00Z")
    assert told(old, "2026-01-05T11:00:01Z", as_told=True) == ("1997-01-01T00:00:00Z",) * 2
    assert told(old, "2026-01-05T10:00:00Z") == ("1997-01-01T00:00:00Z",) * 2


@pytest.mark.parametrize("wrong", ["yesterday", True, [], {}, "0001-01-01T00:00:00Z", 1e300, -1e15])
def test_a_time_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(Refused) as refused:
        told({"timestamp": wrong})
    assert refused.value.path == "timestamp"


def test_no_time_of_sending_is_kept_at_hand_that_is_long() -> None:
    _of_delivery.cache_clear()
    for sent_at in ("x" * 65, "y" * 65, 10**4000, 10**4001, WrittenNumber("1e300")):
        assert told({"timestamp": AT}, sent_at) == (AT, AT)
    assert _of_delivery.cache_info().currsize == 1
    assert type(_short(WrittenNumber("0." + "1" * 10**6))) is float


TIMES = st.datetimes(timezones=st.sampled_from([UTC]))


@given(TIMES, TIMES)
def test_however_wrong_the_clock_the_time_between_doing_and_sending_is_kept(
    happened: datetime, sent: datetime
) -> None:
    with suppress(Refused):
        time, original = told({"timestamp": happened.isoformat()}, sent.isoformat())
        kept = datetime.fromisoformat(time)
        assert datetime.fromisoformat(original) == happened
        off = moment(RECEIVED) - sent
        assert kept - happened in (off if abs(off) > TOLERANCE else timedelta(), timedelta())


@settings(max_examples=50)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_whatever_stands_for_a_time_is_one_or_refused(value: Any) -> None:
    with suppress(Refused):
        assert "T" in told({"timestamp": value}, value)[0]
