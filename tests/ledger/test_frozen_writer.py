"""A writer that stops in the middle of a transaction: others wait for it, but not for ever."""

import time

import pytest

import ledger.postgres.store as store
from ledger.errors import Unreachable
from ledger.ledger import Ledger, open_ledger
from tests.ledger.sending import order, positions, send
from tests.places import PostgresPlaces, a_place


def test_what_a_frozen_writer_holds_is_taken_from_it(
    postgres_places: PostgresPlaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = store._BEGIN_FACTS.replace(f"'{store.FROZEN_SECONDS_MAX}s'", "'300ms'")
    assert begin != store._BEGIN_FACTS
    with a_place(postgres_places) as address, open_ledger(address) as ledger:
        monkeypatch.setattr(store, "_BEGIN_FACTS", begin)
        with pytest.raises(Unreachable, match="idle-in-transaction"):
            write_and_freeze(ledger)
        send(ledger, order("2"))
        assert positions(ledger) == [1, 2]


def write_and_freeze(ledger: Ledger) -> None:
    """Write while somebody else has written meanwhile, who had to wait first."""
    with ledger.store.cursor(write=True) as cursor:
        time.sleep(1)
        send(ledger, order("1"))
        cursor.execute("UPDATE head SET position = 7")
