"""Progress on standard error: a bar with rate and ETA on a terminal, NDJSON lines elsewhere."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from ledger.progress import Report, silent

LINES_SECONDS = 2.0
"""How often a line is written where there is no terminal."""


class _Rate:
    """How fast a phase goes, and how long it still takes at that rate."""

    def __init__(self) -> None:
        self.phase = ""
        self.started = 0.0
        self.first = 0

    def update(self, phase: str, done: int) -> float:
        if phase != self.phase:
            self.phase, self.started, self.first = phase, time.monotonic(), done
        return (done - self.first) / max(time.monotonic() - self.started, 1e-3)


_shown: Console | None = None
"""The terminal that a bar stands on just now; whatever else is said goes above it."""


def say(text: str) -> None:
    """A line on standard error, whether a bar is shown there or not."""
    if _shown is None:
        click.echo(text, err=True)
    else:
        _shown.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(unit: str, *, quiet: bool) -> Iterator[Report]:
    """Give a report that is shown while the work lasts; short work shows nothing."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bar(unit) as report:
            yield report
    else:
        yield _Lines(unit)


@contextmanager
def _bar(unit: str) -> Iterator[Report]:
    """A bar with its share and ETA where the whole is known, and with its rate in any case."""
    global _shown
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[share]}"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task: TaskID = bar.add_task("", total=None, share="", rate="", left="", visible=False)
        rate = _Rate()

        def report(phase: str, done: int, total: int) -> None:
            speed = rate.update(phase, done)
            seconds = (total - done) / speed if total and speed else None
            bar.update(
                task,
                visible=True,
                description=phase,
                completed=done,
                total=total or None,
                share=f"{done / total:4.0%}" if total else f"{done:,}",
                rate=f"{speed:,.0f} {unit}/s",
                left="" if seconds is None else f"ETA {timedelta(seconds=round(seconds))}",
            )

        _shown = console
        try:
            yield report
        finally:
            _shown = None


class _Lines:
    """One JSON object every few seconds: phase, done, total, rate and ETA in seconds."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._rate = _Rate()
        self._next = time.monotonic() + LINES_SECONDS

    def __call__(self, phase: str, done: int, total: int) -> None:
        speed = self._rate.update(phase, done)
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LINES_SECONDS
        line: dict[str, Any] = {"phase": phase, "done": done, "total": total, "unit": self._unit}
        line["per_second"] = round(speed)
        line["eta_seconds"] = round((total - done) / speed) if speed and total else None
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()
