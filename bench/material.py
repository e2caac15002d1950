"""What the benchmarks work on: ledgers filled with a made-up year, in a temporary folder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.measuring import Note
from cli.demo_year import benchmark_lines
from ledger.intake import take
from ledger.ledger import Address, Ledger, create_ledger, open_ledger
from ledger.quarantine import Received
from projections.registry import BY_NAME
from projections.view import View

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

    def tenth(self) -> "Size":
        """The same business when it was a tenth as large."""
        return Size(max(1, self.touchpoints // 10), max(1, self.customers // 10))


def address_in(folder: Path, name: str) -> Address:
    """Where a ledger of this name is kept, with its keys."""
    return Address(folder / f"{name}.db", folder / f"{name}.db.keys")


def new_ledger(address: Address) -> Ledger:
    """An empty ledger, opened."""
    create_ledger(address)
    return open_ledger(address)


def received(lines: Iterable[bytes]) -> Iterator[Received]:
    """The lines as a door hands them in."""
    return (Received(line, "bench") for line in lines)


class Year:
    """A made-up year: the ledger that holds its beginning, and the lines that come after it."""

    def __init__(self, folder: Path, name: str, size: Size, more: int, note: Note) -> None:
        self.size = size
        self.ledger = new_ledger(address_in(folder, name))
        lines = benchmark_lines(size.customers, size.touchpoints + more)
        note(f"recording {size.touchpoints:,} touchpoints of {size.customers:,} customers")
        self.take_in(islice(lines, size.touchpoints))
        self.later = lines

    def close(self) -> None:
        self.ledger.close()

    def take_in(self, lines: Iterable[bytes]) -> None:
        """Record these lines. Raises RuntimeError if one of them is refused."""
        receipt = take(self.ledger, received(lines))
        if receipt.recorded != receipt.received:
            raise RuntimeError(f"the made-up year should be recorded whole: {receipt}")
