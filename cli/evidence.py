"""The auditor's file: all of one person, with the proofs that it was recorded as it is.

Nothing is left out of it, internal notes neither. What it shows in clear goes on record as a look
before a byte of it is written.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from importlib import resources
from inspect import getsource
from itertools import islice
from typing import Any

import msgspec

from cli import standalone_check
from cli.bundle import Bundle
from cli.commands.explain import Answer, Asked, answer_records, answered, foresee
from cli.known import (
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
from cli.output import Record, clean, csv_lines, json_line
from cli.telling import TIMELINE_FIELDS
from domain import orders
from domain.tickets import Ticket
from ledger.correcting import voidings
from ledger.ledger import Ledger
from ledger.looks import looks_at
from ledger.seals.proving import Document, need_seal, proofs
from projections.customers import CUSTOMERS
from projections.loyalty import LOYALTY
from projections.query import Told, until
from projections.tickets import TICKETS
from projections.windows.portrait import Asked as AskedPortrait
from projections.windows.portrait import portrait_of
from projections.windows.sight import Sight
from projections.windows.timeline import timeline_records

PAGE_TOUCHPOINTS = 500
"""Shown in clear at a time."""
ALL_AT_ONCE = (
    'python -c "import check, json, pathlib; p = pathlib.Path; '
    "key = p('ledger.pem').read_bytes(); head = json.loads(p('head.json').read_bytes()); "
    "[print(check.check(json.loads(f.read_bytes()), key, head)) "
    "for f in sorted(p('proofs').iterdir())]\""
)
Page = Callable[[Record, Iterable[Record], tzinfo], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Written:
    """What came into a file: touchpoints of the person, and proofs by the head of a size."""

    touchpoints: int
    proofs: int
    sealed: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that goes into the file of a person, and is on record as looked at."""

    known: Known
    voidings: list[Told]
    views: dict[str, Any]
    customer: Answer | None
    points: Answer | None
    tickets: dict[str, Answer]

    @property
    def positions(self) -> set[int]:
        """The person's own positions, and those of others' touchpoints that made a field, or
        struck out one of his."""
        answers = (self.customer, self.points, *self.tickets.values())
        makers = (
            maker.told.position
            for answer in answers
            if answer is not None
            for one in answer.explained
            for maker in one.makers
        )
        named = (told.position for told in (*self.known.told, *self.voidings))
        return {*named, *makers}


def evidence(ledger: Ledger, request: Request, sight: Sight) -> Evidence | None:
    """Gather all that goes into the file of a person; None when the subject is nobody's.

    When it returns, the look at all of it is on record. Raises Unsealed, and records none, when
    the newest seal does not cover what is to be proven.
    """
    known = known_of(ledger, request, sight)
    if not known.somebody:
        return None
    own = own_tickets(known)
    found = Evidence(known, _voidings(known), _views(known, own), *_answers(known, own))
    need_seal(ledger, sorted(found.positions))
    sight.foresee((*known.told, *found.voidings))
    for answer in (found.customer, found.points, *found.tickets.values()):
        if answer is not None:
            foresee(answer, sight)
    sight.on_record(())
    return found


def _voidings(known: Known) -> list[Told]:
    """What struck out touchpoints of the person, of whatever subject it is."""
    last = until(known.ledger, known.request.cut)
    with known.ledger.store.cursor() as cursor:
        struck = voidings(last, cursor)
    own = {(told.envelope.source, told.envelope.id) for told in known.told}
    return [Told(v.position, v.recorded_at, v.fact) for of, v in struck.items() if of in own]


def _views(known: Known, own: list[Ticket]) -> dict[str, Any]:
    """What the views say at the moment of the file, by the name of the file."""
    request = known.request
    asked = AskedPortrait(request.person, request.cut, request.moment)
    return {
        "customer": portrait_of(known.ledger, asked, known.sight),
        "loyalty": loyalty(known),
        "tickets": [ticket_record(ticket, known) for ticket in own],
        "orders": _orders(known),
        "consents": consents(known),
    }


def _orders(known: Known) -> list[Record]:
    records = [orders.show(order) for order in own_orders(known)]
    return [
        record
        | {
            "customer": known.names[record["customer"]],
            "anomalies": [known.names.get(other, other) for other in record["anomalies"]],
        }
        for record in records
    ]


def _answers(
    known: Known, own: list[Ticket]
) -> tuple[Answer | None, Answer | None, dict[str, Answer]]:
    """What `customer explain`, `loyalty explain` and `ticket explain` have to say."""
    ledger, cut, person = known.ledger, known.request.cut, known.request.person
    asked = Asked(person, None, cut)
    of_tickets = {
        ticket.ticket: answered(ledger, TICKETS, Asked(ticket.ticket, None, cut)) for ticket in own
    }
    return (
        answered(ledger, CUSTOMERS, asked),
        answered(ledger, LOYALTY, asked),
        {name: answer for name, answer in of_tickets.items() if answer is not None},
    )


def write_evidence(found: Evidence, bundle: Bundle, page: Page, zone: tzinfo) -> Written:
    """Write the file; `page` makes the timeline to print, with times on the clocks of the zone.

    What it did not foresee that it would show is on record when this returns.
    """
    known, sight = found.known, found.known.sight
    about = known.opening()
    example = known.told[0].position
    bundle.add("README.txt", [_read_me(about, example)])
    bundle.add("about.json", [_json(about)])
    bundle.add("timeline.ndjson", _lines(_timeline(known)))
    bundle.add("timeline.csv", csv_lines(TIMELINE_FIELDS, _timeline(known)))
    bundle.add("timeline.html", page(about, _timeline(known), zone))
    for name, content in found.views.items():
        bundle.add(f"views/{name}.json", [_json(content)])
    for name, answer in (("customer", found.customer), ("loyalty", found.points)):
        bundle.add(f"explanations/{name}.ndjson", _lines(_explained(answer, sight)))
    bundle.add("explanations/tickets.ndjson", _lines(_explained_tickets(found)))
    looks = looks_at(known.ledger, known.subjects)
    bundle.add("looks.ndjson", _lines(look_record(look, known.names) for look in looks))
    proven, head = _add_proofs(found, bundle)
    bundle.add("check.py", [getsource(standalone_check)])
    sight.on_record(())
    return Written(len(known.told), proven, head["size"])


def _read_me(about: Record, example: int) -> str:
    text = resources.files("cli").joinpath("templates", "evidence.txt").read_text("utf-8")
    return text.format(
        ledger=about["ledger"],
        customer=clean(about["customer"]),
        exported_at=about["exported_at"],
        reader=clean(about["exported_by"]),
        purpose=clean(about["purpose"]),
        example=_file_of(example),
        all_at_once=ALL_AT_ONCE,
    )


def _file_of(position: int) -> str:
    """Names that stand in a folder in the order of positions."""
    return f"{position:012}"


def _timeline(known: Known) -> Iterator[Record]:
    """All that is recorded of the person, in clear, page by page."""
    rest = iter(known.told)
    while told := list(islice(rest, PAGE_TOUCHPOINTS)):
        yield from timeline_records(known.ledger, told, known.request.cut, known.sight)


def _explained(answer: Answer | None, sight: Sight) -> Iterator[Record]:
    return iter(()) if answer is None else answer_records(answer, sight)


def _explained_tickets(found: Evidence) -> Iterator[Record]:
    for name, answer in found.tickets.items():
        for record in answer_records(answer, found.known.sight):
            yield {"ticket": name} | record


def _add_proofs(found: Evidence, bundle: Bundle) -> tuple[int, Document]:
    """A file for each proof, the head that they all speak of, and the key; how many, the head."""
    positions = sorted(found.positions)
    head: Document = {}
    key = ""
    for position, proof in zip(positions, proofs(found.known.ledger, positions), strict=True):
        bundle.add(f"proofs/{_file_of(position)}.json", [_json(proof)])
        head, key = proof["head"], proof["public_key"]
    bundle.add("head.json", [_json(head)])
    bundle.add("ledger.pem", [key])
    return len(positions), head


def _lines(records: Iterable[Record]) -> Iterator[str]:
    return (f"{json_line(record)}\n" for record in records)


def _json(content: Any) -> str:
    return json.dumps(msgspec.to_builtins(content), indent=2, ensure_ascii=False) + "\n"
