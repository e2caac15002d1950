"""`touchstone customer erase`: the right to be forgotten, with a certificate."""

import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli import exits
from cli.asking import person_named
from cli.output import Record, clean
from cli.session import Session, bring_up_to_date, pass_session
from ledger.erasure import Erased, Plan, erase, plan_erasure
from ledger.errors import LedgerError, Locked
from ledger.ledger import Ledger
from ledger.persons import Persons
from ledger.seals.sealing import seal
from projections.forgetting import forget_old_tables
from projections.query import NOW, persons_at
from projections.registry import PROJECTIONS
from projections.windows.portrait import Asked, portrait_of
from projections.windows.sight import Masked
from projections.windows.whom import moment_of
from schemas.fields import rfc3339
from schemas.wording import counted

REMAINS = ("touchpoints", "channels", "orders", "tickets", "loyalty", "first_seen", "last_seen")
"""What is still said of an erased person: counts, sums and times that name nobody."""
BACKUPS = (
    "A backup of the keys that was made before still opens this person's data in a backup of the "
    "log: delete it now, and make a new one with `touchstone backup FILE --keys FILE`."
)


@click.command("erase")
@click.argument("subject")
@click.option(
    "--confirm", metavar="SUBJECT", help="The same subject again, instead of typing it when asked."
)
@click.option(
    "--reason", required=True, metavar="TEXT",
    help="Why, such as the number of the request. It is recorded in clear: name nobody.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would go, and end.")
@pass_session
def erase_command(
    session: Session,
    /,
    subject: str,
    confirm: str | None,
    reason: str,
    dry_run: bool,
) -> int:
    """Make everything personal of a customer unreadable, for ever.

    The keys of all that is this person are destroyed. Counts, sums and times stay, and name
    nobody. What comes later for the person is recorded without anything personal. It cannot be
    taken back; a certificate says what was done, with the signed heads of the log before and after.
    """
    with session.ledger() as ledger:
        person = person_named(session, ledger, subject)
        plan = plan_erasure(ledger, person)
        if dry_run:
            record = _plan_record(plan)
            session.printer.record(record, lambda: _page("WOULD BE ERASED", record))
            return exits.DONE
        _agree(session, subject, confirm, plan)
        before = _remains(ledger, plan)
        sealed_before = _sealed(session, ledger)
        erased = erase(ledger, plan, reason, f"erasure-{uuid4()}")
        sealed_after = _sealed_after(session, ledger)
        generations = _forget(session, ledger)
        bring_up_to_date(session, ledger)
        after = _remains(ledger, plan)
        record = _certificate(erased, reason, generations, before, after)
        record |= {"seal_before": sealed_before, "seal_after": sealed_after}
        session.printer.record(record, lambda: _page("CERTIFICATE OF ERASURE", record))
        if before != after:
            session.complain("counts or sums have changed meanwhile: see `unchanged`")
    return exits.DONE


def _agree(session: Session, subject: str, confirm: str | None, plan: Plan) -> None:
    """Raises UsageError unless the subject is given a second time."""
    session.complain(
        f"{counted(plan.values, 'personal value')} in {counted(plan.touchpoints, 'touchpoint')} of "
        f"{counted(len(plan.subjects), 'subject')} ({', '.join(plan.subjects)}) will be unreadable "
        f"for ever, and {counted(len(plan.entries), 'quarantined entry', 'quarantined entries')} "
        "discarded."
    )
    if confirm is None and sys.stdin.isatty():
        confirm = click.prompt("Type the subject again to erase the person", err=True)
    if confirm is None:
        raise click.UsageError("without a terminal this needs --confirm with the same subject")
    if confirm != subject:
        raise click.UsageError("the subject that was confirmed is another one; nothing was erased")


def _sealed(session: Session, ledger: Ledger) -> Record:
    """The log as it is now, signed. Raises Locked while another process seals it."""
    with session.progress() as report:
        return seal(ledger, report).document()


def _sealed_after(session: Session, ledger: Ledger) -> Record | None:
    """The same behind an erasure, of which the certificate is to be told whatever happens."""
    try:
        return _sealed(session, ledger)
    except LedgerError as error:
        session.complain(f"the person is erased, but the log was not sealed after it: {error}")
        return None


def _forget(session: Session, ledger: Ledger) -> int:
    try:
        return forget_old_tables(ledger, PROJECTIONS)
    except Locked:
        session.note("note: a rebuild is under way; the table before it is dropped in its turn")
        return 0


def _remains(ledger: Ledger, plan: Plan) -> Record:
    """What is known of the person beside everything personal."""
    persons: Persons = persons_at(ledger, [plan.person], NOW)
    asked = Asked(plan.person, NOW, moment_of(ledger, NOW), persons)
    found = portrait_of(ledger, asked, Masked()) or {}
    return {name: found.get(name) for name in REMAINS}


def _plan_record(plan: Plan) -> Record:
    return {
        "customer": plan.person,
        "subjects": list(plan.subjects),
        "touchpoints": plan.touchpoints,
        "personal_values": plan.values,
        "search_tokens": plan.tokens,
        "links_by_equal_value": len(plan.fixed),
        "quarantine_entries": list(plan.entries),
    }


def _certificate(
    erased: Erased, reason: str, generations: int, before: Record, after: Record
) -> Record:
    return {
        "certificate_id": erased.certificate_id,
        "again": erased.again,
        "erased_at": rfc3339(erased.erased_at),
        "reason": reason,
        "position": erased.position,
        "subjects": list(erased.subjects),
        "purged": {
            "keys": erased.keys_destroyed,
            "personal_values": erased.values_unreadable,
            "search_tokens": erased.tokens_purged,
            "quarantine_entries": erased.quarantine_purged,
            "old_tables": generations,
        },
        "links_fixed": erased.links_fixed,
        "remains": after,
        "unchanged": before == after,
        "backups": BACKUPS,
    }


def _page(title: str, record: Record) -> Iterator[RenderableType]:
    yield Text(title, style="bold")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, value in _lines(record):
        grid.add_row(name, Text(clean(value)))
    yield grid


def _lines(record: Record, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            yield from _lines(value, f"{label}: ")
        elif isinstance(value, list):
            yield label, ", ".join(map(_said, value)) or "none"
        else:
            yield label, _said(value)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(map(str, value.values()))
    return "none" if value is None else str(value)
