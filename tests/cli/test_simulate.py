"""`touchstone loyalty simulate`: the brief's case, and the rules as they are."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.cli.facts import event, order, programme, record, refund
from tests.cli.running import Ran, Shell

SVG = "{http://www.w3.org/2000/svg}"


def per(amount: str, **terms: Any) -> Any:
    """Rules that give a point for each full such amount of euros."""
    rules = programme(point_value={"amount": "0.50", "currency": "EUR"}, **terms)
    rules["data"]["earn"][0]["per"]["amount"] = amount
    return rules


def redeemed(subject: str, points: int, at: str) -> Any:
    data = {"programme": "main", "redemption_id": f"R {subject}", "points": points}
    return event("points.redeemed.v1", data, at, subject)


@pytest.fixture
def business(shell: Shell) -> Shell:
    """One point for each full 100 euros, since January; three members."""
    record(
        shell,
        per("100", expires_after_days=3_000),
        order("A1", "1000", "2026-01-05T10:00:00Z", subject="customer:1"),
        order("A2", "800", "2026-01-20T10:00:00Z", subject="customer:2"),
        redeemed("customer:2", 6, "2026-02-05T10:00:00Z"),
        order("A3", "500", "2026-03-05T10:00:00Z", subject="customer:3"),
        refund("A3", "100", "2026-03-07T10:00:00Z", subject="customer:3"),
    )
    return shell


def simulate(shell: Shell, *rules: Any, options: tuple[str, ...] = ()) -> Ran:
    file = shell.write("rules.ndjson", "\n".join(map(json.dumps, rules)).encode())
    return shell("loyalty", "simulate", "--rules", file, "-o", "json", *options)


def the_cut() -> Any:
    """One point for each full 200 euros, as if it had always been so."""
    return per("200", version=2, expires_after_days=3_000)


def points(side: Any) -> list[int]:
    return [side[name] for name in ("earned", "spent", "expired", "outstanding")]


def test_a_cut_to_one_point_per_200_is_evaluated_before_it_is_made(business: Shell) -> None:
    head = business("log", "tail", "-n", "1").json["position"]
    ran = simulate(business, the_cut())
    assert ran.code == 0, ran.err
    found = ran.json
    assert found["programme"] == "main"
    assert points(found["actual"]) == [22, 6, 0, 16]
    assert points(found["simulated"]) == [11, 6, 0, 5]
    assert not found["identical"]
    assert (found["actual"]["negative"], found["simulated"]["negative"]) == (0, 2)
    assert found["members"] == {"better": 0, "worse": 3, "same": 0}
    assert found["most_affected"][0] == {
        "customer": "customer:1", "actual": 10, "simulated": 5, "difference": -5,
    }  # fmt: skip
    assert found["deciles"][0] == -5
    assert found["revenue"] == [{"amount": "2200", "currency": "EUR"}]
    assert found["actual"]["cost"] == {"amount": "11.00", "currency": "EUR"}
    assert (found["actual"]["cost_per_revenue"], found["simulated"]["cost_per_revenue"]) == (
        0.005,
        0.0025,
    )
    assert [(m["month"], m["simulated"]["earned"]) for m in found["months"]] == [
        ("2026-01", 9),
        ("2026-02", 0),
        ("2026-03", 2),
    ]
    assert business("log", "tail", "-n", "1").json["position"] == head
    assert business("loyalty", "balance", "customer:1").json["active"] == 10


def test_the_rules_as_they_are_give_the_balances_as_they_are_and_it_says_so(
    business: Shell,
) -> None:
    rules = business("log", "export").out.splitlines()
    own = [json.loads(line) for line in rules if "rules_published" in line]
    found = simulate(business, *own).json
    assert found["identical"]
    assert found["actual"] == found["simulated"]
    held = [business("loyalty", "balance", f"customer:{number}").json for number in (1, 2, 3)]
    for name in ("earned", "spent", "expired", "negative"):
        assert found["actual"][name] == sum(one[name] for one in held)
    page = simulate(business, *own, options=("-o", "table")).out
    assert "the simulated balances are exactly the real ones (3 members)" in page


def test_a_span_counts_what_was_earned_in_it_and_what_was_left_at_its_end(
    business: Shell,
) -> None:
    span = ("--from", "2026-02-01", "--to", "2026-03-06")
    found = simulate(business, the_cut(), options=span).json
    assert points(found["actual"]) == [5, 6, 0, 17]
    assert points(found["simulated"]) == [2, 6, 0, 5]
    assert found["revenue"] == [{"amount": "500", "currency": "EUR"}]
    assert [m["month"] for m in found["months"]] == ["2026-02", "2026-03"]
    assert found["months"][-1]["actual"]["outstanding"] == 17
    wrong = simulate(business, the_cut(), options=("--from", "2026-03-01", "--to", "2026-02-01"))
    assert wrong.code == 2


def test_people_see_both_sides_the_most_affected_and_the_months(business: Shell) -> None:
    page = simulate(business, the_cut(), options=("-o", "table")).out
    for words in ("actual", "difference", "3 fewer", "most affected", "18 → 9", "█ simulated"):
        assert words in page


def test_a_chart_of_the_months(business: Shell) -> None:
    file = business.folder / "cut.svg"
    assert simulate(business, the_cut(), options=("--chart", str(file))).code == 0
    drawing = ElementTree.fromstring(file.read_text("utf-8"))
    assert len(drawing.findall(f".//{SVG}path")) == 4
    words = {text.text for text in drawing.iter(f"{SVG}text")}
    assert {"2026-01", "2026-03", "actual", "simulated", "Outstanding at its end"} <= words
    assert simulate(business, the_cut(), options=("--chart", str(file))).code == 2
    assert simulate(business, the_cut(), options=("--chart", "cut.jpg")).code == 2


def test_a_version_that_another_overrides_is_told(business: Shell) -> None:
    ran = simulate(business, per("200") | {"time": "2025-12-01T00:00:00Z"})
    assert ran.code == 0
    assert "version 1 of main in the rules is in force at no moment" in ran.err
    assert ran.json["identical"]


def test_of_several_programmes_one_is_named(business: Shell) -> None:
    record(business, programme("club"))
    assert simulate(business, the_cut()).code == 2
    assert simulate(business, the_cut(), options=("--programme", "none")).code == 4
    found = simulate(business, the_cut(), options=("--programme", "club")).json
    assert points(found["actual"]) == points(found["simulated"]) == [220, 0, 0, 220]


def test_an_empty_ledger_has_nothing_to_simulate(file_shell: Shell, tmp_path: Path) -> None:
    chart = tmp_path / "none.svg"
    found = simulate(file_shell, the_cut(), options=("--chart", str(chart))).json
    assert points(found["actual"]) == [0, 0, 0, 0]
    assert (found["deciles"], found["months"]) == ([], [])
    ElementTree.fromstring(chart.read_text("utf-8"))
    page = simulate(file_shell, the_cut(), options=("-o", "table")).out
    assert "nobody has points" in page
