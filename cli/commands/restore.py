"""`touchstone restore`: a ledger from its backup, on either store."""

from pathlib import Path

import click

from cli import exits
from cli.session import Session, bring_up_to_date, no_follow_option, pass_session
from cli.stopping import stopping
from ledger.backup.restoring import Restored, Restoring
from ledger.intake import Stop, StopRequested


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--keys",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Bring the keys from this file, which `backup --keys` wrote.",
)
@no_follow_option
@pass_session
def command(session: Session, file: Path, keys: Path | None, no_follow: bool) -> int:
    """Make the ledger that FILE is a backup of, at a place where there is none yet.

    An empty ledger will do if it is the same one, as a restore that was killed leaves it. All of
    it is restored or nothing: the same bytes, positions and recorded times. The keys are brought
    with --keys, or are at the place already. (Where the ledger's own key file is to be is named
    by --keys before `restore`, or by TOUCHSTONE_KEYS.)
    """
    for path in (file, keys):
        if path is not None and not path.is_file():
            raise click.UsageError(f"there is no file {path}")
    restoring = Restoring(session.address, file, keys)
    with stopping() as stop:
        try:
            restored = _restore(session, restoring, stop)
        except StopRequested:
            session.complain("interrupted: nothing was restored; run the same command again")
            return exits.SIGNAL_BASE + (stop.signal or 0)
        if not no_follow:
            with session.ledger() as ledger:
                bring_up_to_date(session, ledger, stop)
    _tell(session, restored)
    return exits.DONE if stop.signal is None else exits.SIGNAL_BASE + stop.signal


def _restore(session: Session, restoring: Restoring, stop: Stop) -> Restored:
    with session.progress("bytes") as report:
        restoring.check(report, stop)
    with session.progress() as report:
        return restoring.carry_out(report, stop)


def _tell(session: Session, restored: Restored) -> None:
    if restored.keys_missing:
        session.complain(
            f"{restored.keys_missing:,} subjects had a key when the backup was made and have none "
            "here: what is encrypted under those keys cannot be read"
        )
    address, position = session.address, restored.head.position
    record = {"touchpoints": position, "head": position}
    text = f"restored {address.place} with {position:,} touchpoints; its keys: {address.key_places}"
    session.printer.record(record, lambda: [text])
