"""Under load: how long it takes from recorded to visible while touchpoints keep coming.

One process takes touchpoints in from bytes, at half of the rate that it reached when it had the
machine to itself. A second follows the views. A third asks, over and over, how far the views are.
"""

import multiprocessing
import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import nullcontext
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from statistics import median, quantiles
from typing import NamedTuple

from bench.material import THREE_VIEWS, Year, received
from bench.measuring import Note, Result, left_alone, rate
from ledger.address import Address
from ledger.intake import GROUP_TOUCHPOINTS_MAX, append, take
from ledger.ledger import Ledger, open_ledger
from ledger.progress import silent
from ledger.quarantine import Received
from projections.following import Following
from projections.pulse import Pulse
from projections.rebuild import rebuild
from schemas.door import Refused

LIMIT_SAMPLE_MAX = 10_000
LOAD_SAMPLE_MAX = 30_000
SHARE = 0.5
"""Of the limit."""
ARRIVAL_SECONDS = 0.02
"""What has come in this time is taken in as one group."""
WATCH_PAUSE_SECONDS = 0.002
PATIENCE_SECONDS = 120
VISIBLE_MS_MAX = 250.0
KEPT_UP_SHARE = 0.95
_POSITION = """
SELECT MIN(t.notification_id) FROM generations AS g JOIN tracking AS t
ON t.application_name = 'view:' || g.view || ':' || g.generation
WHERE g.state = 'live' AND g.view IN ('customers', 'tickets', 'loyalty')
"""
Group = list[tuple[Received, Refused | None]]


class Sight(NamedTuple):
    """When (monotonic seconds, the same for all processes) the log or the views stood where."""

    at: float
    position: int


class Load(NamedTuple):
    """One round: per second asked for and reached, and the delays in ms, sorted."""

    asked: float
    reached: float
    delays: list[float]


def load_sample(touchpoints: int) -> int:
    """How many touchpoints a round takes in under load."""
    return max(200, min(LOAD_SAMPLE_MAX, touchpoints // 5))


def limit_sample(touchpoints: int) -> int:
    """How many touchpoints a round takes in to find the limit."""
    return max(100, min(LIMIT_SAMPLE_MAX, touchpoints // 10))


def loaded_later(touchpoints: int) -> int:
    """How many lines a round takes from the year."""
    return load_sample(touchpoints) + limit_sample(touchpoints)


def compare_load(year: Year, rounds: int, note: Note) -> list[Result]:
    """The delays at half of the limit: medians of the rounds, and the goal is of the p99."""
    rebuild(year.ledger, THREE_VIEWS)
    loads = []
    for number in range(1, rounds + 1):
        note(f"round {number} of {rounds}: the limit of the intake, then half of it")
        lines = year.next_lines(limit_sample(year.size.touchpoints))
        limit = rate(len(lines), lambda: take(year.ledger, received(lines)))  # noqa: B023
        loads.append(under_load(year, limit * SHARE))
    return results_of(loads)


def results_of(loads: Sequence[Load]) -> list[Result]:
    """The p50 and the p99. Where the load itself was not reached, nothing is said of the goal."""
    asked, reached = median(load.asked for load in loads), median(load.reached for load in loads)
    work = f"at {reached:,.0f}/s; half of the intake alone is {asked:,.0f}/s"
    kept_up = reached >= KEPT_UP_SHARE * asked
    goals = {50: None, 99: 1.0 if kept_up else None}
    results = []
    for percent, goal in goals.items():
        delays = [percentile(load.delays, percent) for load in loads]
        results.append(
            Result(
                work=f"recorded to visible, p{percent}, {work}",
                to_beat=f"{VISIBLE_MS_MAX:.0f} ms",
                unit="ms",
                theirs=VISIBLE_MS_MAX,
                ours=median(delays),
                ratio=median(delays) / VISIBLE_MS_MAX,
                goal=goal,
                at_most=True,
                rounds={"delay": delays, "touchpoints/s": [load.reached for load in loads]},
            )
        )
    return results


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The value that so many percent of the values do not exceed."""
    return quantiles(ordered, n=100, method="inclusive")[percent - 1]


def under_load(year: Year, touchpoints_per_second: float) -> Load:
    """Take in a sample at this rate while it is followed and watched."""
    count = load_sample(year.size.touchpoints)
    lines = year.next_lines(count)
    with year.ledger.store.cursor() as cursor:
        until = cursor.execute("SELECT position FROM head").fetchone()[0] + count
    context = multiprocessing.get_context("spawn")
    ready = [context.Event(), context.Event()]
    mine, theirs = context.Pipe()
    address = year.ledger.address
    processes = [
        context.Process(target=follow_along, args=(address, until, ready[0]), daemon=True),
        context.Process(target=watch, args=(address, until, ready[1], theirs), daemon=True),
    ]
    for process in processes:
        process.start()
    try:
        if not all(event.wait(PATIENCE_SECONDS) for event in ready):
            raise RuntimeError("the follower or the watcher did not start")
        began, recorded = take_steadily(year.ledger, lines, touchpoints_per_second)
        reached = count / (recorded[-1].at - began)
        if not mine.poll(PATIENCE_SECONDS):
            raise RuntimeError(f"the views have not come to {until}")
        seen: list[Sight] = mine.recv()
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join(PATIENCE_SECONDS)
    return Load(touchpoints_per_second, reached, delays_of(recorded, seen))


def take_steadily(
    ledger: Ledger, lines: Sequence[bytes], touchpoints_per_second: float
) -> tuple[float, list[Sight]]:
    """Take lines in as they come at this rate; when it began, and when each group was recorded."""
    recorded = []
    items: Group = [(item, None) for item in received(lines)]
    taken = 0
    with left_alone():
        began = time.monotonic()
        while taken < len(items):
            time.sleep(ARRIVAL_SECONDS)
            there = int((time.monotonic() - began) * touchpoints_per_second)
            group = items[taken : min(there, taken + GROUP_TOUCHPOINTS_MAX)]
            if group:
                receipt, _ = append(ledger, group)
                recorded.append(Sight(time.monotonic(), receipt.head))
                taken += len(group)
    return began, recorded


def delays_of(recorded: Sequence[Sight], seen: Sequence[Sight]) -> list[float]:
    """For each touchpoint the ms from when it was recorded to when the views had it, sorted.

    What was seen before its writer heard that it was recorded counts as no delay.
    """
    delays = []
    positions = [sight.position for sight in seen]
    before = seen[0].position
    for at, position in recorded:
        for touchpoint in range(before + 1, position + 1):
            visible = seen[bisect_left(positions, touchpoint)].at
            delays.append(max(0.0, (visible - at) * 1_000))
        before = position
    return sorted(delays)


def follow_along(address: Address, until: int, ready: Event) -> None:
    """What `touchstone follow` does, in a process of its own, until the views are there."""
    with open_ledger(address) as ledger:
        pulse = Pulse(PATIENCE_SECONDS)
        following = Following(ledger, THREE_VIEWS, pulse, progress=lambda: nullcontext(silent))
        ready.set()
        following.run(until)


def watch(address: Address, until: int, ready: Event, report: Connection) -> None:
    """Ask how far the views are until they are there; hands over every step that it saw."""
    seen: list[Sight] = []
    with open_ledger(address) as ledger:
        deadline = time.monotonic() + 2 * PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with ledger.store.cursor() as cursor:
                position = cursor.execute(_POSITION).fetchone()[0] or 0
            if not seen or position > seen[-1].position:
                seen.append(Sight(time.monotonic(), position))
                ready.set()
            if position >= until:
                break
            time.sleep(WATCH_PAUSE_SECONDS)
    report.send(seen)
