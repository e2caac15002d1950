"""Moments as people type them: a date, a time, or so long ago."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from schemas.fields import microseconds, moment

_AGO = re.compile(r"-(\d{1,6})(mo|[smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MONTHS = "mo"

if TYPE_CHECKING:
    _ReadsMoment = click.ParamType[int]
    _ReadsZone = click.ParamType[tzinfo]
else:  # click before 8.4 has no type arguments
    _ReadsMoment = _ReadsZone = click.ParamType


class Moment(_ReadsMoment):
    """Microseconds since 1970 from `2026-03-01`, `2026-03-01T10:00`, an RFC 3339 time or `-30d`.

    A bare date, and `yesterday`, means the end of that day, or its start when `starts`; what has
    no offset of its own is read in `--tz`. Months are those of the calendar: `-1mo` on 31 March
    is the last day of February, at this time of day.
    """

    name = "time"

    def __init__(self, *, starts: bool = False) -> None:
        self.starts = starts

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        zone = zone_of(ctx)
        try:
            return _showable(_moment(value, self.starts, zone), zone)
        except OverflowError:
            self.fail(f"{value!r} is outside the years 1 to 9999, in UTC or in --tz", param, ctx)
        except ValueError:
            self.fail(
                f"{value!r} is not a time: write 2026-03-01, 2026-03-01T10:00, "
                "2026-03-01T10:00:00+02:00, -30d (s, m, h, d, w, mo), yesterday or now",
                param,
                ctx,
            )


def _moment(text: str, starts: bool, zone: tzinfo) -> datetime:
    ago = _AGO.fullmatch(text)
    if ago and ago[2] == MONTHS:
        return _months_before(datetime.now(zone), int(ago[1]))
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


def _months_before(now: datetime, months: int) -> datetime:
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


class Zone(_ReadsZone):
    """A time zone by its IANA name, such as Europe/Rome."""

    name = "zone"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tzinfo:
        if isinstance(value, tzinfo):
            return value
        try:
            return ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            self.fail(f"{value!r} is not a time zone: write a name such as Europe/Rome", param, ctx)


def zone_of(ctx: click.Context | None) -> tzinfo:
    """The zone of `--tz`, UTC where none is given."""
    found = ctx.find_root().obj if ctx else None
    return getattr(found, "zone", None) or UTC


def shown_time(at: int | None, zone: tzinfo, *, seconds: bool = False) -> str:
    """A moment as tables show it, on the clocks of the zone; empty for None."""
    if at is None:
        return ""
    local = moment(at).astimezone(zone)
    return local.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def shown_day(text: str, zone: tzinfo) -> str:
    """The day of an RFC 3339 time as a heading: `Thursday, 5 March 2026`."""
    local = datetime.fromisoformat(text).astimezone(zone)
    return f"{local:%A}, {local.day} {local:%B %Y}"


def shown_clock(text: str, zone: tzinfo) -> str:
    """The hour and minute of an RFC 3339 time."""
    return datetime.fromisoformat(text).astimezone(zone).strftime("%H:%M")


def shown_date(text: str | None, zone: tzinfo) -> str:
    """The day of an RFC 3339 time as tables show it; empty for None."""
    return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d") if text else ""


def shown_iso(text: str | None, zone: tzinfo, *, seconds: bool = False) -> str:
    """An RFC 3339 time of some JSON as tables show it; empty for None."""
    if not text:
        return ""
    return shown_time(microseconds(datetime.fromisoformat(text)), zone, seconds=seconds)
