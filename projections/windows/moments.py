"""Moments and zones as people write them: a date, a time, or so long ago."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from schemas.fields import microseconds

FORMS = "2026-03-01, 2026-03-01T10:00, 2026-03-01T10:00:00+02:00, -30d (s, m, h, d, w, mo)"
"""Of a moment, for those who wrote something else; `yesterday` and `now` will do as well."""
_AGO = re.compile(r"-(\d{1,6})(mo|[smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MONTHS = "mo"


def read_moment(text: str, zone: tzinfo, *, starts: bool = False) -> int:
    """Microseconds since 1970 from one of FORMS.

    A bare date, and `yesterday`, means the end of that day, or its start when `starts`; what has
    no offset of its own is read in the zone. Months are those of the calendar: `-1mo` on 31 March
    is the last day of February, at this time of day.
    Raises ValueError for what is no time, OverflowError when the zone or UTC has no date for it.
    """
    return _showable(_moment(text, starts, zone), zone)


def read_zone(name: str) -> tzinfo:
    """A time zone by its IANA name, such as Europe/Rome. Raises ValueError for any other."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("not a time zone") from None


def _moment(text: str, starts: bool, zone: tzinfo) -> datetime:
    ago = _AGO.fullmatch(text)
    if ago and ago[2] == MONTHS:
        return months_before(datetime.now(zone), int(ago[1]))
    if ago:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    if text == "now":
        return datetime.now(UTC)
    try:
        day = _yesterday(zone) if text == "yesterday" else date.fromisoformat(text)
    except ValueError:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=zone)
    return datetime.combine(day, time.min if starts else time.max, tzinfo=zone)


def _yesterday(zone: tzinfo) -> date:
    return datetime.now(zone).date() - timedelta(days=1)


def months_before(now: datetime, months: int) -> datetime:
    """The same day of an earlier month, or its last one. Raises OverflowError before year 1."""
    years, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    if years < 1:
        raise OverflowError
    days = monthrange(years, month + 1)[1]
    return now.replace(year=years, month=month + 1, day=min(now.day, days))


def _showable(found: datetime, zone: tzinfo) -> int:
    """The time in microseconds. Raises OverflowError when the zone or UTC has no date for it."""
    found.astimezone(zone)
    return microseconds(found.astimezone(UTC))
