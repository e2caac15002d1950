"""A made-up but lifelike year of touchpoints, for the demonstration and for the benchmarks."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from random import Random

from cli.year.business import Year
from cli.year.clocks import DAY, HOUR, SECOND, WEEK
from cli.year.conversations import use_app
from cli.year.habits import live_on, time_to_next
from cli.year.identity import introduce
from cli.year.journal import Journal
from cli.year.loyalty import publish_rules
from cli.year.marketing import run_campaigns
from cli.year.mishaps import with_mishaps
from cli.year.people import Customer, people

YEAR_DAYS = 365
YEAR_END = datetime(2025, 7, 1, tzinfo=UTC)
"""Where the made-up year ends unless it is told otherwise: then December is in its middle."""

CUSTOMERS_MAX = 1_000_000
TOUCHPOINTS_PER_CUSTOMER = 20
MISHAPS_FROM_CUSTOMERS = 100
"""With fewer customers nothing breaks: such a year is for looking at, line by line."""

LINES_FOR_AN_INTRODUCTION = 2.2
LINES_FOR_A_LIFE = 20.2
"""How many lines an introduction and a year of usual activity come to, on average (measured)."""
ACTIVITY_MIN = 0.01
BENCHMARK_MARGIN = 1.02

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def made_up_year(
    customers: int = 5_000,
    seed: int = 1,
    touchpoints: int | None = None,
    end: datetime = YEAR_END,
) -> Iterator[bytes]:
    """CloudEvents, one a line without its newline, about in the order in which they arrive.

    About `touchpoints` of them (20 for each customer when None) that occurred in the 365 days
    before `end`, besides the loyalty rules, which are older. 1 % arrive days late. From 100
    customers on, 0.5 % are repeated, two are contradicted, and seven more are broken. The same
    arguments give the same bytes. Raises ValueError where that cannot be.
    """
    expected = customers * TOUCHPOINTS_PER_CUSTOMER if touchpoints is None else touchpoints
    year = _year(customers, seed, expected, end)
    lines = _live(year)
    if customers < MISHAPS_FROM_CUSTOMERS:
        return lines
    return with_mishaps(lines, expected, Random(seed + 1))


def benchmark_lines(
    customers: int, touchpoints: int, seed: int = 1, end: datetime = YEAR_END
) -> Iterator[bytes]:
    """Exactly `touchpoints` lines of such a year: all valid, none repeated, 1 % late.

    The year is cut where it is too long, and people look into the app where it is too short.
    """
    year = _year(customers, seed, int(touchpoints * BENCHMARK_MARGIN), end)
    return islice(chain(_live(year), _look_into_the_app(year)), touchpoints)


def _year(customers: int, seed: int, expected: int, end: datetime) -> Year:
    if not 1 <= customers <= CUSTOMERS_MAX:
        raise ValueError(f"a year needs 1 to {CUSTOMERS_MAX:,} customers, not {customers}")
    if end.utcoffset() is None:
        raise ValueError("the end of the year has no offset; give an aware time")
    if expected < 1:
        raise ValueError(f"a year needs at least one touchpoint, not {expected}")
    rng = Random(seed)
    end_at = int((end - _EPOCH).total_seconds()) * SECOND
    start = end_at - YEAR_DAYS * DAY
    wanted = expected / customers - LINES_FOR_AN_INTRODUCTION
    activity = max(ACTIVITY_MIN, wanted / LINES_FOR_A_LIFE)
    return Year(start, end_at, activity, rng, Journal(start, end_at, rng), people(customers, rng))


def _live(year: Year) -> Iterator[bytes]:
    """Week by week: the campaigns, then everybody who has something to do in it."""
    publish_rules(year)
    diary = _first_appointments(year)
    for week, due in enumerate(diary):
        diary[week] = []
        year.journal.week_begins(week)
        run_campaigns(year, week)
        for customer in due:
            _live_through(year, customer, week, diary)
        yield from year.journal.take_week()
    yield from year.journal.take_rest()


def _first_appointments(year: Year) -> list[list[Customer]]:
    """For each week the customers who turn up in it for the first time.

    Newcomers register at any time. Customers of old are met when they first do something, or
    when the CRM, which goes through all of them once in the year, comes to them.
    """
    diary: list[list[Customer]] = [[] for _ in range(_week_of(year, year.end - 1) + 1)]
    for customer in year.customers:
        customer.next_at = year.between(year.start, year.end)
        if not customer.newcomer:
            customer.next_at = min(customer.next_at, year.start + time_to_next(year, customer))
        diary[_week_of(year, customer.next_at)].append(customer)
    return diary


def _live_through(year: Year, customer: Customer, week: int, diary: list[list[Customer]]) -> None:
    """All that a customer does in a week; then he is put down for the next in which he acts."""
    if not customer.known:
        introduce(year, customer, customer.next_at)
        customer.next_at += time_to_next(year, customer)
    while _week_of(year, customer.next_at) == week:
        live_on(year, customer)
        customer.next_at += time_to_next(year, customer)
    if customer.next_at < year.end:
        diary[_week_of(year, customer.next_at)].append(customer)


def _week_of(year: Year, at: int) -> int:
    return (at - year.start) // WEEK


def _look_into_the_app(year: Year) -> Iterator[bytes]:
    """As much more of the last hour of the year as anybody wants."""
    while True:
        customer = year.customers[int(year.rng.random() * len(year.customers))]
        use_app(year, customer, year.between(year.end - HOUR, year.end))
        yield from year.journal.take_rest()
