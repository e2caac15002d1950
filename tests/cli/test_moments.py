"""Moments as people type them, and times as they are shown."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.moments import (
    Moment,
    Zone,
    shown_clock,
    shown_date,
    shown_day,
    shown_iso,
    shown_time,
)
from cli.session import Session
from projections.windows.moments import months_before
from schemas.fields import microseconds, rfc3339
from tests.cli.facts import order, programme, record
from tests.cli.running import Shell

ROME = ZoneInfo("Europe/Rome")


def read(text: str, zone: tzinfo = UTC, *, starts: bool = False) -> datetime:
    context = click.Context(click.Command("x"), obj=Session(zone=zone))
    at = Moment(starts=starts).convert(text, None, context)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)


def test_a_bare_date_is_the_end_of_its_day_or_the_start() -> None:
    end = datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    assert read("2026-03-01") == read("20260301") == end
    assert read("2026-03-01", starts=True) == datetime(2026, 3, 1, tzinfo=UTC)


def test_a_day_is_as_long_as_it_is_in_the_zone() -> None:
    # The clocks of Rome go forward on 29 March 2026.
    start, end = read("2026-03-29", ROME, starts=True), read("2026-03-29", ROME)
    assert end - start == timedelta(hours=23) - timedelta(microseconds=1)


def test_a_time_without_offset_is_of_the_zone_and_one_with_it_is_not() -> None:
    assert read("2026-03-01T10:00", ROME) == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert read("2026-03-01T10:00:00+05:00", ROME) == datetime(2026, 3, 1, 5, tzinfo=UTC)
    assert read("2026-03-01T10:00:00Z", ROME) == datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [("-30d", timedelta(days=30)), ("-2w", timedelta(weeks=2)), ("-90m", timedelta(minutes=90))],
)
def test_so_long_ago_is_counted_from_now(text: str, ago: timedelta) -> None:
    assert abs(datetime.now(UTC) - ago - read(text)) < timedelta(minutes=1)


def test_yesterday_is_a_day_of_the_zone_and_now_is_now() -> None:
    today = datetime.now(ROME).date()
    end, start = read("yesterday", ROME), read("yesterday", ROME, starts=True)
    assert end.astimezone(ROME).date() in (today, today - timedelta(days=1))
    assert start.astimezone(ROME).date() == end.astimezone(ROME).date()
    assert (start.astimezone(ROME).hour, end.astimezone(ROME).hour) == (0, 23)
    assert abs(datetime.now(UTC) - read("now")) < timedelta(minutes=1)


@given(st.integers(0, 2_000))
def test_months_are_those_of_the_calendar(months: int) -> None:
    now, then = datetime.now(ROME), read(f"-{months}mo", ROME).astimezone(ROME)
    assert (now.year - then.year) * 12 + now.month - then.month == months
    assert then.day <= now.day


@pytest.mark.parametrize(
    ("now", "months", "then"),
    [("2026-03-31", 1, "2026-02-28"), ("2024-03-31", 1, "2024-02-29"),
     ("2026-01-15", 1, "2025-12-15"), ("2026-12-31", 12, "2025-12-31")],
)  # fmt: skip
def test_a_month_that_is_shorter_ends_on_its_last_day(now: str, months: int, then: str) -> None:
    assert months_before(datetime.fromisoformat(now), months) == datetime.fromisoformat(then)


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "-1M", "2026-13-01", "-5y", "2026-03-01T25:00", "9"]
)
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="2026-03-01T10:00"):
        read(text)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("9999-12-31T23:00-05:00", UTC),
        ("0001-01-01T00:00+05:00", UTC),
        ("9999-12-31T23:30Z", ZoneInfo("Asia/Tokyo")),
        ("9999-12-31", ZoneInfo("America/New_York")),
        ("-999999w", UTC),
        ("-999999mo", UTC),
    ],
)
def test_a_time_that_could_not_be_shown_is_refused(text: str, zone: tzinfo) -> None:
    with pytest.raises(click.BadParameter, match="outside the years 1 to 9999"):
        read(text, zone)


def test_the_last_day_of_all_can_be_asked_for_where_clocks_can_show_it(shell: Shell) -> None:
    assert shell("log", "list", "--until", "9999-12-31").code == 0
    record(shell, programme(), order("A1", "1", "2026-03-01T23:30:00Z"))
    ran = shell("loyalty", "statement", "customer:42", "--since", "9999-12-31T23:00-05:00")
    assert (ran.code, "9999" in ran.err) == (2, True)


@given(st.datetimes(datetime(1, 2, 1), datetime(9999, 11, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_time_that_was_printed_is_read_again(moment: datetime) -> None:
    assert read(rfc3339(microseconds(moment)), ROME) == moment


def test_zones_go_by_their_names() -> None:
    assert Zone().convert("Europe/Rome", None, None) == ROME
    for name in ("Nowhere/Land", "../etc/passwd", ""):
        with pytest.raises(click.BadParameter):
            Zone().convert(name, None, None)


def test_times_are_shown_on_the_clocks_of_the_zone() -> None:
    text = "2026-03-01T23:30:15Z"
    at = microseconds(datetime.fromisoformat(text))
    assert shown_time(at, ROME) == shown_iso(text, ROME) == "2026-03-02 00:30"
    assert shown_iso(text, ROME, seconds=True) == "2026-03-02 00:30:15"
    assert (shown_date(text, UTC), shown_date(text, ROME)) == ("2026-03-01", "2026-03-02")
    assert (shown_day(text, ROME), shown_clock(text, ROME)) == ("Monday, 2 March 2026", "00:30")
    assert (shown_time(None, UTC), shown_iso(None, UTC), shown_date(None, UTC)) == ("", "", "")


def test_the_zone_moves_the_days_that_are_asked_for(shell: Shell) -> None:
    record(shell, order("A1", "1", "2026-03-01T23:30:00Z"))

    def told(*options: str) -> str:
        return shell("log", "list", "--since", "2026-03-02", *options).out

    assert told() == ""
    assert told("--tz", "Europe/Rome")
    assert shell("--tz", "Europe/Rome", "log", "list", "--until", "2026-03-01").out == ""
    assert shell("log", "list", "--tz", "Nowhere").code == 2
