"""Replaying the whole log into a file, against rebuilding the same views."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.material import Year
from bench.measuring import Goal, Line, Note, Result, alternately, compared, rate
from projections.aside import Labour
from projections.query import Cut
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from projections.replaying import replay

REPLAY_GOAL = Goal(1.0)


def replaying_with(workers: int) -> str:
    """What a replay with so many workers is called."""
    return f"replay of all views, workers: {workers}"


def compare_replay(year: Year, workers: Sequence[int], rounds: int, note: Note) -> list[Result]:
    """Rebuilds and replays in turn; the file is on the disk when a replay ends."""
    rebuilding = {count: f"rebuild of all views, workers: {count}" for count in workers}
    ways = {rebuilding[count]: partial(_rebuild_rate, year, count) for count in workers}
    ways |= {replaying_with(count): partial(_replay_rate, year, count) for count in workers}
    figures = alternately(ways, rounds, note)
    return [
        compared(name, name, Line((rebuilding[count],), REPLAY_GOAL), figures)
        for count in workers
        for name in [replaying_with(count)]
    ]


def _rebuild_rate(year: Year, workers: int) -> float:
    return rate(_touchpoints(year), partial(rebuild, year.ledger, PROJECTIONS, workers=workers))


def _replay_rate(year: Year, workers: int) -> float:
    with TemporaryDirectory(dir=year.place.folder) as folder:
        return rate(_touchpoints(year), partial(_replay, year, Path(folder) / "out.db", workers))


def _replay(year: Year, into: Path, workers: int) -> None:
    replay(year.ledger, into, PROJECTIONS, Cut(), labour=Labour(workers=workers))
    with into.open("rb") as file:
        os.fsync(file.fileno())


def _touchpoints(year: Year) -> int:
    return year.ledger.log.head().position
