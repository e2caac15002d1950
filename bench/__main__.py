"""`python -m bench`: measures the ratios of docs/PERFORMANCE.md on this machine."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench.appending import appended_later, compare_append
from bench.machine import this_machine
from bench.material import Size, Year
from bench.measuring import ROUNDS, Note, Result
from bench.memory import PROCESSES, compare_memory
from bench.rebuilding import compare_following, compare_rebuild, follow_sample
from bench.report import Report, print_report, write_report

NAMES = ("rebuild", "memory", "follow", "append")
RESULTS = Path(__file__).parent / "results" / "sqlite.json"


def main(arguments: Sequence[str] | None = None) -> Report:
    """Measure, print the table to standard output, and write the JSON."""
    options = _options(arguments)
    size = Size.of(options.touchpoints, options.customers)
    machine = this_machine()
    progress = Console(stderr=True)
    with TemporaryDirectory(prefix="touchstone-bench-") as folder:
        results = measure(size, options, Path(folder), lambda text: progress.print(text))
    report = Report(machine, size.touchpoints, size.customers, options.rounds, results)
    write_report(report, options.json)
    print_report(report, Console(width=None if sys.stdout.isatty() else 200))
    return report


def measure(size: Size, options: argparse.Namespace, folder: Path, note: Note) -> list[Result]:
    """Everything that is asked for, in ledgers under this folder."""
    wanted = frozenset(options.only or NAMES)
    results: list[Result] = []
    later = follow_sample(size.touchpoints) + appended_later(size.touchpoints)
    year = Year(folder, "year", size, later * options.rounds, note)
    if "rebuild" in wanted:
        results += compare_rebuild(year, folder, options.workers, options.rounds, note)
    if "memory" in wanted and PROCESSES.is_dir():
        small = Year(folder, "small", size.tenth(), 0, note)
        results += compare_memory(small, year, options.workers, note)
        small.close()
    if "follow" in wanted:
        results += compare_following(year, folder, options.rounds, note)
    if "append" in wanted:
        results += compare_append(year, folder, options.rounds, note)
    year.close()
    return results


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--touchpoints", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, help="a twentieth of the touchpoints by default")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=sorted({1, 2, os.cpu_count() or 1})
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=NAMES, action="append", help="may be repeated")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
