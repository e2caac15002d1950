"""How much memory a rebuild takes, in its own process and its workers' together.

What is private is memory that the processes asked for. Resident memory also counts the pages of
the log that are mapped into them, once a process; those grow with the log as far as there is
room, and the system takes them back when somebody needs it. Linux only.
"""

import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from time import sleep

import msgspec

from bench.material import THREE_VIEWS, Year
from bench.measuring import Note, Result
from bench.rebuilding import forget_views
from ledger.ledger import Address, open_ledger
from projections.rebuild import rebuild

SAMPLE_SECONDS = 0.02
MEBIBYTE_IN_KIBIBYTES = 1_024
GROWTH_MAX = 1.1
PROCESSES = Path("/proc")


class Peak(msgspec.Struct):
    """The highest sums over all processes, in MiB."""

    private: float = 0.0
    resident: float = 0.0


def compare_memory(small: Year, large: Year, workers: Sequence[int], note: Note) -> list[Result]:
    """The peak of a rebuild of the log against that of one a tenth as long."""
    results = []
    for count in workers:
        note(f"memory of a rebuild, workers: {count}")
        before, after = peak_of_rebuild(small, count), peak_of_rebuild(large, count)
        work = f"memory of a rebuild, workers: {count}"
        results.append(_grown(work, before.private, after.private, GROWTH_MAX))
        results.append(
            _grown(f"{work}, with mapped pages of the log", before.resident, after.resident, None)
        )
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
    process = multiprocessing.get_context("spawn").Process(
        target=_rebuild, args=(year.ledger.address, workers)
    )
    process.start()
    peak = Peak()
    while process.is_alive():
        private, resident = _memory_now(process.pid or 0)
        peak.private, peak.resident = max(peak.private, private), max(peak.resident, resident)
        sleep(SAMPLE_SECONDS)
    if process.exitcode != 0:
        raise RuntimeError(f"the rebuild that was watched ended with {process.exitcode}")
    return peak


def _rebuild(address: Address, workers: int) -> None:
    with open_ledger(address) as ledger:
        rebuild(ledger, THREE_VIEWS, workers=workers)


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
