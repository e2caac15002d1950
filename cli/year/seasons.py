"""How busy each day and hour is: the December peak, the summer dip, a sale, weekends, evenings."""

from functools import cache

from cli.year.clocks import month_and_day

_BY_MONTH = (0.80, 0.68, 0.85, 0.90, 0.95, 0.85, 0.70, 0.60, 0.90, 1.00, 1.15, 1.95)
_AFTER_CHRISTMAS = 0.70
_SALE = 2.0
BUSIEST = 2.0
"""No day is busier than this; a common day is about 1."""

SALE_MONTH, SALE_FIRST_DAY, SALE_LAST_DAY = 11, 22, 28


@cache
def busyness(day: int) -> float:
    """How much happens on a day (counted from 1970), beside 1 for a common day."""
    month, day_of_month = month_and_day(day)
    if is_sale(day):
        return _SALE
    if month == 12 and day_of_month > 24:
        return _AFTER_CHRISTMAS
    return _BY_MONTH[month - 1]


@cache
def is_sale(day: int) -> bool:
    """Whether the day is in the yearly sale week."""
    month, day_of_month = month_and_day(day)
    return month == SALE_MONTH and SALE_FIRST_DAY <= day_of_month <= SALE_LAST_DAY


def _spread(weights: tuple[int, ...]) -> tuple[int, ...]:
    """Each index as many times as its weight says, so that picking one at random is one step."""
    return tuple(index for index, weight in enumerate(weights) for _ in range(weight))


EARLY = _spread((0, 0, 0, 0, 0, 2, 6, 9, 8, 6, 4, 3, 3, 2, 2, 2, 2, 3, 3, 2, 1, 0, 0, 0))
DAYTIME = _spread((0, 0, 0, 0, 0, 0, 0, 2, 5, 8, 9, 8, 5, 6, 8, 8, 6, 4, 2, 1, 1, 0, 0, 0))
EVENING = _spread((1, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 2, 2, 2, 3, 4, 6, 8, 9, 9, 7, 3))
NIGHT = _spread((7, 5, 3, 2, 1, 0, 0, 0, 0, 1, 1, 1, 2, 2, 1, 1, 2, 2, 3, 4, 5, 6, 8, 9))
"""Hours of the local day at which a customer is awake and about, by his habit."""

HOURS = (EARLY, DAYTIME, DAYTIME, EVENING, EVENING, EVENING, NIGHT)

LEISURE = _spread((8, 8, 8, 9, 10, 13, 14))
WORKDAYS = _spread((16, 13, 12, 12, 11, 3, 1))
"""Days of the week (0 is Monday), as often as things are done on them."""
