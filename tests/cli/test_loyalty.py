"""`touchstone loyalty`: balance, statement, redemptions and rules."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.facts import event, order, programme, record, refund
from tests.cli.running import Ran, Shell


@pytest.fixture
def account(shell: Shell) -> Shell:
    """Customer 42 earns 100 points in January, and 20 in February."""
    record(
        shell,
        programme(),
        order("A1", "1000", "2026-01-05T10:00:00Z", id="first"),
        order("A2", "200", "2026-02-05T10:00:00Z", id="second"),
    )
    return shell


def redeem(shell: Shell, points: int, *options: str) -> Ran:
    return shell("loyalty", "redeem", "customer:42", str(points), *options)


def test_balance_says_what_an_account_holds(account: Shell) -> None:
    held = account("loyalty", "balance", "customer:42").json
    assert (held["customer"], held["programme"]) == ("customer:42", "main")
    assert [held[n] for n in ("active", "pending", "spent", "expired", "negative", "earned")] == [
        120, 0, 0, 0, 0, 120,
    ]  # fmt: skip


def test_balance_is_of_any_moment_with_what_will_expire(shell: Shell) -> None:
    record(shell, programme(pending_days=10, expires_after_days=30))
    record(shell, order("A1", "1000", "2026-01-05T10:00:00Z"))

    def held(moment: str) -> tuple[int, int, int]:
        found = shell("loyalty", "balance", "customer:42", "--as-of", moment).json
        return found["pending"], found["active"], found["expired"]

    assert held("2026-01-06") == (100, 0, 0)
    assert held("2026-01-20") == (0, 100, 0)
    assert held("2026-03-01") == (0, 0, 100)
    found = shell("loyalty", "balance", "customer:42", "--as-of", "2026-01-20").json
    assert found["expiring"] == [{"time": "2026-02-04T10:00:00Z", "points": 100}]
    page = shell("loyalty", "balance", "customer:42", "--as-of", "2026-01-20", "-o", "table").out
    assert "100 expire 2026-02-04 10:00" in page


def test_a_refund_after_spending_leaves_a_debt(account: Shell) -> None:
    assert redeem(account, 120).code == 0
    record(account, refund("A2", "200", datetime.now(UTC).isoformat()))
    held = account("loyalty", "balance", "customer:42").json
    assert (held["negative"], held["earned"], held["spent"]) == (20, 100, 120)


def test_statement_has_a_line_for_each_movement_with_its_cause(account: Shell) -> None:
    lines = account("loyalty", "statement", "customer:42", "-o", "json").json
    assert [(m["kind"], m["points"], m["balance"]) for m in lines] == [
        ("earned", 100, 100),
        ("earned", 20, 120),
    ]
    assert (lines[0]["source"], lines[0]["id"], lines[0]["position"]) == ("shop", "first", 2)


def test_a_later_statement_opens_with_what_was_carried_over(account: Shell) -> None:
    lines = account("loyalty", "statement", "customer:42", "--since", "2026-02-01").json
    assert [(m["kind"], m["balance"]) for m in lines] == [("opening", 100), ("earned", 120)]
    until = account("loyalty", "statement", "customer:42", "--until", "2026-01-31").json
    assert until["balance"] == 100


def test_people_read_a_statement_with_a_running_balance(account: Shell) -> None:
    page = account("loyalty", "statement", "customer:42", "-o", "table").out
    assert "+100" in page
    assert page.rstrip().endswith("120")


def test_redeeming_spends_and_says_what_is_left(account: Shell) -> None:
    ran = redeem(account, 50, "--id", "R1", "--reward", "a mug")
    assert ran.code == 0
    assert ran.json["redemption_id"] == "R1"
    assert (ran.json["points"], ran.json["again"]) == (50, False)
    assert ran.json["balance"]["active"] == 70
    assert account("loyalty", "balance", "customer:42").json["spent"] == 50
    told = account("log", "show", "R1").json
    assert (told["position"], told["data"]["reward"]) == (ran.json["position"], "a mug")


def test_the_same_redemption_twice_spends_once(account: Shell) -> None:
    first, second = redeem(account, 50, "--id", "R1"), redeem(account, 50, "--id", "R1")
    assert (second.code, second.json["again"]) == (0, True)
    assert second.json["position"] == first.json["position"]
    assert second.json["balance"]["active"] == 70
    assert redeem(account, 60, "--id", "R1").code == 6


def test_what_is_dated_ahead_is_not_spent_yet_wherever_one_asks(shell: Shell) -> None:
    record(shell, programme(), order("A1", "100", "2026-01-05T10:00:00Z"))
    soon = (datetime.now(UTC) + timedelta(hours=20)).isoformat()
    ahead = {"programme": "main", "redemption_id": "R1", "points": 4}
    record(shell, event("points.redeemed.v1", ahead, soon))
    held = shell("loyalty", "balance", "customer:42").json
    assert (held["active"], held["spent"]) == (10, 0)
    told = shell("loyalty", "statement", "customer:42", "-o", "json").json
    assert [line["balance"] for line in told] == [10]
    shown = shell("customer", "show", "customer:42").json["loyalty"]["main"]
    assert (shown["active"], shown["spent"]) == (10, 0)
    reply = redeem(shell, 6).json["balance"]
    assert (reply["active"], reply["spent"]) == (4, 6)
    held = shell("loyalty", "balance", "customer:42").json
    assert (held["active"], held["spent"]) == (4, 6)
    assert shell("loyalty", "statement", "customer:42", "-o", "json").json[-1]["balance"] == 4
    later = (datetime.now(UTC) + timedelta(hours=30)).isoformat()
    held = shell("loyalty", "balance", "customer:42", "--as-of", later).json
    assert (held["active"], held["spent"]) == (0, 10)


def test_without_an_id_each_redemption_is_a_new_one(account: Shell) -> None:
    first, second = redeem(account, 10).json, redeem(account, 10).json
    assert first["redemption_id"] != second["redemption_id"]
    assert second["balance"]["spent"] == 20


def test_more_than_there_is_cannot_be_redeemed(account: Shell) -> None:
    ran = redeem(account, 121)
    assert (ran.code, ran.out) == (6, "")
    assert "120 are active" in ran.err


def test_redemptions_that_make_no_sense_are_mistakes_of_usage(account: Shell) -> None:
    assert redeem(account, 0).code == 2
    assert account("loyalty", "redeem", "customer:42", "many").code == 2
    assert redeem(account, 10, "--id", "").code == 2
    assert redeem(account, 10, "--id", "a\nb").code == 2


def test_nobody_and_no_programme_are_not_found(account: Shell) -> None:
    assert account("loyalty", "redeem", "customer:99", "10").code == 4
    assert redeem(account, 10, "--programme", "nonsense").code == 4
    assert account("loyalty", "balance", "customer:99").code == 4
    assert account("loyalty", "balance", "customer:42", "--programme", "nonsense").code == 4
    assert account("loyalty", "rules", "--programme", "nonsense").code == 4


def test_a_redemption_need_not_wait_for_the_views(account: Shell) -> None:
    ran = redeem(account, 50, "--no-follow")
    assert ran.json["balance"]["active"] == 70
    assert account("projection", "list", "-o", "json").json[2]["lag"] == 1


def test_several_programmes_must_be_told_apart(account: Shell) -> None:
    record(account, programme("gold", at="2026-03-01T00:00:00Z"))
    record(account, order("A3", "30", "2026-03-05T10:00:00Z"))
    ran = account("loyalty", "balance", "customer:42")
    assert ran.code == 2
    assert "gold, main" in ran.err
    gold = account("loyalty", "balance", "customer:42", "--programme", "gold").json
    assert gold["active"] == 3
    assert redeem(account, 2, "--programme", "gold").json["balance"]["active"] == 1


def test_who_has_earned_nothing_yet_has_an_empty_account(account: Shell) -> None:
    record(account, event("chat.started.v1", {"conversation_id": "C"}, subject="customer:7"))
    assert account("loyalty", "balance", "customer:7").json["active"] == 0
    assert account("loyalty", "statement", "customer:7", "-o", "json").json == []


def test_without_any_rules_there_is_no_programme(shell: Shell) -> None:
    record(shell, order("A1", "1000", "2026-01-05T10:00:00Z"))
    assert shell("loyalty", "balance", "customer:42").code == 4
    assert shell("loyalty", "rules", "-o", "json").json == []
    assert "no rules are published" in shell("loyalty", "rules", "-o", "table").out


def test_rules_are_told_in_words(account: Shell) -> None:
    earn = [
        {"rule_id": "tuesday", "on": "order.completed.v1", "points": 5, "weekdays": [2],
         "timezone": "Europe/Rome", "minimum_total": {"amount": "50", "currency": "EUR"}},
        {"rule_id": "asked", "on": "survey.answered.v1", "points": 1, "once_per": "survey"},
    ]  # fmt: skip
    record(account, programme(at="2026-02-01T00:00:00Z", version=2, earn=earn, pending_days=1,
                              expires_after_days=90, minimum_redemption=30))  # fmt: skip
    first, second = account("loyalty", "rules").json
    assert (first["version"], first["in_force"], first["valid_from"]) == (
        1, False, "2026-01-01T00:00:00Z",
    )  # fmt: skip
    assert first["earn"][0]["text"] == "1 point for each full 10.00 EUR of an order"
    assert [rule["text"] for rule in second["earn"]] == [
        "5 points for each order of 50.00 EUR or more, on Tuesday (Europe/Rome)",
        "1 point for each survey.answered.v1, once per survey",
    ]
    assert second["terms"] == [
        "points can be spent 1 day after they are earned",
        "points expire 90 days after they are earned",
        "a redemption takes at least 30 points",
    ]
    earlier = account("loyalty", "rules", "--as-of", "2026-01-15").json
    assert (earlier["version"], earlier["in_force"]) == (1, True)


def test_a_closed_programme_says_until_when(account: Shell) -> None:
    closing = {"programme": "main", "last_redemption_at": "2026-06-30T21:59:59Z"}
    record(account, event("loyalty.programme_closed.v1", closing, subject="programme:main"))
    assert account("loyalty", "rules").json["last_redemption_at"] == "2026-06-30T21:59:59Z"
    assert (
        "until 2026-06-30 23:59"
        in account("loyalty", "rules", "-o", "table", "--tz", "Europe/Rome").out
    )
    assert redeem(account, 1).code == 6
