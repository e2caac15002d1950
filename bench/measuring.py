"""What is measured and how: rounds of each way in turn, their median, and a ratio."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import msgspec

ROUNDS = 3
RATE = "touchpoints/s"

Run = Callable[[], float]
"""Does the work once and returns its figure, mostly touchpoints per second."""
Note = Callable[[str], None]
"""Told what goes on."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report. `rounds` has every figure, by the way that gave it.

    `ratio` is ours to theirs. `goal` and `stretch` are ratios to be reached, or not to be
    exceeded where `at_most`; None where there is nothing to be reached.
    """

    store: str = ""
    work: str
    to_beat: str
    unit: str
    theirs: float
    ours: float
    ratio: float
    goal: float | None = None
    stretch: float | None = None
    at_most: bool = False
    rounds: dict[str, list[float]] = {}

    @property
    def reached(self) -> str:
        """`stretch`, `goal` or `no`; empty where there is nothing to be reached."""
        if self.goal is None:
            return ""
        if self.stretch is not None and self._meets(self.stretch):
            return "stretch"
        return "goal" if self._meets(self.goal) else "no"

    def _meets(self, bound: float) -> bool:
        return self.ratio <= bound if self.at_most else self.ratio >= bound


@dataclass(frozen=True)
class Goal:
    """What is asked for: ratios of our figure to theirs."""

    goal: float | None = None
    stretch: float | None = None


NO_GOAL = Goal()


@dataclass(frozen=True)
class Line:
    """What ours is held against: the fastest of these ways of theirs."""

    theirs: tuple[str, ...]
    goal: Goal = NO_GOAL


def alternately(ways: Mapping[str, Run], rounds: int, note: Note) -> dict[str, list[float]]:
    """Run every way once, then all of them again: what slows the machine slows them all."""
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(1, rounds + 1):
        for name, run in ways.items():
            note(f"round {number} of {rounds}: {name}")
            figures[name].append(run())
    return figures


def compared(work: str, ours: str, line: Line, figures: dict[str, list[float]]) -> Result:
    """Our median against the fastest of theirs."""
    best = max(line.theirs, key=lambda name: median(figures[name]))
    beaten, reached = median(figures[best]), median(figures[ours])
    return Result(
        work=work,
        to_beat=best,
        unit=RATE,
        theirs=beaten,
        ours=reached,
        ratio=reached / beaten,
        goal=line.goal.goal,
        stretch=line.goal.stretch,
        rounds={name: figures[name] for name in (*line.theirs, ours)},
    )


def rate(count: int, work: Callable[[], object]) -> float:
    """How many a second, when the work does so many of them."""
    with left_alone():
        started = time.perf_counter()
        work()
        return count / (time.perf_counter() - started)


@contextmanager
def left_alone() -> Iterator[None]:
    """Keep what the benchmark itself holds ready from the garbage collector.

    It would go through it again and again at the cost of whoever is measured.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
