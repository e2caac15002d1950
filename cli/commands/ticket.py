"""`touchstone ticket`: the board, one ticket, and what happened with it."""

from collections.abc import Iterable, Iterator
from datetime import tzinfo

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.asking import cut_options, limit_option, person_named
from cli.boards import boards
from cli.commands.explain import ticket_explain
from cli.exits import NotFound
from cli.moments import shown_date, shown_iso
from cli.output import Column, Record, clean
from cli.revealing import reveal_option, sight_of
from cli.session import Session, pass_session, warn_if_behind
from cli.telling import TIMELINE_COLUMNS, TIMELINE_FIELDS, days
from domain.tickets import STATUSES
from projections.query import Cut, history, subjects_of
from projections.tickets import TICKETS
from projections.windows.tickets import URGENT_FIRST, Wanted, board, board_records, ticket_record
from projections.windows.timeline import timeline_records
from projections.windows.whom import moment_of
from schemas.wording import lasting

LABEL_CHARACTERS = 14
EXAMPLES = """\b
Examples:
  touchstone ticket list --open --priority urgent --priority high
  touchstone ticket list --customer email:ana@example.com
  touchstone ticket list --open --as-of -30d
  touchstone ticket show T-1 --as-of 2026-03-01
  touchstone ticket history T-1
  touchstone ticket explain T-1 status
"""


@click.group(epilog=EXAMPLES)
def command() -> None:
    """Tickets: the board, one ticket, its history, and why."""


command.add_command(ticket_explain)


@command.command("list")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(STATUSES),
    help="Only this status (may be repeated).",
)  # fmt: skip
@click.option("--assignee", metavar="AGENT", help="Only what this agent has.")
@click.option(
    "--priority", "priorities", multiple=True, type=click.Choice(URGENT_FIRST),
    help="Only this priority (may be repeated).",
)  # fmt: skip
@click.option("--customer", metavar="SUBJECT", help="Only the tickets of this customer.")
@click.option("--open", "only_open", is_flag=True, help="Only what is not solved or closed.")
@limit_option
@cut_options
@reveal_option
@pass_session
def list_(
    session: Session,
    /,
    statuses: tuple[str, ...],
    assignee: str | None,
    priorities: tuple[str, ...],
    customer: str | None,
    only_open: bool,
    limit: int | None,
    cut: Cut,
    reveal: str | None,
) -> None:
    """List tickets, the most urgent first.

    Of those that are equally urgent the oldest comes first. The board of another time than now
    is folded from the whole log.
    """
    with session.ledger() as ledger:
        if cut.now:
            warn_if_behind(session, ledger)
        sight = sight_of(session, ledger, reveal)
        subjects: tuple[str, ...] = ()
        if customer:
            subjects = subjects_of(ledger, person_named(session, ledger, customer, cut), cut)
        wanted = Wanted(
            statuses=statuses,
            assignee=assignee,
            priorities=priorities,
            subjects=subjects,
            only_open=only_open,
        )
        with boards(session, ledger, (TICKETS,), cut) as folded:
            ranked = board(folded, wanted, limit)
        session.printer.records(
            sight.on_record(board_records(ranked, moment_of(ledger, cut), sight)),
            _columns(session.zone),
            "no tickets that fit",
        )


def _columns(zone: tzinfo) -> list[Column]:
    return [
        Column("ticket", lambda r: r["ticket"], wraps=True),
        Column("priority", lambda r: r["priority"]),
        Column("status", lambda r: r["status"].replace("_", " ")),
        Column("opened", lambda r: shown_date(r["opened_at"], zone)),
        Column("customer", lambda r: r["customer"], wraps=True),
        Column("assignee", lambda r: r["assignee"] or r["team"], wraps=True),
        Column("title", lambda r: r["title"], wraps=True),
    ]


@command.command("show")
@click.argument("ticket_id", metavar="ID")
@cut_options
@reveal_option
@pass_session
def show(session: Session, /, ticket_id: str, cut: Cut, reveal: str | None) -> None:
    """Show how a ticket stands, and how long it took."""
    with session.ledger() as ledger:
        warn_if_behind(session, ledger)
        sight = sight_of(session, ledger, reveal)
        record = ticket_record(ledger, ticket_id, cut, sight)
        if record is None:
            raise _unknown(ticket_id, cut)
        sight.on_record([record])
        session.printer.record(record, lambda: _page(record, session.zone))


def _unknown(ticket_id: str, cut: Cut) -> NotFound:
    if cut.now:
        return NotFound(f"there is no ticket {ticket_id}; `touchstone ticket list` lists them all")
    return NotFound(f"nothing was known of ticket {ticket_id} at that time")


def _page(record: Record, zone: tzinfo) -> Iterable[RenderableType]:
    title = record["title"]["value"] if record["title"] else ""
    yield Text.assemble((clean(f"ticket {record['ticket']}"), "bold"), f"  {clean(title)}")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=LABEL_CHARACTERS, style="dim")
    grid.add_column(overflow="fold")
    for label, text in _lines(record, zone):
        if text:
            grid.add_row(label, Text(clean(text)))
    yield grid


def _lines(record: Record, zone: tzinfo) -> Iterator[tuple[str, str | None]]:
    kind = f" {record['kind']}" if record["kind"] else ""
    yield "status", f"{record['status'].replace('_', ' ')}, {record['priority']}{kind}"
    yield "customer", record["customer"]
    team = f" of team {record['team']}" if record["team"] else ""
    yield "assignee", (record["assignee"] or "nobody") + team
    yield "opened", _moment(record["opened_at"], None, zone)
    yield "answered", _moment(record["first_response_at"], record["first_response_seconds"], zone)
    yield "resolved", _moment(record["resolved_at"], record["resolution_seconds"], zone)
    if record["last_resolved_at"] != record["resolved_at"]:
        took = record["full_resolution_seconds"]
        yield "again", _moment(record["last_resolved_at"], took, zone)
    yield "closed", _moment(record["closed_at"], None, zone)
    comments = record["comments"]
    yield "comments", f"{comments['public']:,} public, {comments['internal']:,} internal"
    yield "time in", ", ".join(_spent(record["seconds"]))
    yield "reopened", f"{record['reopens']:,} times" if record["reopens"] else None
    yield "merged into", record["merged_into"]
    yield "anomalies", f"{record['anomalies']:,}" if record["anomalies"] else None


def _moment(time: str | None, seconds: float | None, zone: tzinfo) -> str | None:
    took = "" if seconds is None else f", after {lasting(seconds)}"
    return shown_iso(time, zone) + took if time else None


def _spent(seconds: dict[str, float]) -> list[str]:
    return [f"{name.replace('_', ' ')} {lasting(s)}" for name, s in seconds.items() if s]


@command.command("history")
@click.argument("ticket_id", metavar="ID")
@cut_options
@reveal_option
@pass_session
def history_(session: Session, /, ticket_id: str, cut: Cut, reveal: str | None) -> None:
    """Tell what happened with a ticket, whoever did it."""
    with session.ledger() as ledger:
        warn_if_behind(session, ledger)
        sight = sight_of(session, ledger, reveal)
        told = history(ledger, TICKETS, ticket_id, cut)
        if not told:
            raise _unknown(ticket_id, cut)
        records = timeline_records(ledger, told, cut, sight)
        session.printer.records(
            records,
            TIMELINE_COLUMNS,
            layout=lambda listed: days(listed, session.zone),
            csv_fields=TIMELINE_FIELDS,
        )
