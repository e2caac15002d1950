"""Folds the whole log by ranges of streams, in one process or in several.

Each range brings every touchpoint of its streams together, so each key is folded once and in
order, and nothing is ever late. Memory is bounded by the size of a range, not by the log.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

from ledger.governance import governance
from ledger.sqlite import Datastore
from projections.fold import Failure, Row, fold_streams
from projections.reading import Reader
from projections.view import View

RANGE_TOUCHPOINTS = 25_000
"""About how many touchpoints a range holds. Each range maps the file of the log anew, which costs
a tenth of a rebuild with 10,000 of them; with more than this, writing a range takes too long."""
STOPPING = {signal.SIGINT, signal.SIGTERM}
IN_PROCESS_MAX = 30_000
"""A smaller log is folded sooner than another process has started."""


def ranges_for(until: int) -> int:
    """Into how many ranges a log of this length is cut, so that each fits into memory."""
    return max(1, -(-until // RANGE_TOUCHPOINTS))


@dataclass(frozen=True)
class Plan:
    """What is to be folded: which views, of the log up to which position, in how many ranges."""

    path: Path
    views: tuple[View, ...]
    until: int
    ranges: int


class Folded(NamedTuple):
    """The rows of one range, by view, with how many touchpoints and what is the latest."""

    number: int
    touchpoints: int
    latest_at: int | None
    rows: dict[str, tuple[list[Row], list[Failure]]]


class RangeFolder:
    """Reads and folds ranges of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._store = Datastore(plan.path)
        self._reader = Reader(plan.views)
        with self._store.cursor() as cursor:
            self._governance = governance(plan.until, cursor)

    def close(self) -> None:
        self._store.close()

    def fold(self, number: int) -> Folded:
        plan = self._plan
        with self._store.cursor() as cursor:
            touchpoints = self._reader.range(number, plan.ranges, plan.until, cursor)
        standing = self._governance.standing(touchpoints)
        rows = fold_streams(standing, plan.views, self._governance.rules)
        latest = max((t.at for t in touchpoints), default=None)
        return Folded(number, len(touchpoints), latest, rows)


def fold_ranges(plan: Plan, pending: Sequence[int], workers: int) -> Iterator[Folded]:
    """Fold the pending ranges of a plan; the results come in no particular order.

    Closing the iterator stops the work after the ranges in hand.
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
        for number in pending:
            yield folder.fold(number)
    finally:
        if collecting:
            gc.enable()
        folder.close()


def _fold_in_workers(plan: Plan, pending: Sequence[int], workers: int) -> Iterator[Folded]:
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(plan,)
    )
    waiting: deque[Future[Folded]] = deque()
    try:
        for number in pending:
            with _held_back(STOPPING):  # the processes that this may start inherit it
                waiting.append(pool.submit(_fold_in_worker, number))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _held_back(signals: set[signal.Signals]) -> Iterator[None]:
    """Let no such signal through meanwhile, neither here nor in a process that is started here.

    A worker leaves them to its parent, who ends the work; and the end of the parent ends ours.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_folder: RangeFolder | None = None


def _start_worker(plan: Plan) -> None:
    global _folder
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.disable()
    _folder = RangeFolder(plan)
    gc.freeze()


def _end_with_parent() -> None:
    """Leave no worker behind when the parent is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _fold_in_worker(number: int) -> Folded:
    if _folder is None:
        raise RuntimeError("the worker was not started with a plan")
    return _folder.fold(number)
