"""`touchstone log void`: what was recorded in error counts no more, and the log still has it."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import click
from rich.console import RenderableType
from rich.text import Text

from cli import exits
from cli.asking import reason_given
from cli.exits import NotFound
from cli.moments import shown_iso
from cli.output import Column, Record, clean, table
from cli.session import Session, agreed, bring_up_to_date, no_follow_option, pass_session
from ledger.correcting import Decision, Voiding, void, voiding, voiding_of
from ledger.ledger import Ledger
from ledger.log import Stored
from projections.consequences import Consequences, consequences
from projections.registry import PROJECTIONS
from schemas.envelope import Envelope
from schemas.fields import rfc3339
from schemas.replay import decode
from schemas.wording import counted

COLUMNS = (
    Column("view", lambda r: r["view"]),
    Column("key", lambda r: r["key"], wraps=True),
    Column("becomes", lambda r: r["becomes"]),
    Column("fields", lambda r: ", ".join(r["fields"]), wraps=True),
)


@click.command("void")
@click.argument("id_", metavar="ID")
@click.option("--source", metavar="SOURCE", required=True, help="The source of that touchpoint.")
@click.option(
    "--reason", required=True, callback=reason_given, metavar="TEXT",
    help="Why. It is recorded, encrypted.",
)  # fmt: skip
@click.option(
    "--void-id", metavar="ID",
    help="The name of this voiding: repeated, it is recorded once.  [default: a new one]",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would change, and end.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@no_follow_option
@pass_session
def void_command(
    session: Session,
    /,
    id_: str,
    source: str,
    reason: str,
    void_id: str | None,
    dry_run: bool,
    yes: bool,
    no_follow: bool,
) -> int:
    """Strike out a touchpoint that was recorded in error.

    It stays in the log, and every view is as if it had not been there. `--known-at` a moment
    before still shows it. To take a voiding back, void the voiding.
    """
    with session.ledger() as ledger:
        told = _named(ledger, id_, source)
        known = voiding_of(ledger, source, id_)
        if known is not None:
            return _told_already(session, known, void_id)
        decision = Decision(void_id or f"void-{uuid4()}", reason, session.access.name)
        wrong = voiding(ledger, told, decision)
        if dry_run:
            _show(session, told, consequences(ledger, PROJECTIONS, wrong))
            return exits.DONE
        if not agreed(session, f"Void {_described(told)}?", yes=yes):
            return exits.FAILED
        position = void(ledger, wrong)
        if not no_follow:
            bring_up_to_date(session, ledger)
    record = {"void_id": wrong.id, "position": position, "voided": _record(told), "again": False}
    line = f"{_described(told)} counts no more ({clean(wrong.id)}, position {position:,})"
    session.printer.record(record, lambda: [Text(line)])
    return exits.DONE


def _named(ledger: Ledger, id_: str, source: str) -> Stored:
    found = ledger.log.identified(id_, source)
    if not found:
        others = [_fact(told).source for told in ledger.log.identified(id_)]
        hint = f"; {', '.join(others)} used this id" if others else ""
        raise NotFound(f"there is no touchpoint {id_} of the source {source}{hint}")
    return found[0]


def _told_already(session: Session, known: Voiding, void_id: str | None) -> int:
    """What is voided already stays so; the same voiding again is no error."""
    fact = known.fact
    data = fact.data
    if fact.id != void_id:
        when = shown_iso(fact.time, session.zone)
        session.complain(
            f"Error: {clean(data.voided_id)} of {clean(data.voided_source)} is voided already, "
            f"by {clean(fact.id)} of {clean(fact.source)} (position {known.position:,}, {when})"
        )
        return exits.CONFLICT
    voided = {"source": data.voided_source, "id": data.voided_id}
    record = {"void_id": fact.id, "position": known.position, "voided": voided, "again": True}
    line = f"{clean(fact.id)} was recorded before, at position {known.position:,}"
    session.printer.record(record, lambda: [Text(line)])
    return exits.DONE


def _show(session: Session, told: Stored, found: Consequences) -> None:
    """What would change; names of fields alone, since values may be personal."""
    keys = [
        {"view": c.view, "key": c.key, "becomes": c.becomes, "fields": c.fields} for c in found.keys
    ]
    restated = [{"view": r.view, "since": rfc3339(r.since)} for r in found.restated]
    record = {"voided": _record(told), "keys": keys, "restated": restated}

    def layout() -> Iterator[RenderableType]:
        yield Text(f"without {_described(told)}:")
        if keys:
            yield table(keys, COLUMNS)
        for view in restated:
            since = shown_iso(view["since"], session.zone)
            yield Text(f"{view['view']}: everything since {since} is folded anew")
        if not keys and not restated:
            yield Text("no view would change", style="dim")
        else:
            yield Text(f"{counted(len(keys), 'key')} would change; nothing was recorded")

    session.printer.record(record, layout)


def _fact(told: Stored) -> Envelope[Any]:
    return decode(told.topic, told.state)


def _record(told: Stored) -> Record:
    fact = _fact(told)
    return {
        "position": told.position,
        "source": fact.source,
        "id": fact.id,
        "type": fact.type,
        "subject": fact.subject,
    }


def _described(told: Stored) -> str:
    fact = _fact(told)
    named = f"{clean(fact.id)} of {clean(fact.source)}"
    return f"{fact.type} {named} (position {told.position:,}, {clean(fact.subject)})"
