"""A person's own file: all that the ledger knows of one person, as that person may have it.

What is left out is said, with the reason: it is the business's own, another person's, or gone.
"""

from collections.abc import Iterator

import msgspec

from cli import plain_words
from cli.known import (
    IDENTITY_FACTS,
    IDENTITY_TYPES,
    Known,
    Request,
    consents,
    known_of,
    look_record,
    loyalty,
    own_orders,
    own_tickets,
    ticket_record,
)
from cli.output import Record
from domain import customers, orders
from domain.tickets import Ticket
from ledger.correcting import BY
from ledger.ledger import Ledger
from ledger.looks import looks_at
from ledger.masking import personal_parts
from projections.query import Told
from projections.windows.portrait import Asked, portrait_of
from projections.windows.sight import Sight
from projections.windows.timeline import timeline_records
from schemas.correction import TouchpointVoided
from schemas.fields import rfc3339
from schemas.note import NoteAdded
from schemas.privacy import PersonalDataViewed
from schemas.registry import BY_TYPE
from schemas.ticket import TicketCommented

SOMEBODY_ELSE = "[another person]"
"""What stands in place of a subject that is not the person's."""


def dossier(ledger: Ledger, request: Request, sight: Sight) -> Record | None:
    """The file of a person as one JSON object; None when the subject is nobody's.

    When it returns, the look at all that is in it is on record. Raises LedgerError otherwise.
    """
    known = known_of(ledger, request, sight, _is_given)
    if not known.somebody:
        return None
    content = known.opening() | {
        "profile": _profile(known),
        "consents": consents(known),
        "loyalty": loyalty(known),
        "tickets": [_ticket(ticket, known) for ticket in own_tickets(known)],
        "orders": _orders(known),
        # Behind everything that looks: with the timeline, all of it goes on record as one look.
        "timeline": _timeline(known),
    }
    sight.on_record([content])
    looks = looks_at(ledger, known.subjects)
    content["looks"] = [look_record(look, known.names) for look in looks]
    content["left_out"] = list(_left_out(known))
    ready: Record = msgspec.to_builtins(content)
    return ready


def _is_given(told: Told, subjects: tuple[str, ...]) -> bool:
    return not (_is_internal(told) or _is_look(told) or _is_mixed(told, subjects))


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


def _profile(known: Known) -> Record | None:
    """What `customer show` gives; the last contact is the last that the person is told of."""
    request = known.request
    asked = Asked(request.person, request.cut, request.moment, None)
    profile = portrait_of(known.ledger, asked, known.sight)
    if profile is not None and profile["last_interaction"] is not None:
        profile["last_interaction"] = _last_contact(known)
    return profile


def _last_contact(known: Known) -> Record | None:
    contacts = (
        envelope
        for envelope in known.governance.standing([t.envelope for t in reversed(known.shown)])
        if BY_TYPE[envelope.type].CHANNEL is not None and envelope.at <= known.request.moment
    )
    last = next(contacts, None)
    if last is None:
        return None
    alone = customers.evolve(customers.Customer(), last, None)
    return customers.last_interaction(alone)


def _ticket(ticket: Ticket, known: Known) -> Record:
    return ticket_record(ticket, known) | {"comments": {"public": ticket.public_comments}}


def _orders(known: Known) -> list[Record]:
    """The person's own orders. Who else laid a hand on one is not said."""
    shown = [orders.show(order) for order in own_orders(known)]
    return [
        {name: value for name, value in record.items() if name != "anomalies"}
        | {"customer": known.names[record["customer"]]}
        for record in shown
    ]


def _timeline(known: Known) -> list[Record]:
    """All that happened, by occurrence. Of what names another person too, it says only that."""
    records = timeline_records(known.ledger, known.shown, known.request.cut, known.sight)
    told = [_without_operator(_in_plain_words(record)) for record in records]
    places = {t.position: t.envelope.order for t in known.told}
    mixed = [_mixed_record(t, known) for t in known.told if _is_mixed(t, known.subjects)]
    return sorted([*told, *mixed], key=lambda record: places[record["position"]])


def _in_plain_words(record: Record) -> Record:
    if record["type"] not in IDENTITY_TYPES:
        return record
    one, other, data = record["subject"], record["data"]["other"], record["data"]
    said = plain_words.joined(record["type"], one, other, record["source"], data.get("reason"))
    return record | {"summary": said}


def _without_operator(record: Record) -> Record:
    """A record without the name of who recorded that something was recorded in error."""
    void, data = record["voided_by"], record["data"]
    if void is not None:
        record |= {"voided_by": {name: said for name, said in void.items() if name != BY}}
    if record["type"] == TouchpointVoided.TYPE and isinstance(data.get("extra"), dict):
        extra = {name: said for name, said in data["extra"].items() if name != BY}
        record |= {"data": data | {"extra": extra}}
    return record


def _mixed_record(told: Told, known: Known) -> Record:
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
        "voided": (envelope.source, envelope.id) in known.governance.voided,
    }


def _left_out(known: Known) -> Iterator[Record]:
    """What is not in the file, how often (None where nobody can tell), and why."""
    parts = [part for t in known.shown for part in personal_parts(t.envelope)]
    there = known.ledger.keyring.find({subject for subject, _ in parts})
    counts: dict[str, int | None] = {
        "internal": sum(map(_is_internal, known.told)),
        "others": sum(_is_mixed(t, known.subjects) for t in known.told),
        "looks_taken": sum(map(_is_look, known.told)),
        "operators": sum(t.envelope.type == TouchpointVoided.TYPE for t in known.shown),
        "erased": sum(subject not in there for subject, _ in parts),
        "records_of_others": None,
        "quarantine": None,
    }
    for what, (text, why) in plain_words.LEFT_OUT.items():
        count = counts[what]
        if count != 0 or what == "internal":
            yield {"what": what, "count": count, "text": text, "why": why}
