"""`touchstone doctor`: one line for each thing that has to be in order."""

import shutil
import time
from collections.abc import Callable, Iterator

import click

from cli import exits
from cli.kafka_options import brokers_in_environment, connection_from_environment
from cli.output import Column, Record
from cli.session import Session, pass_session
from ledger.address import Address
from ledger.keyfile import read_key_file
from ledger.ledger import open_ledger
from projections.query import standings
from projections.registry import PROJECTIONS

FREE_BYTES_MIN = 256 * 1024 * 1024
CLOCK_BEHIND_SECONDS_MAX = 5

Check = tuple[str, Callable[[Session], str]]


class Unwell(Exception):
    """A check has failed; the message says what to do."""


def _store(session: Session) -> str:
    found, off = session.address.diagnose()
    if off is not None:
        raise Unwell(off)
    return found


def _schema(session: Session) -> str:
    session.address.check()
    return "the version that this Touchstone expects"


def _keys(session: Session) -> str:
    address = session.address
    read_key_file(address.keys)
    for path in address.secret_files:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise Unwell(f"{path} can be read by others (mode {mode:o}): chmod 600 it")
    with open_ledger(address):
        return address.key_places


def _clock(session: Session) -> str:
    with open_ledger(session.address) as ledger:
        ahead = ledger.log.head().recorded_at / 1_000_000 - time.time()
    if ahead > CLOCK_BEHIND_SECONDS_MAX:
        raise Unwell(f"this clock is {ahead:,.0f} s behind the last recorded touchpoint: set it")
    return "not behind the last recorded touchpoint"


def _disk(session: Session) -> str:
    folder = session.address.disk
    if folder is None:
        return "on the server: watch it there"
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_MIN:
        raise Unwell(f"only {free // 1_048_576:,} MiB are free beside the ledger: make room")
    return f"{free // 1_048_576:,} MiB free"


def _views(session: Session) -> str:
    with open_ledger(session.address) as ledger:
        found = standings(ledger, PROJECTIONS)
    for view in found:
        if view.state == "outdated":
            raise Unwell(f"{view.name} is outdated: `touchstone projection rebuild {view.name}`")
        if view.parked:
            raise Unwell(f"{view.name}: {view.parked} parked keys: `touchstone projection parked`")
        if view.lag:
            raise Unwell(f"{view.name} is {view.lag:,} behind: `touchstone projection run`")
    return ", ".join(f"{view.name} {view.rows:,} rows" for view in found)


def _quarantine(session: Session) -> str:
    with open_ledger(session.address) as ledger, ledger.store.cursor() as cursor:
        waiting = len(ledger.quarantine.entries(cursor))
    if waiting:
        raise Unwell(f"{waiting:,} wait in quarantine: `touchstone quarantine list`")
    return "empty"


def _kafka(_: Session) -> str:
    from consumers.cluster import Cluster

    try:
        connection = connection_from_environment()
    except click.UsageError as error:
        raise Unwell(error.format_message()) from None
    with Cluster(connection) as cluster:
        brokers = "1 broker" if cluster.brokers == 1 else f"{cluster.brokers} brokers"
        return f"cluster {cluster.id}, {brokers}"


CHECKS: tuple[Check, ...] = (
    ("store", _store),
    ("schema", _schema),
    ("keys", _keys),
    ("clock", _clock),
    ("disk", _disk),
    ("views", _views),
    ("quarantine", _quarantine),
)
KAFKA_CHECK: Check = ("kafka", _kafka)
"""For those who have brokers in their environment."""


@click.command()
@pass_session
def command(session: Session) -> int:
    """Check store, schema, keys, clock, disk, views and quarantine; exit code 1 if any is off.

    Where the environment names brokers, Kafka too.
    """
    address: Address = session.address
    address.check()
    if session.token is not None:
        with session.ledger():
            pass  # who has no right is refused; without a token the checks tell what is wrong
    found = list(_checked(session))
    columns = [
        Column("", lambda r: "ok" if r["ok"] else "OFF"),
        Column("check", lambda r: r["check"], style="bold"),
        Column("detail", lambda r: r["detail"], wraps=True),
    ]
    session.printer.records(found, columns)
    return exits.DONE if all(record["ok"] for record in found) else exits.FAILED


def _checked(session: Session) -> Iterator[Record]:
    checks = (*CHECKS, KAFKA_CHECK) if brokers_in_environment() else CHECKS
    for name, check in checks:
        try:
            detail, ok = check(session), True
        except Exception as error:
            if not isinstance(error, Unwell) and exits.code_of(error) is None:
                raise
            detail, ok = str(error), False
        yield {"check": name, "ok": ok, "detail": detail}
