"""Rebuilding: a view is folded afresh beside the live one, and takes its place at one stroke.

The new generation is filled range by range up to a fixed position, each range noted in the
transaction that writes its rows, so an interrupted rebuild goes on where it stopped. Then it is
indexed, caught up, and switched to. Readers are served from the old generation until then.
"""

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from ledger.errors import LedgerError, Locked, NothingEarlier
from ledger.governance import governance
from ledger.intake import Stop
from ledger.ledger import Ledger
from ledger.progress import Report, silent
from ledger.store import Cursor
from projections import generations, parking, tables
from projections.filling import done_ranges, write_range
from projections.fold import Failure, streams_in
from projections.follower import Follower, Overtaken, RestateNeeded
from projections.generations import BUILDING, RETIRED, Generation
from projections.ranges import Plan, fold_ranges, ranges_for
from projections.reading import Reader
from projections.refolding import Refolder
from projections.view import View

SPANNING_KEYS_AT_ONCE = 100
RESTARTS_MAX = 5
SWITCH_ATTEMPTS_MAX = 60
LOOKED_UP_MICROSECONDS = 60_000_000
"""A table stays for so long after it was replaced, for a reader who had just looked it up: on
PostgreSQL a snapshot does not keep a table from being dropped."""


class Interrupted(Exception):
    """The work was stopped on request, in a state from which it goes on."""


class Rebuilt(msgspec.Struct, kw_only=True):
    """What a rebuild did: touchpoints read, rows written, and how fast."""

    name: str
    touchpoints: int
    rows: int
    seconds: float
    touchpoints_per_second: int


def rebuild(
    ledger: Ledger,
    views: Sequence[View],
    *,
    workers: int = 1,
    report: Report = silent,
    stop: Stop | None = None,
) -> list[Rebuilt]:
    """Rebuild these views together, in one pass over the log.

    Raises Locked when a rebuild of this ledger is under way, and Interrupted, leaving what is
    done to be resumed, when a stop is requested.
    """
    with ledger.store.exclusively("rebuild"):
        for _ in range(RESTARTS_MAX):
            try:
                return _rebuild(ledger, views, workers, report, stop)
            except RestateNeeded:
                # A rule for the past was recorded meanwhile: what was folded does not hold.
                _discard_building(ledger, views)
    raise LedgerError("rules for the past keep being published; rebuild again when that is over")


def _rebuild(
    ledger: Ledger, views: Sequence[View], workers: int, report: Report, stop: Stop | None
) -> list[Rebuilt]:
    started = time.perf_counter()
    build = _Build(ledger, report, stop)
    resumed = build.begin(views)
    for plan, group, pending in resumed:
        build.fill(plan, group, pending, workers)
    done = [build.finish(view) for view in views]
    seconds = time.perf_counter() - started
    return [
        Rebuilt(
            name=generation.view,
            touchpoints=generation.position,
            rows=rows,
            seconds=round(seconds, 3),
            touchpoints_per_second=round(generation.position / seconds),
        )
        for generation, rows in done
    ]


@dataclass
class _Build:
    """One run of a rebuild: it writes, workers read and fold."""

    ledger: Ledger
    report: Report
    stop: Stop | None

    def begin(self, views: Sequence[View]) -> list[tuple[Plan, list[Generation], list[int]]]:
        """The generations to fill: those left by an interrupted run go on where they stopped.

        Those that have the same ranges before them are filled in one pass.
        """
        passes: dict[tuple[int, int, frozenset[int]], list[Generation]] = {}
        with self.ledger.store.cursor(write=True) as cursor:
            head = cursor.execute("SELECT position FROM head").fetchone()[0]
            for view in views:
                generation = self._generation(view, head, cursor)
                done = done_ranges(generation, cursor)
                same = (generation.until, generation.ranges, done)
                passes.setdefault(same, []).append(generation)
        by_name = {view.name: view for view in views}
        work = []
        for (until, ranges, done), group in passes.items():
            chosen = tuple(by_name[generation.view] for generation in group)
            into = tuple(group) if self.ledger.store.writes_in_parallel else ()
            now = self.ledger.log.clock()
            plan = Plan(self.ledger.address, chosen, until, ranges, into, now)
            work.append((plan, group, [n for n in range(ranges) if n not in done]))
        return work

    def _generation(self, view: View, head: int, cursor: Cursor) -> Generation:
        left = generations.find(view.name, BUILDING, cursor)
        if left is not None and left.version == view.version and 2 * left.until >= head:
            return left  # an older one would take longer to catch up than to fold afresh
        if left is not None:
            generations.discard(view.name, left.number, cursor)
        now = self.ledger.log.clock()
        return generations.begin(view, BUILDING, head, now, cursor, ranges_for(head))

    def fill(self, plan: Plan, group: list[Generation], pending: list[int], workers: int) -> None:
        """Fold the pending ranges and write their rows, a transaction a range."""
        done = plan.until * (plan.ranges - len(pending)) // plan.ranges
        self.report("folding", done, plan.until)
        for folded in fold_ranges(plan, pending, workers):
            if not plan.into:
                with self.ledger.store.cursor(write=True, durable=False) as cursor:
                    write_range(
                        group, folded.number, folded.rows, folded.latest_at, plan.now, cursor
                    )
            done += folded.touchpoints
            self.report("folding", min(done, plan.until), plan.until)
            self._check_stop()

    def finish(self, view: View) -> tuple[Generation, int]:
        """Bring together what several streams reach, index, catch up, and switch."""
        store = self.ledger.store
        with store.cursor() as cursor:
            generation = generations.find(view.name, BUILDING, cursor)
        if generation is None:
            raise RuntimeError(f"{view.name}: the generation being built is gone")
        self._join_spanning_keys(generation, view)
        with store.cursor(write=True, durable=False) as cursor:
            tables.index_table(generation.table, cursor)
            cursor.analyze(generation.table)
            if generations.position_of(generation, cursor) < generation.until:
                store.recorder().move_tracking(generation.reader, generation.until, cursor)
        return switch(self.ledger, view, generation, BUILDING, self.report, self._check_stop)

    def _join_spanning_keys(self, generation: Generation, view: View) -> None:
        """Fold keys that came out of more than one stream again, from all their streams."""
        reader, until = Reader([view]), generation.until
        with self.ledger.store.cursor() as cursor:
            # A run that was interrupted while it caught up had joined them all.
            if view.by_person or generations.position_of(generation, cursor) >= until > 0:
                return
            known = governance(until, cursor)
            failures = parking.parked(generation, cursor).values()
            spanning = to_be_joined(generation.table, failures, cursor)
        if spanning:
            with self.ledger.store.cursor(write=True, durable=False) as cursor:
                tables.index_for_joining(generation.table, cursor)
        for start in range(0, len(spanning), SPANNING_KEYS_AT_ONCE):
            self.report("joining", start, len(spanning))
            with self.ledger.store.cursor(write=True, durable=False) as cursor:
                refolder = Refolder(reader, known, until, cursor)
                part = dict(spanning[start : start + SPANNING_KEYS_AT_ONCE])
                for key, row in refolder.rows(view, part):
                    if isinstance(row, Failure):
                        now = self.ledger.log.clock()
                        parking.park(generation, [row], until, now, cursor)
                        row = None
                    else:
                        parking.unpark(generation, key, cursor)
                    tables.replace_spanning_key(generation.table, key, row, cursor)
            self._check_stop()

    def _check_stop(self) -> None:
        if self.stop is not None and self.stop.requested:
            raise Interrupted("the rebuild was interrupted; the same command goes on with it")


def switch(
    ledger: Ledger,
    view: View,
    generation: Generation,
    state: str,
    report: Report = silent,
    check_stop: Callable[[], None] = lambda: None,
) -> tuple[Generation, int]:
    """Catch a generation up and serve readers from it; a view's position never goes back.

    Returns the generation as it went live, and its number of rows.
    """
    follower = Follower(ledger, [view])
    for attempt in range(SWITCH_ATTEMPTS_MAX):
        caught_up = _caught_up(ledger, follower, view, generation, state, report, check_stop)
        with suppress(Locked):
            switched = _switched(ledger, follower, view, caught_up)
            if switched is not None:
                _discard_superseded(ledger, view)
                return switched, _count(ledger, switched)
            continue  # the live one has gone further: at once, before it is further still
        time.sleep(min(1.0, 0.01 * 2**attempt))
    raise Locked(f"{view.name}: somebody reads or writes it without a break; try again")


def _switched(
    ledger: Ledger, follower: Follower, view: View, generation: Generation
) -> Generation | None:
    """Put a generation in the place of the live one; None if that has gone further meanwhile.

    Where views are written side by side, the live one is held while the last touchpoints are
    made up for: else its follower, who never rests, might be ahead at every attempt.
    """
    with ledger.store.cursor(write=True, durable=False) as cursor:
        cursor.be_impatient()
        live = generations.live(generation.view, cursor)
        if live is not None:
            generations.hold([live], cursor)
            until = generations.position_of(live, cursor)
            while ledger.store.writes_in_parallel and generation.position < until:
                follower.advance([generation], until)
                generation = generations.find(view.name, generation.state, cursor) or generation
            if generation.position < until:
                return None
        generations.hold([generation], cursor)
        generations.go_live(view, generation, ledger.log.clock(), cursor)
        return generation


def _discard_superseded(ledger: Ledger, view: View) -> None:
    """Drop tables that nobody goes back to; one that is being read waits for the next time."""
    until = ledger.log.clock() - LOOKED_UP_MICROSECONDS
    with suppress(Locked), ledger.store.cursor(write=True, durable=False) as cursor:
        cursor.be_impatient()
        for number in generations.superseded(view.name, until, cursor):
            generations.discard(view.name, number, cursor)


def _count(ledger: Ledger, generation: Generation) -> int:
    with ledger.store.cursor() as cursor:
        (rows,) = cursor.execute(f"SELECT COUNT(*) FROM {generation.table}").fetchone()
        return int(rows)


def _caught_up(
    ledger: Ledger,
    follower: Follower,
    view: View,
    generation: Generation,
    state: str,
    report: Report,
    check_stop: Callable[[], None],
) -> Generation:
    """Brought to where the log ended when this began; what comes since is followed when live."""
    head = ledger.log.head().position
    while True:
        check_stop()
        with ledger.store.cursor() as cursor:
            now = generations.find(view.name, state, cursor)
        if now is None or now.number != generation.number:
            raise LedgerError(f"{view.name}: another process has taken the generation away")
        if now.position >= head:
            return now
        report("catching up", now.position, head)
        try:
            follower.advance([now], head)
        except Overtaken:
            continue


def rollback(ledger: Ledger, view: View) -> Generation:
    """Serve the generation before the live one again, after it has caught up."""
    with ledger.store.exclusively("rebuild"):
        old = _earlier(ledger, view)
        try:
            return switch(ledger, view, old, RETIRED)[0]
        except RestateNeeded:
            raise LedgerError(
                f"rules for the past were published since {view.name} left its earlier "
                "generation, which does not know them; rebuild it instead"
            ) from None


def _earlier(ledger: Ledger, view: View) -> Generation:
    with ledger.store.cursor() as cursor:
        old = generations.find(view.name, RETIRED, cursor)
    if old is None:
        raise NothingEarlier(f"{view.name} has no earlier generation to go back to")
    if old.version != view.version:
        raise LedgerError(
            f"the earlier generation of {view.name} was built by version {old.version} of the "
            f"view and this Touchstone has version {view.version}: it could not follow it"
        )
    return old


def to_be_joined(
    table: str, failures: Collection[Failure], cursor: Cursor
) -> list[tuple[str, list[str]]]:
    """Keys that several streams reach or that could not be folded from one, with all streams."""
    joined = {key: set(streams) for key, streams in tables.spanning_keys(table, cursor)}
    for failure in failures:
        joined.setdefault(failure.key, set()).update(failure.reaching)
    for key, row in tables.rows_of(table, [f.key for f in failures], cursor).items():
        joined[key].update(streams_in(row))
    return [(key, sorted(streams)) for key, streams in sorted(joined.items())]


def _discard_building(ledger: Ledger, views: Sequence[View]) -> None:
    with ledger.store.cursor(write=True) as cursor:
        for view in views:
            left = generations.find(view.name, BUILDING, cursor)
            if left is not None:
                generations.discard(view.name, left.number, cursor)
