"""`touchstone log`: the touchpoints as they stand in the log, and taking them out of it."""

import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli import exits
from cli.asking import limit_option, since_option, type_option, until_option
from cli.exits import NotFound
from cli.log_reading import Filter, read
from cli.moments import shown_iso
from cli.output import Column, Record, Unwrapped, clean, console_out, json_line, json_lines
from cli.revealing import clear_stored
from cli.session import Session, confirm, pass_session
from cli.stopping import stopping
from cli.telling import OPTIONAL_ATTRIBUTES, log_record
from ledger.cloudevents import cloud_event
from ledger.intake import StopRequested
from ledger.ledger import Ledger
from ledger.log import Stored
from projections.query import Told

POLL_SECONDS = 0.5
PART_PREFIX = ".touchstone-export-"
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
"""


@click.group(epilog=EXAMPLES)
def command() -> None:
    """The log itself: list, show, tail, export."""


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
@pass_session
def list_(session: Session, /, **wanted: Any) -> None:
    """List touchpoints in the order in which they were recorded."""
    with _until_interrupted(), session.ledger() as ledger:
        records = (log_record(told) for told in read(ledger, Filter.of(ledger, **wanted)))
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
@pass_session
def show(session: Session, /, id_: str, source: str | None) -> None:
    """Show one touchpoint whole."""
    with session.ledger() as ledger:
        found = clear_stored(ledger, ledger.log.identified(id_, source))
    if not found:
        of = f" of the source {source}" if source else ""
        raise NotFound(f"there is no touchpoint {id_}{of}")
    if len(found) > 1:
        sources = ", ".join(told.envelope.source for told in found)
        raise click.UsageError(f"several sources use this id; say which with --source: {sources}")
    (told,) = found
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
@pass_session
def tail(session: Session, /, count: int, follow: bool) -> None:
    """Show what was recorded last, and what comes.

    With --follow it goes on with what is recorded from now on, until it is interrupted.
    """
    with _until_interrupted(), session.ledger() as ledger:
        position = ledger.log.head().position
        last = [s for s in ledger.log.last(count) if s.position <= position] if count else []
        if not follow:
            _print_last(session, _records(ledger, last))
            return
        while True:
            _print_lines(session, _records(ledger, last))
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


def _records(ledger: Ledger, stored: list[Stored]) -> list[Record]:
    return [
        log_record(told) | {"summary": told.envelope.data.summary()}
        for told in clear_stored(ledger, stored)
    ]


def _print_last(session: Session, records: list[Record]) -> None:
    def lines(listed: list[Record]) -> Iterator[Text]:
        return (_line(record, session) for record in listed)

    empty = "the log is empty: `touchstone append FILE` brings touchpoints in"
    session.printer.records(records, (), empty, layout=lines, csv_fields=FIELDS)


def _print_lines(session: Session, records: list[Record]) -> None:
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
@pass_session
def export(session: Session, /, file: Path | None, yes: bool, **wanted: Any) -> int:
    """Write touchpoints as CloudEvents, one a line.

    They go to FILE, or to standard output.

    Personal data are written in clear: the file is made readable for you alone. Appended to
    another ledger, the lines give the same touchpoints.
    """
    with session.ledger() as ledger:
        chosen = Filter.of(ledger, **wanted)
        if file is None or str(file) == "-":
            _, signal = _export(session, ledger, chosen, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return exits.DONE if signal is None else exits.SIGNAL_BASE + signal
        target = _regular(file)
        if target.exists():
            confirm(session, f"{file} is there already: write over it?", yes=yes)
        with _in_place_of(target) as (stream, keep):
            count, signal = _export(session, ledger, chosen, stream)
            if signal is not None:
                session.complain("interrupted: nothing was written")
                return exits.SIGNAL_BASE + signal
            keep()
    record = {"touchpoints": count, "file": str(file)}
    session.printer.record(record, lambda: [Text(f"{count:,} touchpoints in {clean(file)}")])
    return exits.DONE


def _export(
    session: Session, ledger: Ledger, chosen: Filter, stream: IO[bytes]
) -> tuple[int, int | None]:
    """Write the chosen touchpoints; how many there were, and the signal that ended it early."""
    count, total = 0, ledger.log.head().position
    with stopping() as stop, session.progress() as report:
        for told in read(ledger, chosen):
            stream.write(cloud_event(told.envelope) + b"\n")
            count += 1
            report("exporting", told.position, total)
            if stop.requested:
                break
    return count, stop.signal


def _regular(file: Path) -> Path:
    """The file to which a path leads through its links. Raises UsageError when it is none."""
    try:
        target = file.resolve()
        mode = target.stat().st_mode if target.exists() else stat.S_IFREG
    except RuntimeError:
        raise click.UsageError(f"{file} cannot be written: its links lead in a circle") from None
    except OSError as error:
        raise _unwritable(file, error) from None
    if not stat.S_ISREG(mode):
        raise click.UsageError(f"{file} is not a file; without FILE it goes to standard output")
    return target


def _unwritable(file: Path, error: OSError) -> click.UsageError:
    return click.UsageError(f"{file} cannot be written: {error.strerror}")


@contextmanager
def _in_place_of(target: Path) -> Iterator[tuple[IO[bytes], Callable[[], None]]]:
    """A file that takes the place of `target` once it is complete and on the disk, or never.

    Until then it stands beside it, under a name of its own that nobody else uses, and can be
    read by its owner alone. Raises UsageError when the folder cannot take it.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=PART_PREFIX, dir=target.parent)
    except OSError as error:
        raise _unwritable(target, error) from None
    part = Path(name)

    def keep() -> None:
        stream.flush()
        os.fsync(stream.fileno())
        try:
            part.replace(target)
        except OSError as error:
            raise _unwritable(target, error) from None

    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream, keep
    finally:
        part.unlink(missing_ok=True)
