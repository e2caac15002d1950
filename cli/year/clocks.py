"""Clocks on the wall: where a day is, and how a service writes a time."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

OFFICE_OPENS, OFFICE_CLOSES = 8 * HOUR, 18 * HOUR
SATURDAY = 5

_EPOCH = date(1970, 1, 1)
_EPOCH_WEEKDAY = _EPOCH.weekday()
_TWO_DIGITS = tuple(f"{number:02d}" for number in range(60))
_HOUR_MINUTE = tuple(f"T{hour:02d}:{minute:02d}:" for hour in range(24) for minute in range(60))


class Clock:
    """A wall clock, which knows how far it is ahead of UTC on each day.

    The offset of a day is the one at noon, so for a few hours in a year it names the same
    instant with the other of the two offsets that the zone has.
    """

    __slots__ = ("_days", "_zone")

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._days: dict[int, tuple[int, str]] = {}

    def ahead(self, day: int) -> tuple[int, str]:
        """Microseconds ahead of UTC on a day (counted from 1970), and the offset as `+hh:mm`."""
        known = self._days.get(day)
        if known is None:
            known = self._days[day] = self._ahead_at_noon(day)
        return known

    def _ahead_at_noon(self, day: int) -> tuple[int, str]:
        noon = datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)
        offset = noon.astimezone(self._zone).utcoffset() or timedelta()
        minutes = offset // timedelta(minutes=1)
        hours, rest = divmod(abs(minutes), 60)
        suffix = f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"
        return minutes * MINUTE, suffix

    def written(self, at: int) -> str:
        """The time `at` (microseconds since 1970, UTC) to the millisecond, with its offset."""
        ahead, suffix = self.ahead(at // DAY)
        day, rest = divmod(at + ahead, DAY)
        seconds, fraction = divmod(rest, SECOND)
        minutes, seconds = divmod(seconds, 60)
        return (
            f"{date_of(day)}{_HOUR_MINUTE[minutes]}{_TWO_DIGITS[seconds]}"
            f".{fraction // 1000:03d}{suffix}"
        )

    def local(self, day: int, into_the_day: int) -> int:
        """The instant at which this clock shows a day and so many microseconds of it."""
        return day * DAY + into_the_day - self.ahead(day)[0]


def written_in_utc(at: int) -> str:
    """The time `at` in whole seconds of UTC, as back offices write it."""
    day, rest = divmod(at, DAY)
    minutes, seconds = divmod(rest // SECOND, 60)
    return f"{date_of(day)}{_HOUR_MINUTE[minutes]}{_TWO_DIGITS[seconds]}Z"


@cache
def date_of(day: int) -> str:
    """The date of a day counted from 1970, such as `2025-01-05`."""
    return (_EPOCH + timedelta(days=day)).isoformat()


@cache
def month_and_day(day: int) -> tuple[int, int]:
    """The month (1 to 12) and the day of the month of a day counted from 1970."""
    then = _EPOCH + timedelta(days=day)
    return then.month, then.day


def weekday_of(day: int) -> int:
    """0 for a Monday to 6 for a Sunday."""
    return (day + _EPOCH_WEEKDAY) % 7


def when_office_opens(at: int) -> int:
    """`at` itself in office hours (UTC, Monday to Friday), else a moment early on the next day."""
    day, rest = divmod(at, DAY)
    if rest >= OFFICE_CLOSES:
        day += 1
    elif rest >= OFFICE_OPENS and weekday_of(day) < SATURDAY:
        return at
    while weekday_of(day) >= SATURDAY:
        day += 1
    return day * DAY + OFFICE_OPENS + rest % HOUR
