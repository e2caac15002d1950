"""The 360° view of one customer as a record."""

from dataclasses import dataclass
from typing import Any

from domain import customers, tickets
from domain.customers import Customer
from domain.loyalty import Member
from domain.orders import Order
from ledger.ledger import Ledger
from ledger.persons import Persons
from projections.customers import CUSTOMERS
from projections.loyalty import LOYALTY
from projections.orders import ORDERS
from projections.query import Cut, persons_at, state_if, state_of, states_of
from projections.tickets import TICKETS
from projections.view import View
from projections.windows import Record
from projections.windows.points import points_by_programme
from projections.windows.sight import Sight


@dataclass(frozen=True, slots=True)
class Asked:
    """Of whom a portrait is wanted, as seen through which cut, with points as of which moment.

    `persons` are given to see what it would be like if these were the persons.
    """

    person: str
    cut: Cut
    moment: int
    persons: Persons | None = None


def portrait_of(ledger: Ledger, asked: Asked, sight: Sight) -> Record | None:
    """All that is known of a person; None when nothing was known of him yet."""
    state: Customer | None = _state(ledger, CUSTOMERS, asked)
    member: Member | None = _state(ledger, LOYALTY, asked)
    if state is None and member is None:
        return None
    state = state or Customer()
    persons = asked.persons or persons_at(ledger, [asked.person], asked.cut)
    subjects = persons.subjects_of(asked.person)
    names = sight.subjects((asked.person, *subjects))
    anomalous = anomalous_orders(ledger, state, subjects, asked.cut)
    record = customers.summary(state, names[asked.person])
    return {
        "customer": record["customer"],
        "subjects": [names[subject] for subject in subjects],
        **record,
        "tickets": tickets.counts(
            states_of(ledger, TICKETS, [*state.tickets], asked.cut).values(), subjects
        ),
        "traits": sight.traits(record["traits"]),
        "loyalty": points_by_programme(member, asked.moment),
        "anomalies": state.anomalies + sum(anomalous.values()),
        "anomalous_orders": sorted(anomalous),
    }


def _state(ledger: Ledger, view: View, asked: Asked) -> Any:
    if asked.persons is not None:
        return state_if(ledger, view, asked.person, asked.persons)
    return state_of(ledger, view, asked.person, asked.cut)


def anomalous_orders(
    ledger: Ledger, state: Customer, subjects: tuple[str, ...], cut: Cut
) -> dict[str, int]:
    """The orders on which this person and another one both acted, and by how many facts.

    Every order that the person completed, or refunded or cancelled without having completed
    it, stands in his own state, so the orders view is asked for these alone.
    """
    orders: dict[str, Order] = states_of(ledger, ORDERS, [*state.orders, *state.unplaced], cut)
    found = {order_id: _foreign_facts(order, subjects) for order_id, order in orders.items()}
    return {order_id: facts for order_id, facts in found.items() if facts}


def _foreign_facts(order: Order, subjects: tuple[str, ...]) -> int:
    """How many facts on an order are another's if it is this person's, or else this person's."""
    if order.customer is None:
        return 0
    acted = [*(refund.subject for refund in order.refunds), *order.cancellations, *order.repeats]
    own = order.customer in subjects
    return sum((subject in subjects) != own for subject in acted)
