"""`python -m bench.curve`: rate and memory of rebuild and append by the length of the log.

Each size is a ledger of its own, of a business as much larger. The picture is drawn from the same
figures that are written as JSON.
"""

import argparse
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import msgspec
from rich.console import Console

from bench.appending import GROUP_TOUCHPOINTS, append_sample, in_groups
from bench.machine import Machine, this_machine
from bench.material import Size, Year, received
from bench.measuring import Note
from bench.memory import Peak, peak_of, peak_of_rebuild
from bench.places import Place, PostgresPlace, SQLitePlace
from cli.drawing import Axis, Panel, Series, drawn
from ledger.address import Address
from ledger.ledger import open_ledger
from ledger.log import Submission
from ledger.record import Record, records_of
from schemas.door import parse
from tests.servers.postgres import temporary_server

SIZES = (10_000, 100_000, 1_000_000)
LARGEST = 5_000_000
RESULTS = Path(__file__).parent / "results" / "curve.json"
PICTURE = Path(__file__).parents[1] / "docs" / "performance.svg"
REBUILD, APPEND = "rebuild", "append"


class Point(msgspec.Struct, frozen=True):
    """What was measured of one work on one store behind a log of so many touchpoints.

    `rate` is touchpoints per second, `memory` the peak of private MiB of the processes at work.
    """

    store: str
    work: str
    touchpoints: int
    rate: float
    memory: float


class Curve(msgspec.Struct, frozen=True):
    """All points of a run; a rebuild has so many workers."""

    machine: Machine
    workers: int
    points: list[Point]


def main(arguments: Sequence[str] | None = None) -> Curve:
    """Measure, write the JSON and draw the picture."""
    options = _options(arguments)
    progress = Console(stderr=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="touchstone-curve-")))
        server = stack.enter_context(temporary_server())
        places = (SQLitePlace(folder), PostgresPlace(folder, server))
        curve = Curve(this_machine(server), options.workers, [])
        if options.add and options.json.exists():
            curve = msgspec.json.decode(options.json.read_bytes(), type=Curve)
        for size in options.sizes:
            for place in places:
                found = measure(place, size, options.workers, lambda text: progress.print(text))
                curve = with_points(curve, found)
                _write(curve, options)  # the longest come last, and may be broken off
    return curve


def with_points(curve: Curve, found: Sequence[Point]) -> Curve:
    """The curve with these points in the place of those for the same work and size."""
    new = {(p.store, p.work, p.touchpoints): p for p in found}
    kept = [p for p in curve.points if (p.store, p.work, p.touchpoints) not in new]
    points = sorted([*kept, *found], key=lambda p: (p.store, p.work, p.touchpoints))
    return Curve(curve.machine, curve.workers, points)


def _write(curve: Curve, options: argparse.Namespace) -> None:
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(curve), indent=2) + b"\n")
    options.picture.write_text(picture_of(curve), encoding="utf-8")


def measure(place: Place, touchpoints: int, workers: int, note: Note) -> list[Point]:
    """The last of the touchpoints are appended while watched, then the views rebuilt from all."""
    note(f"{place.store}: {touchpoints:,} touchpoints")
    sample = append_sample(touchpoints)
    whole, size = Size.of(touchpoints), Size.of(touchpoints - sample)
    year = Year(place, f"year_{touchpoints}", Size(size.touchpoints, whole.customers), sample, note)
    file = place.folder / "sample.ndjson"
    file.write_bytes(b"\n".join(year.next_lines(sample)))
    peaks = {APPEND: peak_of(append_rate, year.ledger.address, file)}
    place.settle()
    peaks[REBUILD] = peak_of_rebuild(year, workers)
    year.close()
    for work, peak in peaks.items():
        note(f"  {work}: {peak.rate:,.0f}/s, {peak.private:,.0f} MiB")
    return [_point(place, work, touchpoints, peak) for work, peak in peaks.items()]


def _point(place: Place, work: str, touchpoints: int, peak: Peak) -> Point:
    return Point(place.store, work, touchpoints, round(peak.rate), round(peak.private, 1))


def append_rate(address: Address, file: Path) -> float:
    """Touchpoints per second of the appends alone: each group is prepared before its turn."""
    seconds, count = 0.0, 0
    with open_ledger(address) as ledger:
        for lines in in_groups(file.read_bytes().split(b"\n"), GROUP_TOUCHPOINTS):
            made = records_of([parse(line) for line in lines], ledger.vault)
            records = [record for record in made if isinstance(record, Record)]
            group = list(map(Submission, received(lines), records))
            started = perf_counter()
            ledger.log.append(group)
            seconds += perf_counter() - started
            count += len(group)
    return count / seconds


def picture_of(curve: Curve) -> str:
    """Two panels: how fast, and how much memory."""
    rebuilt = f"{REBUILD} of three views, {curve.workers} workers"
    works = {REBUILD: rebuilt, APPEND: f"{APPEND} in groups of {GROUP_TOUCHPOINTS:,}"}
    kinds = [(p.store, p.work) for p in curve.points]
    wanted = sorted(dict.fromkeys(kinds), key=lambda kind: (kind[1] != REBUILD, kind[0]))

    def panel(title: str, unit: str, value: str) -> Panel:
        series = [
            Series(
                f"{works[work]}, {store}",
                [(p.touchpoints, getattr(p, value)) for p in curve.points
                 if (p.store, p.work) == (store, work)],
            )
            for store, work in wanted
        ]  # fmt: skip
        return Panel(title, unit, series)

    return drawn(
        [
            panel("Rate by the length of the log", "touchpoints per second", "rate"),
            panel("Peak of private memory", "MiB", "memory"),
        ],
        Axis("touchpoints in the log"),
        f"{curve.machine.cores} cores shared with the server, Python {curve.machine.python}, "
        f"SQLite {curve.machine.sqlite}, PostgreSQL {curve.machine.postgres.split()[0]}",
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.curve", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--largest", action="store_true", help=f"go on to {LARGEST:,} touchpoints")
    parser.add_argument("--add", action="store_true", help="keep the other points of the JSON file")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--picture", type=Path, default=PICTURE, metavar="FILE")
    options = parser.parse_args(arguments)
    options.sizes = sorted({*options.sizes, *([LARGEST] if options.largest else [])})
    return options


if __name__ == "__main__":
    main()
