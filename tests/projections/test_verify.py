"""Verifying: every row that a fresh fold would not have made is found and named."""

import pytest

from ledger.intake import Stop
from ledger.ledger import Ledger
from projections import generations, ranges
from projections.follow import follow
from projections.rebuild import Interrupted
from projections.registry import PROJECTIONS
from projections.verify import KEYS_NAMED_MAX, verify
from projections.view import View
from schemas.consent import ConsentGranted
from schemas.ticket import TicketOpened
from tests.domain.loyalty_facts import occurred, order, per, published, refund
from tests.projections.fussy import FUSSY
from tests.projections.ledgers import dump, tell

TOLD = 5
BY_EVERY_VIEW = pytest.mark.parametrize("view", PROJECTIONS, ids=lambda view: view.name)


@pytest.fixture(autouse=True)
def followed(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row or more in every view, each of which spans several ranges."""
    monkeypatch.setattr(ranges, "RANGE_TOUCHPOINTS", 2)
    tell(ledger, published(1, "2026-01-01", per(1, 10)), order("2026-01-05", "A1", 100))
    tell(
        ledger,
        refund("2026-01-07", "A1", 10),
        occurred("2026-01-05", TicketOpened(ticket_id="T1")),
        occurred("2026-01-06", ConsentGranted(channel="sms", purpose="marketing")),
    )
    follow(ledger, PROJECTIONS)


def change(ledger: Ledger, view: View, sql: str) -> None:
    """Do to the live table what nothing but a fault could do."""
    with ledger.store.cursor(write=True) as cursor:
        live = generations.live(view.name, cursor)
        assert live is not None
        assert cursor.execute(sql.format(table=live.table)).rowcount > 0


def key_of(ledger: Ledger, view: View) -> str:
    with ledger.store.cursor() as cursor:
        live = generations.live(view.name, cursor)
        assert live is not None
        (key,) = cursor.execute(f"SELECT key FROM {live.table}").fetchone()
    return str(key)


@BY_EVERY_VIEW
def test_a_table_that_is_as_it_should_be_has_no_differences(ledger: Ledger, view: View) -> None:
    before = dump(ledger)
    found = verify(ledger, view)
    assert (found.name, found.position, found.differences, found.keys) == (view.name, TOLD, 0, [])
    assert found.rows == 1
    assert dump(ledger) == before, "nothing is changed by looking"


@BY_EVERY_VIEW
@pytest.mark.parametrize("column", ["state", "last"])
def test_a_changed_row_is_found(ledger: Ledger, view: View, column: str) -> None:
    key = key_of(ledger, view)
    change(ledger, view, f"UPDATE {{table}} SET {column} = {column} || ' '")
    found = verify(ledger, view)
    assert (found.differences, found.keys) == (1, [key])


@BY_EVERY_VIEW
def test_a_missing_row_is_found(ledger: Ledger, view: View) -> None:
    key = key_of(ledger, view)
    change(ledger, view, "DELETE FROM {table}")
    found = verify(ledger, view)
    assert (found.rows, found.differences, found.keys) == (0, 1, [key])


@BY_EVERY_VIEW
def test_an_extra_row_is_found(ledger: Ledger, view: View) -> None:
    change(ledger, view, "INSERT INTO {table} SELECT 'nobody', last, streams, state FROM {table}")
    found = verify(ledger, view)
    assert (found.rows, found.differences, found.keys) == (2, 1, ["nobody"])


def test_a_row_whose_streams_were_changed_is_found(ledger: Ledger) -> None:
    orders = next(view for view in PROJECTIONS if view.name == "orders")
    change(ledger, orders, "UPDATE {table} SET streams = '[]'")
    assert verify(ledger, orders).keys == ["A1"]


def test_of_many_differences_all_are_counted_and_some_named(ledger: Ledger) -> None:
    orders = next(view for view in PROJECTIONS if view.name == "orders")
    tell(ledger, *(order("2026-01-05", f"B{number:02}", 1) for number in range(30)))
    follow(ledger, PROJECTIONS)
    change(ledger, orders, "DELETE FROM {table} WHERE key LIKE 'B%'")
    found = verify(ledger, orders)
    assert found.differences == 30
    assert found.keys == [f"B{number:02}" for number in range(KEYS_NAMED_MAX)]


@BY_EVERY_VIEW
def test_what_the_view_has_not_folded_yet_is_no_difference(ledger: Ledger, view: View) -> None:
    tell(ledger, refund("2026-01-08", "A1", 10), published(2, "2026-01-02", per(2, 10)))
    found = verify(ledger, view)
    assert (found.position, found.differences) == (TOLD, 0)


def test_a_view_that_was_never_followed_has_nothing_to_compare(ledger: Ledger) -> None:
    found = verify(ledger, FUSSY)
    assert (found.position, found.rows, found.differences) == (0, 0, 0)


def test_a_verification_can_be_stopped(ledger: Ledger) -> None:
    stop = Stop()
    stop.signal = 15
    with pytest.raises(Interrupted):
        verify(ledger, PROJECTIONS[0], stop=stop)
    assert verify(ledger, PROJECTIONS[0]).differences == 0
