"""What the touchpoints of the catalogue accept and refuse, beyond their names and fields."""

import json
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from schemas.door import Refused, parse
from schemas.registry import BY_TYPE
from tests.schemas.checking import accepted, minimal, refusals

ENUMERATIONS: dict[tuple[str, str], str] = {
    ("call.started.v1", "direction"): "inbound outbound",
    ("call.ended.v1", "direction"): "inbound outbound",
    ("call.ended.v1", "outcome"): "answered abandoned voicemail failed",
    ("email.received.v1", "purpose"): "service marketing",
    ("email.sent.v1", "purpose"): "service marketing",
    ("chat.message_posted.v1", "author"): "customer agent bot",
    ("sms.sent.v1", "purpose"): "service marketing",
    ("sms.delivered.v1", "purpose"): "service marketing",
    ("sms.failed.v1", "purpose"): "service marketing",
    ("sms.replied.v1", "purpose"): "service marketing",
    ("referral.advanced.v1", "stage"): "clicked signed_up trial checkout",
    ("ticket.opened.v1", "kind"): "request incident claim question",
    ("ticket.opened.v1", "priority"): "low normal high urgent",
    ("ticket.priority_changed.v1", "priority"): "low normal high urgent",
    ("ticket.status_changed.v1", "status"): "new open pending on_hold solved closed",
    ("ticket.commented.v1", "author"): "customer agent bot",
    ("survey.answered.v1", "kind"): "csat nps ces",
    ("statement.delivery_chosen.v1", "delivery"): "electronic paper",
    ("consent.granted.v1", "channel"): "email sms phone post chat any",
    ("consent.granted.v1", "purpose"): "marketing profiling service",
    ("consent.withdrawn.v1", "channel"): "email sms phone post chat any",
    ("consent.withdrawn.v1", "purpose"): "marketing profiling service",
}


@pytest.mark.parametrize(("type_name", "field"), ENUMERATIONS)
def test_an_enumeration_takes_its_words_and_no_others(type_name: str, field: str) -> None:
    for word in ENUMERATIONS[type_name, field].split():
        assert refusals(type_name, minimal(type_name, **{field: word})) == {}
    for stranger in ("elsewhere", "", 1):
        assert list(refusals(type_name, minimal(type_name, **{field: stranger}))) == [field]


def test_no_enumeration_is_missing_above() -> None:
    found = {
        (name, field.name)
        for name, cls in BY_TYPE.items()
        for field in fields(cls)
        if any(get_origin(arm) is Literal for arm in _arms(get_type_hints(cls)[field.name]))
    }
    assert found == set(ENUMERATIONS)


def _arms(hint: Any) -> tuple[Any, ...]:
    return (hint,) if get_origin(hint) is Literal else get_args(hint)


@pytest.mark.parametrize(
    ("kind", "lowest", "highest"), [("csat", 1, 5), ("nps", 0, 10), ("ces", 1, 7)]
)
def test_a_score_lies_within_the_range_of_its_kind(kind: str, lowest: int, highest: int) -> None:
    for score in range(-1, 12):
        problems = refusals("survey.answered.v1", {"survey_id": "S1", "kind": kind, "score": score})
        assert list(problems) == ([] if lowest <= score <= highest else ["score"])


def test_a_score_out_of_range_is_told_the_ranges() -> None:
    data = {"survey_id": "S1", "kind": "csat", "score": 6}
    assert "csat 1-5, nps 0-10, ces 1-7" in refusals("survey.answered.v1", data)["score"]


@pytest.mark.parametrize(
    ("type_name", "field", "good", "bad"),
    [
        ("call.ended.v1", "duration_seconds", [0, 0.5, 125], [-1, "125", True, 1e30]),
        ("call.ended.v1", "wait_seconds", [0, 12.25], [-0.5]),
        ("call.ended.v1", "resolved", [True, False], ["yes", 1]),
        ("call.ended.v1", "call_id", ["x", "x" * 200, "é 字"], ["", "x" * 201, "a\nb", 7]),
        ("order.completed.v1", "place", ["", "x" * 65_536], ["x" * 65_537, "a\0b"]),
        ("points.redeemed.v1", "points", [1, 10**15], [0, -1, 1.0, "5", 10**15 + 1]),
        ("points.adjusted.v1", "points", [-5, 5], [0, 0.5]),
        ("loyalty.rules_published.v1", "version", [1, 7], [0, -1]),
        ("loyalty.rules_published.v1", "expires_after_days", [1, 36_500], [0, 36_501]),
        ("loyalty.rules_published.v1", "pending_days", [0, 14], [-1]),
        ("loyalty.rules_published.v1", "minimum_redemption", [0, 100], [-1]),
        ("ticket.commented.v1", "public", [True, False], ["true", 0]),
        ("referral.made.v1", "referee", ["customer:7", "email:a@b.example"], ["ana", ":x", "A:1"]),
        ("personal_data.viewed.v1", "of", ["customer:7"], ["7"]),
        ("identity.rules_published.v1", "link_kinds", [[], ["email"]], [["email", "email"], "x"]),
        ("identity.rules_published.v1", "blocked_values", [[], ["a"]], ["a"]),
        ("identity.rules_published.v1", "at_most", [{}, {"email": 1}], [[]]),
        ("form.submitted.v1", "fields", [{}, {"a": [1, {"b": None}]}], [[], "~text"]),
    ],
)
def test_a_field_takes_what_it_is_made_for(
    type_name: str, field: str, good: list[object], bad: list[object]
) -> None:
    for value in good:
        assert refusals(type_name, minimal(type_name, **{field: value})) == {}
    for value in bad:
        problems = refusals(type_name, minimal(type_name, **{field: value}))
        assert problems, value
        assert {path.partition(".")[0] for path in problems} == {field}


def test_at_most_names_the_kind_that_is_wrong() -> None:
    data = minimal("identity.rules_published.v1", at_most={"email": 0})
    assert list(refusals("identity.rules_published.v1", data)) == ["at_most.email"]


def test_a_time_keeps_the_offset_that_it_came_with() -> None:
    data = minimal("visit.scheduled.v1", at="2026-03-01T09:30:00+02:00")
    visit = accepted("visit.scheduled.v1", data)
    assert visit.at == datetime.fromisoformat("2026-03-01T09:30:00+02:00")
    assert visit.at.utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize("at", ["2026-03-01T09:30:00", "2026-03-01", 1_767_225_600, "tomorrow"])
def test_a_time_without_its_offset_is_refused(at: object) -> None:
    data = minimal("visit.scheduled.v1", at=at)
    assert list(refusals("visit.scheduled.v1", data)) == ["at"]


def _rules(**rule: object) -> dict[str, Any]:
    earn = [{"rule_id": "r1", "on": "order.completed.v1", "points": 1} | rule]
    return minimal("loyalty.rules_published.v1", earn=earn)


EURO = {"amount": "1", "currency": "EUR"}


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"per": EURO},
        {"weekdays": [1, 7], "timezone": "Africa/Johannesburg"},
        {"minimum_total": {"amount": "0", "currency": "EUR"}},
        {"on": "survey.answered.v1", "points": 25, "once_per": "survey"},
        {"on": "survey.answered.v1", "per": None, "minimum_total": None},
        {"once_per": "customer"},
        {"once_per": "referral"},
    ],
)
def test_an_earn_rule_of_the_catalogue_is_accepted(rule: dict[str, Any]) -> None:
    assert refusals("loyalty.rules_published.v1", _rules(**rule)) == {}


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"rule_id": ""}, "rule_id"),
        ({"on": "order"}, "on"),
        ({"on": "Order.completed.v1"}, "on"),
        ({"on": "order.completed.v0"}, "on"),
        ({"points": 0}, "points"),
        ({"points": 1.5}, "points"),
        ({"per": {"amount": "0", "currency": "EUR"}}, "per"),
        ({"per": {"amount": "-1", "currency": "EUR"}}, "per"),
        ({"per": {"amount": 1, "currency": "EUR"}}, "per.amount"),
        ({"per": {"amount": "1", "currency": "euro"}}, "per.currency"),
        ({"on": "survey.answered.v1", "per": EURO}, "per"),
        ({"on": "order.refunded.v1", "minimum_total": EURO}, "minimum_total"),
        ({"minimum_total": {"amount": "-1", "currency": "EUR"}}, "minimum_total"),
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": [1, 1]}, "weekdays"),
        ({"weekdays": [3, 0]}, "weekdays.1"),
        ({"weekdays": [3, 8]}, "weekdays.1"),
        ({"timezone": "Rome"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": "Europe"}, "timezone"),
        ({"once_per": "day"}, "once_per"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_earn_rule_is_refused_with_its_path(rule: dict[str, Any], path: str) -> None:
    assert list(refusals("loyalty.rules_published.v1", _rules(**rule))) == [f"earn.0.{path}"]


def test_two_rules_of_one_version_may_not_share_their_id() -> None:
    rule = {"rule_id": "r1", "on": "order.completed.v1", "points": 1}
    data = minimal("loyalty.rules_published.v1", earn=[rule, rule | {"points": 2}])
    assert list(refusals("loyalty.rules_published.v1", data)) == ["earn.1.rule_id"]


TRAITS = {
    "name": "Ana Rossi",
    "email": "ana@example.com",
    "phone": "+393331234567",
    "company": "Rossi & figli",
    "language": "it",
    "country": "IT",
    "birth_year": 1984,
    "segment": "loyal",
    "custom": {"shoe size": "38"},
}


def test_traits_may_stand_in_their_part_or_flat_in_the_data() -> None:
    nested = accepted("customer.described.v1", {"traits": TRAITS, "extra": {"a": 1}})
    flat = accepted("customer.described.v1", {**TRAITS, "extra": {"a": 1}})
    assert nested == flat
    assert nested.traits.birth_year == 1984


@pytest.mark.parametrize("data", [{}, {"traits": {}}, {"extra": {"a": 1}}])
def test_a_description_may_say_nothing(data: dict[str, Any]) -> None:
    assert accepted("customer.described.v1", data).traits.name is None


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        ({"traits": {"nickname": "A"}}, ["traits.nickname"]),
        ({"nickname": "A"}, ["nickname"]),
        ({"birth_year": "1984"}, ["traits.birth_year"]),
        ({"traits": {"birth_year": 1700}}, ["traits.birth_year"]),
        ({"traits": {"custom": {"a": 1}}}, ["traits.custom.a"]),
        ({"traits": {"name": "A"}, "email": "a@b.example"}, ["email"]),
        ({"traits": None}, ["traits"]),
    ],
)
def test_a_wrong_trait_is_refused_with_its_path(data: dict[str, Any], paths: list[str]) -> None:
    assert list(refusals("customer.described.v1", data)) == paths


def test_data_that_is_no_object_is_refused() -> None:
    strangers: tuple[object, ...] = ([], "text", 1, None)
    for data in strangers:
        assert refusals("customer.described.v1", data)
        assert refusals("survey.answered.v1", data)


def test_an_order_line_is_checked_where_it_stands() -> None:
    line = {"product_id": "P1", "quantity": 0, "price": {"amount": "1", "currency": "EUR"}}
    data = minimal("order.completed.v1", lines=[line | {"quantity": 1}, line])
    assert list(refusals("order.completed.v1", data)) == ["lines.1.quantity"]


@pytest.mark.parametrize(
    ("money", "path"),
    [
        ({"amount": "12,50", "currency": "EUR"}, "total.amount"),
        ({"amount": "1e3", "currency": "EUR"}, "total.amount"),
        ({"amount": "\u0661\u0662", "currency": "EUR"}, "total.amount"),
        ({"amount": "1\u0661", "currency": "EUR"}, "total.amount"),
        ({"amount": "012", "currency": "EUR"}, "total.amount"),
        ({"amount": ".5", "currency": "EUR"}, "total.amount"),
        ({"amount": 12.5, "currency": "EUR"}, "total.amount"),
        ({"amount": "1" * 16, "currency": "EUR"}, "total.amount"),
        ({"amount": "1", "currency": "EURO"}, "total.currency"),
        ({"amount": "1", "currency": "eur"}, "total.currency"),
        ({"amount": "-0.01", "currency": "EUR"}, "total"),
        ({"amount": "1"}, "total.currency"),
        ("12.50 EUR", "total"),
    ],
)
def test_money_that_is_no_money_is_refused_with_its_path(money: object, path: str) -> None:
    assert list(refusals("order.completed.v1", minimal("order.completed.v1", total=money))) == [
        path
    ]


def test_money_with_too_many_digits_is_told_the_limits() -> None:
    money = {"amount": "1234567890123456.50", "currency": "EUR"}
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "shop",
        "type": "order.completed.v1",
        "subject": "customer:42",
        "time": "2026-01-05T10:00:00Z",
        "data": minimal("order.completed.v1", total=money),
    }
    with pytest.raises(Refused, match="at most 15 digits before the point and 9 after"):
        parse(json.dumps(event).encode())


def test_a_cost_that_was_given_back_may_be_below_zero() -> None:
    data = minimal("cost.recorded.v1", amount={"amount": "-3", "currency": "EUR"})
    assert str(accepted("cost.recorded.v1", data).amount) == "-3.00 EUR"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"a": 2**63}, "beyond 64 bits"),
        ({"a": "x\0y"}, "NUL"),
        ({"\0": 1}, "NUL"),
        ({"a": list(range(2_000))}, "more than 2000 values"),
    ],
)
def test_a_map_has_its_limits(extra: dict[str, Any], message: str) -> None:
    data = minimal("order.cancelled.v1", extra=extra)
    assert message in refusals("order.cancelled.v1", data)["extra"]


def test_a_map_has_a_bottom() -> None:
    extra: dict[str, Any] = {}
    for _ in range(17):
        extra = {"a": extra}
    problems = refusals("order.cancelled.v1", minimal("order.cancelled.v1", extra=extra))
    assert "nested deeper than 16 levels" in problems["extra"]
