"""The statement: each movement of points, what caused it, and the balance that it left."""

from domain.occurred import Occurred
from domain.rules import Rules
from domain.statement import Movement, statement
from tests.domain.loyalty_facts import (
    adjust,
    at,
    cancel_redemption,
    order,
    per,
    published,
    redeem,
    refund,
    survey,
)

PLAIN = Rules.of([published(1, "2026-01-01", per(1, 100))])
EXPIRING = Rules.of([published(1, "2026-01-01", per(1, 100), expires_after_days=30)])


def lines(
    facts: list[Occurred], rules: Rules, until: str = "2026-12-31"
) -> list[tuple[str, int, int]]:
    movements = statement(facts, rules, "main", at(until))
    return [(line.kind, line.points, line.balance) for line in movements]


def test_an_account_without_movements_has_an_empty_statement() -> None:
    assert lines([survey("2026-01-02", "S1")], PLAIN) == []


def test_every_line_names_the_touchpoint_that_caused_it() -> None:
    facts = [order("2026-01-05", "A1", 1000)]
    assert statement(facts, PLAIN, "main", at("2026-02-01")) == [
        Movement(
            at=at("2026-01-05"),
            kind="earned",
            points=10,
            balance=10,
            text="rule spend, order A1",
            type="order.completed.v1",
            source="shop",
            id="order A1",
        )
    ]


def test_each_kind_of_movement_has_its_line() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        adjust("2026-01-06", "J1", 5),
        redeem("2026-01-07", "R1", 12),
        refund("2026-01-08", "A1", 500),
        cancel_redemption("2026-01-09", "R1"),
        adjust("2026-01-10", "J2", -4),
    ]
    assert lines(facts, PLAIN) == [
        ("earned", 10, 10),
        ("adjusted", 5, 15),
        ("spent", -12, 3),
        ("taken back", -5, -2),
        ("restored", 12, 10),
        ("adjusted", -4, 6),
    ]


def test_points_expire_on_a_line_of_their_own_at_their_own_moment() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        redeem("2026-01-06", "R1", 4),
        order("2026-03-01", "A2", 500),
    ]
    assert lines(facts, EXPIRING, "2026-03-30T23:59") == [
        ("earned", 10, 10),
        ("spent", -4, 6),
        ("expired", -6, 0),
        ("earned", 5, 5),
    ]
    closing = statement(facts, EXPIRING, "main", at("2026-03-31"))[-1]
    assert (closing.kind, closing.points, closing.at) == ("expired", -5, at("2026-03-31"))
    assert (closing.type, closing.source, closing.id) == (None, None, None)


def test_what_is_restored_too_late_expires_at_once() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        redeem("2026-01-06", "R1", 10),
        cancel_redemption("2026-05-01", "R1"),
    ]
    assert lines(facts, EXPIRING) == [
        ("earned", 10, 10),
        ("spent", -10, 0),
        ("restored", 10, 10),
        ("expired", -10, 0),
    ]


def test_taking_back_what_has_expired_moves_only_what_was_spent_of_it() -> None:
    facts = [
        order("2026-01-05", "A1", 1000),
        redeem("2026-01-06", "R1", 4),
        refund("2026-05-01", "A1", 700),
    ]
    assert lines(facts, EXPIRING)[2:] == [("expired", -6, 0), ("taken back", -1, -1)]


def test_the_statement_ends_where_it_is_told() -> None:
    facts = [order("2026-01-05", "A1", 1000), order("2026-01-06", "A2", 500)]
    assert lines(facts, PLAIN, "2026-01-05") == [("earned", 10, 10)]
    assert lines(facts, PLAIN, "2026-01-06") == [("earned", 10, 10), ("earned", 5, 15)]


def test_a_redemption_cancelled_ahead_has_no_line() -> None:
    facts = [cancel_redemption("2026-01-05", "R1"), redeem("2026-01-06", "R1", 10)]
    assert lines(facts, PLAIN) == []
