"""`touchstone append`: CloudEvents from a file or a pipe into the ledger."""

import sys
from pathlib import Path
from typing import IO

import click

from cli.receipts import finish, taking
from cli.region import region_option
from cli.session import Session, no_follow_option, pass_session
from cli.stopping import stopping
from ledger.lines import read_touchpoints
from ledger.regions import from_region


@click.command()
@click.argument(
    "file", required=False, type=click.Path(path_type=Path, allow_dash=True, dir_okay=False)
)
@region_option
@no_follow_option
@pass_session
def command(session: Session, file: Path | None, region: str | None, no_follow: bool) -> int:
    """Append touchpoints from FILE (or standard input): NDJSON, or one JSON array.

    Each is recorded once, however often it is sent. What cannot be recorded is kept in
    quarantine and reported with its line and field; the exit code is then 3.
    """
    name = "-" if file is None or str(file) == "-" else str(file)
    if name == "-":
        if sys.stdin.isatty():
            session.note("reading touchpoints from the keyboard; end with Ctrl-D")
        return _append(session, sys.stdin.buffer, name, 0, region, no_follow)
    if not Path(name).is_file():
        raise click.UsageError(f"there is no file {name}")
    with Path(name).open("rb") as stream:
        return _append(session, stream, name, Path(name).stat().st_size, region, no_follow)


def _append(
    session: Session, stream: IO[bytes], name: str, size: int, region: str | None, no_follow: bool
) -> int:
    with session.ledger() as ledger, stopping() as stop:
        with taking(session, ledger, stop, size) as intake:
            items = from_region(read_touchpoints(stream, "append", name), region)
            receipt = intake.run(items, lambda: stream.tell() if size else 0)
        empty = not receipt.received
        return finish(session, ledger, receipt, intake, name, empty=empty, follow=not no_follow)
