"""Appending in groups of 1,000, each `(source, id)` once, against the library's insert."""

from functools import partial
from pathlib import Path

from bench.material import Size
from bench.measuring import Goal, Note, Result, alternately, compared
from bench.stock import in_groups, stored_events
from cli.demo_year import benchmark_lines

GROUP_TOUCHPOINTS = 1_000
APPEND_TOUCHPOINTS_MAX = 200_000
WHOLE_WAY_SHARE = 4
"""The whole way is measured on a quarter: most of it does not depend on the log's size."""
STOCK = "stock insert_events, synchronous=FULL, not idempotent"
OURS = "idempotent append, groups of 1,000"
AGAIN = "the same groups again: all duplicates"
WHOLE_WAY = "the whole way: parse, validate, encrypt, append"
APPEND_GOAL = Goal(1.2, 1.5)


def compare_append(size: Size, folder: Path, rounds: int, note: Note) -> list[Result]:
    """Prepared records into fresh files; then from bytes, which nothing there compares with."""
    touchpoints = min(APPEND_TOUCHPOINTS_MAX, size.touchpoints)
    lines = list(benchmark_lines(Size.of(touchpoints).customers, touchpoints))
    bench = _Appending(folder, lines)
    note(f"preparing {touchpoints:,} records")
    groups = bench.prepared()
    events = in_groups(stored_events([s.record for s in _flat(groups)]), GROUP_TOUCHPOINTS)
    ways = {
        STOCK: partial(bench.stock_rate, events),
        OURS: partial(bench.append_rate, groups),
        AGAIN: partial(bench.again_rate, groups),
        WHOLE_WAY: bench.whole_way_rate,
    }
    figures = alternately(ways, rounds, note)
    bench.close()
    return [
        compared(OURS, OURS, (STOCK,), figures, APPEND_GOAL),
        compared(AGAIN, AGAIN, (STOCK,), figures, Goal()),
        compared(WHOLE_WAY, WHOLE_WAY, (STOCK,), figures, Goal()),
    ]
