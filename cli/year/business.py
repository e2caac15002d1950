"""The business in its year: its bounds, its chance, its customers, and how it reports."""

from dataclasses import dataclass
from random import Random
from typing import TypeVar

from cli.year.clocks import DAY, MINUTE, WEEK, month_and_day, weekday_of
from cli.year.journal import Data, Journal
from cli.year.people import Customer
from cli.year.seasons import is_sale

T = TypeVar("T")


@dataclass(slots=True)
class Year:
    """The year that is being made up: its bounds, its chance, its people and its journal.

    `activity` stretches or shrinks how much everybody does; 1 is the usual business.
    """

    start: int
    end: int
    activity: float
    rng: Random
    journal: Journal
    customers: list[Customer]
    numbers: int = 0

    @property
    def rate_cut(self) -> int:
        """From when points are earned slower: the first of a month in the middle of the year."""
        day = (self.start + self.end) // 2 // DAY
        while month_and_day(day)[1] != 1:
            day += 1
        return day * DAY

    def number(self) -> int:
        """The next number for something that needs a name of its own."""
        self.numbers += 1
        return self.numbers

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def between(self, low: int, high: int) -> int:
        """A moment or length of time from `low` up to `high`, in the same unit."""
        return low + int((high - low) * self.rng.random())

    def minutes(self, low: float, high: float) -> int:
        """A length of time between so many minutes, in microseconds."""
        return int((low + (high - low) * self.rng.random()) * MINUTE)

    def pick(self, choices: tuple[T, ...]) -> T:
        return choices[int(self.rng.random() * len(choices))]

    def tell(
        self,
        customer: Customer,
        at: int,
        source: str,
        kind: str,
        data: Data,
        correlation: str | None = None,
        held_until: int = 0,
    ) -> str | None:
        """Report something about a customer with the clock of the place where he is."""
        return self.journal.write(
            at,
            source,
            kind,
            customer.subject,
            data,
            clock=customer.country.clock,
            correlation=correlation,
            held_until=held_until,
        )

    def book(
        self,
        customer: Customer,
        at: int,
        source: str,
        kind: str,
        data: Data,
        sequence: int = 0,
        correlation: str | None = None,
    ) -> str | None:
        """Report something about a customer with the clock of the back office."""
        return self.journal.write(
            at, source, kind, customer.subject, data, sequence=sequence, correlation=correlation
        )

    def habitual_time(self, customer: Customer, at: int, weekdays: tuple[int, ...]) -> int:
        """A moment in the week of `at` at which this customer is used to do such things.

        In a sale nobody waits for his usual day.
        """
        hour = self.minute_of(self.pick(customer.hours))
        if is_sale(at // DAY):
            return customer.country.clock.local(at // DAY, hour)
        week_start = self.start + (at - self.start) // WEEK * WEEK
        first_day = week_start // DAY
        last_day = (self.end - 1) // DAY
        day = first_day + (self.pick(weekdays) - weekday_of(first_day)) % 7
        return customer.country.clock.local(min(day, last_day), hour)

    def minute_of(self, hour: int) -> int:
        """Some moment of the hour, in microseconds of the day."""
        return int((hour + self.rng.random()) * 60 * MINUTE)
