"""Appending in groups of 1,000, each `(source, id)` once, against whoever else appends."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

from bench.material import Year, received
from bench.measuring import Line, Note, Result, Run, alternately, compared, rate
from ledger.intake import take
from ledger.log import Submission
from ledger.record import Record

GROUP_TOUCHPOINTS = 1_000
SAMPLE_MAX = 50_000
WHOLE_WAY_SHARE = 4
"""The whole way takes a quarter of the sample: it is several times slower."""
OURS = "idempotent append, groups of 1,000"
AGAIN = "the same again: every one a duplicate"
WHOLE_WAY = "from bytes: parse, validate, encrypt, append"

T = TypeVar("T")
Opponent = Callable[[Sequence[Record]], float]
"""Appends the same bodies as these records in its own way, and returns how many a second."""


def append_sample(touchpoints: int) -> int:
    """How many touchpoints a round appends to a log of this size."""
    return max(WHOLE_WAY_SHARE, min(SAMPLE_MAX, touchpoints // 10))


def appended_later(touchpoints: int) -> int:
    """How many lines a round takes from the year, the whole way included."""
    sample = append_sample(touchpoints)
    return sample + sample // WHOLE_WAY_SHARE


def compare_append(
    year: Year,
    opponents: Mapping[str, Opponent],
    lines: Sequence[Line],
    rounds: int,
    note: Note,
) -> list[Result]:
    """The same touchpoints by each way, ours behind those of the year.

    The first of `lines` is what the other two ways of ours are held against as well.
    """
    bench = _Appending(year)
    ways: dict[str, Run] = {
        name: partial(bench.opponent_rate, name, append) for name, append in opponents.items()
    }
    ways |= {OURS: bench.append_rate, AGAIN: bench.append_rate, WHOLE_WAY: bench.whole_way_rate}
    figures = alternately(ways, rounds, note)
    others = Line(lines[0].theirs)
    return [
        *(compared(OURS, OURS, line, figures) for line in lines),
        *(compared(name, name, others, figures) for name in (AGAIN, WHOLE_WAY)),
    ]


class _Appending:
    """Prepares a sample in the first turn of a round; all others append the same bodies."""

    def __init__(self, year: Year) -> None:
        self._year = year
        self._sample = append_sample(year.size.touchpoints)
        self._done: set[str] = set()
        self._records: list[Record] = []
        self._groups: list[list[Submission]] = []

    def opponent_rate(self, name: str, append: Opponent) -> float:
        if not self._records or name in self._done:
            self._prepare()
        self._done.add(name)
        return append(self._records)

    def append_rate(self) -> float:
        return rate(self._sample, self._append)

    def whole_way_rate(self) -> float:
        items = list(received(self._year.next_lines(self._sample // WHOLE_WAY_SHARE)))
        return rate(len(items), partial(take, self._year.ledger, items))

    def _prepare(self) -> None:
        lines = self._year.next_lines(self._sample)
        self._records = self._year.records_of(lines)
        submissions = list(map(Submission, received(lines), self._records))
        self._groups = in_groups(submissions, GROUP_TOUCHPOINTS)
        self._done.clear()

    def _append(self) -> None:
        for group in self._groups:
            self._year.ledger.log.append(group)


def in_groups(items: Sequence[T], size: int) -> list[list[T]]:
    """The items in groups of this size; the last may be smaller."""
    rest = iter(items)
    return [list(islice(rest, size)) for _ in range(0, len(items), size)]
