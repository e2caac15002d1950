"""Appending in groups of 1,000, each `(source, id)` once, against the library's insert."""

from functools import partial
from itertools import islice
from pathlib import Path

from bench.material import Year, received
from bench.measuring import Goal, Note, Result, alternately, compared, rate
from bench.stock import StockFile, in_groups, stock_file_of
from ledger.intake import take
from ledger.log import Submission
from ledger.record import Record, records_of
from schemas.door import parse

GROUP_TOUCHPOINTS = 1_000
SAMPLE_MAX = 50_000
WHOLE_WAY_SHARE = 4
"""The whole way takes a quarter of the sample: it is several times slower."""
STOCK = "stock insert_events, synchronous=FULL, not idempotent"
OURS = "idempotent append, groups of 1,000"
AGAIN = "the same again: every one a duplicate"
WHOLE_WAY = "from bytes: parse, validate, encrypt, append"
APPEND_GOAL = Goal(1.2, 1.5)


def append_sample(touchpoints: int) -> int:
    """How many touchpoints a round appends to a log of this size."""
    return max(WHOLE_WAY_SHARE, min(SAMPLE_MAX, touchpoints // 10))


def appended_later(touchpoints: int) -> int:
    """How many lines a round takes from the year, the whole way included."""
    sample = append_sample(touchpoints)
    return sample + sample // WHOLE_WAY_SHARE


def compare_append(year: Year, folder: Path, rounds: int, note: Note) -> list[Result]:
    """The same touchpoints behind the same log, in a file of ours and in one of the library's."""
    note(f"filling the stock table with the same {year.size.touchpoints:,} touchpoints")
    stock = stock_file_of(year.ledger, year.size.touchpoints, folder / "append.db", "FULL")
    bench = _Appending(year, stock)
    ways = {
        STOCK: bench.stock_rate,
        OURS: bench.append_rate,
        AGAIN: bench.append_rate,
        WHOLE_WAY: bench.whole_way_rate,
    }
    figures = alternately(ways, rounds, note)
    stock.close()
    return [
        compared(name, name, (STOCK,), figures, APPEND_GOAL if name == OURS else Goal())
        for name in (OURS, AGAIN, WHOLE_WAY)
    ]


class _Appending:
    """Prepares a sample in the library's turn, so that ours appends the same bodies next."""

    def __init__(self, year: Year, stock: StockFile) -> None:
        self._year = year
        self._stock = stock
        self._sample = append_sample(year.size.touchpoints)
        self._groups: list[list[Submission]] = []

    def stock_rate(self) -> float:
        lines = list(islice(self._year.later, self._sample))
        records = self._records(lines)
        submissions = list(map(Submission, received(lines), records))
        self._groups = in_groups(submissions, GROUP_TOUCHPOINTS)
        events = in_groups(self._stock.events_of(records), GROUP_TOUCHPOINTS)
        return rate(self._sample, partial(self._stock.insert, events))

    def append_rate(self) -> float:
        return rate(self._sample, self._append)

    def whole_way_rate(self) -> float:
        lines = list(islice(self._year.later, self._sample // WHOLE_WAY_SHARE))
        items = list(received(lines))
        return rate(len(items), partial(take, self._year.ledger, items))

    def _append(self) -> None:
        for group in self._groups:
            self._year.ledger.log.append(group)

    def _records(self, lines: list[bytes]) -> list[Record]:
        """What the ledger makes of these lines; all of them are valid."""
        made = records_of([parse(line) for line in lines], self._year.ledger.vault)
        return [record for record in made if isinstance(record, Record)]
