"""One order: what it came to, what was given back, and who else laid a hand on it.

`evolve` folds the touchpoints that name the order, of whatever subject, in the order in which
they occurred. A refund or cancellation belongs to the subject that it names: under another than
the order's it changes nothing, and is listed among the anomalies.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from domain.occurred import Occurred
from domain.revenue import minus, money, plus
from domain.stated import written

UNKNOWN, COMPLETED, CANCELLED = "unknown", "completed", "cancelled"
REFUNDED, PARTLY_REFUNDED = "refunded", "partly refunded"
NOTHING = "0"


class Refund(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Money given back, under the subject that the refund names."""

    subject: str
    amount: str
    currency: str


class Order(msgspec.Struct, omit_defaults=True):
    """What is known of one order. `at` is in microseconds since 1970 (UTC).

    Until its completion is known (`customer` is None) nobody can tell whose refunds and
    cancellations are its own, so they are kept as they came and are judged when it is shown.
    """

    order: str = ""
    customer: str | None = None
    at: int | None = None
    total: str = NOTHING
    currency: str = ""
    refunds: list[Refund] = []
    cancellations: list[str] = []
    repeats: list[str] = []


def evolve(state: Order, touchpoint: Occurred, rules: object) -> Order:
    """Fold the next touchpoint, by occurrence, into the order. Mutates and returns `state`."""
    apply = _MEANINGS.get(touchpoint.type)
    if apply is not None:
        state.order = touchpoint.data.order_id
        apply(state, touchpoint)
    return state


def _complete(state: Order, touchpoint: Occurred) -> None:
    if state.customer is not None:
        state.repeats.append(touchpoint.subject)
        return
    total = touchpoint.data.total
    state.customer, state.at = touchpoint.subject, touchpoint.at
    state.total, state.currency = total.amount, total.currency


def _refund(state: Order, touchpoint: Occurred) -> None:
    amount = touchpoint.data.amount
    state.refunds.append(Refund(touchpoint.subject, amount.amount, amount.currency))


def _cancel(state: Order, touchpoint: Occurred) -> None:
    state.cancellations.append(touchpoint.subject)


_MEANINGS: dict[str, Callable[[Order, Occurred], None]] = {
    "order.completed.v1": _complete,
    "order.refunded.v1": _refund,
    "order.cancelled.v1": _cancel,
}

READS: dict[str, tuple[str, ...]] = {
    "order.completed.v1": ("order_id", "total"),
    "order.refunded.v1": ("order_id", "amount"),
    "order.cancelled.v1": ("order_id",),
}
"""The fields of `data` that the fold reads, by type. It reads no other type."""


def refunded(state: Order) -> str:
    """What was given back under the order's own subject, in its own currency."""
    given_back = NOTHING
    for refund in state.refunds:
        if refund.subject == state.customer and refund.currency == state.currency:
            given_back = plus(given_back, refund.amount)
    return given_back


def foreign(state: Order) -> list[str]:
    """The other subjects that refunded, cancelled or completed the order, each once, sorted.

    Empty while the order's own subject is unknown.
    """
    if state.customer is None:
        return []
    named = {refund.subject for refund in state.refunds}
    return sorted(named.union(state.cancellations, state.repeats) - {state.customer})


def ignored(state: Order) -> int:
    """How many facts under the order's own subject count for nothing: completions after the
    first, and refunds in another currency."""
    return state.repeats.count(state.customer or "") + sum(
        refund.subject == state.customer and refund.currency != state.currency
        for refund in state.refunds
    )


def status(state: Order) -> str:
    """completed, cancelled, refunded, partly refunded, or unknown before its completion is."""
    if state.customer is None:
        return UNKNOWN
    if state.customer in state.cancellations:
        return CANCELLED
    given_back = Decimal(refunded(state))
    if not given_back:
        return COMPLETED
    return REFUNDED if given_back >= Decimal(state.total) else PARTLY_REFUNDED


def show(state: Order) -> dict[str, Any]:
    """The order in JSON. `time` is RFC 3339; money is None while the completion is unknown.

    `net` is what is left of the total after refunds, and nothing of a cancelled order.
    """
    known = state.customer is not None
    given_back, stands = refunded(state), status(state)
    net = NOTHING if stands == CANCELLED else minus(state.total, given_back)
    return {
        "order": state.order,
        "customer": state.customer,
        "time": written(state.at),
        "total": money(state.total, state.currency) if known else None,
        "refunded": money(given_back, state.currency) if known else None,
        "net": money(net, state.currency) if known else None,
        "status": stands,
        "anomalies": foreign(state),
        "ignored": ignored(state),
    }
