"""`touchstone quarantine`: what could not be recorded, kept whole until it is dealt with."""

import sys
from typing import Any

import click
from rich.text import Text

from cli import exits
from cli.mending import Mending, lacking, mended, way_in
from cli.moments import shown_time
from cli.output import Column, Record, json_lines
from cli.receipts import as_record, receipt_table
from cli.revealing import reveal_option, revealed
from cli.session import Session, bring_up_to_date, confirm, no_follow_option, pass_session
from ledger.access import NOT_ALLOWED
from ledger.ledger import Ledger
from ledger.mapping import MappingInvalid
from ledger.quarantine import DISCARDED, RECORDED, WAITING, Entry, Received
from ledger.receipt import Receipt
from ledger.retrying import retry
from schemas.fields import rfc3339
from schemas.wording import counted

STATUSES = (WAITING, RECORDED, DISCARDED)
KIND = "quarantine"
"""The kind of subject that an entry is when somebody looks at it."""


@click.group()
def command() -> None:
    """What could not be recorded: every refused touchpoint, whole, with the reason.

    \b
    touchstone quarantine list
    touchstone quarantine show 3 --bytes --reveal "mending the mapping"
    touchstone quarantine retry --all
    touchstone quarantine discard 3 --reason "test data"
    """


def _record(entry: Entry) -> Record:
    record: dict[str, Any] = {name: getattr(entry, name) for name in entry.__struct_fields__}
    return {**record, "received_at": rfc3339(entry.received_at)}


def _where(record: Record) -> str:
    context = record["context"]
    if "offset" in context:
        return f"{context['topic']}[{context['partition']}] at {context['offset']}"
    place = ", ".join(f"{k} {context[k]}" for k in ("line", "item", "row") if k in context)
    door = f"webhook {context['webhook']}" if "webhook" in context else record["door"]
    return f"{context.get('file', door)}" + (f", {place}" if place else "")


def _why(record: Record) -> str:
    return f"{record['path']}: {record['message']}" if record["path"] else record["message"]


@command.command("list")
@click.option(
    "--status",
    type=click.Choice((*STATUSES, "any")),
    default=WAITING,
    show_default=True,
    help="What has become of them.",
)
@click.option("-n", "count", type=click.IntRange(1), help="At most so many, oldest first.")
@pass_session
def list_(session: Session, status: str, count: int | None) -> None:
    """List entries without their content, oldest first."""
    with session.ledger() as ledger, ledger.store.cursor() as cursor:
        wanted = None if status == "any" else status
        entries = ledger.quarantine.entries(cursor, wanted, count)
    times = {e.entry: shown_time(e.received_at, session.zone) for e in entries}
    columns = [
        Column("entry", lambda r: r["entry"], number=True, style="bold"),
        Column("received", lambda r: times[r["entry"]]),
        Column("where", _where),
        Column("reason", _why, wraps=True),
        Column("times", lambda r: r["times"], number=True),
    ]
    records = [_record(entry) for entry in entries]
    session.printer.records(records, columns, empty="nothing is in quarantine")


@command.command()
@click.argument("number", metavar="ENTRY", type=int)
@click.option("--bytes", "content", is_flag=True, help="Print the bytes as they were received.")
@click.option("--headers", is_flag=True, help="Print the key and the headers that came with them.")
@reveal_option
@pass_session
def show(session: Session, number: int, content: bool, headers: bool, reveal: str | None) -> None:
    """Show one entry; with --bytes or --headers only what was received.

    That may be personal, so that it takes --reveal, and the look is recorded.
    """
    if content and headers:
        raise click.UsageError("either --bytes or --headers")
    if (content or headers) != (reveal is not None):
        raise click.UsageError(
            "what was received may be personal: --bytes or --headers, and --reveal PURPOSE with it"
        )
    with session.ledger() as ledger:
        sight = revealed(session, ledger, reveal) if reveal is not None else None
        entry, received = _kept(ledger, number, whole=sight is not None)
        if sight is not None and received is not None:
            # Whom an entry is about may not be known, so that it is a look at the entry.
            for part in ("key", "headers") if headers else ("bytes",):
                sight.note(f"{KIND}:{number}", part)
            sight.on_record(())
            _print_received(session, received, headers=headers)
            return
    record = _record(entry)

    def layout() -> list[str]:
        return [f"[bold]{name:<12}[/bold] {_shown(value)}" for name, value in record.items()]

    session.printer.record(record, layout)


def _kept(ledger: Ledger, number: int, *, whole: bool) -> tuple[Entry, Received | None]:
    """An entry, and if the whole is wanted what was received."""
    with ledger.store.cursor() as cursor:
        entry = ledger.quarantine.entry(number, cursor)
        if entry is None:
            raise exits.NotFound(f"there is no entry {number} in quarantine")
        return entry, ledger.quarantine.received(entry, cursor) if whole else None


def _print_received(session: Session, received: Received, *, headers: bool) -> None:
    if headers:
        beside = _beside(received)
        session.printer.record(beside, lambda: [Text("\n".join(json_lines(beside)))])
    else:
        sys.stdout.buffer.write(b"".join(received.parts()) + b"\n")


def _beside(received: Received) -> Record:
    """What came beside the bytes, as text; what is no UTF-8 with its bytes as escapes."""

    def text(value: bytes | None) -> str | None:
        return None if value is None else value.decode(errors="backslashreplace")

    headers = [[name, text(value)] for name, value in received.headers]
    return {"key": text(received.key), "headers": headers}


def _shown(value: Any) -> str:
    from cli.output import safe

    if isinstance(value, dict):
        return safe(", ".join(f"{k} {v}" for k, v in value.items() if k != "columns"))
    return safe(value)


@command.command("retry")
@click.argument("numbers", metavar="[ENTRY]...", nargs=-1, type=int)
@click.option("--all", "every", is_flag=True, help="All that wait.")
@click.option(
    "--mapping",
    metavar="MAP.toml",
    help="For rows of an import the (mended) mapping, for what a webhook brought its connector.",
)
@no_follow_option
@pass_session
def retry_(
    session: Session,
    numbers: tuple[int, ...],
    every: bool,
    mapping: str | None,
    no_follow: bool,
) -> int:
    """Take entries in again, with the time that they came with. What still fails keeps waiting.

    --all passes over what a token had no right to report: name such entries by their numbers.
    With --mapping it takes only what came by an import, or by the connector of that name.
    """
    if every == bool(numbers):
        raise click.UsageError("either name the entries or say --all")
    try:
        mending = mended(mapping) if mapping is not None else None
    except MappingInvalid as error:
        raise click.UsageError(str(error)) from None
    with session.ledger() as ledger:
        receipt = Receipt(head=ledger.log.head().position)
        entries = _entries(ledger, numbers, every)
        if mending is not None:
            entries = _meant(session, entries, mending, every)
        for entry in _but_not_allowed(session, entries) if every else entries:
            retried = retry(ledger, entry, mending.again(ledger) if mending else None)
            receipt += retried.receipt
            if retried.refused:
                wanted = "" if mending else lacking(entry)
                session.complain(f"entry {entry.entry}: {retried.refused}{wanted}")
        if not no_follow:
            bring_up_to_date(session, ledger)
    session.printer.record(as_record(receipt), lambda: [receipt_table(receipt)])
    return exits.DONE if receipt.complete else exits.PARTLY


def _entries(ledger: Ledger, numbers: tuple[int, ...], every: bool) -> list[Entry]:
    with ledger.store.cursor() as cursor:
        if every:
            return ledger.quarantine.entries(cursor)
        found = [(n, ledger.quarantine.entry(n, cursor)) for n in numbers]
    for number, entry in found:
        if entry is None or entry.status != WAITING:
            raise exits.NotFound(f"no entry {number} waits in quarantine")
    return [entry for _, entry in found if entry is not None]


def _meant(session: Session, entries: list[Entry], mending: Mending, every: bool) -> list[Entry]:
    """Those that a file is for. Raises UsageError for another one that was named."""
    meant = [entry for entry in entries if mending.is_for(entry)]
    if not every:
        for entry in entries:
            if not mending.is_for(entry):
                raise click.UsageError(
                    f"{mending} is not for entry {entry.entry}, which {way_in(entry)}"
                )
    if passed := len(entries) - len(meant):
        told = counted(passed, "entry", "entries")
        session.complain(f"{told} passed over, which {mending} is not for")
    return meant


def _but_not_allowed(session: Session, entries: list[Entry]) -> list[Entry]:
    """Those that a door refused for what they are. What a token had no right to is passed over,
    and said so: taken in with all the others it would have got round the token."""
    rest = [entry for entry in entries if entry.reason != NOT_ALLOWED]
    if passed := len(entries) - len(rest):
        session.complain(
            f"{counted(passed, 'entry', 'entries')} passed over, which a token had no right to "
            "report: name them by number to take them in all the same"
        )
    return rest


@command.command()
@click.argument("numbers", metavar="[ENTRY]...", nargs=-1, type=int)
@click.option("--all", "every", is_flag=True, help="All that wait.")
@click.option("--reason", required=True, help="Why it is not needed; kept with the entry.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@pass_session
def discard(
    session: Session,
    numbers: tuple[int, ...],
    every: bool,
    reason: str,
    yes: bool,
    dry_run: bool,
) -> None:
    """Remove the bytes of entries for good. That they were there, and why not, is kept."""
    if every == bool(numbers):
        raise click.UsageError("either name the entries or say --all")
    with session.ledger() as ledger:
        entries = _entries(ledger, numbers, every)
        what = f"{len(entries):,} entr{'y' if len(entries) == 1 else 'ies'}"
        size = sum(entry.size for entry in entries)
        if dry_run:
            session.complain(f"would remove {what} ({size:,} bytes) from quarantine for good")
            return
        question = f"Remove {what} ({size:,} bytes) from quarantine for good?"
        confirm(session, question, yes=yes)
        with ledger.store.cursor(write=True) as cursor:
            for entry in entries:
                now = ledger.log.clock()
                ledger.quarantine.settle(entry.entry, DISCARDED, reason, now, cursor)
    record = {"discarded": len(entries), "reason": reason}
    session.printer.record(record, lambda: [f"discarded {what}"])
