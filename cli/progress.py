"""Progress on standard error: a bar with rate and ETA on a terminal, NDJSON lines elsewhere."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINES_SECONDS = 2.0
"""How often a line is written where there is no terminal."""


class Report(Protocol):
    def __call__(self, phase: str, done: int, total: int) -> None: ...


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


@contextmanager
def progress(unit: str, *, quiet: bool) -> Iterator[Report]:
    """Give a report that is shown while the work lasts; short work shows nothing."""
    if quiet:
        yield lambda phase, done, total: None
    elif sys.stderr.isatty():
        with _bar(unit) as report:
            yield report
    else:
        yield _Lines(unit)


@contextmanager
def _bar(unit: str) -> Iterator[Report]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("ETA"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task: TaskID = bar.add_task("", total=None, rate="")
        rate = _Rate()

        def report(phase: str, done: int, total: int) -> None:
            speed = f"{rate.update(phase, done):,.0f} {unit}/s"
            bar.update(task, description=phase, completed=done, total=total or None, rate=speed)

        yield report


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
