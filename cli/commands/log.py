"""`touchstone log`: the touchpoints as they stand in the log, and taking them out of it."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli import exits
from cli.asking import limit_option, since_option, type_option, until_option
from cli.commands.voiding import void_command
from cli.exits import NotFound
from cli.log_reading import Filter, read, shown
from cli.moments import shown_iso
from cli.output import Column, Record, Unwrapped, clean, console_out, json_line, json_lines
from cli.revealing import reveal_option, sight_of
from cli.session import Session, confirm, pass_session
from cli.stopping import stopping
from cli.writing import in_place_of, regular_file
from ledger.cloudevents import cloud_event
from ledger.intake import StopRequested
from ledger.ledger import Ledger
from ledger.log import Stored
from ledger.masking import without_personal_data
from projections.query import Told
from projections.windows.sight import Sight, read_stored
from projections.windows.timeline import OPTIONAL_ATTRIBUTES, log_record

POLL_SECONDS = 0.5
POLLED_TOUCHPOINTS_MAX = 1_000
FIELDS = (
    "position", "recorded_at", "time", "type", "source", "id", "subject", *OPTIONAL_ATTRIBUTES,
    "data",
)  # fmt: skip
EMPTY = "no touchpoints that fit"
EXAMPLES = """\b
Examples:
  touchstone log list --type order.completed.v1 --since 2026-01-01
  touchstone log show 1001 --source shop
  touchstone log tail --follow
  touchstone log export all.ndjson
  touchstone log void 1001 --source shop --reason "a test order" --dry-run
"""


@click.group(epilog=EXAMPLES)
def command() -> None:
    """The log itself: list, show, tail, export, void."""


command.add_command(void_command)


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which touchpoints are chosen from the log."""
    for option in (limit_option, until_option, since_option, _subject, type_option, _from):
        function = option(function)
    return function


_from = click.option(
    "--from", "first", type=click.IntRange(min=1), metavar="POSITION",
    help="Only this position and those behind it.",
)  # fmt: skip
_subject = click.option("--subject", metavar="SUBJECT", help="Only what is about this subject.")


@command.command("list")
@filter_options
@reveal_option
@pass_session
def list_(session: Session, /, reveal: str | None, **wanted: Any) -> None:
    """List touchpoints in the order in which they were recorded."""
    with _until_interrupted(), session.ledger() as ledger:
        sight = sight_of(session, ledger, reveal)
        records = map(log_record, shown(ledger, Filter.of(ledger, **wanted), sight))
        session.printer.records(records, _columns(session), EMPTY, csv_fields=FIELDS)


def _columns(session: Session) -> list[Column]:
    return [
        Column("position", lambda r: r["position"], number=True),
        Column("time", lambda r: shown_iso(r["time"], session.zone)),
        Column("type", lambda r: r["type"]),
        Column("subject", lambda r: r["subject"], wraps=True),
        Column("source id", lambda r: f"{r['source']} {r['id']}", wraps=True, style="dim"),
    ]


@command.command("show")
@click.argument("id_", metavar="ID")
@click.option("--source", metavar="SOURCE", help="Of which source, where several use this id.")
@reveal_option
@pass_session
def show(session: Session, /, id_: str, source: str | None, reveal: str | None) -> None:
    """Show one touchpoint whole."""
    with session.ledger() as ledger:
        sight = sight_of(session, ledger, reveal)
        found = read_stored(ledger.log.identified(id_, source))
        if not found:
            of = f" of the source {source}" if source else ""
            raise NotFound(f"there is no touchpoint {id_}{of}")
        if len(found) > 1:
            sources = ", ".join(told.envelope.source for told in found)
            raise click.UsageError(
                f"several sources use this id; say which with --source: {sources}"
            )
        (told,) = sight.on_record(sight.told(found))
    record = log_record(told)
    session.printer.record(record, lambda: _page(told, record, session))


def _page(told: Told, record: Record, session: Session) -> Iterator[RenderableType]:
    yield Text(clean(told.envelope.data.summary()), style="bold")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, value in record.items():
        if name in ("time", "recorded_at"):
            grid.add_row(name, shown_iso(value, session.zone, seconds=True))
        elif name != "data":
            grid.add_row(name, Text(clean(value)))
    yield grid
    yield Text("\n".join(json_lines(record["data"])))


@command.command("tail")
@click.option(
    "-n", "count", type=click.IntRange(0, POLLED_TOUCHPOINTS_MAX), default=10, show_default=True,
    help="How many of the last ones.",
)  # fmt: skip
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until interrupted.")
@reveal_option
@pass_session
def tail(session: Session, /, count: int, follow: bool, reveal: str | None) -> None:
    """Show what was recorded last, and what comes.

    With --follow it goes on with what is recorded from now on, until it is interrupted.
    """
    with _until_interrupted(), session.ledger() as ledger:
        sight, position = sight_of(session, ledger, reveal), ledger.log.head().position
        last = [s for s in ledger.log.last(count) if s.position <= position] if count else []
        if not follow:
            _print_last(session, _records(sight, last))
            return
        while True:
            _print_lines(session, _records(sight, last))
            time.sleep(0 if len(last) == POLLED_TOUCHPOINTS_MAX else POLL_SECONDS)
            last = ledger.log.page(position, POLLED_TOUCHPOINTS_MAX)
            position = last[-1].position if last else position


@contextmanager
def _until_interrupted() -> Iterator[None]:
    """End at the first signal, with its exit code: who only reads has nothing to finish."""
    try:
        with stopping() as stop:
            stop.waiting = True
            yield
    except StopRequested:
        click.echo("interrupted", err=True)
        raise click.exceptions.Exit(exits.SIGNAL_BASE + (stop.signal or 0)) from None


def _records(sight: Sight, stored: list[Stored]) -> Iterable[Record]:
    return sight.on_record(
        log_record(told) | {"summary": told.envelope.data.summary()}
        for told in sight.told(read_stored(stored))
    )


def _print_last(session: Session, records: Iterable[Record]) -> None:
    def lines(listed: list[Record]) -> Iterator[Text]:
        return (_line(record, session) for record in listed)

    empty = "the log is empty: `touchstone append FILE` brings touchpoints in"
    session.printer.records(records, (), empty, layout=lines, csv_fields=FIELDS)


def _print_lines(session: Session, records: Iterable[Record]) -> None:
    """One line a touchpoint at once: a list without an end is neither a table nor an array."""
    for record in records:
        if session.printer.for_people:
            console_out().print(_line(record, session), soft_wrap=True)
        else:
            sys.stdout.write(json_line(record) + "\n")
    sys.stdout.flush()


def _line(record: Record, session: Session) -> Unwrapped:
    when = f"{record['position']:>9,}  {shown_iso(record['time'], session.zone)}  "
    line = Unwrapped()
    line.append(when, "dim")
    line.append(f"{clean(record['subject'])}  ", "cyan")
    line.append(clean(record["summary"]))
    return line


@command.command("export")
@click.argument(
    "file", required=False, type=click.Path(path_type=Path, allow_dash=True, dir_okay=False)
)
@filter_options
@click.option("--yes", is_flag=True, help="Write over FILE if it is there already.")
@reveal_option
@pass_session
def export(
    session: Session, /, file: Path | None, yes: bool, reveal: str | None, **wanted: Any
) -> int:
    """Write touchpoints as CloudEvents, one a line.

    They go to FILE, or to standard output.

    Personal data are left out, and personal subjects stay tokens, unless --reveal says for what
    they are wanted; then the lines, appended to another ledger, give the same touchpoints. The
    file is made readable for you alone.
    """
    with session.ledger() as ledger:
        chosen, sight = Filter.of(ledger, **wanted), sight_of(session, ledger, reveal)
        if file is None or str(file) == "-":
            _, signal = _export(session, _exported(ledger, chosen, sight), sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return exits.DONE if signal is None else exits.SIGNAL_BASE + signal
        target = regular_file(file)
        if target.exists():
            confirm(session, f"{file} is there already: write over it?", yes=yes)
        with in_place_of(target) as (stream, keep):
            count, signal = _export(session, _exported(ledger, chosen, sight), stream)
            if signal is not None:
                session.complain("interrupted: nothing was written")
                return exits.SIGNAL_BASE + signal
            keep()
    record = {"touchpoints": count, "file": str(file)}
    session.printer.record(record, lambda: [Text(f"{count:,} touchpoints in {clean(file)}")])
    return exits.DONE


@dataclass(frozen=True, slots=True)
class _Exported:
    """The touchpoints to write, and the position at which the log ends."""

    touchpoints: Iterator[Told]
    end: int


def _exported(ledger: Ledger, chosen: Filter, sight: Sight) -> _Exported:
    end = ledger.log.head().position
    if sight.in_clear:
        return _Exported(shown(ledger, chosen, sight), end)
    pages = read(ledger, chosen, sight)
    return _Exported((_without_personal_data(told) for page in pages for told in page), end)


def _without_personal_data(told: Told) -> Told:
    return replace(told, envelope=without_personal_data(told.envelope))


def _export(session: Session, exported: _Exported, stream: IO[bytes]) -> tuple[int, int | None]:
    """Write the touchpoints; how many there were, and the signal that ended it early."""
    count = 0
    with stopping() as stop, session.progress() as report:
        for told in exported.touchpoints:
            stream.write(cloud_event(told.envelope) + b"\n")
            count += 1
            report("exporting", told.position, exported.end)
            if stop.requested:
                break
    return count, stop.signal
