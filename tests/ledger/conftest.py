"""A real ledger in a file of its own for each test, with a clock that the test sets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.ledger import Address, Ledger, create_ledger, open_ledger, parse_url
from tests.ledger.sending import NOW


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
def address(tmp_path: Path) -> Address:
    """Where a ledger is that has been created, and has nothing in it."""
    address = parse_url(f"sqlite:///{tmp_path / 'ledger.db'}")
    create_ledger(address)
    return address


@pytest.fixture
def ledger(address: Address, clock: SetClock) -> Iterator[Ledger]:
    with open_ledger(address, clock) as opened:
        yield opened
