"""A real ledger of its own for each test, on each store, with a clock that the test sets."""

from collections.abc import Iterator

import pytest

from ledger.address import Address
from ledger.ledger import Ledger, open_ledger
from ledger.sqlite.address import SQLiteAddress
from tests.ledger.sending import NOW
from tests.places import SQLitePlaces


class SetClock:
    """A clock that shows what it was set to, in microseconds since 1970."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
def ledger(address: Address, clock: SetClock) -> Iterator[Ledger]:
    with open_ledger(address, clock) as opened:
        yield opened


@pytest.fixture
def file_address(sqlite_places: SQLitePlaces) -> SQLiteAddress:
    """Where an empty ledger is, for what can happen to a file only."""
    return sqlite_places.taken()


@pytest.fixture
def file_ledger(file_address: SQLiteAddress, clock: SetClock) -> Iterator[Ledger]:
    with open_ledger(file_address, clock) as opened:
        yield opened
