"""One person: when and where he was met, what he bought, asked, allowed and said of us.

`evolve` folds his touchpoints in the order in which they occurred. Touchpoints of other persons
never come here, even where they name his orders or tickets.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from domain import consents, satisfaction
from domain.consents import Consents, Statement
from domain.occurred import Occurred
from domain.revenue import (
    Purchase,
    Unplaced,
    first_product,
    money,
    net_revenue,
    place,
    refund,
)
from domain.satisfaction import Answers
from domain.stated import Stated, described, stated, written
from schemas.fields import rfc3339
from schemas.identity import TRAIT_NAMES
from schemas.registry import BY_TYPE

AGENT_FIELDS = ("agent", "to_agent", "assignee")
"""The fields by which touchpoints name the one who acted for the business."""

TICKET_NEW, TICKET_MERGED = "new", "merged"
TICKETS_AT_REST = frozenset({"solved", "closed", TICKET_MERGED})
MONTH_CHARACTERS = len("2026-01")


class Customer(msgspec.Struct, omit_defaults=True):
    """What is known of one person.

    Times are microseconds since 1970 (UTC). `first_seen`, `last_seen`, `touchpoints`, `channels`
    and `last_*` are of contacts only: touchpoints whose class has a channel. `orders` stand in
    the order in which they were completed. `traffic_source` is the last that a page view named.
    `tickets` are all that his own touchpoints name, with the status that these alone make of them:
    how a ticket stands, and whose it is, only the view of tickets knows.
    """

    first_seen: int | None = None
    last_seen: int | None = None
    touchpoints: int = 0
    channels: dict[str, int] = {}
    last_type: str | None = None
    last_agent: str | None = None
    last_source: str | None = None
    last_id: str | None = None
    traits: dict[str, Stated] = {}
    orders: dict[str, Purchase] = {}
    unplaced: dict[str, Unplaced] = {}
    traffic_source: str | None = None
    tickets: dict[str, str] = {}
    consents: Consents = {}
    answers: Answers = {}
    anomalies: int = 0


Apply = Callable[[Customer, Occurred], None]
Reading = tuple[str | None, str | None, Apply | None]
"""Of one type: its channel, the field that names an agent, and what else it means here."""


def evolve(state: Customer, touchpoint: Occurred, rules: object) -> Customer:
    """Fold the next touchpoint, by occurrence, into the person. Mutates and returns `state`."""
    reading = _READINGS.get(touchpoint.type)
    if reading is None:
        return state
    channel, agent_field, apply = reading
    if channel is not None:
        if state.first_seen is None:
            state.first_seen = touchpoint.at
        state.last_seen = touchpoint.at
        state.touchpoints += 1
        channels = state.channels
        channels[channel] = channels.get(channel, 0) + 1
        state.last_type = touchpoint.type
        state.last_source = touchpoint.source
        state.last_id = touchpoint.id
        state.last_agent = getattr(touchpoint.data, agent_field) if agent_field else None
    if apply is not None:
        apply(state, touchpoint)
    return state


def _describe(state: Customer, touchpoint: Occurred) -> None:
    traits = touchpoint.data.traits
    for name in TRAIT_NAMES:
        value = getattr(traits, name)
        if value is not None:
            state.traits[name] = stated(value, touchpoint)


def _view_page(state: Customer, touchpoint: Occurred) -> None:
    traffic_source = touchpoint.data.traffic_source
    if traffic_source is not None:
        state.traffic_source = traffic_source


def _complete_order(state: Customer, touchpoint: Occurred) -> None:
    data = touchpoint.data
    if data.order_id in state.orders:
        state.anomalies += 1
        return
    purchase = Purchase(
        at=touchpoint.at,
        total=data.total.amount,
        currency=data.total.currency,
        product=first_product(data.lines),
        traffic_source=data.traffic_source or state.traffic_source,
    )
    state.orders[data.order_id] = purchase
    waiting = state.unplaced.pop(data.order_id, None)
    if waiting is not None:
        state.anomalies += place(purchase, waiting)


def _refund_order(state: Customer, touchpoint: Occurred) -> None:
    data = touchpoint.data
    purchase = state.orders.get(data.order_id)
    if purchase is None:
        waiting = state.unplaced.setdefault(data.order_id, Unplaced())
        waiting.refunds.append((data.amount.amount, data.amount.currency))
    elif not refund(purchase, data.amount.amount, data.amount.currency):
        state.anomalies += 1


def _cancel_order(state: Customer, touchpoint: Occurred) -> None:
    order_id = touchpoint.data.order_id
    purchase = state.orders.get(order_id)
    if purchase is None:
        state.unplaced.setdefault(order_id, Unplaced()).cancellations += 1
    else:
        purchase.cancelled = True


def _touch_ticket(state: Customer, touchpoint: Occurred) -> None:
    state.tickets.setdefault(touchpoint.data.ticket_id, TICKET_NEW)


def _move_ticket(state: Customer, touchpoint: Occurred) -> None:
    data = touchpoint.data
    # A merged ticket lives on in another: whatever its own status says, it is open no more.
    if state.tickets.get(data.ticket_id) != TICKET_MERGED:
        state.tickets[data.ticket_id] = data.status


def _merge_ticket(state: Customer, touchpoint: Occurred) -> None:
    state.tickets[touchpoint.data.ticket_id] = TICKET_MERGED


def _state_consent(state: Customer, touchpoint: Occurred) -> None:
    said = consents.statement_of(touchpoint)
    for scope in consents.scopes_of(touchpoint, state.consents):
        consents.note(state.consents, scope, said)


def _answer(state: Customer, touchpoint: Occurred) -> None:
    satisfaction.note_answer(state.answers, touchpoint)


_MEANINGS: dict[str, tuple[Apply, tuple[str, ...]]] = {
    "customer.described.v1": (_describe, ("traits",)),
    "page.viewed.v1": (_view_page, ("traffic_source",)),
    "order.completed.v1": (_complete_order, ("order_id", "total", "lines", "traffic_source")),
    "order.refunded.v1": (_refund_order, ("order_id", "amount")),
    "order.cancelled.v1": (_cancel_order, ("order_id",)),
    "ticket.opened.v1": (_touch_ticket, ("ticket_id",)),
    "ticket.assigned.v1": (_touch_ticket, ("ticket_id",)),
    "ticket.priority_changed.v1": (_touch_ticket, ("ticket_id",)),
    "ticket.status_changed.v1": (_move_ticket, ("ticket_id", "status")),
    "ticket.commented.v1": (_touch_ticket, ("ticket_id",)),
    "ticket.merged.v1": (_merge_ticket, ("ticket_id",)),
    "survey.answered.v1": (_answer, ("survey_id", "kind", "score", "about")),
    **{name: (_state_consent, fields) for name, fields in consents.READS.items()},
}


def _agent_field(type_name: str) -> str | None:
    names = BY_TYPE[type_name].__dataclass_fields__
    return next((field for field in AGENT_FIELDS if field in names), None)


def _reading(type_name: str) -> Reading:
    apply, _ = _MEANINGS.get(type_name, (None, ()))
    return (BY_TYPE[type_name].CHANNEL, _agent_field(type_name), apply)


# A new type of touchpoint counts as a contact by being in the registry, and by nothing else.
_READINGS: dict[str, Reading] = {
    name: _reading(name)
    for name, cls in BY_TYPE.items()
    if cls.CHANNEL is not None or name in _MEANINGS
}


def _fields_read(type_name: str) -> tuple[str, ...]:
    _, fields = _MEANINGS.get(type_name, (None, ()))
    agent_field = _READINGS[type_name][1]
    return fields if agent_field is None else (*fields, agent_field)


READS: dict[str, tuple[str, ...]] = {name: _fields_read(name) for name in _READINGS}
"""The fields of `data` that the fold reads, by type. It reads no other type."""


def orders_completed(state: Customer) -> int:
    """How many orders were completed and not cancelled."""
    return sum(not purchase.cancelled for purchase in state.orders.values())


def orders_unplaced(state: Customer) -> int:
    """How many refunds and cancellations name an order that this person has not completed."""
    return sum(len(w.refunds) + w.cancellations for w in state.unplaced.values())


def first_order(state: Customer) -> Purchase | None:
    """The first completed order that was not cancelled."""
    return next((p for p in state.orders.values() if not p.cancelled), None)


def tickets_open(state: Customer) -> int:
    """How many tickets are neither solved nor closed nor merged into another."""
    return sum(status not in TICKETS_AT_REST for status in state.tickets.values())


def consent_state(state: Customer, channel: str, purpose: str) -> Statement | None:
    """The statement that decides for a channel and a purpose; None when nothing was said."""
    return consents.deciding(state.consents, channel, purpose)


def summary(state: Customer, customer: str) -> dict[str, Any]:
    """The person as `customer show` prints him, under the name `customer`; without loyalty.

    Times are RFC 3339 in UTC. Traits come with the touchpoint that stated each, and personal
    ones as they stand in the log. Tickets are counted by what he alone has said of them.
    """
    return {
        "customer": customer,
        "first_seen": written(state.first_seen),
        "last_seen": written(state.last_seen),
        "touchpoints": state.touchpoints,
        "channels": dict(sorted(state.channels.items())),
        "last_interaction": last_interaction(state),
        "orders": _orders_summary(state),
        "tickets": {"open": tickets_open(state), "total": len(state.tickets)},
        "traits": {name: described(said) for name, said in sorted(state.traits.items())},
        "consents": consents.in_force(state.consents),
        "satisfaction": satisfaction.report(state.answers),
        "anomalies": state.anomalies,
    }


def last_interaction(state: Customer) -> dict[str, Any] | None:
    """The newest contact: type, agent (None if it names none), channel, time, source, id."""
    if state.last_type is None:
        return None
    return {
        "type": state.last_type,
        "agent": state.last_agent,
        "channel": _READINGS[state.last_type][0],
        "time": written(state.last_seen),
        "source": state.last_source,
        "id": state.last_id,
    }


def net_amounts(state: Customer) -> list[dict[str, str]]:
    """What the orders came to less refunds: an amount for each currency."""
    net = net_revenue(state.orders.values())
    return [money(amount, currency) for currency, amount in net.items()]


def _orders_summary(state: Customer) -> dict[str, Any]:
    return {
        "count": orders_completed(state),
        "cancelled": len(state.orders) - orders_completed(state),
        "net": net_amounts(state),
        "first": _first_summary(first_order(state)),
        "unplaced": orders_unplaced(state),
    }


def _first_summary(first: Purchase | None) -> dict[str, Any] | None:
    if first is None:
        return None
    return {
        "month": rfc3339(first.at)[:MONTH_CHARACTERS],
        "product": first.product,
        "traffic_source": first.traffic_source,
    }
