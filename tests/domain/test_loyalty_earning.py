"""What customers earn: by the rules in force when it happened, for what is left of it."""

import pytest

from domain.lots import Balance, standings
from domain.loyalty import READS, concerns, reads
from domain.occurred import Occurred
from domain.rules import Rules
from tests.domain.loyalty_facts import (
    account_of,
    adjust,
    at,
    balance_of,
    cancel_order,
    chose_electronic,
    converted,
    fixed,
    fold,
    order,
    per,
    published,
    redeem,
    refund,
    survey,
)

ONE_PER_100 = Rules.of([published(1, "2026-01-01", per(1, 100))])
SHORT_LIVED = published(1, "2026-01-01", per(1, 100), pending_days=10, expires_after_days=5)
RATE_CUT = Rules.of(
    [published(1, "2026-01-01", per(1, 100)), published(2, "2026-03-01", per(1, 200))]
)


def earned(facts: list[Occurred], rules: Rules, when: str = "2027-01-01") -> int:
    return balance_of(facts, rules, when).earned


def test_a_rate_cut_holds_from_its_day_and_leaves_what_was_earned_before() -> None:
    day_before = order("2026-02-28T23:59:59", "A1", 1000)
    day_after = order("2026-03-01", "A2", 1000)
    assert earned([day_before], RATE_CUT) == 10
    assert earned([day_before, day_after], RATE_CUT) == 15


def test_an_order_that_occurred_before_the_cut_earns_the_old_rate_however_late_it_comes() -> None:
    arrived_last = order("2026-02-20", "A3", 1000)
    assert earned([order("2026-03-02", "A2", 1000), arrived_last], RATE_CUT) == 15


def test_rules_published_for_the_past_restate_what_was_earned_since() -> None:
    cut = published(2, "2026-02-01", per(1, 200), when="2026-06-01")
    rules = Rules.of([published(1, "2026-01-01", per(1, 100)), cut])
    facts = [order("2026-01-31", "A1", 1000), order("2026-02-01", "A2", 1000)]
    assert earned(facts, ONE_PER_100) == 20
    assert earned(facts, rules) == 15


def test_an_order_earns_for_what_refunds_leave_of_it() -> None:
    facts = [order("2026-01-05", "A1", 1000), refund("2026-01-09", "A1", 150)]
    assert earned(facts, ONE_PER_100, "2026-01-08") == 10
    assert earned(facts, ONE_PER_100) == 8


def test_a_refund_after_the_cut_is_counted_by_the_rule_of_its_order() -> None:
    facts = [order("2026-02-05", "A1", 1000), refund("2026-03-09", "A1", 150)]
    assert earned(facts, RATE_CUT) == 8


def test_refunds_add_up_and_stop_at_nothing() -> None:
    facts = [order("2026-01-05", "A1", 1000), refund("2026-01-06", "A1", "50.01")]
    assert earned(facts, ONE_PER_100) == 9
    facts.append(refund("2026-01-07", "A1", "49.99"))
    assert earned(facts, ONE_PER_100) == 9
    facts.append(refund("2026-01-08", "A1", 5000))
    assert earned(facts, ONE_PER_100) == 0


def test_a_refund_before_its_order_is_kept_until_the_order_comes() -> None:
    facts = [refund("2026-01-04", "A1", 150), order("2026-01-05", "A1", 1000)]
    assert list(fold(facts[:1], ONE_PER_100).ahead) == ["A1"]
    member = fold(facts, ONE_PER_100)
    assert member.ahead == {}
    assert earned(facts, ONE_PER_100) == 8


def test_a_cancelled_order_earns_nothing_whichever_comes_first() -> None:
    bought = order("2026-01-05", "A1", 1000)
    assert earned([bought, cancel_order("2026-01-06", "A1")], ONE_PER_100) == 0
    assert earned([cancel_order("2026-01-04", "A1"), bought], ONE_PER_100) == 0


def test_a_fully_refunded_order_earns_nothing_by_a_fixed_rule_either() -> None:
    rules = Rules.of([published(1, "2026-01-01", fixed(50))])
    facts = [order("2026-01-05", "A1", 1000), refund("2026-01-06", "A1", 999)]
    assert earned(facts, rules) == 50
    assert earned([*facts, refund("2026-01-07", "A1", 1)], rules) == 0


def test_a_free_order_earns_fixed_points() -> None:
    rules = Rules.of([published(1, "2026-01-01", fixed(50))])
    assert earned([order("2026-01-05", "A1", 0)], rules) == 50


def test_a_refund_in_another_currency_takes_nothing_back_and_is_an_anomaly() -> None:
    facts = [order("2026-01-05", "A1", 1000), refund("2026-01-06", "A1", 500, "EUR")]
    member = fold(facts, ONE_PER_100)
    assert member.anomalies == 1
    assert earned(facts, ONE_PER_100) == 10
    early = [refund("2026-01-04", "A1", 500, "EUR"), facts[0]]
    assert fold(early, ONE_PER_100).anomalies == 1
    assert earned(early, ONE_PER_100) == 10


def test_the_same_order_twice_gives_one_lot() -> None:
    again = order("2026-01-06", "A1", 1000, ident="sent again")
    facts = [order("2026-01-05", "A1", 1000), again]
    member = fold(facts, ONE_PER_100)
    assert len(member.programmes["main"].lots) == 1
    assert member.anomalies == 1


def test_an_order_in_a_currency_without_a_rule_earns_nothing_but_is_remembered() -> None:
    member = fold([order("2026-01-05", "A1", 1000, "EUR")], ONE_PER_100)
    assert member.programmes == {}
    assert list(member.orders) == ["A1"]


def test_of_an_order_before_all_rules_nothing_but_its_name_is_remembered() -> None:
    early = [refund("2025-12-01", "A1", 10), order("2025-12-05", "A1", 1000)]
    late = [refund("2026-01-06", "A1", 10), cancel_order("2026-01-07", "A1")]
    member = fold([*early, *late], ONE_PER_100)
    assert member.orders == {"A1": None}
    assert not member.ahead
    assert not member.programmes


def test_an_order_that_is_told_before_and_after_the_rules_begin_earns_nothing() -> None:
    facts = [
        order("2025-12-05", "A1", 1000, ident="before"),
        order("2026-01-05", "A1", 1000, ident="after"),
        order("2026-01-06", "A1", 1000, ident="again"),
    ]
    member = fold(facts, ONE_PER_100)
    assert not member.programmes
    assert member.anomalies == 2


def test_every_rule_that_matches_gives_a_lot_of_its_own() -> None:
    bonus = fixed(25, rule_id="big", minimum_total=per(1, 500).per)
    rules = Rules.of([published(1, "2026-01-01", per(1, 100), bonus)])
    facts = [order("2026-01-05", "A1", 600), order("2026-01-06", "A2", 499)]
    lots = account_of(facts, rules).lots
    assert [(lot.rule_id, lot.order_id, lot.earned) for lot in lots] == [
        ("spend", "A1", 6),
        ("big", "A1", 25),
        ("spend", "A2", 4),
    ]
    assert {(lot.source, lot.version) for lot in lots} == {("shop", 1)}


def test_a_refund_below_the_minimum_total_takes_the_bonus_back() -> None:
    rules = Rules.of([published(1, "2026-01-01", per(1, 100, minimum_total=per(1, 500).per))])
    bought = order("2026-01-05", "A1", 600)
    assert earned([bought, refund("2026-01-06", "A1", 100)], rules) == 5
    assert earned([bought, refund("2026-01-06", "A1", "100.01")], rules) == 0


def test_each_programme_keeps_its_own_account() -> None:
    rules = Rules.of(
        [
            published(1, "2026-01-01", per(1, 100), programme="main"),
            published(1, "2026-01-01", fixed(7), programme="club"),
        ]
    )
    facts = [order("2026-01-05", "A1", 1000), refund("2026-01-06", "A1", 150)]
    assert account_of(facts, rules).lots[0].earned == 8
    assert account_of(facts, rules, "club").lots[0].earned == 7


@pytest.mark.parametrize(
    ("when", "points"),
    [
        ("2026-01-08T23:59:59+02:00", 0),
        ("2026-01-09T00:00:00+02:00", 5),
        ("2026-01-09T23:59:59+02:00", 5),
        ("2026-01-10T00:00:00+02:00", 0),
    ],
)
def test_an_order_counts_on_the_day_that_the_shops_clock_shows(when: str, points: int) -> None:
    fridays = fixed(5, weekdays=(5,), timezone="Africa/Johannesburg")
    rules = Rules.of([published(1, "2026-01-01", fridays)])
    assert earned([order(when, "A1", 10)], rules) == points


def test_a_survey_earns_once_however_often_it_is_answered() -> None:
    rule = fixed(25, on="survey.answered.v1", once_per="survey")
    rules = Rules.of([published(1, "2026-01-01", rule)])
    facts = [survey("2026-01-05", "S1"), survey("2026-01-06", "S1"), survey("2026-01-07", "S2")]
    assert earned(facts, rules) == 50
    assert fold(facts, rules).anomalies == 0


def test_a_referral_earns_once() -> None:
    rule = fixed(100, on="referral.converted.v1", once_per="referral")
    rules = Rules.of([published(1, "2026-01-01", rule)])
    facts = [converted("2026-01-05", "F1"), converted("2026-01-06", "F1")]
    assert earned(facts, rules) == 100


def test_choosing_electronic_statements_again_does_not_earn_again_even_by_a_new_version() -> None:
    rule = fixed(50, on="statement.delivery_chosen.v1", once_per="customer")
    rules = Rules.of([published(1, "2026-01-01", rule), published(2, "2026-02-01", rule)])
    facts = [chose_electronic("2026-01-05"), chose_electronic("2026-02-05")]
    assert earned(facts, rules) == 50


WELCOME = fixed(50, rule_id="welcome", once_per="customer")


@pytest.mark.parametrize(
    "undone", [cancel_order("2026-01-07", "A1"), refund("2026-01-07", "A1", 1000)]
)
def test_a_limit_is_free_again_when_what_used_it_up_earns_nothing(undone: Occurred) -> None:
    rules = Rules.of([published(1, "2026-01-01", WELCOME)])
    facts = [order("2026-01-05", "A1", 1000), order("2026-01-06", "A2", 1000), undone]
    assert earned(facts, rules) == 0, "A2 came while the limit was used up"
    facts += [order("2026-01-08", "A3", 1000), order("2026-01-09", "A4", 1000)]
    lots = account_of(facts, rules).lots
    assert [(lot.order_id, lot.earned) for lot in lots] == [("A1", 0), ("A3", 50)]


def test_a_limit_stays_used_up_while_the_order_earns_anything() -> None:
    rules = Rules.of([published(1, "2026-01-01", per(1, 100, once_per="customer"))])
    facts = [order("2026-01-05", "A1", 1000), refund("2026-01-06", "A1", 900)]
    assert earned([*facts, order("2026-01-07", "A2", 1000)], rules) == 1


def test_a_limit_by_something_that_the_touchpoint_does_not_name_earns_nothing() -> None:
    rules = Rules.of([published(1, "2026-01-01", fixed(5, once_per="survey"))])
    assert earned([order("2026-01-05", "A1", 10)], rules) == 0


def test_without_a_limit_every_touchpoint_of_the_type_earns() -> None:
    rules = Rules.of([published(1, "2026-01-01", fixed(5, on="points.redeemed.v1"))])
    facts = [redeem("2026-01-05", "R1", 10), redeem("2026-01-06", "R2", 10)]
    again = redeem("2026-01-07", "R2", 10, ident="sent again")
    assert earned([*facts, again], rules) == 10


def test_points_wait_until_they_are_available_and_expire_by_their_own_version() -> None:
    rules = Rules.of(
        [
            published(1, "2026-01-01", per(1, 100), pending_days=14, expires_after_days=30),
            published(2, "2026-01-10", per(1, 100)),
        ]
    )
    facts = [order("2026-01-05T12:00", "A1", 1000)]
    assert balance_of(facts, rules, "2026-01-19T11:59:59") == Balance(earned=10, pending=10)
    assert balance_of(facts, rules, "2026-01-19T12:00") == Balance(earned=10, active=10)
    assert balance_of(facts, rules, "2026-02-04T11:59:59") == Balance(earned=10, active=10)
    assert balance_of(facts, rules, "2026-02-04T12:00") == Balance(earned=10, expired=10)


def test_points_that_expire_while_pending_are_expired() -> None:
    rules = Rules.of([SHORT_LIVED])
    facts = [order("2026-01-05", "A1", 1000)]
    assert balance_of(facts, rules, "2026-01-10") == Balance(earned=10, expired=10)


def test_points_given_by_hand_are_active_at_once_and_expire_by_the_rules_in_force() -> None:
    rules = Rules.of([SHORT_LIVED])
    facts = [adjust("2026-01-05", "J1", 40)]
    assert balance_of(facts, rules, "2026-01-05") == Balance(earned=40, active=40)
    assert balance_of(facts, rules, "2026-01-10") == Balance(earned=40, expired=40)
    assert account_of(facts, Rules.of([])).lots[0].expires_at is None


def test_the_same_adjustment_twice_counts_once() -> None:
    facts = [adjust("2026-01-05", "J1", 40), adjust("2026-01-06", "J1", 40, ident="again")]
    member = fold(facts, ONE_PER_100)
    assert member.anomalies == 1
    assert earned(facts, ONE_PER_100) == 40


def test_lots_are_listed_with_what_has_become_of_them() -> None:
    rules = Rules.of([published(1, "2026-01-01", per(1, 100), pending_days=1)])
    facts = [
        order("2026-01-02", "A1", 1000),
        order("2026-01-03", "A2", 500),
        cancel_order("2026-01-03T10:00", "A2"),
        order("2026-01-04", "A3", 2000),
        redeem("2026-01-04T12:00", "R1", 10),
        order("2026-01-05T13:00", "A4", 100),
    ]
    listed = standings(account_of(facts, rules), at("2026-01-05T13:00"))
    assert [(known.lot.order_id, known.state, known.left) for known in listed] == [
        ("A1", "spent", 0),
        ("A2", "taken back", 0),
        ("A3", "active", 20),
        ("A4", "pending", 1),
    ]


def test_what_the_fold_reads_follows_the_rules() -> None:
    rules = Rules.of(
        [
            published(
                1, "2026-01-01", fixed(5, on="survey.answered.v1"), fixed(5, "call.ended.v1", "c")
            )
        ]
    )
    assert reads(rules) == {**READS, "survey.answered.v1": ("survey_id",), "call.ended.v1": ()}
    assert concerns("call.ended.v1", rules)
    assert not concerns("chat.ended.v1", rules)
