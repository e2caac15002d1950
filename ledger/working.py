"""Work in several processes on one ledger: how they start, and how they end."""

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any, TypeVar

from ledger.errors import LedgerError

STOPPING = {signal.SIGINT, signal.SIGTERM}
COLLECTED_AFTER, COLLECTED_TIMES = 100_000, 50
"""After how many new objects the young are looked at, and after how many times the older."""
T = TypeVar("T")
R = TypeVar("R")


def in_workers(
    work: Callable[[T], R],
    tasks: Iterable[T],
    workers: int,
    start: Callable[..., object],
    *arguments: Any,
    then: str = "begin the work again",
) -> Generator[R, None, None]:
    """The results of all tasks, in their order; each process first calls `start(*arguments)`.

    Closing the iterator stops the work after the tasks in hand. Raises LedgerError when a worker
    was ended from outside; `then` says what is to be done about it.
    """
    pool = ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(start, arguments),
    )
    waiting: deque[Future[R]] = deque()
    try:
        for task in tasks:
            with held_back(STOPPING):  # the processes that this may start inherit it
                waiting.append(pool.submit(work, task))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise LedgerError(f"a worker was ended from outside; {then}") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def held_back(signals: set[signal.Signals]) -> Iterator[None]:
    """Let no such signal through meanwhile, neither here nor in a process that is started here.

    A worker leaves them to its parent, who ends the work; and the end of the parent ends ours.
    """
    resource_tracker.ensure_running()  # which would let them through when it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def collect_seldom() -> None:
    """Let the garbage collector of this process look less often: what groups leave behind is
    mostly gone by itself, and looking for the rest costs a fifteenth of the rate."""
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER, COLLECTED_TIMES, COLLECTED_TIMES)


def _start(start: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    start(*arguments)


def end_with_parent() -> None:
    """Leave this process not behind when its parent is killed."""
    threading.Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
