"""What other processes do in these tests: `python -m tests.projections.elsewhere DO URL KEYS …`.

    append URL KEYS COUNT            append so many orders, one by one
    rebuild URL KEYS WORKERS SECONDS rebuild the views in small ranges, each taking so long

Workers import this module too, and so have the same small ranges.
"""

import sys
import time
from pathlib import Path

from ledger.address import Address, parse_url
from projections import ranges
from projections.ranges import Folded, RangeFolder
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from tests.domain.loyalty_facts import order
from tests.projections.ledgers import opened, tell

ROOT = Path(__file__).parents[2]
RANGE_TOUCHPOINTS = 10
_fold_at_once = RangeFolder._fold


def command(do: str, address: Address, *arguments: object) -> list[str]:
    """The command line by which another process does it."""
    there = (address.url, str(address.keys))
    return [sys.executable, "-m", __name__, do, *there, *map(str, arguments)]


def _fold_slowly(folder: RangeFolder, number: int) -> Folded:
    time.sleep(float(sys.argv[5]))
    return _fold_at_once(folder, number)


def _append(address: Address, count: int) -> None:
    with opened(address) as ledger:
        for number in range(count):
            tell(ledger, order("2026-01-05", f"other-{number}", 100))


def _rebuild(address: Address, workers: int) -> None:
    with opened(address) as ledger:
        rebuild(
            ledger,
            PROJECTIONS,
            workers=workers,
            report=lambda phase, done, total: print(phase, done, total, flush=True),  # noqa: T201
        )


if sys.argv[1:2] == ["rebuild"]:
    ranges.IN_PROCESS_MAX = 0
    ranges.RANGE_TOUCHPOINTS = RANGE_TOUCHPOINTS
    RangeFolder._fold = _fold_slowly  # type: ignore[assignment, method-assign]

if __name__ == "__main__":
    place, argument = parse_url(sys.argv[2], Path(sys.argv[3])), int(sys.argv[4])
    if sys.argv[1] == "append":
        _append(place, argument)
    else:
        _rebuild(place, argument)
