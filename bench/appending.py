"""Appending in groups of 1,000, each `(source, id)` once, against the library's insert."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from eventsourcing.persistence import StoredEvent

from bench.material import Size, address_in, new_ledger, received
from bench.measuring import Goal, Note, Result, alternately, compared, rate
from bench.stock import StockFile, in_groups, stored_events
from cli.demo_year import benchmark_lines
from ledger.intake import take
from ledger.ledger import Ledger
from ledger.log import Submission
from ledger.quarantine import Received
from ledger.record import Record, records_of
from schemas.door import parse

GROUP_TOUCHPOINTS = 1_000
APPEND_TOUCHPOINTS_MAX = 200_000
WHOLE_WAY_SHARE = 4
"""The whole way takes a quarter of the touchpoints: most of it does not depend on the log."""
STOCK = "stock insert_events, synchronous=FULL, not idempotent"
OURS = "idempotent append, groups of 1,000"
AGAIN = "the same again: every one a duplicate"
WHOLE_WAY = "from bytes: parse, validate, encrypt, append"
APPEND_GOAL = Goal(1.2, 1.5)

Groups = list[list[Submission]]


def compare_append(size: Size, folder: Path, rounds: int, note: Note) -> list[Result]:
    """Prepared records, or prepared stored events, into fresh files of the same file system."""
    touchpoints = min(APPEND_TOUCHPOINTS_MAX, size.touchpoints)
    lines = list(benchmark_lines(Size.of(touchpoints).customers, touchpoints))
    note(f"preparing {touchpoints:,} records")
    records = _records(lines, folder)
    events = in_groups(stored_events(records), GROUP_TOUCHPOINTS)
    submissions = [
        Submission(each, record) for each, record in zip(received(lines), records, strict=True)
    ]
    groups = in_groups(submissions, GROUP_TOUCHPOINTS)
    ways = {
        STOCK: partial(_stock_rate, events, folder),
        OURS: partial(_append_rate, groups, folder),
        AGAIN: partial(_again_rate, groups, folder),
        WHOLE_WAY: partial(_whole_way_rate, lines[: touchpoints // WHOLE_WAY_SHARE], folder),
    }
    figures = alternately(ways, rounds, note)
    return [
        compared(name, name, (STOCK,), figures, APPEND_GOAL if name == OURS else Goal())
        for name in (OURS, AGAIN, WHOLE_WAY)
    ]


def _records(lines: Sequence[bytes], folder: Path) -> list[Record]:
    """What the ledger makes of these lines; all of them are valid."""
    with _fresh_ledger(folder) as ledger:
        made: list[Record] = []
        for group in in_groups(lines, GROUP_TOUCHPOINTS):
            records = records_of([parse(line) for line in group], ledger.vault)
            made.extend(record for record in records if isinstance(record, Record))
    return made


@contextmanager
def _fresh_ledger(folder: Path) -> Iterator[Ledger]:
    with TemporaryDirectory(dir=folder) as fresh, new_ledger(address_in(Path(fresh), "a")) as made:
        yield made


def _stock_rate(events: list[list[StoredEvent]], folder: Path) -> float:
    with TemporaryDirectory(dir=folder) as fresh:
        file = StockFile(Path(fresh, "stock.db"), "FULL")
        figure = rate(sum(map(len, events)), partial(file.insert, events))
        file.close()
    return figure


def _append_rate(groups: Groups, folder: Path) -> float:
    with _fresh_ledger(folder) as ledger:
        return rate(_size(groups), partial(_append, ledger, groups))


def _again_rate(groups: Groups, folder: Path) -> float:
    with _fresh_ledger(folder) as ledger:
        _append(ledger, groups)
        return rate(_size(groups), partial(_append, ledger, groups))


def _append(ledger: Ledger, groups: Groups) -> None:
    for group in groups:
        ledger.log.append(group)


def _size(groups: Groups) -> int:
    return sum(map(len, groups))


def _whole_way_rate(lines: Sequence[bytes], folder: Path) -> float:
    items: list[Received] = list(received(lines))
    with _fresh_ledger(folder) as ledger:
        return rate(len(items), partial(take, ledger, items))
