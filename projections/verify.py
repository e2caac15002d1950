"""Verifying: the live table against a fresh fold of the log up to the table's own position."""

import tempfile
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from random import Random

import msgspec

from ledger.governance import governance
from ledger.intake import Stop
from ledger.ledger import Ledger
from ledger.persons import persons_of
from ledger.progress import Report, silent
from ledger.sqlite.scratch import scratch_cursor
from ledger.store import Cursor
from projections import generations, parking, tables
from projections.fold import Failure, Row, by_key, streams_in, streams_of_touchpoints
from projections.generations import Generation
from projections.ranges import Plan, fold_ranges, ranges_for
from projections.reading import Reader
from projections.rebuild import Interrupted, to_be_joined
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
    with (
        tempfile.TemporaryDirectory() as folder,
        scratch_cursor(Path(folder) / "fresh.db") as scratch,
        ledger.store.cursor() as cursor,
    ):
        live = generations.live(view.name, cursor)
        if live is None:
            return Verified(name=view.name, position=0, rows=0, differences=0, keys=[])
        until = live.position
        plan = Plan(ledger.address, (view,), until, ranges_for(until))
        tables.create_table(FRESH, scratch)
        failed = _fold_afresh(plan, scratch, workers, report, stop)
        if not view.by_person:
            _join_spanning_keys(view, live, failed, scratch, cursor)
        return _compared(view, live, scratch, cursor)


def verify_sample(ledger: Ledger, view: View, count: int, chance: Random) -> Verified:
    """Compare up to `count` rows of the table, and those of up to `count` touchpoints of the log.

    The one finds rows that are wrong or should not be there, the other rows that are missing.
    """
    with ledger.store.cursor() as cursor:
        live = generations.live(view.name, cursor)
        if live is None:
            return Verified(name=view.name, position=0, rows=0, differences=0, keys=[])
        known = governance(live.position, cursor)
        reader = Reader([view])
        positions = chance.sample(range(1, live.position + 1), min(count, live.position))
        standing = known.standing(reader.at(positions, cursor))
        subjects = {touchpoint.subject for touchpoint in standing}
        persons = persons_of(subjects, known, live.position, cursor)
        told = by_key(view, standing, known.rules, persons)
        keys = {*told, *tables.sample(live.table, count, cursor)}
        rows = tables.rows_of(live.table, sorted(keys), cursor)
        waiting = parking.parked(live, cursor)
        refolder = Refolder(reader, known, live.position, cursor)
        reach = {
            key: streams_of_touchpoints(told.get(key, [])).union(
                streams_in(rows[key]) if key in rows else ()
            )
            for key in sorted(keys - waiting.keys())
        }
        different = [key for key, row in refolder.rows(view, reach) if row != rows.get(key)]
    return Verified(
        name=view.name,
        position=live.position,
        rows=len(rows),
        differences=len(different),
        keys=different[:KEYS_NAMED_MAX],
    )


def _fold_afresh(
    plan: Plan, scratch: Cursor, workers: int, report: Report, stop: Stop | None
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
    scratch: Cursor,
    cursor: Cursor,
) -> None:
    known = governance(live.position, cursor)
    refolder = Refolder(Reader([view]), known, live.position, cursor)
    tables.index_for_joining(FRESH, scratch)
    for key, row in refolder.rows(view, dict(to_be_joined(FRESH, failed, scratch))):
        # A key that cannot be folded has no fresh row, and so differs unless it is parked.
        fresh = None if isinstance(row, Failure) else row
        tables.replace_spanning_key(FRESH, key, fresh, scratch)


def _compared(view: View, live: Generation, scratch: Cursor, cursor: Cursor) -> Verified:
    """The keys of rows that only one of the two tables has; both are read in order of key."""
    waiting = parking.parked(live, cursor)
    tables.index_table(FRESH, scratch)
    rows, different = 0, list[str]()
    for key, there, fresh in _side_by_side(
        tables.walk(live.table, cursor), tables.walk(FRESH, scratch)
    ):
        rows += there is not None
        if there != fresh and key not in waiting:
            different.append(key)
    return Verified(
        name=view.name,
        position=live.position,
        rows=rows,
        differences=len(different),
        keys=different[:KEYS_NAMED_MAX],
    )


def _side_by_side(
    left: Iterator[Row], right: Iterator[Row]
) -> Iterator[tuple[str, Row | None, Row | None]]:
    """The keys of two tables in order, each with its row in the one and in the other."""
    for key, rows in groupby(merge(_marked(0, left), _marked(1, right)), itemgetter(0)):
        found: list[Row | None] = [None, None]
        for _, side, row in rows:
            found[side] = row
        yield key, found[0], found[1]


def _marked(side: int, rows: Iterator[Row]) -> Iterator[tuple[str, int, Row]]:
    return ((row.key, side, row) for row in rows)
