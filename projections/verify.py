"""Verifying: the live table against a fresh fold of the log up to the table's own position."""

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from ledger.governance import governance
from ledger.intake import Stop
from ledger.ledger import Ledger
from projections import generations, parking, tables
from projections.fold import Failure
from projections.generations import Generation
from projections.ranges import Plan, fold_ranges, ranges_for
from projections.reading import Reader
from projections.rebuild import Interrupted, Report, silent, to_be_joined
from projections.refolding import Refolder
from projections.view import View

KEYS_NAMED_MAX = 20
FRESH = "fresh"


class Verified(msgspec.Struct, kw_only=True):
    """How many rows were compared, how many keys differ, and the first of them."""

    name: str
    position: int
    rows: int
    differences: int
    keys: list[str]


def verify(
    ledger: Ledger,
    view: View,
    *,
    workers: int = 1,
    report: Report = silent,
    stop: Stop | None = None,
) -> Verified:
    """Compare byte for byte; parked keys, which are known to wait, are left out.

    The fresh fold is made in a temporary file. The live table is read in one snapshot, taken
    before the fold, so that following may go on meanwhile.
    """
    with tempfile.TemporaryDirectory() as folder, _snapshot(ledger, folder) as cursor:
        live = generations.live(view.name, cursor)
        if live is None:
            return Verified(name=view.name, position=0, rows=0, differences=0, keys=[])
        until = live.position
        plan = Plan(ledger.address.path, (view,), until, ranges_for(until))
        with _scratch(folder) as scratch:
            failed = _fold_afresh(plan, scratch, workers, report, stop)
            if not view.by_person:
                _join_spanning_keys(view, live, failed, scratch, cursor)
        return _compared(view, live, cursor)


@contextmanager
def _snapshot(ledger: Ledger, folder: str) -> Iterator[sqlite3.Cursor]:
    """One unchanging picture of the ledger, with the scratch file beside it."""
    with ledger.store.get_connection(commit=False) as connection:
        raw = connection._sqlite_conn
        raw.execute("ATTACH ? AS scratch", (str(Path(folder) / "fresh.db"),))
        cursor = raw.cursor()
        cursor.row_factory = None
        cursor.execute("BEGIN")
        try:
            cursor.execute("SELECT position FROM head").fetchone()
            yield cursor
        finally:
            raw.rollback()
            raw.execute("DETACH scratch")


@contextmanager
def _scratch(folder: str) -> Iterator[sqlite3.Cursor]:
    connection = sqlite3.connect(Path(folder) / "fresh.db", isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        cursor = connection.cursor()
        tables.create_table(FRESH, cursor)
        yield cursor
    finally:
        connection.close()


def _fold_afresh(
    plan: Plan, scratch: sqlite3.Cursor, workers: int, report: Report, stop: Stop | None
) -> list[Failure]:
    """Fill the scratch table; returns the folds that raised, whose keys are missing in it."""
    done = 0
    failed: list[Failure] = []
    for folded in fold_ranges(plan, range(plan.ranges), workers):
        scratch.execute("BEGIN")
        rows, failures = folded.rows[plan.views[0].name]
        tables.add_rows(FRESH, rows, scratch)
        scratch.execute("COMMIT")
        failed += failures
        done += folded.touchpoints
        report("folding", done, plan.until)
        if stop is not None and stop.requested:
            raise Interrupted("the verification was interrupted; nothing was changed")
    return failed


def _join_spanning_keys(
    view: View,
    live: Generation,
    failed: Sequence[Failure],
    scratch: sqlite3.Cursor,
    cursor: sqlite3.Cursor,
) -> None:
    known = governance(live.position, cursor)
    refolder = Refolder(Reader([view]), known, live.position, cursor)
    tables.index_for_joining(FRESH, scratch)
    for key, streams in to_be_joined(FRESH, failed, scratch):
        row = None
        # A key that cannot be folded has no fresh row, and so differs unless it is parked.
        with suppress(Exception):
            row = refolder.row(view, key, streams)
        tables.replace_spanning_key(FRESH, key, row, scratch)


def _compared(view: View, live: Generation, cursor: sqlite3.Cursor) -> Verified:
    """The keys of rows that only one of the two tables has."""
    fresh = f"scratch.{FRESH}"
    waiting: Sequence[str] = list(parking.parked(live, cursor))
    different = cursor.execute(
        f"SELECT key FROM (SELECT * FROM {live.table} EXCEPT SELECT * FROM {fresh}) "
        f"UNION SELECT key FROM (SELECT * FROM {fresh} EXCEPT SELECT * FROM {live.table}) "
        "EXCEPT SELECT value FROM json_each(?)",
        (msgspec.json.encode(waiting).decode(),),
    ).fetchall()
    (rows,) = cursor.execute(f"SELECT COUNT(*) FROM {live.table}").fetchone()
    return Verified(
        name=view.name,
        position=live.position,
        rows=rows,
        differences=len(different),
        keys=[key for (key,) in different[:KEYS_NAMED_MAX]],
    )
