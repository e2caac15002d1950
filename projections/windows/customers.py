"""Customers as records, for lists of them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from domain import tickets
from domain.customers import Customer, net_amounts, orders_completed
from domain.stated import described, written
from domain.tickets import Ticket
from ledger.ledger import Ledger
from projections.customers import CUSTOMERS
from projections.query import Cut, persons_at, states_of
from projections.windows import Record
from projections.windows.sight import Sight

PAGE_CUSTOMERS = 500


def seen_with(ledger: Ledger, token: str, cut: Cut) -> Iterator[tuple[str, Customer]]:
    """(person, state) of an address or number, given as its token, and of those with whom it was
    ever seen."""
    subjects = [token, *ledger.log.subjects_with(token)]
    persons = sorted({*map(persons_at(ledger, subjects, cut).person_of, subjects)})
    states = states_of(ledger, CUSTOMERS, persons, cut)
    return ((person, states[person]) for person in persons if person in states)


def customer_records(
    ledger: Ledger,
    found: Iterable[tuple[str, Customer]],
    tickets_of: Callable[[list[str]], dict[str, Ticket]],
    cut: Cut,
    sight: Sight,
) -> Iterator[Record]:
    """The lines of the list; what is not in a customer's own row is looked up for many at once."""
    rest = iter(found)
    while page := list(islice(rest, PAGE_CUSTOMERS)):
        names = sight.subjects([person for person, _ in page])
        stated = [state.traits["name"].subject for _, state in page if "name" in state.traits]
        sight.fetch_keys(stated)
        named = {ticket_id for _, state in page for ticket_id in state.tickets}
        board = tickets_of(sorted(named))
        persons = persons_at(ledger, names, cut)
        for person, state in page:
            told = [board[ticket_id] for ticket_id in state.tickets if ticket_id in board]
            known = tickets.counts(told, persons.subjects_of(person))
            yield _entry(names[person], state, known, sight)


def _entry(customer: str, state: Customer, known: dict[str, int], sight: Sight) -> Record:
    name = described(state.traits.get("name"))
    return {
        "customer": customer,
        "name": sight.traits({"name": name})["name"]["value"] if name else None,
        "first_seen": written(state.first_seen),
        "last_seen": written(state.last_seen),
        "touchpoints": state.touchpoints,
        "orders": orders_completed(state),
        "net": net_amounts(state),
        "tickets_open": known["open"],
        "tickets": known["total"],
    }
