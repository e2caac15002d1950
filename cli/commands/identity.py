"""`touchstone customer merge`, `unmerge`, `identities`, `suggest`: who is one person with whom."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar
from uuid import uuid4

import click
from rich.console import RenderableType
from rich.text import Text

from cli import exits, portrait
from cli.asking import cut_options, limit_option, person_named, stored_subject
from cli.moments import shown_iso
from cli.output import Column, Record, clean
from cli.revealing import reveal_option, sight_of
from cli.session import (
    Session,
    agreed,
    bring_up_to_date,
    no_follow_option,
    pass_session,
)
from ledger.joining import (
    Decided,
    WhatIf,
    merge,
    merged_before,
    persons_then,
    told,
    try_merge,
    try_unmerge,
    unmerge,
    unmerged_before,
)
from ledger.ledger import Ledger
from ledger.persons import Persons
from ledger.suggesting import suggestions
from projections.query import NOW, Cut
from projections.windows.identities import identity_records
from projections.windows.portrait import Asked, portrait_of
from projections.windows.sight import Sight
from projections.windows.whom import moment_of
from schemas.fields import TEXT_CHARACTERS_MAX
from schemas.wording import counted

F = TypeVar("F", bound=Callable[..., Any])


def _reason(_: click.Context, option: click.Parameter, value: str) -> str:
    if 0 < len(value.strip()) <= TEXT_CHARACTERS_MAX:
        return value
    raise click.BadParameter("say why, in at most 64 KiB", param=option)


def deciding(function: F) -> F:
    """The options of a decision about who is one person."""
    for option in (
        no_follow_option,
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Show what it would come to, and end."),
        click.option(
            "--id", "id_", metavar="ID",
            help="The name of this decision: repeated, it is recorded once.  [default: a new one]",
        ),
        click.option(
            "--reason", required=True, callback=_reason, metavar="TEXT",
            help="Why. It is recorded, encrypted.",
        ),
        reveal_option,
    ):  # fmt: skip
        function = option(function)
    return function


@click.command("merge")
@click.argument("subject", metavar="A")
@click.argument("other", metavar="B")
@deciding
@pass_session
def merge_command(
    session: Session,
    /,
    subject: str,
    other: str,
    reveal: str | None,
    reason: str,
    id_: str | None,
    dry_run: bool,
    yes: bool,
    no_follow: bool,
) -> int:
    """Make two customers one.

    From then on there is one view of both, and `customer unmerge` takes it back
    without a trace in any view.
    """
    with session.ledger() as ledger:
        one, two = stored_subject(ledger, subject), stored_subject(ledger, other)
        if id_ and not dry_run:
            known = merged_before(ledger, one, two, reason, id_)
            if known is not None:
                return _show_merge(session, ledger, known, id_, (one, two))
        what_if = try_merge(ledger, one, two)
        if dry_run:
            return _show_what_if(session, ledger, what_if, (one, two), reveal)
        if what_if.now.person_of(one) == what_if.now.person_of(two):
            session.complain(f"Error: {subject} and {other} are one person already")
            return exits.CONFLICT
        if not agreed(session, f"Make {subject} and {other} one customer?", yes=yes):
            return exits.FAILED
        name = id_ or f"merge-{uuid4()}"
        decided = merge(ledger, one, two, reason, name)
        if not no_follow:
            bring_up_to_date(session, ledger)
        return _show_merge(session, ledger, decided, name, (one, two))


def _show_merge(
    session: Session, ledger: Ledger, decided: Decided, name: str, subjects: tuple[str, str]
) -> int:
    """What a merge came to when it was recorded, which is the same however often it is asked."""
    (position,) = decided.positions
    persons = persons_then(ledger, subjects, position)
    person = persons.person_of(subjects[0])
    record = {
        "merge_id": name, "position": position, "customer": person,
        "subjects": list(persons.subjects_of(person)), "again": decided.again,
    }  # fmt: skip
    one, two = map(clean, subjects)
    said = f"{one} and {two} are {clean(person)} ({clean(name)})"
    if decided.again:
        said = f"{clean(name)} was recorded before, at position {position:,}"
    session.printer.record(record, lambda: [Text(said)])
    return exits.DONE


@click.command("unmerge")
@click.argument("subject", metavar="A")
@click.argument("other", metavar="B")
@click.option("--merge-id", metavar="ID", help="The fact to undo, if not one between A and B.")
@click.option("--merge-source", metavar="SOURCE", default="touchstone", help="The source of that.")
@deciding
@pass_session
def unmerge_command(
    session: Session,
    /,
    subject: str,
    other: str,
    merge_id: str | None,
    merge_source: str,
    reveal: str | None,
    reason: str,
    id_: str | None,
    dry_run: bool,
    yes: bool,
    no_follow: bool,
) -> int:
    """Take a merge or a link back.

    Both customers are then as if they had never been one. What came in between
    goes to the subject that it named.
    """
    with session.ledger() as ledger:
        one, two = stored_subject(ledger, subject), stored_subject(ledger, other)
        named = (merge_source, merge_id) if merge_id else None
        if id_ and not dry_run:
            known = unmerged_before(ledger, one, two, reason, id_, named)
            if known is not None:
                return _show_unmerge(session, ledger, known, id_, (one, two))
        parting = try_unmerge(ledger, one, two, named)
        for join in parting.still:
            session.note(f"note: they stay one person by {told(join)}")
        if dry_run:
            return _show_what_if(session, ledger, parting.what_if, (one, two), reveal)
        if not agreed(session, f"Part {subject} from {other}?", yes=yes):
            return exits.FAILED
        name = id_ or f"unmerge-{uuid4()}"
        decided = unmerge(ledger, one, two, parting, reason, name)
        if not no_follow:
            bring_up_to_date(session, ledger)
        return _show_unmerge(session, ledger, decided, name, (one, two))


def _show_unmerge(
    session: Session, ledger: Ledger, decided: Decided, name: str, subjects: tuple[str, str]
) -> int:
    """What an unmerge came to when it was recorded."""
    persons = persons_then(ledger, subjects, decided.positions[-1])
    customers = sorted({persons.person_of(subject) for subject in subjects})
    record = {
        "unmerge_id": name,
        "positions": decided.positions,
        "undone": [{"source": source, "id": id_} for source, id_ in decided.undone],
        "customers": customers,
        "again": decided.again,
    }
    facts = counted(len(decided.positions), "fact")
    said = f"{facts} undone"
    if len(customers) > 1:
        said += ": they are two customers again"
    if decided.again:
        said = f"{clean(name)} was recorded before, at position {decided.positions[0]:,}"
    session.printer.record(record, lambda: [Text(said)])
    return exits.DONE


def _show_what_if(
    session: Session,
    ledger: Ledger,
    what_if: WhatIf,
    subjects: tuple[str, str],
    reveal: str | None,
) -> int:
    """The views of both as they are and as they would be; nothing is recorded but the look."""
    sight = sight_of(session, ledger, reveal)
    record = {
        "before": list(_portraits(ledger, what_if.now, subjects, sight)),
        "after": list(_portraits(ledger, what_if.then, subjects, sight)),
    }
    sight.on_record([record])

    def layout() -> Iterator[RenderableType]:
        for title, shown in record.items():
            yield Text(title.upper(), style="bold underline")
            for one in shown:
                yield from portrait.page(one, session.zone)

    session.printer.record(record, layout)
    return exits.DONE


def _portraits(
    ledger: Ledger, persons: Persons, subjects: Iterable[str], sight: Sight
) -> Iterator[Record]:
    moment = moment_of(ledger, NOW)
    for person in dict.fromkeys(map(persons.person_of, subjects)):
        found = portrait_of(ledger, Asked(person, NOW, moment, persons), sight)
        if found is not None:
            yield found


@click.command("identities")
@click.argument("subject")
@cut_options
@reveal_option
@pass_session
def identities(session: Session, /, subject: str, cut: Cut, reveal: str | None) -> None:
    """Show which subjects are this customer, and by which facts."""
    with session.ledger() as ledger:
        person = person_named(session, ledger, subject, cut)
        sight = sight_of(session, ledger, reveal)
        records = identity_records(ledger, person, cut, sight)
        columns = (
            Column("subject", lambda r: r["subject"], wraps=True),
            Column("is one with", lambda r: "\n".join(map(_join_line, r["joined_by"])), wraps=True),
            Column("since", lambda r: _since(r, session)),
        )
        session.printer.records(sight.on_record(records), columns)


def _join_line(join: Record) -> str:
    return f"{join['subject']} ({join['by']})"


def _since(record: Record, session: Session) -> str:
    return "\n".join(shown_iso(join["time"], session.zone) for join in record["joined_by"])


@click.command("suggest")
@limit_option
@pass_session
def suggest(session: Session, /, limit: int | None) -> None:
    """List customers who may be one and the same.

    They were seen with the same address or number. `customer merge A B --dry-run`
    shows what merging two of them would come to.
    """
    with session.ledger() as ledger:
        found = (
            {"one": s.one, "other": s.other, "by": list(s.by), "declined": s.declined}
            for s in islice(suggestions(ledger), limit)
        )
        columns = (
            Column("one", lambda r: r["one"], wraps=True),
            Column("other", lambda r: r["other"], wraps=True),
            Column("the same", lambda r: ", ".join(r["by"])),
            Column("not by rule, since", lambda r: r["declined"] or "", wraps=True),
        )
        session.printer.records(found, columns, "nobody shares an address or number with another")
