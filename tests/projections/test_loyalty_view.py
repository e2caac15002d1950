"""The loyalty view end to end: rules that change, rules for the past, and sums that add up."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.lots import Account, Balance, balance
from ledger.ledger import Ledger
from projections.follow import follow
from projections.loyalty import LOYALTY
from projections.query import NOW, Cut, state_of
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from projections.verify import verify
from schemas.correction import TouchpointVoided
from tests.domain.loyalty_facts import (
    at,
    fixed,
    occurred,
    order,
    per,
    published,
    redeem,
    refund,
    survey,
)
from tests.projections import oracle
from tests.projections.ledgers import Workshop, changed, logged, record, rows_of, state_in, tell
from tests.projections.lives import arrivals

ME = "customer:42"
HUNDRED = published(1, "2025-01-01", per(1, 100))
CUT = published(2, "2026-03-01", per(1, 200), when="2026-02-15")
BEFORE = order("2026-02-28", "A1", 1_000)
AFTER = order("2026-03-01", "A2", 1_000)
LATE = order("2026-02-27", "A3", 1_000)


def earned(ledger: Ledger, cut: Cut = NOW) -> int:
    return _balance(state_of(ledger, LOYALTY, ME, cut)).earned


def _balance(member: Any, when: str = "2026-12-31") -> Balance:
    account = member.programmes.get("main", Account()) if member else Account()
    return balance(account, at(when))


@pytest.mark.parametrize("arriving", list(permutations((HUNDRED, CUT, BEFORE, AFTER))))
def test_an_order_before_the_cut_and_one_after_it_earn_ten_and_five(
    ledger: Ledger, arriving: Sequence[Any]
) -> None:
    for fact in arriving:
        tell(ledger, fact)
        follow(ledger, PROJECTIONS)
    assert earned(ledger) == 15
    tell(ledger, LATE)
    follow(ledger, PROJECTIONS)
    assert earned(ledger) == 25, "a late order from before the cut still earns 10"
    live = rows_of(ledger, LOYALTY)
    rebuild(ledger, [LOYALTY])
    assert rows_of(ledger, LOYALTY) == live


def test_a_rule_published_later_for_the_past_restates_live_and_rebuilt_alike(
    ledger: Ledger,
) -> None:
    tell(ledger, HUNDRED, BEFORE, AFTER)
    follow(ledger, PROJECTIONS)
    known_before = ledger.log.head().recorded_at
    assert earned(ledger) == 20
    tell(ledger, published(3, "2026-02-01", per(3, 100), when="2026-04-01"))
    follow(ledger, PROJECTIONS)
    assert earned(ledger) == 60
    assert earned(ledger, Cut(known_at=known_before)) == 20
    live = rows_of(ledger, LOYALTY)
    rebuild(ledger, [LOYALTY])
    assert rows_of(ledger, LOYALTY) == live == oracle.rows(LOYALTY, logged(ledger))


def test_a_rule_for_the_past_that_was_voided_restates_back(ledger: Ledger) -> None:
    tell(ledger, HUNDRED, BEFORE)
    follow(ledger, PROJECTIONS)
    mistaken = published(3, "2026-02-01", per(3, 100), when="2026-04-01")
    tell(ledger, mistaken)
    follow(ledger, PROJECTIONS)
    assert earned(ledger) == 30
    void = TouchpointVoided(voided_source=mistaken.source, voided_id=mistaken.id, reason="a slip")
    tell(ledger, occurred("2026-04-02", void))
    follow(ledger, PROJECTIONS)
    assert earned(ledger) == 10
    assert verify(ledger, LOYALTY).differences == 0


def test_a_rule_for_the_future_does_not_touch_what_occurred_before_it(ledger: Ledger) -> None:
    tell(ledger, HUNDRED, survey("2026-01-05", "S1"), BEFORE)
    tell(ledger, changed(survey("2026-01-05", "S0"), subject="customer:7", id="S0"))
    follow(ledger, PROJECTIONS)
    before = rows_of(ledger, LOYALTY)
    phases = []
    tell(ledger, published(2, "2026-05-01", fixed(5, "survey.answered.v1", "answer")))
    follow(ledger, PROJECTIONS, report=lambda phase, *_: phases.append(phase))
    assert rows_of(ledger, LOYALTY) == before == oracle.rows(LOYALTY, logged(ledger))
    assert verify(ledger, LOYALTY).differences == 0
    assert set(phases) == {"following"}
    tell(ledger, survey("2026-05-02", "S2"), survey("2026-01-06", "S3"))
    follow(ledger, PROJECTIONS)
    assert earned(ledger) == 15
    assert verify(ledger, LOYALTY).differences == 0


def test_a_late_refund_of_points_already_spent_leaves_a_debt(ledger: Ledger) -> None:
    tell(ledger, HUNDRED, BEFORE, redeem("2026-03-05", "R1", 10))
    follow(ledger, PROJECTIONS)
    tell(ledger, refund("2026-03-01", "A1", 500))
    follow(ledger, PROJECTIONS)
    found = _balance(state_of(ledger, LOYALTY, ME))
    assert (found.earned, found.spent, found.negative, found.active) == (5, 10, 5, 0)


def test_what_was_earned_is_somewhere_at_every_moment(workshop: Workshop) -> None:
    @workshop.examples(50)
    @given(st.data(), st.integers(-5, 120))
    def law(data: st.DataObject, days: int) -> None:
        _what_was_earned_is_somewhere(workshop, data, days)

    law()


def _what_was_earned_is_somewhere(workshop: Workshop, data: st.DataObject, days: int) -> None:
    arrival = data.draw(arrivals(workshop))
    moment = at("2026-01-01") + days * 24 * 3_600_000_000
    with workshop.ledger() as ledger:
        for group in arrival.groups:
            record(ledger, group)
            follow(ledger, PROJECTIONS, batch=3)
        rows = rows_of(ledger, LOYALTY)
        members = [state_in(row, LOYALTY) for row in rows.values()]
        members += [state_of(ledger, LOYALTY, key, Cut(as_of=moment)) for key in rows]
    accounts = [a for member in members if member for a in member.programmes.values()]
    for found in (balance(account, moment) for account in accounts):
        parts = found.active + found.pending + found.spent + found.expired - found.negative
        assert found.earned == parts
