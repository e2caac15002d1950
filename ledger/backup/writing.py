"""Making a backup: one unchanging picture of the ledger, while others go on writing to it."""

from contextlib import ExitStack
from pathlib import Path

from ledger.appending import head_of
from ledger.backup.archive import KEYS, LEDGER, ArchiveWriter, go_on, new_archive
from ledger.backup.contents import STORED_EVENTS, TABLES, LedgerHeader
from ledger.backup.keys import write_keys
from ledger.intake import Stop
from ledger.ledger import Ledger, read_keys_of
from ledger.log import Head
from ledger.progress import Report
from ledger.store import Cursor


def back_up(
    ledger: Ledger,
    path: Path,
    keys_path: Path | None,
    *,
    overwrite: bool,
    report: Report,
    stop: Stop,
) -> Head:
    """Write the whole ledger into a file, and its keys into another if one is named.

    The files appear when they are whole and durable. Returns where the log ended. Raises
    StopRequested, LedgerError or OSError, and then the backup of the ledger has not changed.
    """
    with ExitStack() as files:
        archive = files.enter_context(new_archive(path, LEDGER, overwrite=overwrite))
        keys_archive = keys_path and files.enter_context(
            new_archive(keys_path, KEYS, overwrite=overwrite)
        )
        with ledger.store.cursor() as cursor:
            head = Head(*head_of(cursor))
            archive.header(_header(ledger, head, keys_archive or None, cursor))
            _write_tables(archive, head, cursor, report, stop)
        return head


def _header(
    ledger: Ledger, head: Head, keys_archive: ArchiveWriter | None, cursor: Cursor
) -> LedgerHeader:
    """What the backup is of; the keys are written on the way.

    They are read after the picture was taken: a key is durable before the first touchpoint
    under it, so that none is missing.
    """
    (ledger_id,) = cursor.execute("SELECT ledger_id FROM head").fetchone()
    store = ledger.address.key_store()
    try:
        # The key file as it is now: a rotation may have replaced what was read at the start.
        keys = read_keys_of(ledger.address, ledger_id)
        subject_keys = write_keys(keys, store, keys_archive)
    finally:
        store.close()
    return LedgerHeader(
        ledger_id=ledger_id,
        head=head.position,
        recorded_at=head.recorded_at,
        subject_keys=subject_keys,
        tables={table.name: table.columns for table in TABLES},
    )


def _write_tables(
    archive: ArchiveWriter, head: Head, cursor: Cursor, report: Report, stop: Stop
) -> None:
    for table in TABLES:
        done = 0
        for rows in table.pages(cursor):
            go_on(stop)
            archive.rows(table.name, rows)
            done += len(rows)
            whole = head.position if table is STORED_EVENTS else 0
            report(f"writing {table.name}", done, whole)
