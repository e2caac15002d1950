"""The report: a table for people, JSON for whoever compares runs."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.machine import Machine
from bench.material import Size
from bench.measuring import RATE, Result

COLUMNS = ("store", "work", "to beat", "theirs", "ours", "ratio", "goal", "stretch", "reached")
NUMBERS = frozenset(COLUMNS[3:8])


class Report(msgspec.Struct, frozen=True):
    """One run of the benchmarks."""

    machine: Machine
    touchpoints: int
    customers: int
    rounds: int
    results: list[Result]


def print_report(report: Report, console: Console) -> None:
    """The table, and under it what machine it is of."""
    size = Size(report.touchpoints, report.customers)
    table = Table(title=str(size))
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in NUMBERS else "left")
    for result in report.results:
        table.add_row(*_cells(result))
    console.print(table)
    console.print(f"Medians of {report.rounds} rounds in turn. {report.machine}", highlight=False)


def _cells(result: Result) -> Sequence[str]:
    return (
        result.store,
        result.work,
        result.to_beat,
        _figure(result.theirs, result.unit),
        _figure(result.ours, result.unit),
        f"{result.ratio:.2f} x",
        _bound(result.goal, result.at_most),
        _bound(result.stretch, result.at_most),
        result.reached,
    )


def _figure(value: float, unit: str) -> str:
    """Nearly all of the table is touchpoints, so it does not say so."""
    return f"{value:,.0f}/s" if unit == RATE else f"{value:,.0f} {unit}"


def _bound(ratio: float | None, at_most: bool) -> str:
    if ratio is None:
        return ""
    return f"≤ {ratio:g} x" if at_most else f"{ratio:g} x"


def write_report(report: Report, file: Path) -> None:
    """The whole run as JSON, every round of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
