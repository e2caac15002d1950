"""`touchstone customer diff`: what changed between two moments, and by which touchpoints."""

from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.asking import person_named
from cli.faces import LOYALTY_PREFIX, face_of, seen
from cli.moments import Moment, shown_iso
from cli.output import Record, clean
from cli.revealing import reveal_option, sight_of
from cli.session import Session, pass_session
from domain.identity import Joined
from ledger.ledger import Ledger
from projections.customers import CUSTOMERS
from projections.diffing import RULES, TIME, Differing, differences
from projections.explaining import facts_of, folding
from projections.loyalty import LOYALTY
from projections.query import Cut, Told, persons_at, states_of
from projections.tickets import TICKETS
from projections.view import View
from projections.windows.sight import Sight, read_stored
from projections.windows.timeline import told_record

FIELDS = ("field", "from", "to", "because", "touchpoints")
ADDED, REMOVED = "added", "removed"
WHY = {TIME: "time has passed", RULES: "other rules are in force"}
IDENTITY = "identity"


@click.command("diff")
@click.argument("subject")
@click.option(
    "--from", "from_", type=Moment(starts=True), metavar="TIME",
    help="As it was at this time.  [default: that of --to, where --known-from is given]",
)  # fmt: skip
@click.option("--to", type=Moment(), metavar="TIME", help="As it was then.  [default: now]")
@click.option(
    "--known-from", type=Moment(starts=True), metavar="TIME",
    help="The first as it was known at this time.",
)  # fmt: skip
@click.option(
    "--known-to", type=Moment(), metavar="TIME", help="The second as it was known at this time."
)
@reveal_option
@pass_session
def diff_command(
    session: Session,
    /,
    subject: str,
    from_: int | None,
    to: int | None,
    known_from: int | None,
    known_to: int | None,
    reveal: str | None,
) -> None:
    """Show what changed of a customer between two times.

    Each change names the touchpoints that made it.
    With --known-from and without --from it is what became known since: what late arrivals and
    corrections changed about one and the same time.
    """
    if from_ is None and known_from is None:
        raise click.UsageError("say from when: --from TIME, --known-from TIME or both")
    with session.ledger() as ledger:
        until = ledger.log.clock() if to is None else to
        cuts = Cut(until if from_ is None else from_, known_from), Cut(until, known_to)
        person = _person(session, ledger, subject, cuts)
        sight = sight_of(session, ledger, reveal)
        records = sight.on_record(_records(ledger, person, cuts, sight))
        session.printer.records(
            records,
            (),
            "nothing changed",
            layout=lambda listed: _page(listed, session),
            csv_fields=FIELDS,
        )


def _person(
    session: Session, ledger: Ledger, subject: str, cuts: tuple[Cut, Cut]
) -> tuple[str, str]:
    """The names under which the person goes at each moment."""
    later = person_named(session, ledger, subject, cuts[1])
    return persons_at(ledger, [later], cuts[0]).person_of(later), later


def _records(
    ledger: Ledger, person: tuple[str, str], cuts: tuple[Cut, Cut], sight: Sight
) -> Iterator[Record]:
    yield from _subjects(ledger, person, cuts, sight)
    for view, prefix in ((CUSTOMERS, ""), (LOYALTY, LOYALTY_PREFIX)):
        for found in _compared(ledger, view, person, cuts, prefix):
            yield _record(found, view, sight)
    yield from _tickets(ledger, person, cuts, sight)


def _compared(
    ledger: Ledger, view: View, keys: tuple[str, str], cuts: tuple[Cut, Cut], prefix: str
) -> list[Differing]:
    one, other = (facts_of(ledger, view, key, cut) for key, cut in zip(keys, cuts, strict=True))
    faces = [face_of(view, facts.moment, prefix) for facts in (one, other)]
    with folding(view, keys[1]):
        found = differences(one, other, *faces)
    if one.told and other.told:
        return found
    return [each for each in found if each.before or each.after]  # nothing and none are the same


def _subjects(
    ledger: Ledger, person: tuple[str, str], cuts: tuple[Cut, Cut], sight: Sight
) -> Iterator[Record]:
    """Which subjects the person consists of, when that changed, with the facts that changed it."""
    known = [persons_at(ledger, [name], cut) for name, cut in zip(person, cuts, strict=True)]
    subjects = [persons.subjects_of(name) for persons, name in zip(known, person, strict=True)]
    if subjects[0] == subjects[1]:
        return
    names = sight.subjects({one for each in subjects for one in each})
    joins = [persons.joins_of(name) for persons, name in zip(known, person, strict=True)]
    there = [{join.tie.identity for join in each} for each in joins]
    yield {
        "field": "subjects",
        "from": [names[one] for one in subjects[0]],
        "to": [names[one] for one in subjects[1]],
        "because": IDENTITY,
        "touchpoints": [
            *(_joining(ledger, j, ADDED, sight) for j in joins[1]
              if j.tie.identity not in there[0]),
            *(_joining(ledger, j, REMOVED, sight) for j in joins[0]
              if j.tie.identity not in there[1]),
        ],
    }  # fmt: skip


def _joining(ledger: Ledger, join: Joined, effect: str, sight: Sight) -> Record:
    source, id_ = join.tie.identity
    (told,) = sight.told(read_stored(ledger.log.identified(id_, source)))
    return _touchpoint(told, effect)


def _tickets(
    ledger: Ledger, person: tuple[str, str], cuts: tuple[Cut, Cut], sight: Sight
) -> Iterator[Record]:
    """How the person's tickets stand: those of which it changed, each with what changed it."""
    named: set[str] = set()
    for name, cut in zip(person, cuts, strict=True):
        state: Any = states_of(ledger, CUSTOMERS, [name], cut).get(name)
        named.update(state.tickets if state is not None else ())
    stood = [states_of(ledger, TICKETS, sorted(named), cut) for cut in cuts]
    for ticket in sorted(named):
        before, after = (known.get(ticket) for known in stood)
        if before is not None and after is not None and before.status == after.status:
            continue  # folding each ticket's history takes a while where there are many
        for found in _compared(ledger, TICKETS, (ticket, ticket), cuts, ""):
            if found.field == "status":
                yield _record(found, TICKETS, sight) | {"field": f"tickets.{ticket}.status"}


def _record(found: Differing, view: View, sight: Sight) -> Record:
    added, removed = sight.told(found.added), sight.told(found.removed)
    touchpoints = [
        *(_touchpoint(told, ADDED) for told in added),
        *(_touchpoint(told, REMOVED) for told in removed),
    ]
    return {
        "field": found.field,
        "from": seen(sight, view, found.field, found.before),
        "to": seen(sight, view, found.field, found.after),
        "because": found.because,
        "touchpoints": touchpoints,
    }


def _touchpoint(told: Told, effect: str) -> Record:
    return told_record(told) | {"effect": effect}


def _page(listed: list[Record], session: Session) -> Iterator[RenderableType]:
    for record in listed:
        was, became = (clean(_shown(record[name])) for name in ("from", "to"))
        yield Text.assemble((clean(record["field"]), "bold"), f"  {was} → {became}")
        if record["because"] in WHY:
            yield Text(f"  {WHY[record['because']]}", style="dim")
        if record["touchpoints"]:
            yield _lines(record["touchpoints"], session)


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _lines(touchpoints: Sequence[Record], session: Session) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(2):
        grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for record in touchpoints:
        when = shown_iso(record["time"], session.zone)
        gone = "strike" if record["effect"] == REMOVED else ""
        origin = clean(f"  {record['source']} {record['id']}")
        text = Text.assemble((clean(record["summary"]), gone), (origin, "dim"))
        grid.add_row(f"  {record['position']:,}", when, text)
    return grid
