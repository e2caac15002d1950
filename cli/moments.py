"""Moments and zones as options, and times as tables show them."""

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import click

from projections.windows.moments import FORMS, read_moment, read_zone
from schemas.fields import microseconds, moment

if TYPE_CHECKING:
    _ReadsMoment = click.ParamType[int]
    _ReadsZone = click.ParamType[tzinfo]
else:  # click before 8.4 has no type arguments
    _ReadsMoment = _ReadsZone = click.ParamType


class Moment(_ReadsMoment):
    """Microseconds since 1970 from what people write (see `read_moment`), in the zone of `--tz`."""

    name = "time"

    def __init__(self, *, starts: bool = False) -> None:
        self.starts = starts

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        zone = zone_of(ctx)
        try:
            return read_moment(value, zone, starts=self.starts)
        except OverflowError:
            self.fail(f"{value!r} is outside the years 1 to 9999, in UTC or in --tz", param, ctx)
        except ValueError:
            self.fail(f"{value!r} is not a time: write {FORMS}, yesterday or now", param, ctx)


class Zone(_ReadsZone):
    """A time zone by its IANA name, such as Europe/Rome."""

    name = "zone"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tzinfo:
        if isinstance(value, tzinfo):
            return value
        try:
            return read_zone(value)
        except ValueError:
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
