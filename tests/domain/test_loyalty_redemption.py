"""Requests to redeem points: what is accepted, and how a refusal explains itself."""

from domain.occurred import Occurred
from domain.redemption import RedemptionRequest, Refusal, decide
from domain.rules import Rules
from schemas.loyalty import PointsRedeemed
from tests.domain.loyalty_facts import (
    adjust,
    at,
    cancel_redemption,
    closed,
    order,
    per,
    published,
    redeem,
    refund,
)

RULES = published(1, "2026-01-01", per(1, 100), pending_days=14, minimum_redemption=5)
TWO_ORDERS = [order("2026-01-05", "A1", 1000), order("2026-01-25", "A2", 1000)]
NOW = "2026-02-01"  # the first order's points are active, the second's still pending


def asked(
    points: int,
    facts: list[Occurred] | None = None,
    rules: list[Occurred] | None = None,
    now: str = NOW,
    programme: str = "main",
    source: str = "till",
) -> PointsRedeemed | Refusal:
    request = RedemptionRequest(
        programme=programme,
        redemption_id="R1",
        points=points,
        source=source,
        id="1",
        subject="customer:42",
        reward="coffee",
    )
    known = TWO_ORDERS if facts is None else facts
    return decide(known, Rules.of([RULES] if rules is None else rules), request, at(now))


def code(decision: PointsRedeemed | Refusal) -> str:
    assert isinstance(decision, Refusal), decision
    return decision.code


def test_active_points_can_be_redeemed_to_the_last() -> None:
    assert asked(10) == PointsRedeemed(
        programme="main", redemption_id="R1", points=10, reward="coffee"
    )


def test_pending_points_cannot_and_the_refusal_says_what_there_is() -> None:
    assert asked(11) == Refusal(
        code="not_enough",
        message="asked for 11 points: 10 are active",
        asked=11,
        active=10,
    )


def test_facts_may_be_given_in_any_order() -> None:
    facts = [refund("2026-02-01T06:00", "A1", 300), TWO_ORDERS[0]]
    assert code(asked(10, facts)) == code(asked(10, facts[::-1])) == "negative_later"


def test_less_than_the_minimum_is_refused() -> None:
    assert code(asked(4)) == "below_minimum"
    assert isinstance(asked(5), PointsRedeemed)


def test_the_minimum_is_that_of_the_rules_in_force_now() -> None:
    raised = published(2, NOW, per(1, 100), minimum_redemption=8)
    assert code(asked(7, rules=[RULES, raised])) == "below_minimum"
    assert isinstance(asked(7, rules=[RULES, raised], now="2026-01-31"), PointsRedeemed)


def test_no_points_or_fewer_are_refused() -> None:
    assert code(asked(0)) == "points_not_positive"
    assert code(asked(-5)) == "points_not_positive"


def test_an_unknown_programme_is_refused() -> None:
    assert code(asked(5, programme="mian")) == "unknown_programme"


def test_points_given_by_hand_can_be_redeemed_without_any_rules() -> None:
    facts = [adjust("2026-01-05", "J1", 10)]
    assert isinstance(asked(10, facts, rules=[]), PointsRedeemed)


def test_a_closed_programme_redeems_until_its_last_moment() -> None:
    rules = [RULES, closed("2026-01-15", NOW)]
    assert isinstance(asked(10, rules=rules), PointsRedeemed)
    decision = asked(10, rules=rules, now="2026-02-01T00:00:00.000001")
    assert isinstance(decision, Refusal)
    assert decision.code == "programme_closed"
    assert "2026-02-01T00:00:00Z" in decision.message


def test_a_refund_that_occurs_later_stands_in_the_way() -> None:
    facts = [*TWO_ORDERS[:1], refund("2026-02-01T06:00", "A1", 300)]
    decision = asked(10, facts)
    assert decision == Refusal(
        code="negative_later",
        message="asked for 10 points: the balance would be 3 points below zero at"
        " 2026-02-01T06:00:00Z, by what is already recorded",
        asked=10,
        active=10,
    )
    assert isinstance(asked(7, facts), PointsRedeemed)


def test_a_refund_of_the_same_instant_counts_on_whichever_side_it_falls() -> None:
    facts = [*TWO_ORDERS[:1], refund(NOW, "A1", 300)]  # its source is the shop
    assert code(asked(10, facts, source="till")) == "not_enough"
    assert code(asked(10, facts, source="app")) == "negative_later"
    assert isinstance(asked(7, facts, source="app"), PointsRedeemed)


def test_a_later_refund_that_pending_points_cover_does_not() -> None:
    facts = [*TWO_ORDERS, refund("2026-02-01T06:00", "A1", 300)]
    assert isinstance(asked(10, facts), PointsRedeemed)


def test_points_cannot_be_spent_twice_by_a_redemption_that_occurs_later() -> None:
    facts = [*TWO_ORDERS[:1], redeem("2026-02-01T06:00", "R2", 6)]
    assert code(asked(5, facts)) == "negative_later"


def test_a_redemption_that_is_already_known_is_refused() -> None:
    assert code(asked(5, [*TWO_ORDERS, redeem("2026-01-30", "R1", 5)])) == "redemption_known"
    cancelled = [*TWO_ORDERS, cancel_redemption("2026-01-30", "R1")]
    assert code(asked(5, cancelled)) == "redemption_known"
