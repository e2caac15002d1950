"""What each kind of customer does, how often in a year, and on which days of the week."""

from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

from cli.year.business import Year
from cli.year.clocks import DAY
from cli.year.conversations import call, chat, fill_form, post, use_app, visit, write_mail
from cli.year.identity import browse_unknown, change_settings
from cli.year.loyalty import redeem
from cli.year.marketing import refer
from cli.year.people import BARGAIN_HUNTER, Customer
from cli.year.purchases import abandon, look_around, shop
from cli.year.seasons import BUSIEST, LEISURE, WORKDAYS, busyness, is_sale
from cli.year.tickets import complain

Doing = Callable[[Year, Customer, int], None]


class Habit(NamedTuple):
    """Something customers do: how often in a year of common days, by segment."""

    do: Doing
    loyal: float
    occasional: float
    bargain_hunter: float
    complainer: float
    dormant: float
    weekdays: tuple[int, ...] = LEISURE


HABITS = (
    Habit(look_around, 1.1, 0.7, 1.4, 0.6, 0.2),
    Habit(browse_unknown, 0.3, 0.3, 0.4, 0.2, 0.1),
    Habit(shop, 5.6, 2.1, 3.2, 2.0, 0.35),
    Habit(abandon, 0.7, 0.5, 1.0, 0.4, 0.1),
    Habit(use_app, 1.8, 0.4, 0.6, 0.2, 0.1),
    Habit(redeem, 3.0, 0.8, 1.6, 1.0, 0.05),
    Habit(change_settings, 0.3, 0.2, 0.2, 0.25, 0.06),
    Habit(refer, 0.3, 0.1, 0.15, 0.04, 0.01),
    Habit(fill_form, 0.1, 0.1, 0.15, 0.1, 0.03),
    Habit(post, 0.15, 0.06, 0.1, 0.4, 0.01),
    Habit(chat, 0.3, 0.25, 0.3, 0.6, 0.03, WORKDAYS),
    Habit(call, 0.5, 0.35, 0.3, 1.3, 0.05, WORKDAYS),
    Habit(write_mail, 0.25, 0.2, 0.15, 0.7, 0.04, WORKDAYS),
    Habit(complain, 0.2, 0.16, 0.15, 1.2, 0.03, WORKDAYS),
    Habit(visit, 0.25, 0.1, 0.05, 0.1, 0.01, WORKDAYS),
)
_SHOPPING = HABITS[2]
_SUMS = (
    tuple(accumulate(habit.loyal for habit in HABITS)),
    tuple(accumulate(habit.occasional for habit in HABITS)),
    tuple(accumulate(habit.bargain_hunter for habit in HABITS)),
    tuple(accumulate(habit.complainer for habit in HABITS)),
    tuple(accumulate(habit.dormant for habit in HABITS)),
)
"""For each segment, in the order of people.py, the yearly rates of the habits added up."""

YEARLY = tuple(sums[-1] for sums in _SUMS)
"""How many things a customer of each segment does in a year of common days."""


def live_on(year: Year, customer: Customer) -> None:
    """Do one of the things that the customer is used to, unless the season keeps him from it."""
    day = customer.next_at // DAY
    if year.rng.random() * BUSIEST >= busyness(day):
        return
    habit = _choose(year, customer, day)
    at = year.habitual_time(customer, customer.next_at, habit.weekdays)
    habit.do(year, customer, at)


def _choose(year: Year, customer: Customer, day: int) -> Habit:
    if is_sale(day) and year.chance(0.5 if customer.segment == BARGAIN_HUNTER else 0.2):
        return _SHOPPING
    sums = _SUMS[customer.segment]
    return HABITS[bisect(sums, year.rng.random() * sums[-1])]


def time_to_next(year: Year, customer: Customer) -> int:
    """How long until the customer may next do something, in microseconds."""
    rate = YEARLY[customer.segment] * BUSIEST * year.activity
    return int(year.rng.expovariate(rate) * 365 * DAY)
