"""`touchstone consent`: what a person allows, whether he may be reached, and who was unduly."""

from datetime import tzinfo
from heapq import nsmallest
from typing import get_args

import click
from rich.text import Text

from cli import exits
from cli.asking import cut_options, limit_option, person_named, since_option, until_option
from cli.boards import boards
from cli.exits import NotFound
from cli.moments import shown_date, shown_iso
from cli.output import Column, Record, clean
from cli.revealing import reveal_option, sight_of
from cli.session import Session, pass_session, warn_if_behind
from domain.consent_history import SENDING
from domain.consents import CHANNELS, GRANTED
from ledger.ledger import Ledger
from projections.consents import CONSENTS
from projections.query import Cut
from projections.windows.consents import (
    Wanted,
    consent_records,
    place,
    verdict,
    violation_records,
    violations,
    whole,
)
from schemas.consent import ConsentPurpose

INTERVAL_FIELDS = (
    "channel", "purpose", "state", "from", "until", "named", "legal_basis", "type", "source", "id",
)  # fmt: skip
VIOLATION_FIELDS = (
    "time", "customer", "channel", "purpose", "campaign", "why", "withdrawal", "source", "id",
)  # fmt: skip
CUSTOMER_CHARACTERS, REASON_CHARACTERS = 12, 13
"""What tables keep for these columns, so that their words are not broken at 80 columns."""
EXAMPLES = """\b
Examples:
  touchstone consent show customer:42 --as-of 2026-03-01
  touchstone consent check phone:+39055123456 --channel sms --purpose marketing
  touchstone consent violations --since -30d
"""


@click.group(epilog=EXAMPLES)
def command() -> None:
    """Consent: show, check, violations."""


@command.command("show")
@click.argument("subject")
@cut_options
@pass_session
def show(session: Session, /, subject: str, cut: Cut) -> None:
    """Show what a customer allowed and refused, and when."""
    with session.ledger() as ledger:
        warn_if_behind(session, ledger)
        person = person_named(session, ledger, subject, cut)
        records = consent_records(ledger, person, cut)
    session.printer.records(
        records,
        _interval_columns(session.zone),
        "nothing was ever allowed or refused, so nothing is granted",
        csv_fields=INTERVAL_FIELDS,
    )


def _interval_columns(zone: tzinfo) -> list[Column]:
    return [
        Column("purpose", lambda r: r["purpose"]),
        Column("channel", lambda r: r["channel"]),
        Column("state", lambda r: r["state"]),
        Column("from", lambda r: shown_iso(r["from"], zone)),
        Column("until", lambda r: shown_iso(r["until"], zone)),
        Column("said by", _said_by, style="dim", wraps=True),
    ]


def _said_by(record: Record) -> str:
    """The touchpoint, and what it named where that is wider than the channel of the line."""
    named = record["named"]
    wider = f" (of {named})" if named != record["channel"] else ""
    return f"{record['source']} {record['id']}{wider}"


@command.command("check")
@click.argument("subject")
@click.option(
    "--channel", type=click.Choice(CHANNELS), required=True, help="By which way.",
)  # fmt: skip
@click.option(
    "--purpose", type=click.Choice(get_args(ConsentPurpose)), required=True, help="What for.",
)  # fmt: skip
@cut_options
@pass_session
def check(session: Session, /, subject: str, channel: str, purpose: str, cut: Cut) -> int:
    """Say whether to send: exit code 0 if it is granted, 9 if not.

    Ask before you send. Of whom nothing is known, nothing is granted. The answer comes from the
    log itself, so it is never behind.
    """
    with session.ledger() as ledger:
        cut = whole(ledger, cut)
        person = _known(session, ledger, subject, cut)
        record = verdict(ledger, subject, person, (channel, purpose), cut)
    session.printer.record(record, lambda: [_verdict(record, session.zone)])
    return exits.DONE if record["state"] == GRANTED else exits.DENIED


def _known(session: Session, ledger: Ledger, subject: str, cut: Cut) -> str | None:
    """The person; None where the subject is not one known customer, which is said."""
    try:
        return person_named(session, ledger, subject, cut)
    except NotFound as unknown:
        session.note(f"note: {unknown}")
        return None


def _verdict(record: Record, zone: tzinfo) -> Text:
    granted = record["state"] == GRANTED
    since = f" since {shown_iso(record['since'], zone)}" if record["since"] else ""
    by = f"  {record['source']} {record['id']}" if record["id"] else ""
    return Text.assemble(
        f"{clean(record['subject'])}: {record['purpose']} by {record['channel']} ",
        (record["state"], "green" if granted else "red"),
        since,
        (clean(by), "dim"),
    )


@command.command("violations")
@since_option
@until_option
@click.option(
    "--channel", "channels", multiple=True, type=click.Choice(tuple(SENDING.values())),
    help="Only this channel (may be repeated).",
)  # fmt: skip
@limit_option
@cut_options
@reveal_option
@pass_session
def violations_(
    session: Session,
    /,
    since: int | None,
    until: int | None,
    channels: tuple[str, ...],
    limit: int | None,
    cut: Cut,
    reveal: str | None,
) -> None:
    """List the marketing that was sent without consent.

    Each message is there once, judged by what had been said when it was sent, as far as that is
    known now: a withdrawal that arrives late makes violations of what was sent after it. With
    --known-at it is judged by what was known then; the whole log is folded for it.
    """
    with session.ledger() as ledger:
        if cut.now:
            warn_if_behind(session, ledger)
        sight = sight_of(session, ledger, reveal)
        wanted = Wanted(since, until, channels)
        with boards(session, ledger, (CONSENTS,), cut) as folded:
            every = violations(folded, wanted)
            listed = sorted(every, key=place) if limit is None else nsmallest(limit, every, place)
        session.printer.records(
            sight.on_record(violation_records(listed, sight)),
            _violation_columns(session.zone),
            "no marketing was sent without consent",
            csv_fields=VIOLATION_FIELDS,
        )


def _violation_columns(zone: tzinfo) -> list[Column]:
    return [
        Column("sent", lambda r: shown_iso(r["time"], zone)),
        Column("channel", lambda r: r["channel"]),
        Column("customer", lambda r: r["customer"], wraps=True, characters_min=CUSTOMER_CHARACTERS),
        Column("campaign", lambda r: r["campaign"], wraps=True),
        Column("consent", lambda r: _reason(r, zone), wraps=True, characters_min=REASON_CHARACTERS),
        Column("message", lambda r: r["id"], style="dim", wraps=True),
    ]


def _reason(record: Record, zone: tzinfo) -> str:
    withdrawal = record["withdrawal"]
    since = f" {shown_date(withdrawal['time'], zone)}" if withdrawal else ""
    return f"{record['why']}{since}"
