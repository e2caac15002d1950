"""Parking: a key on which a fold fails waits for a fix, and nothing else does."""

from typing import Any

import pytest

from ledger.ledger import Ledger
from projections import ranges
from projections.follow import follow
from projections.follower import retry_parked
from projections.parking import Parked, all_parked
from projections.query import standings
from projections.rebuild import rebuild
from projections.verify import verify
from schemas.correction import TouchpointVoided
from schemas.purchase import OrderCancelled
from tests.domain.loyalty_facts import cancel_order, occurred, order, refund
from tests.projections import oracle
from tests.projections.fussy import FUSSY, MENDED, POISON
from tests.projections.ledgers import changed, logged, position_of, rows_of, tell

CANARY = "4242.17"
"""An amount that must not be quoted anywhere."""


def poisoned(order_id: str, when: str = "2026-01-06") -> Any:
    fact = refund(when, order_id, CANARY, POISON)
    return changed(fact, id=f"poison {order_id} {when}")


def by(subject: str, fact: Any) -> Any:
    """The same fact under another subject."""
    return changed(fact, subject=subject)


def parked(ledger: Ledger) -> list[Parked]:
    with ledger.store.cursor() as cursor:
        return all_parked(cursor)


def keys_parked(ledger: Ledger) -> list[str]:
    return [entry.key for entry in parked(ledger)]


def voiding(fact: Any, when: str = "2026-01-09") -> Any:
    data = TouchpointVoided(voided_source=fact.source, voided_id=fact.id, reason="wrong")
    return occurred(when, data)


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "RANGE_TOUCHPOINTS", 3)


def test_a_failing_key_is_parked_and_the_others_go_on(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 10), poisoned("A1"), order("2026-01-05", "A2", 10))
    follow(ledger, [FUSSY])
    assert keys_parked(ledger) == ["A1"]
    assert list(rows_of(ledger, FUSSY)) == ["A2"]
    assert position_of(ledger, FUSSY) == 3
    tell(ledger, refund("2026-01-07", "A2", 1))
    follow(ledger, [FUSSY])
    assert rows_of(ledger, FUSSY) == oracle.rows(FUSSY, logged(ledger))
    assert [(s.state, s.parked) for s in standings(ledger, [FUSSY])] == [("live", 1)]


def test_what_comes_later_for_a_parked_key_leaves_it_parked(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 10), poisoned("A1"))
    follow(ledger, [FUSSY])
    tell(ledger, by("customer:7", refund("2026-01-08", "A1", 1)))
    follow(ledger, [FUSSY])
    assert keys_parked(ledger) == ["A1"]
    assert rows_of(ledger, FUSSY) == {}


@pytest.mark.parametrize("rebuilt", [False, True], ids=["followed", "rebuilt"])
def test_after_a_fix_a_parked_key_comes_back_whole(ledger: Ledger, rebuilt: bool) -> None:
    tell(ledger, order("2026-01-05", "A1", 10), by("customer:7", poisoned("A1")))
    tell(ledger, order("2026-01-05", "A2", 10), poisoned("A3"))
    if rebuilt:
        rebuild(ledger, [FUSSY])
    follow(ledger, [FUSSY], batch=1)
    tell(ledger, by("customer:8", refund("2026-01-08", "A1", 1)))
    follow(ledger, [FUSSY])
    assert retry_parked(ledger, [FUSSY]) == (0, 2)
    assert retry_parked(ledger, [MENDED]) == (2, 0)
    assert parked(ledger) == []
    assert rows_of(ledger, MENDED) == oracle.rows(MENDED, logged(ledger))
    assert verify(ledger, MENDED).differences == 0


def test_a_rebuild_after_a_fix_leaves_nothing_parked(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 10), poisoned("A1"), poisoned("A2"))
    follow(ledger, [FUSSY])
    assert keys_parked(ledger) == ["A1", "A2"]
    rebuild(ledger, [MENDED])
    assert parked(ledger) == []
    assert rows_of(ledger, MENDED) == oracle.rows(MENDED, logged(ledger))


def test_a_rebuild_parks_what_following_parks(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 10), poisoned("A1"), order("2026-01-05", "A2", 10))
    tell(ledger, by("customer:7", poisoned("A3")), by("customer:8", poisoned("A3", "2026-01-07")))
    follow(ledger, [FUSSY])
    followed = (keys_parked(ledger), rows_of(ledger, FUSSY))
    rebuild(ledger, [FUSSY])
    assert (keys_parked(ledger), rows_of(ledger, FUSSY)) == followed
    assert followed[0] == ["A1", "A3"]


def test_a_key_that_fails_in_each_stream_but_not_in_all_together_is_not_parked(
    ledger: Ledger,
) -> None:
    tell(ledger, order("2026-01-05", "A1", 10), by("customer:7", cancel_order("2026-01-06", "A1")))
    tell(ledger, by("customer:8", occurred("2026-01-07", OrderCancelled(order_id="A1"), "again")))
    rebuild(ledger, [FUSSY])
    assert parked(ledger) == []
    assert rows_of(ledger, FUSSY) == oracle.rows(FUSSY, logged(ledger))
    assert verify(ledger, FUSSY).differences == 0


def test_a_parked_key_of_which_nothing_counts_any_more_is_gone_after_a_retry(
    ledger: Ledger,
) -> None:
    bought, refunded = order("2026-01-05", "A1", 10), poisoned("A1")
    tell(ledger, bought)
    follow(ledger, [FUSSY])
    tell(ledger, refunded)
    follow(ledger, [FUSSY])
    tell(ledger, voiding(bought), voiding(refunded, "2026-01-10"))
    follow(ledger, [FUSSY])
    assert keys_parked(ledger) == ["A1"]
    assert retry_parked(ledger, [FUSSY]) == (1, 0)
    assert rows_of(ledger, FUSSY) == {}
    assert verify(ledger, FUSSY).differences == 0


def test_what_is_listed_says_where_it_failed_and_quotes_no_value(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 10), poisoned("A1"))
    tell(ledger, by("customer:7", cancel_order("2026-01-05", "A2")))
    for bring_up in (follow, rebuild):
        bring_up(ledger, [FUSSY])
        first, second = parked(ledger)
        assert first.error.startswith("ValueError in count_unless_poisoned (fussy.py:")
        assert second.error.startswith("LookupError in count_unless_poisoned (fussy.py:")
        assert CANARY not in first.error + second.error
        assert (first.view, first.key, first.position) == ("fussy", "A1", 3)


def test_a_spanning_key_that_cannot_be_folded_does_not_stop_verification(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 10), by("customer:7", refund("2026-01-07", "A1", 1)))
    follow(ledger, [MENDED])
    tell(ledger, by("customer:8", poisoned("A1")), order("2026-01-05", "A2", 10))
    follow(ledger, [FUSSY])
    assert verify(ledger, FUSSY).differences == 0, "a key that is known to wait is left out"
    follow(ledger, [MENDED])
    assert retry_parked(ledger, [MENDED]) == (1, 0)
    assert verify(ledger, FUSSY).keys == ["A1"], "the fussy code could not have made this row"
