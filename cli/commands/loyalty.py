"""`touchstone loyalty`: what an account holds, how it came to that, and spending from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli import exits
from cli.asking import cut_options, person_named, since_option, until_option
from cli.commands import simulate
from cli.commands.explain import loyalty_explain
from cli.moments import shown_iso
from cli.output import Column, Record, clean
from cli.revealing import reveal_option, sight_of
from cli.session import Session, bring_up_to_date, no_follow_option, pass_session, warn_if_behind
from domain.lots import Account
from domain.loyalty import Member
from domain.redemption import Refusal
from ledger.decisions import Redeemed, redeem
from ledger.ledger import Ledger
from projections.loyalty import LOYALTY
from projections.query import NOW, Cut, rules, state_of
from projections.windows.points import (
    BALANCE_FIELDS,
    NoProgramme,
    SeveralProgrammes,
    account_record,
    chosen_programme,
    statement_records,
)
from projections.windows.points import points as points_of
from projections.windows.rules import version_records
from projections.windows.whom import acting_subject, moment_of
from schemas.fields import ID_CHARACTERS_MAX, TEXT_CHARACTERS_MAX

REFUSALS = {"unknown_programme": exits.NOT_FOUND, "points_not_positive": exits.USAGE}
"""The exit codes of refusals; any other is a conflict with what the account holds."""

STATEMENT_FIELDS = (
    "time", "kind", "points", "balance", "text", "position", "type", "source", "id",
)  # fmt: skip
EXAMPLES = """\b
Examples:
  touchstone loyalty balance customer:42
  touchstone loyalty statement customer:42 --since 2026-01-01
  touchstone loyalty explain customer:42 active
  touchstone loyalty redeem customer:42 500 --reward "free delivery"
  touchstone loyalty rules
"""

programme_option = click.option(
    "--programme", metavar="NAME", help="Which programme, where there are several."
)


@click.group(epilog=EXAMPLES)
def command() -> None:
    """Points: balance, statement, explain, redeem, rules, simulate."""


command.add_command(simulate.command)
command.add_command(loyalty_explain)


@contextmanager
def _programme_told() -> Iterator[None]:
    """Says which programmes there are to somebody who asked for none of them."""
    try:
        yield
    except NoProgramme as missing:
        raise exits.NotFound(_missing(missing)) from None
    except SeveralProgrammes as several:
        raise click.UsageError(f"say which with --programme: {', '.join(several.known)}") from None


def _missing(missing: NoProgramme) -> str:
    if missing.asked is None:
        return "there is no loyalty programme: append a touchpoint loyalty.rules_published.v1"
    there = ", ".join(missing.known) or "none"
    return f"there is no programme {missing.asked}; programmes with rules: {there}"


@command.command("balance")
@click.argument("subject")
@programme_option
@cut_options
@reveal_option
@pass_session
def balance_(
    session: Session, /, subject: str, programme: str | None, cut: Cut, reveal: str | None
) -> None:
    """Show what an account holds, and what will expire."""
    with session.ledger() as ledger:
        warn_if_behind(session, ledger)
        sight = sight_of(session, ledger, reveal)
        person = person_named(session, ledger, subject, cut)
        with _programme_told():
            record = account_record(ledger, person, programme, cut, sight)
        sight.on_record([record])
        session.printer.record(record, lambda: _balance_page(record, session))


def _balance_page(record: Record, session: Session) -> Iterator[RenderableType]:
    yield Text.assemble((clean(record["customer"]), "bold"), f"  {clean(record['programme'])}")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim")
    grid.add_column(justify="right")
    for name in BALANCE_FIELDS:
        grid.add_row(name, f"{record[name]:,}", style="bold" if name == "active" else None)
    yield grid
    for expiry in record["expiring"]:
        yield f"[dim]{expiry['points']:,} expire {shown_iso(expiry['time'], session.zone)}[/dim]"


@command.command("statement")
@click.argument("subject")
@programme_option
@since_option
@until_option
@cut_options
@pass_session
def statement_(
    session: Session,
    /,
    subject: str,
    programme: str | None,
    since: int | None,
    until: int | None,
    cut: Cut,
) -> None:
    """Show every movement of an account, with its cause."""
    with session.ledger() as ledger:
        warn_if_behind(session, ledger)
        person = person_named(session, ledger, subject, cut)
        with _programme_told():
            chosen, records = statement_records(
                ledger, person, programme, cut, since=since, until=until
            )
    session.printer.records(
        records,
        _statement_columns(session),
        f"no points of {chosen} have moved",
        csv_fields=STATEMENT_FIELDS,
    )


def _statement_columns(session: Session) -> list[Column]:
    return [
        Column("time", lambda r: shown_iso(r["time"], session.zone)),
        Column("what", lambda r: r["kind"]),
        Column("why", lambda r: r["text"], wraps=True),
        Column("cause", lambda r: f"{r['source']} {r['id']}" if r["id"] else "", style="dim",
               wraps=True),
        Column("points", lambda r: f"{r['points']:+,}" if r["points"] else "", number=True),
        Column("balance", lambda r: r["balance"], number=True, style="bold"),
    ]  # fmt: skip


class _ShortText:
    """Checks an option that becomes a field of a touchpoint: not empty, not too long."""

    def __init__(self, characters_max: int) -> None:
        self.characters_max = characters_max

    def __call__(self, _: click.Context, option: click.Parameter, value: str | None) -> str | None:
        if value is None or (0 < len(value) <= self.characters_max and value.isprintable()):
            return value
        raise click.BadParameter(
            f"expected 1 to {self.characters_max:,} characters, no control characters among them",
            param=option,
        )


@command.command("redeem")
@click.argument("subject")
@click.argument("points", type=click.IntRange(min=1))
@programme_option
@click.option(
    "--id", "redemption_id", metavar="ID", callback=_ShortText(ID_CHARACTERS_MAX),
    help="The name of this redemption: repeated, it is redeemed once.  [default: a new one]",
)  # fmt: skip
@click.option(
    "--reward", metavar="TEXT", callback=_ShortText(TEXT_CHARACTERS_MAX),
    help="What the points are spent on.",
)  # fmt: skip
@no_follow_option
@pass_session
def redeem_(
    session: Session,
    /,
    subject: str,
    points: int,
    programme: str | None,
    redemption_id: str | None,
    reward: str | None,
    no_follow: bool,
) -> int:
    """Spend points of a customer, if they are there.

    Give an --id of your own to be safe against doubt: when you do not know whether a
    redemption went through, the same command again makes sure of it and spends nothing more.
    """
    with session.ledger() as ledger:
        person = person_named(session, ledger, subject)
        member: Member = state_of(ledger, LOYALTY, person) or Member()
        with _programme_told():
            chosen = chosen_programme(member, rules(ledger, NOW), programme)
        name = redemption_id or str(uuid4())
        decision = redeem(
            ledger, acting_subject(ledger, subject, person), chosen, points, name, reward
        )
        if isinstance(decision, Refusal):
            session.complain(f"Error: {decision.message}")
            return REFUSALS.get(decision.code, exits.CONFLICT)
        if not no_follow:
            bring_up_to_date(session, ledger)
        record = _redeemed_record(ledger, person, chosen, name, decision)
        session.printer.record(record, lambda: [_redeemed_line(record)])
    return exits.DONE


def _redeemed_record(
    ledger: Ledger, person: str, programme: str, name: str, decision: Redeemed
) -> Record:
    """The redemption with what is left, folded from the log, which no view is behind."""
    everything = Cut(known_at=ledger.log.head().recorded_at)
    member: Member = state_of(ledger, LOYALTY, person, everything) or Member()
    return {
        "redemption_id": name,
        "customer": person,
        "programme": programme,
        "position": decision.position,
        "points": decision.points,
        "again": decision.again,
        "balance": points_of(member.programmes.get(programme, Account()), ledger.log.clock()),
    }


def _redeemed_line(record: Record) -> Text:
    said = "were redeemed before" if record["again"] else "redeemed"
    return Text(
        f"{record['points']:,} points of {clean(record['programme'])} {said} "
        f"(redemption {clean(record['redemption_id'])}, position {record['position']:,}); "
        f"{record['balance']['active']:,} are left"
    )


@command.command("rules")
@programme_option
@cut_options
@pass_session
def rules_(session: Session, /, programme: str | None, cut: Cut) -> None:
    """Show the rules: what earns points, and from when."""
    with session.ledger() as ledger:
        known, moment = rules(ledger, cut), moment_of(ledger, cut)
    if programme is not None and programme not in known.programmes:
        there = ", ".join(known.programmes) or "none"
        raise exits.NotFound(f"there is no programme {programme}; programmes with rules: {there}")
    names = known.programmes if programme is None else (programme,)
    records = [record for name in names for record in version_records(known, name, moment)]
    session.printer.records(
        records,
        (),
        "no rules are published: append a touchpoint loyalty.rules_published.v1",
        layout=lambda listed: _rules_page(listed, session),
    )


def _rules_page(records: list[Record], session: Session) -> Iterator[RenderableType]:
    for record in records:
        yield _heading(record, session)
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="cyan", overflow="fold")
        grid.add_column(overflow="fold")
        for rule in record.get("earn", ()):
            grid.add_row(Text("  " + clean(rule["rule_id"])), Text(clean(rule["text"])))
        for term in record.get("terms", ()):
            grid.add_row("", Text(clean(term), style="dim"))
        if record["last_redemption_at"] is not None:
            last = shown_iso(record["last_redemption_at"], session.zone)
            grid.add_row("", Text(f"closed: points are redeemed until {last}", style="yellow"))
        yield grid


def _heading(record: Record, session: Session) -> Text:
    name = (clean(record["programme"]), "bold")
    if record["version"] is None:
        return Text.assemble(name, ", without rules")
    since = shown_iso(record["valid_from"], session.zone)
    state = (" (in force)", "green") if record["in_force"] else ""
    return Text.assemble(name, f", version {record['version']:,}, from {since}", state)
