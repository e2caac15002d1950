"""`touchstone log void`: what was recorded in error counts no more, and the log still has it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.facts import IN_CLEAR, event, order, programme, record, ticket
from tests.cli.running import Ran, Shell

WHY = ("--reason", "a test by Ana")


@pytest.fixture
def told(shell: Shell) -> Shell:
    """A customer with two orders, points for both, and a ticket; one order was a test."""
    record(
        shell,
        programme() | {"id": "rules"},
        order("A", "100.00", "2026-01-05T10:00:00Z", id="right"),
        order("B", "50.00", "2026-01-06T10:00:00Z", id="wrong"),
        ticket("opened", "T1", "2026-01-07T10:00:00Z") | {"id": "t1"},
    )
    return shell


def void(shell: Shell, id_: str = "wrong", *options: str, source: str = "shop") -> Ran:
    return shell("log", "void", id_, "--source", source, *WHY, *options, "-o", "json")


def shown(shell: Shell, *options: str) -> Any:
    return shell("customer", "show", "customer:42", "-o", "json", *options).json


def test_what_is_voided_counts_in_no_view_and_did_before(told: Shell) -> None:
    before = shown(told)
    assert before["orders"]["count"] == 2
    assert before["loyalty"]["main"]["earned"] == 15
    known = told("log", "list", "-o", "json").json[-1]["recorded_at"]
    ran = void(told)
    assert ran.code == 0, ran.err
    assert (ran.json["position"], ran.json["voided"]["position"]) == (5, 3)
    after = shown(told)
    assert (after["orders"]["count"], after["loyalty"]["main"]["earned"]) == (1, 10)
    assert shown(told, "--known-at", known) == before
    assert shown(told, "--as-of", "2026-01-31")["orders"]["count"] == 1
    assert told("projection", "verify", "--all").code == 0


def test_a_timeline_shows_it_struck_through_with_who_and_why_for_those_who_may(
    told: Shell,
) -> None:
    void(told, "wrong", "--void-id", "v1")
    lines = told("customer", "timeline", "customer:42", "-o", "json").json
    by_id = {line["id"]: line for line in lines}
    assert (by_id["right"]["voided"], by_id["right"]["voided_by"]) == (False, None)
    struck = by_id["wrong"]["voided_by"]
    assert by_id["wrong"]["voided"] is True
    assert (struck["position"], struck["source"], struck["id"]) == (5, "touchstone", "v1")
    assert (struck["by"], struck["reason"]) == ("[personal]", "[personal]")
    clear = told("customer", "timeline", "customer:42", "-o", "json", *IN_CLEAR).json
    (struck,) = [line["voided_by"] for line in clear if line["voided"]]
    assert struck["reason"] == "a test by Ana"
    assert struck["by"]
    page = told("customer", "timeline", "customer:42", "-o", "table", *IN_CLEAR)
    assert "(voided by" in page.out
    assert "Ana" not in told("customer", "timeline", "customer:42", "-o", "table").out


def test_a_dry_run_says_what_would_change_and_records_nothing(told: Shell) -> None:
    ran = void(told, "wrong", "--dry-run")
    assert ran.code == 0, ran.err
    changed = {(key["view"], key["key"]): key for key in ran.json["keys"]}
    assert {name: key["becomes"] for name, key in changed.items()} == {
        ("customers", "customer:42"): "changed",
        ("loyalty", "customer:42"): "changed",
        ("orders", "B"): "gone",
    }
    assert "touchpoints" in changed["customers", "customer:42"]["fields"]
    assert ran.json["restated"] == []
    assert shown(told)["orders"]["count"] == 2
    assert len(told("log", "list", "-o", "json").json) == 4
    page = told("log", "void", "wrong", "--source", "shop", *WHY, "--dry-run", "-o", "table")
    assert "3 keys would change" in page.out


def test_a_dry_run_foresees_what_the_voiding_of_a_ticket_does(told: Shell) -> None:
    ran = void(told, "t1", "--dry-run", source="helpdesk")
    assert [(key["view"], key["becomes"]) for key in ran.json["keys"]] == [
        ("customers", "changed"),
        ("tickets", "gone"),
    ]
    void(told, "t1", source="helpdesk")
    assert told("ticket", "show", "T1").code == 4


def test_a_dry_run_names_the_moment_from_which_a_rule_is_taken_back(told: Shell) -> None:
    ran = void(told, "rules", "--dry-run", source="loyalty")
    assert ran.json["restated"] == [{"view": "loyalty", "since": "2026-01-01T00:00:00Z"}]
    assert void(told, "rules", source="loyalty").code == 0
    assert shown(told)["loyalty"] == {}


def test_a_voiding_can_be_voided(told: Shell) -> None:
    before = shown(told)
    void(told, "wrong", "--void-id", "v1")
    dry = void(told, "v1", "--dry-run", source="touchstone")
    assert {(key["view"], key["becomes"]) for key in dry.json["keys"]} == {
        ("customers", "changed"),
        ("loyalty", "changed"),
        ("orders", "new"),
    }
    assert void(told, "v1", source="touchstone").code == 0
    assert shown(told) == before
    assert void(told, "wrong").code == 0
    assert shown(told)["orders"]["count"] == 1
    assert told("projection", "verify", "--all").code == 0


def test_a_voiding_from_a_clock_that_ran_ahead_can_be_voided(told: Shell) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    data = {"voided_source": "shop", "voided_id": "wrong", "reason": "a slip"}
    record(told, event("touchpoint.voided.v1", data, ahead, id="v1", source="crm"))
    assert shown(told)["orders"]["count"] == 1
    assert void(told, "v1", source="crm").code == 0
    assert shown(told)["orders"]["count"] == 2


def test_what_is_voided_already_or_unknown_is_told(told: Shell) -> None:
    void(told, "wrong", "--void-id", "v1")
    again = void(told)
    assert again.code == 6
    assert "is voided already, by v1 of touchstone (position 5" in again.err
    unknown = void(told, "nothing")
    assert unknown.code == 4
    elsewhere = void(told, "wrong", source="crm")
    assert elsewhere.code == 4
    assert "shop used this id" in elsewhere.err
    assert told("log", "void", "wrong", "--source", "shop", "--reason", " ").code == 2
    taken = void(told, "right", "--void-id", "v1")
    assert taken.code == 6
    assert len(told("log", "list", "-o", "json").json) == 5


def test_the_same_voiding_again_is_recorded_once(told: Shell) -> None:
    assert void(told, "wrong", "--void-id", "v1").json["again"] is False
    again = void(told, "wrong", "--void-id", "v1")
    assert (again.code, again.json["again"], again.json["position"]) == (0, True, 5)


def test_merges_are_voided_too(told: Shell) -> None:
    record(told, order("C", "10.00", "2026-01-09T10:00:00Z", subject="customer:7"))
    told("customer", "merge", "customer:42", "customer:7", "--reason", "the same", "--id", "m1")
    ran = void(told, "m1", "--dry-run", source="touchstone")
    assert {(k["key"], k["becomes"]) for k in ran.json["keys"] if k["view"] == "customers"} == {
        ("customer:42", "changed"),
        ("customer:7", "new"),
    }
    assert void(told, "m1", source="touchstone").code == 0
    assert shown(told)["orders"]["count"] == 2
    assert told("projection", "verify", "--all").code == 0


def test_what_is_voided_of_a_person_who_was_erased_says_nothing_of_him(told: Shell) -> None:
    erasing = ("--confirm", "customer:42", "--reason", "he asked")
    erased = told("customer", "erase", "customer:42", *erasing)
    assert erased.code == 0, erased.err
    ran = void(told)
    assert ran.code == 0, ran.err
    assert shown(told)["orders"]["count"] == 1
    clear = told("customer", "timeline", "customer:42", "-o", "json", *IN_CLEAR)
    assert "by Ana" not in clear.out
