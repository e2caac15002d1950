"""`touchstone backup`: the whole ledger into a file, and its keys into another."""

from pathlib import Path

import click

from cli import exits
from cli.session import Session, confirm, pass_session
from cli.stopping import stopping
from ledger.access import Right
from ledger.backup.writing import back_up
from ledger.intake import StopRequested


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--keys",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the keys too, into this file of their own.",
)
@click.option("--yes", is_flag=True, help="Replace earlier backups of these names; do not ask.")
@pass_session
def command(session: Session, file: Path, keys: Path | None, yes: bool) -> int:
    """Write the whole ledger into FILE, as it stands at this moment. Others may go on writing.

    FILE holds the log byte for byte, with positions and recorded times, and what is in
    quarantine; the views are folded anew by `restore`. It holds no key, and personal data are
    encrypted in it: without the keys they cannot be read. Write the keys with --keys, and keep
    that file elsewhere. (The key file of the ledger itself is named by --keys before `backup`,
    or by TOUCHSTONE_KEYS.)
    """
    if keys is not None and keys.resolve() == file.resolve():
        raise click.UsageError("the keys go into a file of their own, apart from the backup")
    there = [str(path) for path in (file, keys) if path is not None and path.exists()]
    if there:
        confirm(session, f"Replace {' and '.join(there)}?", yes=yes)
    with session.ledger() as ledger, stopping() as stop, session.progress() as report:
        if keys is not None:
            session.access.need(Right.OWN)
        try:
            head = back_up(ledger, file, keys, overwrite=bool(there), report=report, stop=stop)
        except StopRequested:
            session.complain("interrupted: no backup was written")
            return exits.SIGNAL_BASE + (stop.signal or 0)
    if keys is None:
        session.note(
            f"{file} holds no key: without this ledger's keys its personal data cannot be read; "
            "--keys FILE writes them into a file of their own"
        )
    record = {"touchpoints": head.position, "head": head.position}
    kept = "" if keys is None else f", and its keys into {keys}: keep them apart"
    text = f"wrote the ledger with {head.position:,} touchpoints into {file}{kept}"
    session.printer.record(record, lambda: [text])
    return exits.DONE
