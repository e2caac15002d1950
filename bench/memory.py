"""How much memory work takes, in its own process and its workers' together. Linux only.

What is private is memory that the processes asked for. Resident memory also counts the pages of
a SQLite log that are mapped into them, once a process; those grow with the log as far as there is
room, and the system takes them back when somebody needs it. A database server is not counted.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from time import sleep
from typing import Any

import msgspec

from bench.material import THREE_VIEWS, Year
from bench.measuring import Note, Result, rate
from bench.rebuilding import forget_views
from ledger.address import Address
from ledger.ledger import open_ledger
from projections.rebuild import rebuild

SAMPLE_SECONDS = 0.02
MEBIBYTE_IN_KIBIBYTES = 1_024
GROWTH_MAX = 1.1
PROCESSES = Path("/proc")

Work = Callable[..., float]
"""What is watched: it does its work and returns its rate."""


class Peak(msgspec.Struct):
    """The highest sums over all processes, in MiB, and the rate of what they did."""

    private: float = 0.0
    resident: float = 0.0
    rate: float = 0.0


def compare_memory(
    small: Year, large: Year, workers: Sequence[int], mapped: bool, note: Note
) -> list[Result]:
    """The peak of a rebuild of the log against that of one a tenth as long.

    `mapped` asks for the resident memory too, which says something where the log is mapped.
    """
    results = []
    for count in workers:
        work = f"memory of a rebuild, workers: {count}"
        note(work)
        before, after = peak_of_rebuild(small, count), peak_of_rebuild(large, count)
        results.append(_grown(work, before.private, after.private, GROWTH_MAX))
        if mapped:
            work = f"{work}, with mapped pages of the log"
            results.append(_grown(work, before.resident, after.resident, None))
    return results


def _grown(work: str, before: float, after: float, bound: float | None) -> Result:
    return Result(
        work=work,
        to_beat="a log a tenth as long",
        unit="MiB",
        theirs=before,
        ours=after,
        ratio=after / before,
        goal=bound,
        at_most=True,
    )


def peak_of_rebuild(year: Year, workers: int) -> Peak:
    """Rebuild in a process of its own and watch it. Raises RuntimeError if it fails."""
    forget_views(year.ledger)
    return peak_of(rebuild_rate, year.ledger.address, workers)


def rebuild_rate(address: Address, workers: int) -> float:
    """Touchpoints per second of a rebuild of the three views."""
    with open_ledger(address) as ledger:
        count = ledger.log.head().position
        return rate(count, lambda: rebuild(ledger, THREE_VIEWS, workers=workers))


def peak_of(work: Work, *arguments: Any) -> Peak:
    """Do the work in a process of its own and watch it. Raises RuntimeError if it fails."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_do, args=(theirs, work, *arguments))
    process.start()
    peak = Peak()
    while process.is_alive():
        private, resident = _memory_now(process.pid or 0)
        peak.private, peak.resident = max(peak.private, private), max(peak.resident, resident)
        sleep(SAMPLE_SECONDS)
    if process.exitcode != 0:
        raise RuntimeError(f"{work.__name__} was watched and ended with {process.exitcode}")
    peak.rate = mine.recv()
    return peak


def _do(report: Connection, work: Work, *arguments: Any) -> None:
    report.send(work(*arguments))


def _memory_now(root: int) -> tuple[float, float]:
    """Private and resident MiB of a process and all that it has started."""
    private = resident = 0
    for process in _family(root):
        found = _status(process)
        private += found.get("RssAnon", 0)
        resident += found.get("VmRSS", 0)
    return private / MEBIBYTE_IN_KIBIBYTES, resident / MEBIBYTE_IN_KIBIBYTES


def _family(root: int) -> list[int]:
    found = [root]
    for process in found:  # grows while it is gone through
        try:
            listed = (PROCESSES / f"{process}/task/{process}/children").read_text()
        except OSError:  # it has ended
            continue
        found.extend(int(child) for child in listed.split())
    return found


def _status(process: int) -> dict[str, int]:
    """The sizes in a process's status, in KiB; empty when it has ended."""
    try:
        lines = (PROCESSES / f"{process}/status").read_text().splitlines()
    except OSError:
        return {}
    parts = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(size) for name, size, _ in parts}
