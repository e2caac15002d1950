"""Rebuilding and following the three views, against the library's one transaction per event."""

from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from bench.material import THREE_VIEWS, Year
from bench.measuring import Goal, Note, Result, Run, alternately, compared, rate
from bench.stock import StockFile, counting_rate, stock_file_of
from ledger.ledger import Ledger
from projections import generations
from projections.follow import follow
from projections.rebuild import rebuild

LOOP_SAMPLE_MAX = 20_000
"""The loop does the same for every event, so a sample shows its rate."""
FOLLOW_SAMPLE_MAX = 20_000
AS_INSTALLED = "stock loop, one transaction per event"
AT_FULL = f"{AS_INSTALLED}, synchronous=FULL"
AT_NORMAL = f"{AS_INSTALLED}, synchronous=NORMAL"
FOLLOWING = "following in pages of 1,000"
REBUILD_GOAL = Goal(35, 50)


def compare_rebuild(
    year: Year, folder: Path, workers: Sequence[int], rounds: int, note: Note
) -> list[Result]:
    """The rebuild with each number of workers.

    Views are disposable, so the rebuild writes them at synchronous=NORMAL; the loop as
    documented does not. The last lines take that advantage away.
    """
    ledger, touchpoints = year.ledger, year.size.touchpoints
    stock = stock_file_of(ledger, min(LOOP_SAMPLE_MAX, touchpoints), folder / "loop.db")
    ways = _loops(stock, min(LOOP_SAMPLE_MAX, touchpoints))
    ours = {f"rebuild, workers: {count}": count for count in workers}
    ways |= {name: partial(_rebuild_rate, ledger, count) for name, count in ours.items()}
    figures = alternately(ways, rounds, note)
    stock.close()
    return [
        compared(name, name, theirs, figures, goal)
        for theirs, goal in (((AS_INSTALLED, AT_FULL), REBUILD_GOAL), ((AT_NORMAL,), Goal()))
        for name in ours
    ]


def _loops(stock: StockFile, sample: int) -> dict[str, Run]:
    """As installed comes first: the others set what it leaves alone."""
    installed = stock.synchronous()
    return {
        AS_INSTALLED: partial(counting_rate, stock, sample, installed),
        AT_FULL: partial(counting_rate, stock, sample, "FULL"),
        AT_NORMAL: partial(counting_rate, stock, sample, "NORMAL"),
    }


def _rebuild_rate(ledger: Ledger, workers: int) -> float:
    forget_views(ledger)
    touchpoints = ledger.log.head().position
    return rate(touchpoints, partial(rebuild, ledger, THREE_VIEWS, workers=workers))


def forget_views(ledger: Ledger) -> None:
    """Drop all generations, so that each round does the same."""
    with ledger.store.cursor(write=True) as cursor:
        for view, number in cursor.execute("SELECT view, generation FROM generations").fetchall():
            generations.discard(view, number, cursor)


def follow_sample(touchpoints: int) -> int:
    """How many touchpoints a round of following appends to a log of this size."""
    return max(1, min(FOLLOW_SAMPLE_MAX, touchpoints // 10))


def compare_following(year: Year, folder: Path, rounds: int, note: Note) -> list[Result]:
    """New touchpoints of a log with views, folded page by page, rows and position at once."""
    ledger = year.ledger
    sample = min(LOOP_SAMPLE_MAX, year.size.touchpoints)
    stock = stock_file_of(ledger, sample, folder / "follow.db")
    rebuild(ledger, THREE_VIEWS)
    ways = _loops(stock, sample)
    ways[FOLLOWING] = partial(_following_rate, year)
    figures = alternately(ways, rounds, note)
    stock.close()
    return [
        compared(FOLLOWING, FOLLOWING, theirs, figures, Goal())
        for theirs in ((AS_INSTALLED, AT_FULL), (AT_NORMAL,))
    ]


def _following_rate(year: Year) -> float:
    count = follow_sample(year.size.touchpoints)
    year.take_in(islice(year.later, count))
    return rate(count, partial(follow, year.ledger, THREE_VIEWS))
