"""A view that fails on some touchpoints, and the same view mended: for tests of parking."""

from dataclasses import replace
from operator import attrgetter

import msgspec

from domain.occurred import Occurred
from domain.rules import Rules
from projections.view import View

POISON = "JPY"
"""The currency of refunds that the view cannot stand."""


class Tally(msgspec.Struct):
    """How many touchpoints of each type named an order."""

    counts: dict[str, int] = {}


def count(state: Tally, touchpoint: Occurred, rules: Rules) -> Tally:
    state.counts[touchpoint.type] = state.counts.get(touchpoint.type, 0) + 1
    return state


def count_unless_poisoned(state: Tally, touchpoint: Occurred, rules: Rules) -> Tally:
    """Fails, quoting values, on refunds in yen and on a cancellation before all else."""
    data = touchpoint.data
    if touchpoint.type == "order.cancelled.v1" and not state.counts:
        raise LookupError(f"{data.order_id} cancelled, because {data.reason}, but not completed")
    if touchpoint.type == "order.refunded.v1" and data.amount.currency == POISON:
        raise ValueError(f"{data.order_id} refunded by {data.amount.amount}")
    return count(state, touchpoint, rules)


FUSSY = View(
    name="fussy",
    version=1,
    reads={
        "order.completed.v1": ("order_id",),
        "order.cancelled.v1": ("order_id", "reason"),
        "order.refunded.v1": ("order_id", "amount"),
    },
    state=Tally,
    evolve=count_unless_poisoned,
    key=attrgetter("data.order_id"),
)
MENDED = replace(FUSSY, evolve=count)
