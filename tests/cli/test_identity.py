"""`customer merge`, `unmerge`, `identities`, `suggest`: who is one person with whom."""

import pytest

from tests.cli.facts import IN_CLEAR, described, event, order, record
from tests.cli.running import Shell

WHY = ("--reason", "called about both")


@pytest.fixture
def told(shell: Shell) -> Shell:
    """Two customers of one address, each with an order, and one with a cookie."""
    record(
        shell,
        order("A", "100.00", "2026-01-05T10:00:00Z", subject="customer:1"),
        order("B", "50.00", "2026-01-06T10:00:00Z", subject="customer:2"),
        described(subject="customer:1", name="Ana Konda", email="ana@example.com"),
        described(subject="customer:2", name="A. Konda", email="Ana@Example.com"),
        event(
            "customer.linked.v1", {"other": "anonymous:c9"}, subject="customer:2", source="web",
            id="login-1",
        ),
    )  # fmt: skip
    return shell


def customers(shell: Shell) -> list[str]:
    return [found["customer"] for found in shell("customer", "list", "-o", "json").json]


def test_a_merge_gives_one_view_of_both_under_every_name(told: Shell) -> None:
    ran = told("customer", "merge", "customer:2", "customer:1", *WHY, "--id", "m1", "-o", "json")
    assert ran.code == 0, ran.err
    assert ran.json["customer"] == "customer:1"
    assert ran.json["subjects"] == ["anonymous:c9", "customer:1", "customer:2"]
    assert customers(told) == ["customer:1"]
    for name in ran.json["subjects"]:
        shown = told("customer", "show", name, "-o", "json").json
        assert shown["customer"] == "customer:1"
        assert shown["subjects"] == ran.json["subjects"]
        assert shown["orders"]["net"] == [{"amount": "150.00", "currency": "EUR"}]


def test_an_unmerge_leaves_no_trace_in_any_view(told: Shell) -> None:
    lists = ("customer", "list", "-o", "json")
    before = told(*lists).out, told("customer", "show", "customer:2", "-o", "json").out
    told("customer", "merge", "customer:1", "customer:2", *WHY)
    ran = told("customer", "unmerge", "customer:1", "customer:2", *WHY, "-o", "json")
    assert ran.code == 0, ran.err
    assert ran.json["customers"] == ["customer:1", "customer:2"]
    after = told(*lists).out, told("customer", "show", "customer:2", "-o", "json").out
    assert after == before


def test_a_dry_run_shows_both_views_and_the_merged_one_and_records_nothing(told: Shell) -> None:
    head = told("log", "list", "-o", "json").json[-1]["position"]
    ran = told("customer", "merge", "customer:1", "customer:2", *WHY, "--dry-run", "-o", "json")
    assert [shown["touchpoints"] for shown in ran.json["before"]] == [2, 2]
    (after,) = ran.json["after"]
    assert (after["customer"], after["touchpoints"]) == ("customer:1", 4)
    assert told("log", "list", "-o", "json").json[-1]["position"] == head
    assert customers(told) == ["customer:1", "customer:2"]
    page = told("customer", "merge", "customer:1", "customer:2", *WHY, "--dry-run", "-o", "table")
    assert page.out.index("BEFORE") < page.out.index("AFTER")
    assert "Konda" not in page.out


def test_an_unmerge_can_be_tried_too(told: Shell) -> None:
    told("customer", "merge", "customer:1", "customer:2", *WHY)
    ran = told("customer", "unmerge", "customer:1", "customer:2", *WHY, "--dry-run", "-o", "json")
    assert [shown["customer"] for shown in ran.json["before"]] == ["customer:1"]
    assert [shown["customer"] for shown in ran.json["after"]] == ["customer:1", "customer:2"]
    assert customers(told) == ["customer:1"]


def test_the_same_decision_again_is_recorded_once(told: Shell) -> None:
    merging = ("customer", "merge", "customer:1", "customer:2", *WHY, "--id", "m1", "-o", "json")
    first = told(*merging)
    again = told(*merging)
    assert (first.code, again.code) == (0, 0)
    assert again.json == first.json | {"again": True}
    assert told("customer", "merge", "customer:1", "customer:2", *WHY).code == 6
    parting = ("customer", "unmerge", "customer:1", "customer:2", *WHY, "--id", "u1", "-o", "json")
    first = told(*parting)
    again = told(*parting)
    assert (first.code, again.code) == (0, 0), again.err
    assert again.json == first.json | {"again": True}
    merged = told(*merging)
    assert (merged.code, merged.json["again"]) == (0, True), "it was undone, and stays undone"
    assert "recorded before" in told(*merging[:-1], "table").out
    assert "recorded before" in told(*parting[:-1], "table").out
    assert customers(told) == ["customer:1", "customer:2"]
    assert told("quarantine", "list", "-o", "json").json == []


def test_an_unmerge_of_several_facts_is_the_same_again_too(told: Shell) -> None:
    told("customer", "merge", "customer:1", "customer:2", *WHY)
    record(told, event("customer.linked.v1", {"other": "customer:2"}, subject="customer:1"))
    parting = ("customer", "unmerge", "customer:1", "customer:2", *WHY, "--id", "u1", "-o", "json")
    first = told(*parting)
    assert (first.code, len(first.json["positions"])) == (0, 2)
    assert told(*parting).json == first.json | {"again": True}


def test_another_decision_under_the_same_id_is_refused_and_nothing_is_kept(told: Shell) -> None:
    merging = ("customer", "merge", "customer:1", "customer:2", "--id", "m1")
    assert told(*merging, *WHY).code == 0
    others = (
        (*merging, "--reason", "something else"),
        ("customer", "merge", "customer:1", "anonymous:c9", *WHY, "--id", "m1"),
        ("customer", "unmerge", "customer:1", "customer:2", *WHY, "--id", "m1"),
    )
    for other in others:
        ran = told(*other)
        assert (ran.code, ran.out) == (6, ""), other
        assert "under the id m1" in ran.err
    parting = ("customer", "unmerge", "customer:1", "customer:2", "--id", "u1")
    assert told(*parting, *WHY).code == 0
    assert told(*parting, *WHY, "--merge-id", "login-1", "--merge-source", "web").code == 6
    assert told(*parting, "--reason", "something else").code == 6
    assert told("quarantine", "list", "-o", "json").json == []


def test_who_is_not_one_cannot_be_parted_and_who_is_by_another_way_is_told_by_which(
    told: Shell,
) -> None:
    apart = told("customer", "unmerge", "customer:1", "customer:2", *WHY)
    assert apart.code == 6
    assert "are not one person" in apart.err
    told("customer", "merge", "customer:1", "customer:2", *WHY, "--id", "m1")
    around = told("customer", "unmerge", "customer:1", "anonymous:c9", *WHY)
    assert around.code == 6
    assert "m1 of touchstone" in around.err
    assert "login-1 of web" in around.err
    named = ("--merge-id", "login-1", "--merge-source", "web")
    assert told("customer", "unmerge", "customer:1", "anonymous:c9", *named, *WHY).code == 0
    assert told("customer", "show", "customer:1", "-o", "json").json["subjects"] == [
        "customer:1",
        "customer:2",
    ]


def test_identities_names_the_facts_that_make_them_one(told: Shell) -> None:
    told("customer", "merge", "customer:1", "customer:2", *WHY, "--id", "m1")
    found = told("customer", "identities", "anonymous:c9", "-o", "json").json
    joined = {
        one["subject"]: [(j["subject"], j["by"], j["id"]) for j in one["joined_by"]]
        for one in found
    }
    assert joined == {
        "anonymous:c9": [("customer:2", "link", "login-1")],
        "customer:1": [("customer:2", "merge", "m1")],
        "customer:2": [("anonymous:c9", "link", "login-1"), ("customer:1", "merge", "m1")],
    }
    assert "is one with" in told("customer", "identities", "customer:1", "-o", "table").out


def test_who_shares_an_address_is_suggested_until_they_are_one(told: Shell) -> None:
    (found,) = told("customer", "suggest", "-o", "json").json
    assert found == {"one": "customer:1", "other": "customer:2", "by": ["email"], "declined": None}
    told("customer", "merge", "customer:1", "customer:2", *WHY)
    assert told("customer", "suggest", "-o", "json").json == []


def test_an_address_with_touchpoints_of_its_own_is_suggested_by_its_token(told: Shell) -> None:
    record(told, order("C", "7.00", "2026-01-07T10:00:00Z", subject="email:ana@example.com"))
    pairs = {(s["one"], s["other"][:7]) for s in told("customer", "suggest", "-o", "json").json}
    assert pairs == {
        ("customer:1", "custome"), ("customer:1", "email:~"), ("customer:2", "email:~"),
    }  # fmt: skip


def test_rules_join_by_equal_values_and_say_why_they_do_not(told: Shell) -> None:
    rules = {
        "version": 1, "valid_from": "2025-01-01T00:00:00Z", "link_kinds": ["customer"],
        "blocked_values": [], "at_most": {"customer": 1},
    }  # fmt: skip
    name = "identity.rules_published.v1"
    record(told, event(name, rules, subject="rules:identity", source="desk"))
    (found,) = told("customer", "suggest", "-o", "json").json
    assert found["declined"] == "a person has at most 1 of the kind customer, this would be 2"
    more = rules | {"version": 2, "at_most": {}}
    record(told, event(name, more, subject="rules:identity", source="desk"))
    assert customers(told) == ["customer:1"]
    found = told("customer", "identities", "customer:1", "-o", "json").json
    assert found[1]["joined_by"][0]["by"] == "equal value"


def test_the_reason_is_recorded_and_shown_only_to_who_may_see_it(told: Shell) -> None:
    told("customer", "merge", "customer:1", "customer:2", *WHY, "--id", "m1")
    masked = told("log", "show", "m1", "-o", "json")
    assert "called about both" not in masked.out
    clear = told("log", "show", "m1", "-o", "json", *IN_CLEAR)
    assert "called about both" in clear.out
