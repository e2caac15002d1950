"""A person's own file: all that the ledger knows of one person, as that person may have it.

What is left out is said, with the reason: it is the business's own, another person's, or gone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cli import plain_words
from cli.movements import balance_record, movement_record
from cli.output import Record
from cli.portrait import Asked, portrait
from cli.revealing import Sight
from cli.telling import timeline_records
from domain import customers, orders, tickets
from domain.consent_history import ConsentHistory, intervals
from domain.loyalty import Member
from domain.orders import Order
from domain.statement import statement
from domain.tickets import Ticket
from ledger.governance import Governance
from ledger.ledger import Ledger
from ledger.looks import Look, looks_at
from ledger.masking import personal_parts
from ledger.persons import Persons
from projections.consents import CONSENTS
from projections.loyalty import LOYALTY
from projections.orders import ORDERS
from projections.query import Cut, Told, governing, persons_at, state_of, states_of, timeline
from projections.tickets import TICKETS
from schemas.envelope import Envelope
from schemas.fields import rfc3339
from schemas.identity import CustomerLinked, CustomerMerged, CustomerUnmerged
from schemas.note import NoteAdded
from schemas.privacy import PersonalDataViewed, PersonErased
from schemas.registry import BY_TYPE
from schemas.ticket import TicketCommented

IDENTITY_FACTS = (CustomerLinked, CustomerMerged, CustomerUnmerged)
IDENTITY_TYPES = tuple(fact.TYPE for fact in IDENTITY_FACTS)
ABOUT_SOMEBODY = (*IDENTITY_TYPES, PersonErased.TYPE)
"""The types of facts that are no contact and yet have a customer for their subject."""
SOMEBODY_ELSE = "[another person]"
"""What stands in place of a subject that is not the person's."""


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
class _Known:
    """What the parts of a file are made of. `told` are all touchpoints of the person, still
    encrypted, and `shown` those of them that are given to him as they are."""

    ledger: Ledger
    sight: Sight
    request: Request
    persons: Persons
    names: Mapping[str, str]
    known: Governance
    told: list[Told]
    shown: list[Told]

    @property
    def subjects(self) -> tuple[str, ...]:
        return self.persons.subjects_of(self.request.person)

    def states(self, view: Any, keys: Iterable[str]) -> list[Any]:
        """The states of those keys of a view that were the person's business."""
        return [*states_of(self.ledger, view, sorted(keys), self.request.cut).values()]


def dossier(ledger: Ledger, request: Request, sight: Sight) -> Record | None:
    """The file of a person as one JSON object; None when the subject is nobody's.

    When it returns, the look at all that is in it is on record. Raises LedgerError otherwise.
    """
    known = _known(ledger, request, sight)
    if not any(_is_about_somebody(t.envelope) for t in known.told):
        return None
    content = {
        "exported_at": rfc3339(request.moment),
        "ledger": ledger.keys.ledger_id,
        "exported_by": request.reader,
        "purpose": request.purpose,
        "customer": known.names[request.person],
        "subjects": [known.names[subject] for subject in known.subjects],
        "identities": list(_identities(known)),
        "profile": _profile(known),
        "consents": _consents(known),
        "loyalty": _loyalty(known),
        "tickets": _tickets(known),
        "orders": _orders(known),
        # Behind everything that looks: with the timeline, all of it goes on record as one look.
        "timeline": _timeline(known),
    }
    sight.on_record([content])
    looks = looks_at(ledger, known.subjects)
    content["looks"] = [_look(look, known.names) for look in looks]
    content["left_out"] = list(_left_out(known))
    ready: Record = msgspec.to_builtins(content)
    return ready


def _known(ledger: Ledger, request: Request, sight: Sight) -> _Known:
    persons = persons_at(ledger, [request.person], request.cut)
    subjects = persons.subjects_of(request.person)
    told = timeline(ledger, request.person, request.cut)
    return _Known(
        ledger=ledger,
        sight=sight,
        request=request,
        persons=persons,
        names=sight.subjects((request.person, *subjects)),
        known=governing(ledger, request.cut),
        told=told,
        shown=[t for t in told if not (_is_internal(t) or _is_look(t) or _is_mixed(t, subjects))],
    )


def _is_about_somebody(envelope: Envelope[Any]) -> bool:
    """Rules, and looks that a reader took, have a subject too, which is no customer."""
    return BY_TYPE[envelope.type].CHANNEL is not None or envelope.type in ABOUT_SOMEBODY


def _is_internal(told: Told) -> bool:
    """Whether it is what people of the business wrote for each other."""
    data = told.envelope.data
    if isinstance(data, NoteAdded):
        return data.internal
    return isinstance(data, TicketCommented) and not data.public


def _is_look(told: Told) -> bool:
    """Whether it is a look that the subject took at somebody; those at him are no touchpoints."""
    return told.envelope.type == PersonalDataViewed.TYPE


def _is_mixed(told: Told, subjects: tuple[str, ...]) -> bool:
    """Whether it took the person for another one, or parted him from one, and so names both."""
    data = told.envelope.data
    return isinstance(data, IDENTITY_FACTS) and data.other not in subjects


def _identities(known: _Known) -> Iterator[Record]:
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


def _profile(known: _Known) -> Record | None:
    """What `customer show` gives; the last contact is the last that the person is told of."""
    request = known.request
    asked = Asked(request.person, request.cut, request.moment, None)
    profile = portrait(known.ledger, asked, known.sight)
    if profile is not None and profile["last_interaction"] is not None:
        profile["last_interaction"] = _last_contact(known)
    return profile


def _last_contact(known: _Known) -> Record | None:
    contacts = (
        envelope
        for envelope in known.known.standing([t.envelope for t in reversed(known.shown)])
        if BY_TYPE[envelope.type].CHANNEL is not None and envelope.at <= known.request.moment
    )
    last = next(contacts, None)
    if last is None:
        return None
    alone = customers.evolve(customers.Customer(), last, None)
    return customers.last_interaction(alone)


def _consents(known: _Known) -> list[Record]:
    request = known.request
    history: ConsentHistory | None = state_of(known.ledger, CONSENTS, request.person, request.cut)
    return intervals(history or ConsentHistory())


def _loyalty(known: _Known) -> dict[str, Record]:
    """By programme: what the account holds, and every movement that led to it."""
    request = known.request
    member: Member = state_of(known.ledger, LOYALTY, request.person, request.cut) or Member()
    positions = {(t.envelope.source, t.envelope.id): t.position for t in known.told}
    standing = known.known.standing([t.envelope for t in known.told])
    return {
        name: {
            "balance": balance_record(account, request.moment),
            "statement": [
                movement_record(movement, positions)
                for movement in statement(standing, known.known.rules, name, request.moment)
            ],
        }
        for name, account in sorted(member.programmes.items())
    }


def _tickets(known: _Known) -> list[Record]:
    """The person's own tickets, oldest first."""
    named = known.states(TICKETS, _named(known, "ticket_id"))
    found: list[Ticket] = [ticket for ticket in named if ticket.customer in known.subjects]
    return [_ticket(t, known) for t in sorted(found, key=lambda t: (t.opened_at or 0, t.ticket))]


def _ticket(ticket: Ticket, known: _Known) -> Record:
    record = tickets.show(ticket, known.request.moment)
    record["customer"] = known.names[ticket.customer]
    record["comments"] = {"public": ticket.public_comments}
    if record["title"] is not None:
        record["title"] = known.sight.title(record["title"])
    return record


def _orders(known: _Known) -> list[Record]:
    """The person's own orders, oldest first. Who else laid a hand on one is not said."""
    found: list[Order] = [
        order
        for order in known.states(ORDERS, _named(known, "order_id"))
        if order.customer in known.subjects
    ]
    shown = [orders.show(order) for order in sorted(found, key=lambda o: (o.at or 0, o.order))]
    return [
        {name: value for name, value in record.items() if name != "anomalies"}
        | {"customer": known.names[record["customer"]]}
        for record in shown
    ]


def _named(known: _Known, field: str) -> set[str]:
    """The tickets or orders that the person's touchpoints name."""
    values = (getattr(t.envelope.data, field, None) for t in known.shown)
    return {value for value in values if value is not None}


def _timeline(known: _Known) -> list[Record]:
    """All that happened, by occurrence. Of what names another person too, it says only that."""
    records = timeline_records(known.ledger, known.shown, known.request.cut, known.sight)
    told = [_in_plain_words(record) for record in records]
    places = {t.position: t.envelope.order for t in known.told}
    mixed = [_mixed_record(t, known) for t in known.told if _is_mixed(t, known.subjects)]
    return sorted([*told, *mixed], key=lambda record: places[record["position"]])


def _in_plain_words(record: Record) -> Record:
    if record["type"] not in IDENTITY_TYPES:
        return record
    one, other, data = record["subject"], record["data"]["other"], record["data"]
    said = plain_words.joined(record["type"], one, other, record["source"], data.get("reason"))
    return record | {"summary": said}


def _mixed_record(told: Told, known: _Known) -> Record:
    """A fact that names another person: without that name, and without what was said of both."""
    envelope = told.envelope
    one = known.names[envelope.subject]
    return {
        "position": told.position,
        "recorded_at": rfc3339(told.recorded_at),
        "time": envelope.time,
        "type": envelope.type,
        "source": envelope.source,
        "id": envelope.id,
        "subject": one,
        "data": {"other": SOMEBODY_ELSE},
        "channel": None,
        "summary": plain_words.mistaken(envelope.type, one),
        "voided": (envelope.source, envelope.id) in known.known.voided,
    }


def _look(look: Look, names: Mapping[str, str]) -> Record:
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


def _left_out(known: _Known) -> Iterator[Record]:
    """What is not in the file, how often (None where nobody can tell), and why."""
    parts = [part for t in known.shown for part in personal_parts(t.envelope)]
    there = known.ledger.keyring.find({subject for subject, _ in parts})
    counts: dict[str, int | None] = {
        "internal": sum(map(_is_internal, known.told)),
        "others": sum(_is_mixed(t, known.subjects) for t in known.told),
        "looks_taken": sum(map(_is_look, known.told)),
        "erased": sum(subject not in there for subject, _ in parts),
        "records_of_others": None,
        "quarantine": None,
    }
    for what, (text, why) in plain_words.LEFT_OUT.items():
        count = counts[what]
        if count != 0 or what == "internal":
            yield {"what": what, "count": count, "text": text, "why": why}
