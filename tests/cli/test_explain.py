"""`explain` and `customer diff`: why a figure is what it is, and what changed it since."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cli import boards
from ledger.intake import Stop
from tests.cli.facts import IN_CLEAR, described, order, programme, record, refund, ticket
from tests.cli.running import Shell


@pytest.fixture
def busy(shell: Shell) -> Shell:
    """A customer who ordered, gave back, asked, and moved."""
    record(
        shell,
        programme() | {"id": "rules"},
        described("2026-01-01T09:00:00Z", name="Ana", email="ana@example.com") | {"id": "d1"},
        order("A", "100.00", "2026-01-05T10:00:00Z", id="o1"),
        order("B", "50.00", "2026-01-06T10:00:00Z", id="o2"),
        refund("A", "40.00", "2026-01-20T10:00:00Z", id="r1"),
        ticket("opened", "T1", "2026-02-01T10:00:00Z", title="Ana waits") | {"id": "t1"},
        ticket("status_changed", "T1", "2026-02-02T10:00:00Z", status="solved") | {"id": "t2"},
        ticket("status_changed", "T1", "2026-02-03T10:00:00Z", status="open") | {"id": "t3"},
        described("2026-02-05T09:00:00Z", name="Ana Konda") | {"id": "d2"},
    )
    return shell


def made(shell: Shell, *command: str) -> list[Any]:
    ran = shell(*command, "-o", "json")
    assert ran.code == 0, ran.err
    found: list[Any] = ran.json
    return found


def ids(records: list[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in records:
        found.setdefault(one["field"], []).append(one["id"])
    return found


def test_a_field_is_explained_by_what_made_it(busy: Shell) -> None:
    why = ("customer", "explain", "customer:42")
    net = made(busy, *why, "orders.net")
    assert [(one["id"], one["position"]) for one in net] == [("o1", 3), ("o2", 4), ("r1", 5)]
    assert net[0]["value"] == [{"amount": "110.00", "currency": "EUR"}]
    assert set(net[0]) >= {"recorded_at", "time", "source", "type", "subject", "summary", "rules"}
    assert ids(made(busy, *why, "first_seen")) == {"first_seen": ["d1"]}
    assert ids(made(busy, *why, "traits.name")) == {"traits.name": ["d2"]}
    counted = made(busy, *why, "touchpoints")
    assert sum(one["change"] for one in counted) == counted[0]["value"]
    group = made(busy, *why, "orders")
    assert {one["field"] for one in group} == {
        "orders.count", "orders.net", "orders.first.month",
    }  # fmt: skip
    assert {one["field"] for one in made(busy, *why)} >= {"loyalty.main.earned", "channels.ticket"}


def test_what_is_explained_shows_nothing_personal_unasked(busy: Shell) -> None:
    why = ("customer", "explain", "customer:42", "traits")
    for form in ("table", "json", "csv"):
        assert "Ana" not in busy(*why, "-o", form).out
        assert "Ana" in busy(*why, "-o", form, *IN_CLEAR).out
    why = ("ticket", "explain", "T1", "title")
    assert made(busy, *why)[0]["value"] == "[personal]"
    assert made(busy, *why, *IN_CLEAR)[0]["value"] == "Ana waits"


def test_a_ticket_is_explained(busy: Shell) -> None:
    why = ids(made(busy, "ticket", "explain", "T1"))
    assert why["status"] == ["t3"]
    assert why["reopens"] == ["t2", "t3"]
    assert why["opened_at"] == ["t1"]
    assert why["resolution_seconds"] == ["t1", "t2"]
    past = made(busy, "ticket", "explain", "T1", "status", "--as-of", "2026-02-02")
    assert [(one["id"], one["value"]) for one in past] == [("t2", "solved")]


def test_a_balance_is_explained_by_its_movements_and_the_rules(busy: Shell) -> None:
    why = made(busy, "loyalty", "explain", "customer:42", "active")
    assert [(one["id"], one["change"]) for one in why] == [("o1", 10), ("o2", 5), ("r1", -4)]
    assert sum(one["change"] for one in why) == why[0]["value"] == 11
    assert why[0]["rules"] == [{"programme": "main", "rule": "spend", "version": 1}]
    assert [m["kind"] for one in why for m in one["movements"]] == [
        "earned",
        "earned",
        "taken back",
    ]
    page = busy("loyalty", "explain", "customer:42", "active", "-o", "table").out
    assert "rule spend, version 1" in page


def test_what_is_not_there_is_told(busy: Shell) -> None:
    wrong = busy("customer", "explain", "customer:42", "order.count")
    assert (wrong.code, "orders.count" in wrong.err) == (4, True)
    assert busy("ticket", "explain", "T9").code == 4
    assert busy("customer", "explain", "customer:9").code == 4


def test_a_difference_names_what_changed_it(busy: Shell) -> None:
    found = made(busy, "customer", "diff", "customer:42", "--from", "2026-01-10", "--to",
                 "2026-02-01")  # fmt: skip
    by_field = {one["field"]: one for one in found}
    net = by_field["orders.net"]
    assert (net["from"][0]["amount"], net["to"][0]["amount"]) == ("150.00", "110.00")
    assert [(t["id"], t["effect"]) for t in net["touchpoints"]] == [("r1", "added")]
    assert by_field["tickets.T1.status"]["to"] == "new"
    assert by_field["loyalty.main.active"]["to"] == 11
    assert "orders.count" not in by_field
    same = ("customer", "diff", "customer:42", "--from", "2026-02-01T00:00", "--to")
    assert made(busy, *same, "2026-02-01T00:00") == []
    assert busy("customer", "diff", "customer:42").code == 2


def test_a_difference_in_what_was_known_shows_late_arrivals_and_voidings(busy: Shell) -> None:
    known = busy("log", "list", "-o", "json").json[-1]["recorded_at"]
    record(busy, order("C", "7.00", "2026-01-07T10:00:00Z", id="late"))
    void = ("log", "void", "o2", "--source", "shop", "--reason", "a test")
    assert busy(*void).code == 0
    then = ("customer", "diff", "customer:42", "--to", "2026-01-31")
    found = {one["field"]: one for one in made(busy, *then, "--known-from", known)}
    net = found["orders.net"]
    assert (net["from"][0]["amount"], net["to"][0]["amount"]) == ("110.00", "67.00")
    assert [(t["id"], t["effect"]) for t in net["touchpoints"]] == [
        ("late", "added"), ("o2", "removed"),
    ]  # fmt: skip
    assert "orders.count" not in found
    page = busy(*then, "--known-from", known, "-o", "table").out
    assert "→" in page


def test_a_difference_shows_who_became_one_person_and_what_time_did(busy: Shell) -> None:
    rules = programme("club", expires_after_days=10)
    record(busy, rules, order("Z", "30.00", "2026-02-01T10:00:00Z", subject="customer:7", id="z"))
    before = busy("log", "list", "-o", "json").json[-1]["recorded_at"]
    merged = busy("customer", "merge", "customer:42", "customer:7", "--reason", "one", "--id", "m1")
    assert merged.code == 0, merged.err
    found = {
        one["field"]: one
        for one in made(busy, "customer", "diff", "customer:42", "--known-from", before)
    }
    assert [t["id"] for t in found["subjects"]["touchpoints"]] == ["m1"]
    assert [t["id"] for t in found["orders.count"]["touchpoints"]] == ["z"]
    aged = made(busy, "customer", "diff", "customer:7", "--from", "2026-02-06", "--to",
                "2026-02-20")  # fmt: skip
    assert {one["because"] for one in aged if one["field"] == "loyalty.club.expired"} == {"time"}


def test_lists_of_another_moment_are_as_they_were(busy: Shell) -> None:
    def board(*options: str) -> list[tuple[str, str]]:
        return [(t["ticket"], t["status"]) for t in made(busy, "ticket", "list", *options)]

    assert board() == [("T1", "open")]
    assert board("--as-of", "2026-02-02") == [("T1", "solved")]
    assert board("--as-of", "2026-02-02", "--open") == []
    assert board("--as-of", "2026-01-31") == []
    people = ("customer", "list", "--as-of", "2026-01-10")
    assert [(c["orders"], c["net"][0]["amount"]) for c in made(busy, *people)] == [(2, "150.00")]
    assert [c["name"] for c in made(busy, *people, *IN_CLEAR)] == ["Ana"]
    assert len(made(busy, *people, "--find", "ana@example.com")) == 1
    assert made(busy, "consent", "violations", "--known-at", "-1mo") == []


def test_a_list_of_another_moment_can_be_interrupted(
    busy: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def at_once() -> Iterator[Stop]:
        stop = Stop()
        stop.signal = signal.SIGTERM
        yield stop

    monkeypatch.setattr(boards, "stopping", at_once)
    ran = busy("ticket", "list", "--as-of", "2026-02-02")
    assert (ran.code, ran.out) == (143, "")
    assert "interrupted" in ran.err
