"""Rebuilding and following the three views, against the library's one transaction per event."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from bench.material import THREE_VIEWS, Year
from bench.measuring import NO_GOAL, Goal, Line, Note, Result, Run, alternately, compared, rate
from ledger.ledger import Ledger
from projections import generations
from projections.follow import follow
from projections.rebuild import rebuild

FOLLOW_SAMPLE_MAX = 20_000
PLAIN_PAGE = 10_000
FOLLOWING = "following in pages of 1,000"
READING = "plain reading: position and body, pages of 10,000"


@dataclass(frozen=True)
class Against:
    """A way of theirs to keep a view, and the goals of ours; those of a rebuild by workers."""

    theirs: tuple[str, ...]
    rebuild: Callable[[int], Goal] = lambda workers: NO_GOAL
    follow: Goal = NO_GOAL


@dataclass(frozen=True)
class Loops:
    """How the library keeps one counter view, an event at a time: its rates over a sample."""

    ways: dict[str, Run]
    against: tuple[Against, ...]


MakeLoops = Callable[[Year, str], AbstractContextManager[Loops]]
"""Loops over the beginning of a year, kept under this name."""


def compare_rebuild(
    year: Year, make_loops: MakeLoops, workers: Sequence[int], rounds: int, note: Note
) -> list[Result]:
    """The rebuild with each number of workers, and what reading alone takes.

    Views are disposable, so the rebuild does not wait for the disk; the loop as documented does.
    """
    ours = {f"rebuild, workers: {count}": count for count in workers}
    with make_loops(year, "loop") as loops:
        ways = dict(loops.ways)
        ways[READING] = partial(_reading_rate, year.ledger)
        ways |= {name: partial(rebuild_rate, year.ledger, count) for name, count in ours.items()}
        figures = alternately(ways, rounds, note)
    lines = [(a.theirs, a.rebuild) for a in loops.against]
    lines.append(((READING,), lambda workers: NO_GOAL))
    return [
        compared(name, name, Line(theirs, goal(count)), figures)
        for theirs, goal in lines
        for name, count in ours.items()
    ]


def rebuild_rate(ledger: Ledger, workers: int) -> float:
    """How many touchpoints a second the three views are rebuilt from, from nothing."""
    forget_views(ledger)
    touchpoints = ledger.log.head().position
    return rate(touchpoints, partial(rebuild, ledger, THREE_VIEWS, workers=workers))


def _reading_rate(ledger: Ledger) -> float:
    return rate(ledger.log.head().position, partial(_read, ledger))


def _read(ledger: Ledger) -> None:
    after = 0
    with ledger.store.cursor() as cursor:
        while rows := cursor.execute(
            "SELECT notification_id, state FROM stored_events WHERE notification_id > ? "
            "ORDER BY notification_id LIMIT ?",
            (after, PLAIN_PAGE),
        ).fetchall():
            after = rows[-1][0]


def forget_views(ledger: Ledger) -> None:
    """Drop all generations, and what analysts see of them, so that each round does the same."""
    with ledger.store.cursor(write=True) as cursor:
        found = cursor.execute("SELECT view, generation FROM generations").fetchall()
        for view in {view for view, _ in found}:
            cursor.execute(f"DROP VIEW IF EXISTS {view}")
        for view, number in found:
            generations.discard(view, number, cursor)


def follow_sample(touchpoints: int) -> int:
    """How many touchpoints a round of following appends to a log of this size."""
    return max(1, min(FOLLOW_SAMPLE_MAX, touchpoints // 10))


def compare_following(year: Year, make_loops: MakeLoops, rounds: int, note: Note) -> list[Result]:
    """New touchpoints of a log with views, folded page by page, rows and position at once."""
    rebuild(year.ledger, THREE_VIEWS)
    year.place.settle()
    with make_loops(year, "follow") as loops:
        ways = dict(loops.ways)
        ways[FOLLOWING] = partial(_following_rate, year)
        figures = alternately(ways, rounds, note)
    return [
        compared(FOLLOWING, FOLLOWING, Line(against.theirs, against.follow), figures)
        for against in loops.against
    ]


def _following_rate(year: Year) -> float:
    count = follow_sample(year.size.touchpoints)
    year.take_in(year.next_lines(count))
    return rate(count, partial(follow, year.ledger, THREE_VIEWS))
