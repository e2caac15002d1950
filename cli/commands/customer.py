"""`touchstone customer`: who is known, the 360° view of one of them, and his timeline."""

from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import Any

import click

from cli import portrait
from cli.asking import (
    channel_option,
    cut_options,
    limit_option,
    person_named,
    search_token,
    since_option,
    type_option,
    until_option,
)
from cli.boards import boards
from cli.commands import identity
from cli.commands.diff import diff_command
from cli.commands.erase import erase_command
from cli.commands.explain import customer_explain
from cli.commands.export import export_command
from cli.exits import NotFound
from cli.moments import shown_date, shown_iso
from cli.output import Column, Record
from cli.revealing import reveal_option, sight_of
from cli.session import Session, pass_session, warn_if_behind
from cli.telling import TIMELINE_COLUMNS, TIMELINE_FIELDS, days
from domain.customers import Customer
from ledger.looks import Look, looks_at
from projections.customers import CUSTOMERS
from projections.query import Cut, states_of, subjects_of, timeline
from projections.tickets import TICKETS
from projections.windows.customers import customer_records, seen_with
from projections.windows.portrait import Asked, portrait_of
from projections.windows.timeline import Wanted, timeline_records
from projections.windows.whom import moment_of
from schemas.fields import rfc3339

EXAMPLES = """\b
Examples:
  touchstone customer list --find ana@example.com
  touchstone customer show customer:42
  touchstone customer show customer:42 --as-of 2026-03-01
  touchstone customer timeline customer:42 --channel email -n 20
  touchstone customer explain customer:42 orders.net
  touchstone customer diff customer:42 --from -30d
"""


@click.group(epilog=EXAMPLES)
def command() -> None:
    """The 360° view of customers, and their timelines."""


for _other in (
    identity.merge_command,
    identity.unmerge_command,
    identity.identities,
    identity.suggest,
    customer_explain,
    diff_command,
    erase_command,
    export_command,
):
    command.add_command(_other)


@command.command("list")
@click.option(
    "--find", metavar="EMAIL|PHONE", help="Only those who were seen with this address or number."
)
@limit_option
@cut_options
@reveal_option
@pass_session
def list_(
    session: Session, /, find: str | None, limit: int | None, cut: Cut, reveal: str | None
) -> None:
    """List customers, or find one by address or number.

    The list of another time than now is folded from the whole log.
    """
    with session.ledger() as ledger, ExitStack() as kept:
        if cut.now:
            warn_if_behind(session, ledger)
        sight = sight_of(session, ledger, reveal)
        if find is None:
            board = kept.enter_context(boards(session, ledger, (CUSTOMERS, TICKETS), cut))
            found: Iterable[tuple[str, Customer]] = board.walk(CUSTOMERS)
            tickets_of = partial(board.states_of, TICKETS)
            empty = "no customers yet: `touchstone append FILE` brings some in"
        else:
            found = seen_with(ledger, search_token(ledger, find), cut)
            tickets_of = partial(states_of, ledger, TICKETS, cut=cut)
            empty = "nobody was seen with this address or number"
        columns = [
            Column("customer", lambda r: r["customer"], wraps=True, characters_min=12),
            Column("name", lambda r: r["name"], wraps=True),
            Column("first seen", lambda r: shown_date(r["first_seen"], session.zone)),
            Column("last seen", lambda r: shown_date(r["last_seen"], session.zone)),
            Column("touchpoints", lambda r: r["touchpoints"], number=True),
            Column("orders", lambda r: r["orders"], number=True),
            Column("net", lambda r: portrait.amounts(r["net"]), number=True, wraps=True),
            Column("open", lambda r: r["tickets_open"], number=True),
        ]
        entries = customer_records(ledger, islice(found, limit), tickets_of, cut, sight)
        records = sight.on_record(entries)
        session.printer.records(records, columns, empty)


@command.command("show")
@click.argument("subject")
@cut_options
@reveal_option
@pass_session
def show(session: Session, /, subject: str, cut: Cut, reveal: str | None) -> None:
    """Show the 360° view of one customer.

    It is of now, or with --as-of and --known-at of any other time.
    SUBJECT is a kind and a value, such as customer:42 or email:ana@example.com.
    """
    with session.ledger() as ledger:
        warn_if_behind(session, ledger)
        person = person_named(session, ledger, subject, cut)
        sight = sight_of(session, ledger, reveal)
        asked = Asked(person, cut, moment_of(ledger, cut))
        record = portrait_of(ledger, asked, sight)
        if record is None:
            raise NotFound(_nothing_known(subject, cut))
        sight.on_record([record])
        session.printer.record(record, lambda: portrait.page(record, session.zone))


def _nothing_known(subject: str, cut: Cut) -> str:
    if cut.now:
        return f"{subject} is in no view yet; `touchstone projection run` brings them up to date"
    return f"nothing was known of {subject} at that time"


@command.command("timeline")
@click.argument("subject")
@channel_option
@type_option
@since_option
@until_option
@click.option("-n", "limit", type=click.IntRange(min=1), help="Only the newest so many.")
@cut_options
@reveal_option
@pass_session
def timeline_(
    session: Session,
    /,
    subject: str,
    limit: int | None,
    cut: Cut,
    reveal: str | None,
    **wanted: Any,
) -> None:
    """Tell what happened with a customer.

    Touchpoints come in the order in which they occurred, whenever they were recorded.
    """
    with session.ledger() as ledger:
        person = person_named(session, ledger, subject, cut)
        passes = Wanted(**wanted).passes
        told = [t for t in timeline(ledger, person, cut) if passes(t.envelope.type, t.envelope.at)]
        newest = told if limit is None else told[-limit:]
        records = timeline_records(ledger, newest, cut, sight_of(session, ledger, reveal))
        session.printer.records(
            records,
            TIMELINE_COLUMNS,
            "nothing happened that fits; leave out a filter to see more",
            layout=lambda listed: days(listed, session.zone),
            csv_fields=TIMELINE_FIELDS,
        )


LOOK_COLUMNS = (
    Column("reader", lambda r: r["reader"], wraps=True),
    Column("of", lambda r: r["of"], wraps=True),
    Column("fields", lambda r: ", ".join(r["fields"]), wraps=True),
    Column("purpose", lambda r: r["purpose"], wraps=True),
)


def _look_record(look: Look) -> Record:
    return {
        "time": rfc3339(look.at),
        "reader": look.reader,
        "of": look.of,
        "fields": list(look.fields),
        "purpose": look.purpose,
        "position": look.position,
    }


@command.command("looks")
@click.argument("subject")
@pass_session
def looks_(session: Session, /, subject: str) -> None:
    """List who has seen personal data of a customer.

    Each look has its time, which fields were seen, and why.
    """
    with session.ledger() as ledger:
        person = person_named(session, ledger, subject)
        seen = looks_at(ledger, subjects_of(ledger, person))
        records = [_look_record(look) for look in seen]
    when = Column("time", lambda r: shown_iso(r["time"], session.zone))
    session.printer.records(records, (when, *LOOK_COLUMNS), "nobody has looked")
