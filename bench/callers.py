"""Many callers at once, one touchpoint each, against the library's `save` from a few threads."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TypeVar

from bench.material import Year, received
from bench.measuring import Goal, Line, Note, Result, alternately, compared, left_alone
from bench.places import PostgresPlace
from bench.stock_application import Streams, Touchpoints, environment
from ledger.log import Submission

CALLERS = 64
STOCK_CALLERS = 8
SAMPLE_MAX = 12_800
STOCK_SAMPLE_MAX = 3_200
OURS = f"{CALLERS} concurrent callers, one touchpoint each"
STOCK = f"stock save, {STOCK_CALLERS} threads, one event each"
ALONE = "the same, one caller"
CALLERS_GOAL = Goal(10, 20)

T = TypeVar("T")


def callers_sample(touchpoints: int) -> int:
    """How many touchpoints our callers append in a round, behind a log of this size."""
    return max(CALLERS, min(SAMPLE_MAX, touchpoints // 10))


def called_later(touchpoints: int) -> int:
    """How many lines a round takes from the year."""
    sample = callers_sample(touchpoints)
    return 2 * min(sample, STOCK_SAMPLE_MAX) + sample


def compare_callers(year: Year, place: PostgresPlace, rounds: int, note: Note) -> list[Result]:
    """Each call returns when its touchpoint is on the disk."""
    application = Touchpoints(environment(place.database("callers_stock")))
    bench = _Callers(year, application)
    ways = {STOCK: bench.stock_rate, OURS: bench.our_rate, ALONE: bench.alone_rate}
    figures = alternately(ways, rounds, note)
    application.close()
    return [
        compared(OURS, OURS, Line((STOCK,), CALLERS_GOAL), figures),
        compared(ALONE, ALONE, Line((STOCK,)), figures),
    ]


class _Callers:
    def __init__(self, year: Year, application: Touchpoints) -> None:
        self._year = year
        self._application = application
        self._streams = Streams()
        self._sample = callers_sample(year.size.touchpoints)

    def stock_rate(self) -> float:
        count = min(self._sample, STOCK_SAMPLE_MAX)
        records = self._year.records_of(self._year.next_lines(count))
        events = self._streams.events_of(records)
        return calling_rate(self._application.save, events, STOCK_CALLERS)

    def our_rate(self) -> float:
        return calling_rate(self._append, self._submissions(self._sample), CALLERS)

    def alone_rate(self) -> float:
        count = min(self._sample, STOCK_SAMPLE_MAX)
        return calling_rate(self._append, self._submissions(count), 1)

    def _append(self, submission: Submission) -> None:
        self._year.ledger.log.append([submission])

    def _submissions(self, count: int) -> list[Submission]:
        lines = self._year.next_lines(count)
        return list(map(Submission, received(lines), self._year.records_of(lines)))


def calling_rate(call: Callable[[T], object], items: Sequence[T], callers: int) -> float:
    """Calls per second by so many threads, from when all of them stand ready to the last return."""
    ready = Barrier(callers + 1)
    with left_alone(), ThreadPoolExecutor(callers) as pool:
        shares = [items[number::callers] for number in range(callers)]
        done = [pool.submit(partial(_call_all, call, share, ready)) for share in shares]
        ready.wait()
        started = time.perf_counter()
        for future in done:
            future.result()
        return len(items) / (time.perf_counter() - started)


def _call_all(call: Callable[[T], object], share: Iterable[T], ready: Barrier) -> None:
    ready.wait()
    for item in share:
        call(item)
