"""`customer explain`, `ticket explain`, `loyalty explain`: why a field is what it is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import groupby
from typing import Any

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.asking import cut_options, person_named
from cli.exits import NotFound
from cli.faces import LOYALTY_PREFIX, Rules, face_of, rules_behind, seen
from cli.moments import shown_iso
from cli.output import Record, clean
from cli.revealing import reveal_option, sight_of
from cli.session import Session, pass_session
from domain.statement import statement
from ledger.ledger import Ledger
from projections.customers import CUSTOMERS
from projections.differing import is_within
from projections.explaining import Explained, Facts, explain, facts_of, folding, identity
from projections.loyalty import LOYALTY
from projections.query import Cut
from projections.tickets import TICKETS
from projections.view import View
from projections.windows.points import movement_record
from projections.windows.sight import Sight
from projections.windows.timeline import told_record

FIELDS = (
    "field", "value", "position", "recorded_at", "time", "source", "id", "subject", "type",
    "summary", "change", "rules", "movements",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose fields are to be explained, as seen through which cut; all, or one with its parts."""

    key: str
    field: str | None
    cut: Cut

    def wants(self, name: str) -> bool:
        return self.field is None or is_within(name, self.field)


@dataclass(frozen=True, slots=True)
class Answer:
    """The fields of one view, explained, with all that can be told of their makers."""

    view: View
    names: Sequence[str]
    explained: Sequence[Explained]
    rules: Rules
    movements: Mapping[tuple[str, str], list[Record]]


def answered(ledger: Ledger, view: View, asked: Asked, prefix: str = "") -> Answer | None:
    """What made the fields of one key; None when nothing is known of it."""
    facts = facts_of(ledger, view, asked.key, asked.cut)
    if not facts.told:
        return None
    face = face_of(view, facts.moment, prefix)
    with folding(view, asked.key):
        state = facts.state()
        moved = _movements(facts, state) if view is LOYALTY else {}
        wanted = explain(facts, face, asked.wants)
    return Answer(view, list(face(state)), wanted, rules_behind(view, state), moved)


def _movements(facts: Facts, state: Any) -> dict[tuple[str, str], list[Record]]:
    """What each touchpoint did to the points, as statements tell it."""
    found: dict[tuple[str, str], list[Record]] = {}
    envelopes = [told.envelope for told in facts.told]
    for programme in sorted(state.programmes):
        for movement in statement(envelopes, facts.rules, programme, facts.moment):
            if movement.source is not None and movement.id is not None:
                place = (movement.source, movement.id)
                told = movement_record(movement, {place: 0})
                names = ("kind", "points", "balance", "text")
                record = {"programme": programme} | {name: told[name] for name in names}
                found.setdefault(place, []).append(record)
    return found


def print_answers(
    session: Session, asked: Asked, answers: Iterable[Answer | None], sight: Sight
) -> None:
    """One object for each touchpoint that made a field. Raises NotFound when there is none."""
    found = [answer for answer in answers if answer is not None]
    if not found:
        raise NotFound(f"nothing is known of {asked.key}")
    if asked.field is not None and not any(answer.explained for answer in found):
        raise NotFound(_no_such_field(asked.field, [n for a in found for n in a.names]))
    records = (record for answer in found for record in answer_records(answer, sight))
    session.printer.records(
        sight.on_record(records),
        (),
        "no touchpoint made it so: it is as it was in the beginning",
        layout=lambda listed: _page(listed, session),
        csv_fields=FIELDS,
    )


def _no_such_field(field: str, names: list[str]) -> str:
    near = get_close_matches(field, names, n=3, cutoff=0.5) or names[:8]
    return f"there is no field {field} here; there are {', '.join(near)}"


def foresee(answer: Answer, sight: Sight) -> None:
    """Tell a sight what the records of an answer will show."""
    sight.foresee(maker.told for one in answer.explained for maker in one.makers)
    for one in answer.explained:
        seen(sight, answer.view, one.field, one.value)


def answer_records(answer: Answer, sight: Sight) -> Iterator[Record]:
    """One object for each touchpoint that made a field, field by field."""
    made = {m.told.position: m.told for one in answer.explained for m in one.makers}
    shown = dict(zip(made, sight.told(list(made.values())), strict=True))
    for one in answer.explained:
        value = seen(sight, answer.view, one.field, one.value)
        for maker in one.makers:
            place = identity(maker.told)
            yield {
                "field": one.field,
                "value": value,
                **told_record(shown[maker.told.position]),
                "change": maker.change,
                "rules": answer.rules.get(place, []),
                **({"movements": answer.movements.get(place, [])} if answer.movements else {}),
            }


def _page(listed: list[Record], session: Session) -> Iterator[RenderableType]:
    for (field, value), made in groupby(listed, lambda r: (r["field"], r["value"])):
        yield Text.assemble((clean(field), "bold"), f"  {clean(value)}")
        grid = Table.grid(padding=(0, 2, 0, 0))
        for style in ("dim", "dim"):
            grid.add_column(no_wrap=True, style=style)
        grid.add_column(overflow="fold")
        for record in made:
            when = shown_iso(record["time"], session.zone)
            grid.add_row(f"  {record['position']:,}", when, _line(record))
        yield grid


def _line(record: Record) -> Text:
    change = f" {record['change']:+,}" if record["change"] else ""
    rules = "".join(f"  rule {r['rule']}, version {r['version']}" for r in record["rules"])
    origin = clean(f"  {record['source']} {record['id']}")
    return Text.assemble(
        clean(record["summary"]), (change, "green"), (clean(rules), "cyan"), (origin, "dim")
    )


@click.command("explain")
@click.argument("subject")
@click.argument("field", required=False)
@cut_options
@reveal_option
@pass_session
def customer_explain(
    session: Session, /, subject: str, field: str | None, cut: Cut, reveal: str | None
) -> None:
    """Say which touchpoints made a field what it is.

    FIELD is one that `customer show` prints, such as orders.count or traits.email, or a group
    of them, such as orders; without it, all are explained.
    """
    with session.ledger() as ledger:
        asked = Asked(person_named(session, ledger, subject, cut), field, cut)
        sight = sight_of(session, ledger, reveal)
        answers = (
            answered(ledger, CUSTOMERS, asked),
            answered(ledger, LOYALTY, asked, LOYALTY_PREFIX),
        )
        print_answers(session, asked, answers, sight)


@click.command("explain")
@click.argument("ticket_id", metavar="ID")
@click.argument("field", required=False)
@cut_options
@reveal_option
@pass_session
def ticket_explain(
    session: Session, /, ticket_id: str, field: str | None, cut: Cut, reveal: str | None
) -> None:
    """Say which touchpoints made a field what it is.

    FIELD is one that `ticket show` prints, such as status or seconds.open; without it, all
    are explained.
    """
    with session.ledger() as ledger:
        asked = Asked(ticket_id, field, cut)
        sight = sight_of(session, ledger, reveal)
        print_answers(session, asked, [answered(ledger, TICKETS, asked)], sight)


@click.command("explain")
@click.argument("subject")
@click.argument("field", required=False)
@click.option("--programme", metavar="NAME", help="Only this programme.")
@cut_options
@reveal_option
@pass_session
def loyalty_explain(
    session: Session,
    /,
    subject: str,
    field: str | None,
    programme: str | None,
    cut: Cut,
    reveal: str | None,
) -> None:
    """Say which touchpoints made a balance what it is.

    It names the rules and the movements too.
    FIELD is one that `loyalty balance` prints, such as active or earned; without it, all are
    explained.
    """
    with session.ledger() as ledger:
        person = person_named(session, ledger, subject, cut)
        asked = _OfProgramme(person, field, cut, programme)
        sight = sight_of(session, ledger, reveal)
        print_answers(session, asked, [answered(ledger, LOYALTY, asked)], sight)


@dataclass(frozen=True, slots=True)
class _OfProgramme(Asked):
    """Asked of an account: a field goes by its name in the balance, or with its programme."""

    programme: str | None = None

    def wants(self, name: str) -> bool:
        programme, _, field = name.rpartition(".")
        if self.programme is not None and programme != self.programme:
            return False
        return self.field in (None, field, name, programme)
