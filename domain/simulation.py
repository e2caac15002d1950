"""What a loyalty programme came to under the rules that were, and under others, side by side.

All is reckoned from accounts as they stand at the end of the time that is looked at. A lot counts
in the month in which it was earned for what refunds have left of it, and expires in the month in
which it does; so months add up to the balances, whatever was taken back in between.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from domain.lots import Account, balance, has_expired
from domain.rules import Rules

MOST_AFFECTED = 20
TENTHS = 10
MONTHS = 12
RATIO_DECIMALS = 4
MonthOf = Callable[[int], str]
"""The name of the month (`2026-01`) of a moment, on somebody's clocks."""

EARNED, SPENT, EXPIRED = "earned", "spent", "expired"


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is looked at: both ends inclusive, in microseconds since 1970."""

    start: int | None
    end: int
    month_of: MonthOf


def movements(account: Account, at: int) -> Iterator[tuple[int, str, int]]:
    """(moment, kind, points) of all that an account holds at `at`: earned, spent and expired.

    Their sums are those of `domain.lots.balance` at that moment.
    """
    for lot in account.lots:
        yield lot.at, EARNED, lot.earned
        if lot.left and has_expired(lot, at):
            yield lot.expires_at or 0, EXPIRED, lot.left
    for claim in account.claims:
        if claim.adjustment:
            yield claim.at, EARNED, -claim.points
        elif not claim.cancelled:
            yield claim.at, SPENT, claim.points


@dataclass(slots=True)
class Flow:
    """Points of a time, or of a month."""

    earned: int = 0
    spent: int = 0
    expired: int = 0

    @property
    def kept(self) -> int:
        """By how much it raised what is outstanding."""
        return self.earned - self.spent - self.expired

    def add(self, kind: str, points: int) -> None:
        if kind == EARNED:
            self.earned += points
        elif kind == SPENT:
            self.spent += points
        else:
            self.expired += points


@dataclass(slots=True)
class Side:
    """All accounts of a programme under one set of rules. `opening` was there before the start;
    `unpaid` are redemptions for which points are missing at the end."""

    total: Flow = field(default_factory=Flow)
    months: dict[str, Flow] = field(default_factory=dict)
    opening: int = 0
    members: int = 0
    negative: int = 0
    members_negative: int = 0
    unpaid: int = 0

    @property
    def outstanding(self) -> int:
        """What the business owes at the end."""
        return self.opening + self.total.kept

    def add(self, account: Account, span: Span) -> None:
        """Take in an account that was folded up to the end of the span."""
        self.members += 1
        self.negative += account.negative
        self.members_negative += account.negative > 0
        for claim in account.claims:
            self.unpaid += not claim.adjustment and claim.unpaid > 0
        for at, kind, points in movements(account, span.end):
            if span.start is not None and at < span.start:
                before = Flow()
                before.add(kind, points)
                self.opening += before.kept
            else:
                self.total.add(kind, points)
                self.months.setdefault(span.month_of(at), Flow()).add(kind, points)

    def by_month(self, names: list[str]) -> Iterator[dict[str, int]]:
        """Each month with what was outstanding at its end."""
        outstanding = self.opening
        for name in names:
            flow = self.months.get(name, Flow())
            outstanding += flow.kept
            yield _points(flow, outstanding)


@dataclass(frozen=True, slots=True, order=True)
class Affected:
    """What somebody's points come to under both rules; the more they differ, the greater."""

    distance: int
    customer: str
    actual: int
    simulated: int


@dataclass(slots=True)
class Simulation:
    """A programme under both rules, account by account."""

    span: Span
    actual: Side = field(default_factory=Side)
    simulated: Side = field(default_factory=Side)
    differences: list[int] = field(default_factory=list)
    same: bool = True
    """Whether every account is the same to the last lot."""
    _most: list[Affected] = field(default_factory=list)

    def add(self, customer: str, actual: Account | None, simulated: Account | None) -> None:
        """Take in somebody who has an account under at least one of the rules."""
        if actual is None and simulated is None:
            return
        self.same = self.same and actual == simulated
        for side, account in ((self.actual, actual), (self.simulated, simulated)):
            if account is not None:
                side.add(account, self.span)
        had, has = (
            0 if account is None else balance(account, self.span.end).outstanding
            for account in (actual, simulated)
        )
        self.differences.append(has - had)
        if has != had:
            heapq.heappush(self._most, Affected(abs(has - had), customer, had, has))
            if len(self._most) > MOST_AFFECTED:
                heapq.heappop(self._most)

    def most_affected(self) -> list[Affected]:
        """Those whose points differ most, the most affected first."""
        return sorted(self._most, key=lambda one: (-one.distance, one.customer))

    def deciles(self) -> list[int]:
        """The least difference, that of each tenth of the members, and the greatest; all 11."""
        ordered = sorted(self.differences)
        last = len(ordered) - 1
        return [ordered[last * tenth // TENTHS] for tenth in range(TENTHS + 1)] if ordered else []


def report(
    simulation: Simulation, programme: str, rules: tuple[Rules, Rules], revenue: dict[str, str]
) -> dict[str, Any]:
    """The simulation in JSON; `rules` are the actual ones and those simulated.

    `revenue` is what the orders of the span came to, by currency. Money is for every point the
    `point_value` of the rules in force at the end.
    """
    names = list(_every_month({*simulation.actual.months, *simulation.simulated.months}))
    both = (simulation.actual, simulation.simulated)
    sides = [
        _side(side, rules_of, programme, simulation.span.end, revenue)
        for side, rules_of in zip(both, rules, strict=True)
    ]
    by_month = zip(names, *(side.by_month(names) for side in both), strict=True)
    differences = simulation.differences
    return {
        "programme": programme,
        "identical": simulation.same,
        "actual": sides[0],
        "simulated": sides[1],
        "members": {
            "better": sum(difference > 0 for difference in differences),
            "worse": sum(difference < 0 for difference in differences),
            "same": sum(difference == 0 for difference in differences),
        },
        "deciles": simulation.deciles(),
        "most_affected": [
            {
                "customer": one.customer,
                "actual": one.actual,
                "simulated": one.simulated,
                "difference": one.simulated - one.actual,
            }
            for one in simulation.most_affected()
        ],
        "revenue": [{"amount": a, "currency": c} for c, a in sorted(revenue.items())],
        "months": [{"month": m, "actual": a, "simulated": s} for m, a, s in by_month],
    }


def _every_month(names: Iterable[str]) -> Iterator[str]:
    """The months from the first of these to the last, those between them too."""
    known = sorted(names)
    if known:
        year, month = map(int, known[0].split("-"))
        while (name := f"{year:04}-{month:02}") <= known[-1]:
            yield name
            year, month = (year, month + 1) if month < MONTHS else (year + 1, 1)


def _side(
    side: Side, rules: Rules, programme: str, end: int, revenue: dict[str, str]
) -> dict[str, Any]:
    return {
        **_points(side.total, side.outstanding),
        "members": side.members,
        "negative": side.negative,
        "members_negative": side.members_negative,
        "redemptions_unpaid": side.unpaid,
        **_cost(side, rules, programme, end, revenue),
    }


def _points(flow: Flow, outstanding: int) -> dict[str, int]:
    return {
        EARNED: flow.earned,
        SPENT: flow.spent,
        EXPIRED: flow.expired,
        "outstanding": outstanding,
    }


def _cost(
    side: Side, rules: Rules, programme: str, end: int, revenue: dict[str, str]
) -> dict[str, Any]:
    """What the points earned and those outstanding are worth; None where no rule says it."""
    version = rules.in_force(programme, end)
    value = version.facts.point_value if version else None
    if value is None:
        return {"cost": None, "liability": None, "cost_per_revenue": None}
    cost = Decimal(value.amount) * side.total.earned
    liability = Decimal(value.amount) * side.outstanding
    taken = Decimal(revenue.get(value.currency, "0"))
    share = round(float(cost / taken), RATIO_DECIMALS) if taken > 0 else None
    return {
        "cost": {"amount": format(cost, "f"), "currency": value.currency},
        "liability": {"amount": format(liability, "f"), "currency": value.currency},
        "cost_per_revenue": share,
    }
