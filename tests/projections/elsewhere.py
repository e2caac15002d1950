"""What other processes do in these tests: `python -m tests.projections.elsewhere DO FOLDER …`.

    append FOLDER COUNT            append so many orders, one by one
    rebuild FOLDER WORKERS SECONDS rebuild the views in small ranges, each taking so long

Workers import this module too, and so have the same small ranges.
"""

import sys
import time
from pathlib import Path

from projections import ranges
from projections.ranges import Folded, RangeFolder
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from tests.domain.loyalty_facts import order
from tests.projections.ledgers import opened, tell

ROOT = Path(__file__).parents[2]
RANGE_TOUCHPOINTS = 10
_fold = RangeFolder.fold


def command(do: str, folder: Path, *arguments: object) -> list[str]:
    """The command line by which another process does it."""
    return [sys.executable, "-m", __name__, do, str(folder), *map(str, arguments)]


def _fold_slowly(folder: RangeFolder, number: int) -> Folded:
    time.sleep(float(sys.argv[4]))
    return _fold(folder, number)


def _append(folder: Path, count: int) -> None:
    with opened(folder) as ledger:
        for number in range(count):
            tell(ledger, order("2026-01-05", f"other-{number}", 100))


def _rebuild(folder: Path, workers: int) -> None:
    with opened(folder) as ledger:
        rebuild(
            ledger,
            PROJECTIONS,
            workers=workers,
            report=lambda phase, done, total: print(phase, done, total, flush=True),  # noqa: T201
        )


if sys.argv[1:2] == ["rebuild"]:
    ranges.IN_PROCESS_MAX = 0
    ranges.RANGE_TOUCHPOINTS = RANGE_TOUCHPOINTS
    RangeFolder.fold = _fold_slowly  # type: ignore[assignment, method-assign]

if __name__ == "__main__":
    place, argument = Path(sys.argv[2]), int(sys.argv[3])
    if sys.argv[1] == "append":
        _append(place, argument)
    else:
        _rebuild(place, argument)
