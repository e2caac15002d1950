"""Ledgers for the tests of the engine, on each store, with a clock that the test can set."""

from collections.abc import Iterator

import pytest

from ledger.ledger import Ledger
from tests.places import Places
from tests.projections.ledgers import Clock, Workshop


@pytest.fixture(scope="session")
def workshop(places: Places) -> Workshop:
    return Workshop(places)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(workshop: Workshop, clock: Clock) -> Iterator[Ledger]:
    with workshop.ledger(clock) as made:
        yield made
