"""Simulating: the loyalty view under the rules of the log and under others, person by person."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from domain import customers
from domain.customers import Customer
from domain.loyalty import Member
from domain.orders import READS as OF_ORDERS
from domain.revenue import net_revenue, plus
from domain.rules import Rules
from domain.simulation import MonthOf, Simulation, Span
from ledger.assuming import never_in_force
from ledger.governance import Assumed
from ledger.ledger import Ledger
from ledger.sqlite.connections import SQLiteLedgerCursor
from projections import tables
from projections.aside import Aside, Labour, fold_aside, plan_of, scratch_in, table_of
from projections.fold import Row
from projections.loyalty import LOYALTY
from projections.query import Cut
from projections.view import View

ACTUAL, SIMULATED = "actual", "simulated"
MEMBERS_BETWEEN_CHECKS = 1_000
ORDERS_ALONE = {name: customers.READS[name] for name in OF_ORDERS}


def revenue_view() -> View:
    """The orders of each person as the view of customers has them; it is never kept."""
    return View("revenue", 1, ORDERS_ALONE, Customer, customers.evolve)


@dataclass(slots=True)
class Simulated:
    """What came out, by programme; `revenue` is net and by currency.

    `failed` are the persons who could not be folded under one rule or the other, and are left
    out; `idle` the programmes and versions that are in force at no moment.
    """

    span: Span
    rules: tuple[Rules, Rules]
    programmes: dict[str, Simulation] = field(default_factory=dict)
    revenue: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    idle: list[tuple[str, int]] = field(default_factory=list)


def simulate(
    ledger: Ledger,
    cut: Cut,
    start: int | None,
    month_of: MonthOf,
    assumed: Sequence[Assumed],
    labour: Labour,
) -> Simulated:
    """Fold everybody's loyalty twice, as a cut shows it: as it is, and with the assumed rules.

    What is looked at begins at `start` (microseconds since 1970) and ends with the cut. Raises
    Interrupted when a stop is requested.
    """
    plan = plan_of(ledger, (LOYALTY, revenue_view()), cut)
    end = ledger.log.clock() if plan.scope.moment is None else plan.scope.moment
    scope = replace(plan.scope, assumed=tuple(assumed))
    other = replace(plan, views=(LOYALTY,), scope=scope)
    with ledger.store.cursor() as cursor:
        rules = tuple(p.scope.governance(p.until, cursor).rules for p in (plan, other))
    with scratch_in() as scratch:
        failed = _failed(fold_aside(ledger, plan, scratch, labour, ACTUAL))
        failed |= _failed(fold_aside(ledger, other, scratch, labour, SIMULATED))
        found = Simulated(Span(start, end, month_of), (rules[0], rules[1]), failed=failed)
        found.idle = list(never_in_force(assumed, rules[1]))
        _compare(found, scratch, labour)
        found.revenue = _revenue(found.span, scratch)
    return found


def _failed(aside: Aside) -> dict[str, str]:
    return {key: failure.error for key, failure in aside.failures[LOYALTY.name].items()}


def _compare(found: Simulated, scratch: SQLiteLedgerCursor, labour: Labour) -> None:
    reading = (_marked(number, name, scratch) for number, name in enumerate((ACTUAL, SIMULATED)))
    for number, (key, rows) in enumerate(groupby(merge(*reading), itemgetter(0))):
        if number % MEMBERS_BETWEEN_CHECKS == 0:
            labour.check_stop()
        if key in found.failed:
            continue
        members = [Member(), Member()]
        for _, side, row in rows:
            members[side] = msgspec.json.decode(row.state, type=Member)
        had, has = (member.programmes for member in members)
        for programme in {*had, *has}:
            simulation = found.programmes.setdefault(programme, Simulation(found.span))
            simulation.add(key, had.get(programme), has.get(programme))


def _marked(side: int, prefix: str, scratch: SQLiteLedgerCursor) -> Iterator[tuple[str, int, Row]]:
    cursor: Any = scratch.connection.cursor(SQLiteLedgerCursor)
    return ((row.key, side, row) for row in tables.walk(table_of(LOYALTY, prefix), cursor))


def _revenue(span: Span, scratch: SQLiteLedgerCursor) -> dict[str, str]:
    """What the orders that were completed in the span came to, less refunds, by currency."""
    total: dict[str, str] = {}
    for row in tables.walk(table_of(revenue_view(), ACTUAL), scratch):
        orders = msgspec.json.decode(row.state, type=Customer).orders.values()
        within = (o for o in orders if span.start is None or o.at >= span.start)
        for currency, amount in net_revenue(within).items():
            total[currency] = plus(total.get(currency), amount)
    return total
