"""When a call happened: what its sender's clock said, put right where that clock was wrong.

Four times are kept: `time` is when it happened, `originaltimestamp` when the sender says it did,
`sentat` when the sender says he sent it, `receivedat` when it came. What was told is never
changed: the content of a touchpoint is compared by `originaltimestamp`, because a retry has
another `sentat` and is put right by another amount.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from schemas.door import Refused
from schemas.envelope import ORIGINAL_TIME, UNTOLD
from schemas.fields import EPOCH, moment, rfc3339
from schemas.fields import microseconds as to_microseconds

TOLERANCE = timedelta(minutes=5)
"""How far a sender's clock may be from ours before his times are put right by the difference.
What lies within is the way that a request takes; to add it would move times that are right."""
SENT_AT, RECEIVED_AT = "sentat", "receivedat"
DELIVERIES_KNOWN = 64
"""Deliveries whose times are kept at hand for the calls in them."""
TIME_CHARACTERS_MAX, NUMBER_MAX = 64, 10**18
MILLISECONDS_FROM = 100_000_000_000
"""From here on, a number is of milliseconds since 1970 and not of seconds."""


@dataclass(frozen=True, slots=True)
class Times:
    """When a call happened (RFC 3339), and the other times as extension attributes."""

    time: str
    extensions: dict[str, str]


def times_of(
    call: dict[str, Any], sent_at: object, received_at: int, *, as_told: bool = False
) -> Times:
    """When a call happened. `received_at` is in microseconds since 1970.

    Segment's rule: `time` = received - (sent - told), where the difference is beyond TOLERANCE.
    A call with a `timestamp` beside its `originalTimestamp` has been timed already (RudderStack's
    rule), and so has everything that comes from a source of history, `as_told`. Raises Refused
    for a time that is none.
    """
    stamped, original = _told(call, "timestamp"), _told(call, "originalTimestamp")
    told = stamped or original
    received, sent, of_delivery = _of_delivery(_short(sent_at), received_at)
    if told is None:
        return Times(of_delivery[RECEIVED_AT], {**of_delivery, ORIGINAL_TIME: UNTOLD})
    kept = {**of_delivery, ORIGINAL_TIME: _written(original or told)}
    if sent is not None and not as_told and not (stamped and original):
        told = _put_right(told, sent, received)
    return Times(_written(told), kept)


def _short(sent_at: object) -> str | float | None:
    """A time of sending as it may be kept at hand: none is as long as what is left out here."""
    if isinstance(sent_at, str):
        return sent_at if len(sent_at) <= TIME_CHARACTERS_MAX else None
    if not isinstance(sent_at, int | float) or not abs(sent_at) < NUMBER_MAX:
        return None
    return float(sent_at)


def _put_right(told: datetime, sent: datetime, received: datetime) -> datetime:
    """Segment's rule; what was told to be after it was sent is not by the sender's clock."""
    off = received - sent
    if abs(off) <= TOLERANCE or told - sent > TOLERANCE:
        return told
    try:
        return _within(told + off)
    except (ValueError, OverflowError):
        return told


def _told(call: dict[str, Any], name: str) -> datetime | None:
    found = call.get(name)
    if found is None or found == "":
        return None
    try:
        return time_in(found)
    except (ValueError, OverflowError, ArithmeticError):
        raise Refused(
            "time_form", name, "expected a time in ISO 8601, such as 2026-01-05T10:00:00Z"
        ) from None


@lru_cache(maxsize=DELIVERIES_KNOWN)
def _of_delivery(
    sent_at: str | float | None, received_at: int
) -> tuple[datetime, datetime | None, dict[str, str]]:
    """When it came, when it was sent, and both as they are kept.

    A time of sending that is none is no reason to refuse what was sent.
    """
    kept = {RECEIVED_AT: rfc3339(received_at)}
    try:
        sent = time_in(sent_at) if sent_at else None
    except (ValueError, OverflowError, ArithmeticError):
        sent = None
    if sent is not None:
        kept[SENT_AT] = _written(sent)
    return moment(received_at), sent, kept


def time_in(found: object) -> datetime:
    """A time in ISO 8601, without an offset in UTC, or a number of (milli)seconds since 1970.

    Raises ValueError, OverflowError or ArithmeticError for what is none.
    """
    if isinstance(found, bool):
        raise ValueError
    if isinstance(found, int | float):
        count = float(found)
        unit = "milliseconds" if abs(count) >= MILLISECONDS_FROM else "seconds"
        return _within(EPOCH + timedelta(**{unit: count}))
    if not isinstance(found, str):
        raise ValueError
    read = datetime.fromisoformat(found.strip())
    return _within(read if read.tzinfo else read.replace(tzinfo=UTC))


def _within(time: datetime) -> datetime:
    """The time, if a touchpoint can have it; an offset with seconds in it is given up for UTC."""
    if not 2 <= time.year <= 9998:
        raise ValueError
    offset = time.utcoffset() or timedelta()
    return time.astimezone(UTC) if offset % timedelta(minutes=1) else time


def _written(time: datetime) -> str:
    offset = time.utcoffset() or timedelta()
    return rfc3339(to_microseconds(time), int(offset.total_seconds() // 60))
