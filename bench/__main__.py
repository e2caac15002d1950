"""`python -m bench`: measures the ratios of docs/PERFORMANCE.md on this machine."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from rich.console import Console

from bench import against
from bench.machine import this_machine
from bench.material import Size
from bench.measuring import ROUNDS
from bench.places import PostgresPlace, SQLitePlace
from bench.report import Report, print_report, write_report
from bench.suites import KAFKA, NAMES, POSTGRES_ONLY, Asked, PostgresSuite, SQLiteSuite, Suite
from tests.servers.kafka import installation
from tests.servers.postgres import Server, temporary_server

STORES = ("sqlite", "postgres")
BOTH = "both"
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> Report:
    """Measure, print the table to standard output, and write the JSON."""
    options = _options(arguments)
    size = Size.of(options.touchpoints, options.customers)
    asked = _asked(options)
    progress = Console(stderr=True)
    results = []
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="touchstone-bench-"))
        server = None if options.store == "sqlite" else stack.enter_context(temporary_server())
        machine = this_machine(server)
        for suite in _suites(options, Path(folder), server):
            progress.print(suite.place.store)
            measured = suite.measure(size, asked, lambda text: progress.print(f"  {text}"))
            results += [msgspec.structs.replace(r, store=suite.place.store) for r in measured]
    report = Report(machine, size.touchpoints, size.customers, options.rounds, results)
    write_report(report, options.json or RESULTS / f"{options.store}.json")
    print_report(report, Console(width=None if sys.stdout.isatty() else 200))
    return report


def _suites(options: argparse.Namespace, folder: Path, server: Server | None) -> list[Suite]:
    suites: list[Suite] = []
    if options.store != "postgres":
        suites.append(SQLiteSuite(SQLitePlace(folder)))
    if server is not None:
        suites.append(PostgresSuite(PostgresPlace(folder, server), options.against))
    return suites


def _asked(options: argparse.Namespace) -> Asked:
    return Asked(frozenset(options.only or NAMES), tuple(options.workers), options.rounds)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--store", choices=(*STORES, BOTH), default=BOTH)
    parser.add_argument("--touchpoints", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, help="a twentieth of the touchpoints by default")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=sorted({1, 2, os.cpu_count() or 1})
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=NAMES, action="append", help="may be repeated")
    parser.add_argument(
        "--against", choices=against.NAMES, nargs="+", default=[],
        help="other event stores to append to on PostgreSQL; needs Node.js and a package registry",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    _check(options, parser)
    return options


def _check(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """End with exit code 2 when what is asked for cannot be had."""
    if options.store == "sqlite":
        if options.against:
            parser.error("--against compares on PostgreSQL; choose another --store")
        if options.only and set(options.only) <= POSTGRES_ONLY:
            parser.error(f"only PostgreSQL has {', '.join(sorted(options.only))}")
    missing = against.missing_programs(options.against)
    if missing:
        parser.error(f"--against: {missing}")
    if KAFKA in (options.only or NAMES):
        _check_kafka(parser)


def _check_kafka(parser: argparse.ArgumentParser) -> None:
    """Have Kafka here before anything is measured: it may have to be fetched."""
    try:
        installation()
    except RuntimeError as error:
        parser.error(f"{error}; or leave it out by naming others with --only")


if __name__ == "__main__":
    main()
