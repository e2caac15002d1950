"""What the benchmarks work on: ledgers that are filled with a made-up year."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from bench.measuring import Note
from bench.places import Place
from cli.demo_year import benchmark_lines
from ledger.address import Address
from ledger.intake import take
from ledger.ledger import Ledger, create_ledger, open_ledger
from ledger.quarantine import Received
from ledger.record import Record, records_of
from projections.registry import BY_NAME
from projections.view import View
from schemas.door import parse

THREE_VIEWS: tuple[View, ...] = tuple(BY_NAME[n] for n in ("customers", "tickets", "loyalty"))
TOUCHPOINTS_PER_CUSTOMER = 20


@dataclass(frozen=True)
class Size:
    """How much is measured: touchpoints in the log, of so many customers."""

    touchpoints: int
    customers: int

    @classmethod
    def of(cls, touchpoints: int, customers: int | None = None) -> "Size":
        return cls(touchpoints, customers or max(1, touchpoints // TOUCHPOINTS_PER_CUSTOMER))

    def __str__(self) -> str:
        return f"{self.touchpoints:,} touchpoints of {self.customers:,} customers"

    def tenth(self) -> "Size":
        """The same business when it was a tenth as large."""
        return Size(max(1, self.touchpoints // 10), max(1, self.customers // 10))


def new_ledger(address: Address) -> Ledger:
    """An empty ledger, opened."""
    create_ledger(address)
    return open_ledger(address)


def received(lines: Iterable[bytes]) -> Iterator[Received]:
    """The lines as a door hands them in."""
    return (Received(line, "bench") for line in lines)


class Year:
    """A made-up year: the ledger that holds its beginning, and the lines that come after it."""

    def __init__(self, place: Place, name: str, size: Size, more: int, note: Note) -> None:
        self.size = size
        self.place = place
        self.ledger = new_ledger(place.address(name))
        lines = benchmark_lines(size.customers, size.touchpoints + more)
        note(f"recording {size}")
        self.take_in(islice(lines, size.touchpoints))
        self.later = lines
        place.settle()

    def close(self) -> None:
        self.ledger.close()

    def take_in(self, lines: Iterable[bytes]) -> None:
        """Record these lines. Raises RuntimeError if one of them is refused."""
        receipt = take(self.ledger, received(lines))
        if receipt.recorded != receipt.received:
            raise RuntimeError(f"the made-up year should be recorded whole: {receipt}")

    def next_lines(self, count: int) -> list[bytes]:
        """The lines that come next. Raises RuntimeError when the year has ended."""
        lines = list(islice(self.later, count))
        if len(lines) < count:
            raise RuntimeError(f"the made-up year ended {count - len(lines)} lines too soon")
        return lines

    def records_of(self, lines: Iterable[bytes]) -> list[Record]:
        """What the ledger makes of these lines; all of them are valid."""
        made = records_of([parse(line) for line in lines], self.ledger.vault)
        return [record for record in made if isinstance(record, Record)]
