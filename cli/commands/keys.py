"""`touchstone keys`: the master key and the keys of subjects that it wraps."""

from collections.abc import Iterator

import click
from rich.console import RenderableType

from cli import exits
from cli.moments import shown_iso
from cli.output import Column, Record, clean, table
from cli.session import Session, confirm, pass_session
from cli.stopping import stopping
from ledger.intake import StopRequested
from ledger.key_standing import MISSING, KeyStanding, key_standing
from ledger.rotation import Rotated, prepare, rotate
from schemas.fields import rfc3339


@click.group()
def command() -> None:
    """The master key, and the keys of subjects that are wrapped under it.

    \b
    touchstone keys status
    touchstone keys rotate
    """


@command.command("status")
@pass_session
def status(session: Session) -> int:
    """Show which master keys there are, and how many subjects' keys each has wrapped.

    Keys are shown by their fingerprints, never themselves. Exit code 1 when there are keys that
    the key file does not open.
    """
    if session.token is not None:  # without one it is told also when the keys do not open
        _admit(session)
    standing = key_standing(session.address)
    record = _record(session, standing)
    session.printer.record(record, lambda: _shown(session, record))
    missing = any(master.state == MISSING for master in standing.masters)
    if missing:
        session.complain(
            "there are keys under a master key that the key file does not hold: bring the key "
            "file that `touchstone keys rotate` has written"
        )
    return exits.FAILED if missing else exits.DONE


def _record(session: Session, standing: KeyStanding) -> Record:
    return {
        "ledger_id": standing.ledger_id,
        "places": session.address.key_places,
        "keys": standing.keys,
        "erased": standing.destroyed,
        "rotation": standing.rotation,
        "masters": [
            {
                "id": master.id.hex(),
                "state": master.state,
                "made_at": None if master.made_at is None else rfc3339(master.made_at),
                "keys": master.keys,
            }
            for master in standing.masters
        ],
        "token_key": standing.token.hex(),
        "signing_key": standing.signing.hex(),
    }


def _shown(session: Session, record: Record) -> Iterator[RenderableType]:
    yield f"keys of the ledger {record['ledger_id']}: {clean(record['places'])}"
    columns = [
        Column("master key", lambda r: r["id"], style="bold"),
        Column("state", lambda r: r["state"]),
        Column("made", lambda r: shown_iso(r["made_at"], session.zone)),
        Column("keys", lambda r: r["keys"], number=True),
    ]
    yield table(record["masters"], columns)
    yield f"token key {record['token_key']}, signing key {record['signing_key']}"
    yield f"{record['erased']:,} keys were destroyed by erasures"
    if record["rotation"] != "none":
        yield f"a rotation is {record['rotation']}: `touchstone keys rotate` goes on with it"


@command.command("rotate")
@click.option(
    "--prepare",
    "only_prepare",
    is_flag=True,
    help="Only put the new master key into the key file, to bring that to other machines first.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def rotate_(session: Session, only_prepare: bool, yes: bool) -> int:
    """Make a new master key, and wrap every subject's key anew under it.

    Others go on reading and appending. When it is interrupted or killed, the same command goes on
    with it. The old master key leaves the key file when no key is wrapped under it any more.

    Where several machines have a copy of the key file: --prepare, bring the file to all of them,
    rotate, and bring it again.
    """
    _admit(session)
    if only_prepare:
        return _prepare(session)
    confirm(session, f"Replace the master key in {session.address.keys}?", yes=yes)
    with stopping() as stop, session.progress("keys") as report:
        try:
            rotated = rotate(session.address, report, stop)
        except StopRequested:
            session.complain("interrupted: nothing is lost; run the same command again")
            return exits.SIGNAL_BASE + (stop.signal or 0)
    return _tell(session, rotated)


def _admit(session: Session) -> None:
    """Raises what opening the ledger raises, Denied among it."""
    with session.ledger():
        pass


def _prepare(session: Session) -> int:
    coming = prepare(session.address).hex()
    record = {"master": coming, "keys": 0, "rotation": "prepared"}
    text = (
        f"the new master key {coming} is in {session.address.keys}, and not in use yet: bring the "
        "file to every machine that has a copy, then run `touchstone keys rotate` here"
    )
    session.printer.record(record, lambda: [text])
    return exits.DONE


def _tell(session: Session, rotated: Rotated) -> int:
    master = rotated.master.hex()
    record = {"master": master, "keys": rotated.keys, "rotation": "none"}
    text = f"wrapped {rotated.keys:,} keys under the new master key {master}"
    session.printer.record(record, lambda: [text])
    session.note(
        f"renew the backups of the keys ({session.address.key_places}), and destroy those that "
        "hold the old master key"
    )
    return exits.DONE
