"""What is known of one person, out of the log itself: from it the files of a person are made."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cli import plain_words
from cli.output import Record
from domain import tickets
from domain.consent_history import ConsentHistory, intervals
from domain.loyalty import Member
from domain.orders import Order
from domain.statement import statement
from domain.tickets import Ticket
from ledger.governance import Governance
from ledger.ledger import Ledger
from ledger.looks import Look
from ledger.persons import Persons
from projections.consents import CONSENTS
from projections.loyalty import LOYALTY
from projections.orders import ORDERS
from projections.query import Cut, Told, governing, persons_at, state_of, states_of, timeline
from projections.tickets import TICKETS
from projections.windows.points import balance_record, movement_record
from projections.windows.sight import Sight
from schemas.envelope import Envelope
from schemas.fields import rfc3339
from schemas.identity import CustomerLinked, CustomerMerged, CustomerUnmerged
from schemas.privacy import PersonErased
from schemas.registry import BY_TYPE

IDENTITY_FACTS = (CustomerLinked, CustomerMerged, CustomerUnmerged)
IDENTITY_TYPES = tuple(fact.TYPE for fact in IDENTITY_FACTS)
ABOUT_SOMEBODY = (*IDENTITY_TYPES, PersonErased.TYPE)
"""The types of facts that are no contact and yet have a customer for their subject."""
Gives = Callable[[Told, tuple[str, ...]], bool]
"""Whether a touchpoint of a person, who is these subjects, is given as it is."""


@dataclass(frozen=True, slots=True)
class Request:
    """For whom a file is made: the person (a stored subject), who asks, what for, and when.

    `moment` is in microseconds since 1970. `cut` shows all that was recorded by then: the file
    comes from the log itself, so that no view is behind it.
    """

    person: str
    reader: str
    purpose: str
    moment: int
    cut: Cut


@dataclass(frozen=True, slots=True)
class Known:
    """What the parts of a file are made of. `told` are all touchpoints of the person, still
    encrypted, and `shown` those of them that are given as they are."""

    ledger: Ledger
    sight: Sight
    request: Request
    persons: Persons
    names: Mapping[str, str]
    governance: Governance
    told: list[Told]
    shown: list[Told]

    @property
    def subjects(self) -> tuple[str, ...]:
        return self.persons.subjects_of(self.request.person)

    @property
    def somebody(self) -> bool:
        """Whether it is a customer: rules, and looks that a reader took, have a subject too."""
        return any(_is_about_somebody(told.envelope) for told in self.told)

    def states(self, view: Any, keys: Iterable[str]) -> list[Any]:
        """The states of those keys of a view that were the person's business."""
        return [*states_of(self.ledger, view, sorted(keys), self.request.cut).values()]

    def opening(self) -> Record:
        """With what a file begins: of whom it is, and by whom, when and for what it was made."""
        return {
            "exported_at": rfc3339(self.request.moment),
            "ledger": self.ledger.keys.ledger_id,
            "exported_by": self.request.reader,
            "purpose": self.request.purpose,
            "customer": self.names[self.request.person],
            "subjects": [self.names[subject] for subject in self.subjects],
            "identities": list(_identities(self)),
        }


def known_of(
    ledger: Ledger, request: Request, sight: Sight, gives: Gives = lambda told, subjects: True
) -> Known:
    """All that a file of this person is made of."""
    persons = persons_at(ledger, [request.person], request.cut)
    subjects = persons.subjects_of(request.person)
    told = timeline(ledger, request.person, request.cut)
    return Known(
        ledger=ledger,
        sight=sight,
        request=request,
        persons=persons,
        names=sight.subjects((request.person, *subjects)),
        governance=governing(ledger, request.cut),
        told=told,
        shown=[one for one in told if gives(one, subjects)],
    )


def _is_about_somebody(envelope: Envelope[Any]) -> bool:
    return BY_TYPE[envelope.type].CHANNEL is not None or envelope.type in ABOUT_SOMEBODY


def _identities(known: Known) -> Iterator[Record]:
    """The facts by which the subjects are taken for one person."""
    for join in known.persons.joins_of(known.request.person):
        source, id_ = join.tie.identity
        one, other = known.names[join.one], known.names[join.other]
        yield {
            "subject": one,
            "other": other,
            "type": join.tie.type,
            "time": rfc3339(join.tie.order[0]),
            "source": source,
            "id": id_,
            "in_words": plain_words.joined(join.tie.type, one, other, source),
        }


def consents(known: Known) -> list[Record]:
    """What `consent show` gives."""
    request = known.request
    history: ConsentHistory | None = state_of(known.ledger, CONSENTS, request.person, request.cut)
    return intervals(history or ConsentHistory())


def loyalty(known: Known) -> dict[str, Record]:
    """By programme: what the account holds, and every movement that led to it."""
    request = known.request
    member: Member = state_of(known.ledger, LOYALTY, request.person, request.cut) or Member()
    positions = {(t.envelope.source, t.envelope.id): t.position for t in known.told}
    standing = known.governance.standing([t.envelope for t in known.told])
    return {
        name: {
            "balance": balance_record(account, request.moment),
            "statement": [
                movement_record(movement, positions)
                for movement in statement(standing, known.governance.rules, name, request.moment)
            ],
        }
        for name, account in sorted(member.programmes.items())
    }


def own_tickets(known: Known) -> list[Ticket]:
    """The person's own tickets, oldest first."""
    named: list[Ticket] = known.states(TICKETS, _named(known, "ticket_id"))
    found = [ticket for ticket in named if ticket.customer in known.subjects]
    return sorted(found, key=lambda ticket: (ticket.opened_at or 0, ticket.ticket))


def ticket_record(ticket: Ticket, known: Known) -> Record:
    """What `ticket show` gives."""
    record = tickets.show(ticket, known.request.moment)
    record["customer"] = known.names[ticket.customer]
    if record["title"] is not None:
        record["title"] = known.sight.title(record["title"])
    return record


def own_orders(known: Known) -> list[Order]:
    """The person's own orders, oldest first."""
    named: list[Order] = known.states(ORDERS, _named(known, "order_id"))
    found = [order for order in named if order.customer in known.subjects]
    return sorted(found, key=lambda order: (order.at or 0, order.order))


def _named(known: Known, field: str) -> set[str]:
    """The tickets or orders that the person's touchpoints name."""
    values = (getattr(t.envelope.data, field, None) for t in known.shown)
    return {value for value in values if value is not None}


def look_record(look: Look, names: Mapping[str, str]) -> Record:
    """A look at one of the subjects that have these names."""
    of = names[look.of]
    return {
        "time": rfc3339(look.at),
        "reader": look.reader,
        "of": of,
        "fields": list(look.fields),
        "purpose": look.purpose,
        "position": look.position,
        "in_words": plain_words.looked(look.reader, of, look.fields),
    }
