"""Which version of a programme's rules is in force, and what an earn rule gives."""

from decimal import Decimal

from domain.rules import Rules
from tests.domain.loyalty_facts import ORDER, at, closed, fixed, order, per, published, survey


def in_force(rules: Rules, when: str, programme: str = "main") -> int | None:
    version = rules.in_force(programme, at(when))
    return version.version if version else None


def gives(rules: Rules, when: str, left: str, currency: str = "ZAR") -> int:
    (terms,) = rules.earning(ORDER, at(when))
    if not terms.holds_on(at(when)):
        return 0
    return terms.points_for(Decimal(left), currency)


def test_before_the_first_version_no_rules_are_in_force() -> None:
    rules = Rules.of([published(1, "2026-02-01", per(1, 100))])
    assert in_force(rules, "2026-01-31T23:59:59.999999") is None
    assert rules.earning(ORDER, at("2026-01-31")) == ()


def test_a_version_holds_from_its_first_moment_until_the_next_ones() -> None:
    rules = Rules.of(
        [published(2, "2026-03-01", per(1, 200)), published(1, "2026-02-01", per(1, 100))]
    )
    assert in_force(rules, "2026-02-01") == 1
    assert in_force(rules, "2026-02-28T23:59:59.999999") == 1
    assert in_force(rules, "2026-03-01") == 2


def test_the_highest_version_wins_even_where_a_lower_one_begins_later() -> None:
    rules = Rules.of(
        [published(3, "2026-01-01", per(1, 100)), published(2, "2026-02-01", per(1, 50))]
    )
    assert in_force(rules, "2026-02-02") == 3
    assert [known.version for known in rules.versions["main"]] == [2, 3]


def test_of_equal_versions_the_last_published_wins() -> None:
    first = published(1, "2026-01-01", per(1, 100), when="2025-12-01")
    second = published(1, "2026-01-01", per(1, 50), when="2025-12-02")
    for facts in ([first, second], [second, first]):
        assert gives(Rules.of(facts), "2026-01-02", "1000") == 20


def test_a_version_published_for_the_past_holds_in_the_past() -> None:
    rules = Rules.of(
        [
            published(1, "2026-01-01", per(1, 100)),
            published(2, "2026-01-10", per(1, 50), when="2026-06-01"),
        ]
    )
    assert in_force(rules, "2026-01-10") == 2


def test_programmes_do_not_touch_each_other() -> None:
    rules = Rules.of(
        [
            published(1, "2026-01-01", per(1, 100), programme="shop"),
            published(7, "2026-02-01", fixed(5, on="survey.answered.v1"), programme="app"),
        ]
    )
    assert rules.programmes == ("app", "shop")
    assert in_force(rules, "2026-03-01", "shop") == 1
    assert in_force(rules, "2026-01-15", "app") is None
    assert rules.earning_types() == {ORDER, "survey.answered.v1"}


def test_facts_that_are_no_rules_are_passed_over() -> None:
    rules = Rules.of([order("2026-01-01", "A1", 10), survey("2026-01-01", "S1")])
    assert rules.programmes == ()
    assert rules.in_force("main", at("2026-01-01")) is None


def test_the_last_word_on_closing_a_programme_counts() -> None:
    rules = Rules.of([closed("2026-03-02", "2026-07-31"), closed("2026-03-01", "2026-06-30")])
    assert rules.closed("main") == at("2026-07-31")
    assert rules.closed("other") is None
    assert rules.programmes == ("main",)


def test_only_full_amounts_in_the_rules_currency_count() -> None:
    rules = Rules.of([published(1, "2026-01-01", per(3, "100.00"))])
    assert gives(rules, "2026-01-02", "299.99") == 6
    assert gives(rules, "2026-01-02", "300") == 9
    assert gives(rules, "2026-01-02", "300", "EUR") == 0


def test_a_slip_in_a_rule_cannot_give_more_points_than_one_fact_can_hold() -> None:
    rules = Rules.of([published(1, "2026-01-01", per(10**15, "0.000000001"))])
    assert gives(rules, "2026-01-02", "999999999999999.999999999") == 10**15


def test_weekdays_turn_at_midnight_utc_where_the_rule_names_no_zone() -> None:
    rules = Rules.of([published(1, "2026-01-01", fixed(5, weekdays=(5,)))])  # Fridays
    assert gives(rules, "2026-01-08T23:59:59.999999", "1") == 0
    assert gives(rules, "2026-01-09T00:00:00", "1") == 5
    assert gives(rules, "2026-01-09T23:59:59.999999", "1") == 5
    assert gives(rules, "2026-01-10T00:00:00", "1") == 0


def test_weekdays_turn_at_local_midnight_in_winter_and_in_summer() -> None:
    sundays = fixed(5, weekdays=(7,), timezone="Europe/Rome")
    rules = Rules.of([published(1, "2026-01-01", sundays)])
    for saturday, sunday in (
        ("2026-03-28T23:59:59+01:00", "2026-03-29T00:00:00+01:00"),
        ("2026-07-04T23:59:59+02:00", "2026-07-05T00:00:00+02:00"),
    ):
        assert gives(rules, saturday, "1") == 0
        assert gives(rules, sunday, "1") == 5


def test_the_day_on_which_clocks_change_ends_at_its_own_midnight() -> None:
    sundays = fixed(5, weekdays=(7,), timezone="Europe/Rome")
    rules = Rules.of([published(1, "2026-01-01", sundays)])
    assert gives(rules, "2026-03-29T21:59:59", "1") == 5  # 23:59:59 on summer time
    assert gives(rules, "2026-03-29T22:00:00", "1") == 0
    assert gives(rules, "2026-10-25T22:59:59", "1") == 5  # 23:59:59 on winter time
    assert gives(rules, "2026-10-25T23:00:00", "1") == 0
