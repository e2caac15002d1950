"""What customers spend: which lots pay, what a cancellation restores, and how debts are paid."""

from domain.lots import Balance, expiring
from domain.rules import Rules
from tests.domain.loyalty_facts import (
    account_of,
    adjust,
    at,
    balance_of,
    cancel_order,
    cancel_redemption,
    fixed,
    fold,
    order,
    per,
    published,
    redeem,
    refund,
)

PLAIN = Rules.of([published(1, "2026-01-01", per(1, 100))])
WAITING = Rules.of([published(1, "2026-01-01", per(1, 100), pending_days=14)])
EXPIRING = Rules.of(
    [
        published(1, "2026-01-01", per(1, 100), expires_after_days=300),
        published(2, "2026-02-01", per(1, 100), expires_after_days=30),
        published(3, "2026-03-01", per(1, 100)),
    ]
)


def test_the_soonest_to_expire_is_spent_first_and_what_never_expires_last() -> None:
    facts = [
        order("2026-01-15", "LONG", 1000),
        order("2026-02-20", "SHORT", 1000),
        order("2026-03-01", "NEVER", 1000),
    ]
    spent = account_of([*facts, redeem("2026-03-02", "R1", 25)], EXPIRING)
    assert {lot.order_id: lot.used for lot in spent.lots} == {"LONG": 10, "SHORT": 10, "NEVER": 5}
    less = account_of([*facts, redeem("2026-03-02", "R1", 15)], EXPIRING)
    assert {lot.order_id: lot.used for lot in less.lots} == {"LONG": 5, "SHORT": 10, "NEVER": 0}


def test_of_lots_that_expire_together_the_earlier_available_is_spent_first() -> None:
    rules = Rules.of(
        [
            published(1, "2026-01-01", per(1, 100), pending_days=9, expires_after_days=40),
            published(2, "2026-01-11", per(1, 100), expires_after_days=35),
        ]
    )
    facts = [
        order("2026-01-10", "WAITED", 1000),  # available from 19 January
        order("2026-01-15", "DIRECT", 1000),
        redeem("2026-01-21", "R1", 5),
    ]
    lots = account_of(facts, rules).lots
    assert lots[0].expires_at == lots[1].expires_at
    assert [lot.used for lot in lots] == [0, 5]


def test_active_lots_are_spent_before_pending_ones_that_expire_sooner() -> None:
    rules = Rules.of(
        [
            published(1, "2026-01-01", per(1, 100), pending_days=14),
            published(2, "2026-01-11", per(1, 100), pending_days=14, expires_after_days=30),
        ]
    )
    facts = [order("2026-01-10", "ACTIVE", 1000), order("2026-01-15", "PENDING", 1000)]
    lots = account_of([*facts, redeem("2026-01-24", "R1", 5)], rules).lots
    assert [lot.used for lot in lots] == [5, 0]


def test_an_expired_lot_is_passed_over_behind_one_that_never_expires() -> None:
    rules = Rules.of(
        [
            published(1, "2026-01-01", per(1, 100)),
            published(2, "2026-01-11", per(1, 100), expires_after_days=1),
        ]
    )
    facts = [order("2026-01-10", "NEVER", 1000), order("2026-01-15", "GONE", 1000)]
    lots = account_of([*facts, redeem("2026-01-24", "R1", 15)], rules).lots
    assert [lot.used for lot in lots] == [10, 0]


def test_a_redemption_keeps_the_order_of_its_lots_when_one_is_taken_back() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        order("2026-01-06", "A2", 1000),
        redeem("2026-01-07", "R1", 20),
        refund("2026-01-08", "A2", 300),
    ]
    assert account_of(facts, PLAIN).claims[0].allocations == [(0, 10), (1, 7)]


def test_an_expired_lot_pays_for_nothing() -> None:
    facts = [order("2026-02-20", "A1", 1000), redeem("2026-03-22", "R1", 4)]
    expected = Balance(earned=10, spent=4, expired=10, negative=4)
    assert balance_of(facts, EXPIRING, "2026-03-22") == expected


def test_the_schedule_of_expiry_has_every_moment_and_leaves_out_what_is_spent() -> None:
    facts = [
        order("2026-01-15", "A1", 1000),
        order("2026-02-20", "A2", 1000),
        order("2026-02-20", "A3", 500),
        order("2026-03-01", "A4", 700),
        redeem("2026-03-02", "R1", 4),
    ]
    account = account_of(facts, EXPIRING)
    short, long = (at("2026-03-22"), 11), (at("2026-11-11"), 10)
    assert expiring(account, at("2026-03-02")) == [short, long]
    assert expiring(account, at("2026-03-22")) == [long]


def test_what_cannot_be_covered_is_a_debt_and_the_fact_stands() -> None:
    facts = [order("2026-01-05", "A1", 1000), redeem("2026-01-06", "R1", 25)]
    expected = Balance(earned=10, spent=25, negative=15)
    assert balance_of(facts, PLAIN, "2026-01-06") == expected


def test_a_later_lot_pays_the_debt_even_while_it_is_pending() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        redeem("2026-01-19", "R1", 25),
        order("2026-01-20", "A2", 2000),
    ]
    expected = Balance(earned=30, spent=25, pending=5)
    assert balance_of(facts, WAITING, "2026-01-20") == expected


def test_a_refund_of_what_is_spent_already_leaves_a_debt_that_the_next_order_pays() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        redeem("2026-01-06", "R1", 9),
        refund("2026-01-07", "A1", 500),
    ]
    assert balance_of(facts, PLAIN, "2026-01-07") == Balance(earned=5, spent=9, negative=4)
    facts.append(order("2026-01-08", "A2", 300))
    assert balance_of(facts, PLAIN, "2026-01-08") == Balance(earned=8, spent=9, negative=1)
    facts.append(order("2026-01-09", "A3", 300))
    assert balance_of(facts, PLAIN, "2026-01-09") == Balance(earned=11, spent=9, active=2)


def test_a_refund_is_covered_by_other_lots_before_it_becomes_a_debt() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        order("2026-01-06", "A2", 1000),
        redeem("2026-01-07", "R1", 10),
        cancel_order("2026-01-08", "A1"),
    ]
    account = account_of(facts, PLAIN)
    assert [(lot.earned, lot.used) for lot in account.lots] == [(0, 0), (10, 10)]
    assert account.claims[0].allocations == [(1, 10)]


def test_the_latest_redemption_loses_what_is_taken_back() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        redeem("2026-01-06", "R1", 4),
        redeem("2026-01-07", "R2", 6),
        refund("2026-01-08", "A1", 300),
    ]
    account = account_of(facts, PLAIN)
    assert [(claim.id, claim.unpaid) for claim in account.claims] == [("R1", 0), ("R2", 3)]


def test_taking_back_from_an_expired_lot_that_was_partly_spent() -> None:
    facts = [
        order("2026-02-20", "A1", 1000),
        redeem("2026-02-21", "R1", 4),
        refund("2026-06-01", "A1", 700),
    ]
    before = Balance(earned=10, spent=4, expired=6)
    assert balance_of(facts[:2], EXPIRING, "2026-06-01") == before
    expected = Balance(earned=3, spent=4, negative=1)
    assert balance_of(facts, EXPIRING, "2026-06-01") == expected


def test_cancelling_a_redemption_restores_the_same_lots() -> None:
    facts = [
        order("2026-02-20", "SHORT", 1000),
        order("2026-03-01", "NEVER", 1000),
        redeem("2026-03-02", "R1", 15),
        order("2026-03-03", "LATER", 1000),
        cancel_redemption("2026-03-04", "R1"),
    ]
    account = account_of(facts, EXPIRING)
    assert [lot.used for lot in account.lots] == [0, 0, 0]
    assert balance_of(facts, EXPIRING, "2026-03-04") == Balance(earned=30, active=30)
    again = [*facts, redeem("2026-03-05", "R2", 10)]
    assert [lot.used for lot in account_of(again, EXPIRING).lots] == [10, 0, 0]


def test_points_that_are_restored_to_an_expired_lot_are_expired() -> None:
    facts = [
        order("2026-02-20", "A1", 1000),
        redeem("2026-02-21", "R1", 4),
        cancel_redemption("2026-04-01", "R1"),
    ]
    assert balance_of(facts, EXPIRING, "2026-04-01") == Balance(earned=10, expired=10)


def test_cancelling_a_redemption_drops_its_debt_and_pays_the_next() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        redeem("2026-01-06", "R1", 15),
        redeem("2026-01-07", "R2", 7),
        cancel_redemption("2026-01-08", "R1"),
    ]
    assert balance_of(facts[:3], PLAIN, "2026-01-07").negative == 12
    assert balance_of(facts, PLAIN, "2026-01-08") == Balance(earned=10, spent=7, active=3)


def test_a_cancellation_before_its_redemption_leaves_it_without_effect() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        cancel_redemption("2026-01-06", "R1"),
        redeem("2026-01-07", "R1", 5),
    ]
    assert balance_of(facts, PLAIN, "2026-01-07") == Balance(earned=10, active=10)
    assert fold(facts, PLAIN).anomalies == 0


def test_a_redemption_that_was_cancelled_ahead_earns_nothing_either() -> None:
    rules = Rules.of([published(1, "2026-01-01", fixed(5, on="points.redeemed.v1"))])
    facts = [cancel_redemption("2026-01-06", "R1"), redeem("2026-01-07", "R1", 5)]
    assert balance_of(facts, rules, "2026-01-07") == Balance()


def test_a_second_cancellation_is_an_anomaly_and_changes_nothing() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        redeem("2026-01-06", "R1", 5),
        cancel_redemption("2026-01-07", "R1"),
        cancel_redemption("2026-01-08", "R1"),
    ]
    assert fold(facts, PLAIN).anomalies == 1
    assert balance_of(facts, PLAIN, "2026-01-08") == Balance(earned=10, active=10)
    ahead = [cancel_redemption("2026-01-04", "R9"), cancel_redemption("2026-01-05", "R9")]
    assert fold(ahead, PLAIN).anomalies == 1


def test_the_same_redemption_twice_takes_points_once() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        redeem("2026-01-06", "R1", 4),
        redeem("2026-01-07", "R1", 4, ident="sent again"),
    ]
    assert fold(facts, PLAIN).anomalies == 1
    assert balance_of(facts, PLAIN, "2026-01-07") == Balance(earned=10, spent=4, active=6)


def test_points_taken_by_hand_lower_what_was_earned() -> None:
    facts = [order("2026-01-05", "A1", 1000), adjust("2026-01-06", "J1", -3)]
    assert balance_of(facts, PLAIN, "2026-01-06") == Balance(earned=7, active=7)
    facts.append(adjust("2026-01-07", "J2", -10))
    assert balance_of(facts, PLAIN, "2026-01-07") == Balance(earned=-3, negative=3)


def test_a_redemption_and_an_adjustment_may_bear_the_same_id() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        redeem("2026-01-06", "X", 4),
        adjust("2026-01-07", "X", -3),
    ]
    assert fold(facts, PLAIN).anomalies == 0
    assert balance_of(facts, PLAIN, "2026-01-07") == Balance(earned=7, spent=4, active=3)


def test_lots_that_are_spent_are_not_looked_at_again() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        order("2026-01-06", "A2", 1000),
        redeem("2026-01-07", "R1", 10),
        redeem("2026-01-08", "R2", 1),
    ]
    assert account_of(facts, PLAIN).first_open == 1
    facts.append(cancel_redemption("2026-01-09", "R1"))
    assert account_of(facts, PLAIN).first_open == 0
