"""`touchstone loyalty`: what an account holds, how it came to that, and spending from it."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli import exits, rule_words
from cli.asking import (
    cut_options,
    moment_of,
    person_named,
    since_option,
    stored_subject,
    until_option,
)
from cli.commands import simulate
from cli.commands.explain import loyalty_explain
from cli.moments import shown_iso
from cli.movements import balance_record, movement_record
from cli.output import Column, Record, clean
from cli.portrait import BALANCE_FIELDS
from cli.portrait import points as points_of
from cli.revealing import reveal_option, sight_of, subject_in
from cli.session import Session, bring_up_to_date, no_follow_option, pass_session, warn_if_behind
from domain.lots import Account
from domain.loyalty import Member
from domain.redemption import Refusal
from domain.rules import Rules, Version
from domain.statement import Movement, statement
from ledger.decisions import Redeemed, redeem
from ledger.ledger import Ledger
from projections.loyalty import LOYALTY
from projections.query import NOW, Cut, governing, rules, state_of, subjects_of, timeline
from schemas.encoding import plain
from schemas.fields import ID_CHARACTERS_MAX, TEXT_CHARACTERS_MAX, rfc3339

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


def _chosen_programme(member: Member, known: Rules, asked: str | None) -> str:
    """The programme that is meant: the one asked for, or the only one that there is."""
    if asked is not None:
        if asked in member.programmes or asked in known.programmes:
            return asked
        there = ", ".join(known.programmes) or "none"
        raise exits.NotFound(f"there is no programme {asked}; programmes with rules: {there}")
    names = tuple(sorted(member.programmes)) or known.programmes
    if not names:
        raise exits.NotFound(
            "there is no loyalty programme: append a touchpoint loyalty.rules_published.v1"
        )
    if len(names) > 1:
        raise click.UsageError(f"say which with --programme: {', '.join(names)}")
    return names[0]


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
        member: Member = state_of(ledger, LOYALTY, person, cut) or Member()
        chosen = _chosen_programme(member, rules(ledger, cut), programme)
        account = member.programmes.get(chosen, Account())
        record = {"customer": subject_in(sight, person), "programme": chosen}
        record |= balance_record(account, moment_of(ledger, cut))
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
        known = governing(ledger, cut)
        member: Member = state_of(ledger, LOYALTY, person, cut) or Member()
        chosen = _chosen_programme(member, known.rules, programme)
        told = timeline(ledger, person, cut)
        last = min(moment_of(ledger, cut), until) if until is not None else moment_of(ledger, cut)
        movements = statement(known.standing([t.envelope for t in told]), known.rules, chosen, last)
        positions = {(t.envelope.source, t.envelope.id): t.position for t in told}
        records = list(_statement_lines(movements, positions, since))
    session.printer.records(
        records,
        _statement_columns(session),
        f"no points of {chosen} have moved",
        csv_fields=STATEMENT_FIELDS,
    )


def _statement_lines(
    movements: list[Movement], positions: dict[tuple[str, str], int], since: int | None
) -> Iterator[Record]:
    """One line a movement; what came before `since` is one opening line."""
    shown = [m for m in movements if since is None or m.at >= since]
    if since is not None:
        earlier = movements[: len(movements) - len(shown)]
        carried = earlier[-1].balance if earlier else 0
        opening = Movement(at=since, kind="opening", points=0, balance=carried, text="carried over")
        yield movement_record(opening, positions)
    for movement in shown:
        yield movement_record(movement, positions)


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
        chosen = _chosen_programme(member, rules(ledger, NOW), programme)
        name = redemption_id or str(uuid4())
        decision = redeem(ledger, _acting(ledger, subject, person), chosen, points, name, reward)
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
    records = [record for name in names for record in _versions(known, name, moment)]
    session.printer.records(
        records,
        (),
        "no rules are published: append a touchpoint loyalty.rules_published.v1",
        layout=lambda listed: _rules_page(listed, session),
    )


def _versions(known: Rules, programme: str, moment: int) -> Iterator[Record]:
    """The versions of a programme, or what is known of one that was closed without any."""
    last = known.closed(programme)
    closing = {"last_redemption_at": None if last is None else rfc3339(last)}
    in_force = known.in_force(programme, moment)
    versions = known.versions.get(programme, ())
    if not versions:
        yield {"programme": programme, "version": None, **closing}
    for version in versions:
        yield _version(version) | {"in_force": version is in_force} | closing


def _version(version: Version) -> Record:
    facts = version.facts
    record: dict[str, Any] = {
        "programme": version.programme,
        "version": version.version,
        "valid_from": rfc3339(version.valid_from),
    }
    for name in ("expires_after_days", "pending_days", "point_value", "minimum_redemption"):
        record[name] = plain(getattr(facts, name))
    record["earn"] = [{**plain(rule), "text": rule_words.earning(rule)} for rule in facts.earn]
    return record | {"terms": rule_words.terms(facts)}


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


def _acting(ledger: Ledger, subject: str, person: str) -> str:
    """The subject that a redemption is recorded of: the one that was named, if it is the
    person's, so that it goes with him should the person ever be parted again."""
    stored = stored_subject(ledger, subject)
    return stored if stored in subjects_of(ledger, person) else person
