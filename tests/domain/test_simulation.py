"""A programme under other rules: its sums are those of the balances, month by month."""

from collections.abc import Iterable
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from domain.lots import Account, balance
from domain.occurred import Occurred
from domain.rules import Rules
from domain.simulation import Side, Simulation, Span, report
from schemas.fields import rfc3339
from tests.domain.loyalty_facts import (
    adjust,
    at,
    cancel_redemption,
    fixed,
    fold,
    money,
    order,
    per,
    published,
    redeem,
    refund,
)

END = at("2026-12-31")
NEVER_PUBLISHED = Rules.of([])


def month_of(moment: int) -> str:
    return rfc3339(moment)[:7]


def span(start: str | None = None, end: int = END) -> Span:
    return Span(None if start is None else at(start), end, month_of)


def account(rules: Iterable[Occurred], *facts: Occurred) -> Account:
    known = Rules.of(rules)
    return fold(facts, known).programmes.get("main", Account())


days = st.integers(1, 28).map(lambda day: f"{day:02}")
dates = st.tuples(st.sampled_from(("01", "02", "03", "05")), days).map(
    lambda date: f"2026-{date[0]}-{date[1]}"
)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Somebody who earns, spends, gives back and is late."""
    rules = published(
        1,
        "2026-01-01",
        per(draw(st.integers(1, 9)), 10),
        fixed(3),
        pending_days=draw(st.sampled_from((None, 7))),
        expires_after_days=draw(st.sampled_from((None, 20, 60))),
    )
    facts: list[Occurred] = []
    for number in range(draw(st.integers(1, 5))):
        facts.append(order(draw(dates), f"A{number}", draw(st.integers(1, 300))))
    for number in range(draw(st.integers(0, 3))):
        facts.append(redeem(draw(dates), f"R{number}", draw(st.integers(1, 80))))
    if draw(st.booleans()):
        facts.append(cancel_redemption("2026-04-01", "R0"))
    if draw(st.booleans()):
        facts.append(refund("2026-04-02", "A0", draw(st.integers(1, 300))))
    if draw(st.booleans()):
        facts.append(adjust("2026-03-15", "J", draw(st.sampled_from((-30, 40)))))
    return account([rules], *facts)


@given(st.lists(accounts(), max_size=4), st.none() | dates)
def test_its_sums_are_those_of_the_balances(held: list[Account], start: str | None) -> None:
    side, whole = Side(), Side()
    for one in held:
        side.add(one, span(start))
        whole.add(one, span())
    sums = [balance(one, END) for one in held]
    assert side.outstanding == sum(one.outstanding for one in sums)
    assert side.negative == sum(one.negative for one in sums)
    assert whole.total.earned == sum(one.earned for one in sums)
    assert whole.total.spent == sum(one.spent for one in sums)
    assert whole.total.expired == sum(one.expired for one in sums)
    months = list(side.by_month(sorted(side.months)))
    for name in ("earned", "spent", "expired"):
        assert sum(month[name] for month in months) == getattr(side.total, name)
    kept = [month["earned"] - month["spent"] - month["expired"] for month in months]
    running = list(accumulate(kept, initial=side.opening))[1:]
    assert [month["outstanding"] for month in months] == running
    if months:
        assert months[-1]["outstanding"] == side.outstanding


def test_the_same_account_twice_is_nobody_better_and_nobody_worse() -> None:
    held = account([published(1, "2026-01-01", per(1, 100))], order("2026-01-05", "A1", 1_000))
    simulation = Simulation(span())
    simulation.add("customer:42", held, held)
    told = report(simulation, "main", (NEVER_PUBLISHED, NEVER_PUBLISHED), {})
    assert told["identical"]
    assert told["actual"] == told["simulated"]
    assert told["members"] == {"better": 0, "worse": 0, "same": 1}
    assert told["most_affected"] == []


def cut(*facts: Occurred) -> tuple[Account, Account]:
    """An account at a point per 100, and at a point per 200."""
    return tuple(  # type: ignore[return-value]
        account([published(1, "2026-01-01", per(1, amount))], *facts) for amount in (100, 200)
    )


def test_a_cut_from_one_point_per_100_to_one_per_200() -> None:
    simulation = Simulation(span())
    simulation.add("customer:1", *cut(order("2026-01-05", "A1", 1_000)))
    simulation.add(
        "customer:2", *cut(order("2026-01-05", "A2", 800), redeem("2026-02-05", "R1", 6))
    )
    simulation.add("customer:3", *cut(order("2026-03-05", "A3", 50)))
    rules = [
        Rules.of([published(1, "2026-01-01", per(1, amount), point_value=money("0.50"))])
        for amount in (100, 200)
    ]
    told = report(simulation, "main", (rules[0], rules[1]), {"ZAR": "1850"})
    actual, simulated = told["actual"], told["simulated"]
    assert [actual[n] for n in ("earned", "spent", "outstanding", "negative")] == [18, 6, 12, 0]
    assert [simulated[n] for n in ("earned", "spent", "outstanding", "negative")] == [9, 6, 3, 2]
    assert (simulated["members_negative"], simulated["redemptions_unpaid"]) == (1, 1)
    assert not told["identical"]
    assert told["members"] == {"better": 0, "worse": 2, "same": 1}
    assert [one["difference"] for one in told["most_affected"]] == [-5, -4]
    assert actual["cost"] == {"amount": "9.00", "currency": "ZAR"}
    assert simulated["liability"] == {"amount": "1.50", "currency": "ZAR"}
    assert actual["cost_per_revenue"] == round(9 / 1850, 4)
    assert [(m["month"], m["simulated"]["outstanding"]) for m in told["months"]] == [
        ("2026-01", 9),
        ("2026-02", 3),
    ]


def test_who_has_an_account_under_one_of_the_rules_alone_counts_as_well() -> None:
    simulation = Simulation(span())
    held = cut(order("2026-01-05", "A1", 1_000))[0]
    simulation.add("customer:1", None, held)
    simulation.add("customer:2", None, None)
    assert (simulation.actual.members, simulation.simulated.members) == (0, 1)
    assert [(one.actual, one.simulated) for one in simulation.most_affected()] == [(0, 10)]


def test_the_twenty_most_affected_and_the_deciles_of_all() -> None:
    simulation = Simulation(span())
    for number in range(101):
        held = account(
            [published(1, "2026-01-01", per(1, 1))], order("2026-01-05", "A1", number or "0.50")
        )
        simulation.add(f"customer:{number}", Account(), held)
    assert simulation.deciles() == list(range(0, 101, 10))
    most = [one.simulated for one in simulation.most_affected()]
    assert most == list(range(100, 80, -1))


def test_months_between_are_there_though_nothing_moved() -> None:
    simulation = Simulation(span())
    rules = [published(1, "2025-01-01", per(1, 100))]
    held = account(rules, order("2025-11-05", "A1", 100), order("2026-02-05", "A2", 100))
    simulation.add("customer:1", held, held)
    told = report(simulation, "main", (NEVER_PUBLISHED, NEVER_PUBLISHED), {})
    assert [(m["month"], m["actual"]["outstanding"]) for m in told["months"]] == [
        ("2025-11", 1),
        ("2025-12", 1),
        ("2026-01", 1),
        ("2026-02", 2),
    ]
