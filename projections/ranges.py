"""Folds the whole log by ranges of streams, in one process or in several.

Each range brings every touchpoint of its streams together, so each key is folded once and in
order, and nothing is ever late. Memory is bounded by the size of a range, not by the log.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ledger.address import Address
from ledger.governance import Assumed, Governance, governance
from ledger.persons import ALONE, Persons, persons_of
from ledger.store import Cursor
from ledger.working import in_workers
from projections.filling import write_range
from projections.fold import NOBODY, Failure, Row, fold_streams
from projections.generations import Generation
from projections.reading import Reader, range_bounds
from projections.view import View

RANGE_TOUCHPOINTS = 25_000
"""About how many touchpoints a range holds; with more, writing a range takes too long."""
RANGES_A_PICTURE = 8
"""For how many ranges a file is read in one transaction: each new one maps it anew, a tenth of the
time of a rebuild, and one that stays open keeps the WAL from being emptied."""
LANES = 2
"""Ranges that one process has in hand, on a server: one is folded while the other is read or
written there."""
RANGES_AT_ONCE = 4
"""Ranges that a worker with lanes is told of at a time, so that all of them have work."""
IN_PROCESS_MAX = 30_000
"""A smaller log is folded sooner than another process has started."""


def ranges_for(until: int) -> int:
    """Into how many ranges a log of this length is cut, so that each fits into memory."""
    return max(1, -(-until // RANGE_TOUCHPOINTS))


@dataclass(frozen=True)
class Scope:
    """What counts of the log up to a position, for a fold of other than all that there is.

    What occurred after `moment` does not count; what bears on other facts (rules, identity) does
    not if it occurred after `as_of`. `assumed` are rules that are not in the log. Moments are in
    microseconds since 1970, and None is no limit.
    """

    moment: int | None = None
    as_of: int | None = None
    assumed: tuple[Assumed, ...] = ()

    def shows(self, at: int) -> bool:
        return self.as_of is None or at <= self.as_of

    def governance(self, until: int, cursor: Cursor) -> Governance:
        """What is known in this scope from the facts up to a position."""
        known = governance(until, cursor, self.shows, self.assumed)
        return known if self.moment is None else replace(known, moment=self.moment)


EVERYTHING = Scope()
Rows = dict[str, tuple[list[Row], list[Failure]]]
"""What a range gave, by view."""


@dataclass(frozen=True)
class Plan:
    """What is to be folded: which views, of the log up to which position, in how many ranges."""

    address: Address
    views: tuple[View, ...]
    until: int
    ranges: int
    into: tuple[Generation, ...] = ()
    """Generations that whoever folds a range writes it into; none when that is done elsewhere."""
    now: int = 0
    """When the work began (microseconds since 1970)."""
    scope: Scope = EVERYTHING
    keep: Callable[[int, Rows], Rows] | None = None
    """Called with the number and the rows of a range by whoever folds it; gives those to go on."""


class Folded(NamedTuple):
    """The rows of one range, by view, with how many touchpoints and what is the latest.

    `counted` are those that count in the scope of the plan. `rows` is empty where they have been
    written already.
    """

    number: int
    touchpoints: int
    counted: int
    latest_at: int | None
    rows: Rows


class RangeFolder:
    """Reads and folds ranges of one plan, and writes them where the plan says so."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._store = plan.address.store()
        self._reader = Reader(plan.views)
        with self._store.cursor() as cursor:
            self._governance = plan.scope.governance(plan.until, cursor)
        lanes = LANES if self._store.writes_in_parallel else 1
        self._lanes = ThreadPoolExecutor(lanes)
        self._failed: Exception | None = None
        self._picture = ExitStack()
        self._kept: Cursor | None = None
        self._reads = 0

    def close(self) -> None:
        self._lanes.shutdown(wait=True, cancel_futures=True)
        self._picture.close()
        self._store.close()

    def fold_all(self, numbers: Iterable[int]) -> Iterator[Folded]:
        """Fold these ranges, as many at a time as there are lanes.

        When one fails no other is begun: on a server that is gone each would wait for it.
        """
        waiting: deque[Future[Folded]] = deque()
        for number in numbers:
            waiting.append(self._lanes.submit(self._fold, number))
            if len(waiting) > LANES:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _fold(self, number: int) -> Folded:
        if self._failed is not None:
            raise self._failed
        try:
            return self._folded(number)
        except Exception as error:
            self._failed = error
            raise

    def _folded(self, number: int) -> Folded:
        plan = self._plan
        with self._reading() as cursor:
            touchpoints = self._reader.range(number, plan.ranges, plan.until, cursor)
            standing = self._governance.standing(touchpoints)
            persons, people = self._people(number, touchpoints, standing, cursor)
        rows = fold_streams(standing, plan.views, self._governance.rules, persons, people)
        latest = max((t.at for t in touchpoints), default=None)
        if plan.into:
            with self._store.cursor(write=True, durable=False) as cursor:
                write_range(plan.into, number, rows, latest, plan.now, cursor)
            rows = {}
        elif plan.keep is not None:
            rows = plan.keep(number, rows)
        return Folded(number, len(touchpoints), len(standing), latest, rows)

    @contextmanager
    def _reading(self) -> Iterator[Cursor]:
        """What a range is read with; without lanes it is kept for some ranges."""
        if self._store.writes_in_parallel:
            with self._store.cursor() as cursor:
                yield cursor
            return
        if self._kept is None or self._reads % RANGES_A_PICTURE == 0:
            self._picture.close()
            self._kept = self._picture.enter_context(self._store.cursor())
        self._reads += 1
        yield self._kept

    def _people(
        self, number: int, touchpoints: Sequence[Any], standing: Sequence[Any], cursor: Cursor
    ) -> tuple[Persons, Mapping[str, list[Any]]]:
        """Who of a range is one person with others, and all that is told of those persons whose
        home is in this range; the others' homes are elsewhere."""
        known, plan = self._governance, self._plan
        if not known.joins or not any(view.by_person for view in plan.views):
            return ALONE, NOBODY
        subjects = {touchpoint.subject for touchpoint in touchpoints}
        persons = persons_of(subjects, known, plan.until, cursor, plan.scope.shows)
        first, last = range_bounds(number, plan.ranges)
        here = [person for person, home in persons.homes.items() if first <= home <= last]
        streams = {stream for person in here for stream in persons.streams_of(person)}
        away = {stream for stream in streams if not first <= stream <= last}
        people: dict[str, list[Any]] = {person: [] for person in here}
        beside = known.standing(self._reader.streams(away, plan.until, cursor)) if away else []
        for touchpoint in (*standing, *beside):
            told = people.get(persons.person_of(touchpoint.subject))
            if told is not None:
                told.append(touchpoint)
        return persons, people


def fold_ranges(plan: Plan, pending: Sequence[int], workers: int) -> Iterator[Folded]:
    """Fold the pending ranges of a plan; the results come in no particular order.

    Closing the iterator stops the work after the ranges in hand. Raises LedgerError when a
    worker was ended from outside.
    """
    if workers <= 1 or plan.until < IN_PROCESS_MAX:
        yield from _fold_here(plan, pending)
    else:
        yield from _fold_in_workers(plan, pending, workers)


def _fold_here(plan: Plan, pending: Sequence[int]) -> Iterator[Folded]:
    folder = RangeFolder(plan)
    collecting = gc.isenabled()
    gc.disable()  # there are no cycles to find, and looking for them triples the time
    try:
        yield from folder.fold_all(pending)
    finally:
        if collecting:
            gc.enable()
        folder.close()


def _fold_in_workers(plan: Plan, pending: Sequence[int], workers: int) -> Iterator[Folded]:
    at_once = max(1, min(RANGES_AT_ONCE, len(pending) // workers)) if plan.into else 1
    chunks = (pending[start : start + at_once] for start in range(0, len(pending), at_once))
    then = "the same command goes on with the work"
    folded = in_workers(_fold_in_worker, chunks, workers, _start_worker, plan, then=then)
    with closing(folded):
        for chunk in folded:
            yield from chunk


_plan: Plan | None = None
_folder: RangeFolder | None = None


def _start_worker(plan: Plan) -> None:
    global _plan
    gc.disable()
    gc.freeze()
    _plan = plan


def _fold_in_worker(numbers: Sequence[int]) -> list[Folded]:
    global _folder
    if _plan is None:
        raise RuntimeError("the worker was not started with a plan")
    if _folder is None:  # only now: an error at the start would be told as the end of the worker
        _folder = RangeFolder(_plan)
    return list(_folder.fold_all(numbers))
