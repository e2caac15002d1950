"""The 360° view of one customer: as a record for programs, as a page for people."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from typing import Any

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.moments import shown_iso
from cli.output import Record, clean
from cli.revealing import Sight
from domain import customers, tickets
from domain.customers import Customer
from domain.lots import Account, balance
from domain.loyalty import Member
from domain.orders import Order
from ledger.ledger import Ledger
from ledger.persons import Persons
from projections.customers import CUSTOMERS
from projections.loyalty import LOYALTY
from projections.orders import ORDERS
from projections.query import Cut, persons_at, state_if, state_of, states_of
from projections.tickets import TICKETS
from projections.view import View
from schemas.identity import TRAIT_NAMES
from schemas.money import format_amount
from schemas.wording import counted

BALANCE_FIELDS = ("active", "pending", "spent", "expired", "negative", "earned")
LABEL_CHARACTERS = 14


@dataclass(frozen=True, slots=True)
class Asked:
    """Of whom a portrait is wanted, as seen through which cut, with points as of which moment.

    `persons` are given to see what it would be like if these were the persons.
    """

    person: str
    cut: Cut
    moment: int
    persons: Persons | None = None


def portrait(ledger: Ledger, asked: Asked, sight: Sight) -> Record | None:
    """All that is known of a person; None when nothing was known of him yet."""
    state: Customer | None = _state(ledger, CUSTOMERS, asked)
    member: Member | None = _state(ledger, LOYALTY, asked)
    if state is None and member is None:
        return None
    state = state or Customer()
    persons = asked.persons or persons_at(ledger, [asked.person], asked.cut)
    subjects = persons.subjects_of(asked.person)
    names = sight.subjects((asked.person, *subjects))
    anomalous = anomalous_orders(ledger, state, subjects, asked.cut)
    record = customers.summary(state, names[asked.person])
    return {
        "customer": record["customer"],
        "subjects": [names[subject] for subject in subjects],
        **record,
        "tickets": tickets.counts(
            states_of(ledger, TICKETS, [*state.tickets], asked.cut).values(), subjects
        ),
        "traits": sight.traits(record["traits"]),
        "loyalty": loyalty(member, asked.moment),
        "anomalies": state.anomalies + sum(anomalous.values()),
        "anomalous_orders": sorted(anomalous),
    }


def _state(ledger: Ledger, view: View, asked: Asked) -> Any:
    if asked.persons is not None:
        return state_if(ledger, view, asked.person, asked.persons)
    return state_of(ledger, view, asked.person, asked.cut)


def loyalty(member: Member | None, moment: int) -> dict[str, dict[str, int]]:
    """The balance of each programme at a moment."""
    accounts = member.programmes if member else {}
    return {name: points(account, moment) for name, account in sorted(accounts.items())}


def points(account: Account, moment: int) -> dict[str, int]:
    """One account's balance at a moment, by the names of BALANCE_FIELDS."""
    at_moment = msgspec.structs.asdict(balance(account, moment))
    return {name: at_moment[name] for name in BALANCE_FIELDS}


def anomalous_orders(
    ledger: Ledger, state: Customer, subjects: tuple[str, ...], cut: Cut
) -> dict[str, int]:
    """The orders on which this person and another one both acted, and by how many facts.

    Every order that the person completed, or refunded or cancelled without having completed
    it, stands in his own state, so the orders view is asked for these alone.
    """
    orders: dict[str, Order] = states_of(ledger, ORDERS, [*state.orders, *state.unplaced], cut)
    found = {order_id: _foreign_facts(order, subjects) for order_id, order in orders.items()}
    return {order_id: facts for order_id, facts in found.items() if facts}


def _foreign_facts(order: Order, subjects: tuple[str, ...]) -> int:
    """How many facts on an order are another's if it is this person's, or else this person's."""
    if order.customer is None:
        return 0
    acted = [*(refund.subject for refund in order.refunds), *order.cancellations, *order.repeats]
    own = order.customer in subjects
    return sum((subject in subjects) != own for subject in acted)


def page(record: Record, zone: tzinfo) -> Iterator[RenderableType]:
    """A portrait as people read it: one line for each side of the customer."""
    name = record["traits"].get("name", {}).get("value")
    yield Text.assemble((clean(record["customer"]), "bold"), f"  {clean(name)}" if name else "")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=LABEL_CHARACTERS, style="dim")
    grid.add_column(overflow="fold")
    for label, text in _lines(record, zone):
        grid.add_row(label, Text(clean(text)))
    yield grid


def _lines(record: Record, zone: tzinfo) -> Iterator[tuple[str, str]]:
    yield "seen", _seen(record, zone)
    yield from _contacts(record, zone)
    yield from _under("subjects", record["subjects"] if len(record["subjects"]) > 1 else [])
    yield from _orders(record["orders"])
    tickets = record["tickets"]
    if tickets["total"]:
        yield "tickets", f"{tickets['open']:,} open of {tickets['total']:,}"
    yield from _under("points", [_points(name, p) for name, p in record["loyalty"].items()])
    yield from _under("satisfaction", _satisfaction(record["satisfaction"]))
    yield from _under("consents", [_consent(c, zone) for c in record["consents"]])
    traits = record["traits"]
    yield from _under("traits", [_trait(n, traits[n]) for n in TRAIT_NAMES if n in traits])
    if record["anomalies"]:
        orders = ", ".join(record["anomalous_orders"])
        yield "anomalies", f"{record['anomalies']:,}" + (f" (orders {orders})" if orders else "")


def _under(label: str, texts: list[str]) -> Iterator[tuple[str, str]]:
    """Several lines, of which the first bears the label."""
    for place, text in enumerate(texts):
        yield ("" if place else label), text


def _seen(record: Record, zone: tzinfo) -> str:
    if record["first_seen"] is None:
        return "never: no touchpoint with him is recorded"
    first, last = (shown_iso(record[name], zone) for name in ("first_seen", "last_seen"))
    return f"{first} to {last}, {counted(record['touchpoints'], 'touchpoint')}"


def _contacts(record: Record, zone: tzinfo) -> Iterator[tuple[str, str]]:
    channels = sorted(record["channels"].items(), key=lambda channel: (-channel[1], channel[0]))
    if channels:
        yield "channels", ", ".join(f"{name} {count:,}" for name, count in channels)
    last = record["last_interaction"]
    if last:
        agent = f" with {last['agent']}" if last["agent"] else ""
        yield "last contact", f"{last['type']}{agent}, {shown_iso(last['time'], zone)}"


def _orders(orders: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if not (orders["count"] or orders["cancelled"] or orders["unplaced"]):
        return
    cancelled = f", {orders['cancelled']:,} cancelled" if orders["cancelled"] else ""
    net = amounts(orders["net"])
    yield "orders", f"{orders['count']:,} completed{cancelled}" + (f"; net {net}" if net else "")
    first = orders["first"]
    if first:
        product = f", {first['product']}" if first["product"] else ""
        came = f", by {first['traffic_source']}" if first["traffic_source"] else ""
        yield "", f"first in {first['month']}{product}{came}"
    if orders["unplaced"]:
        yield "", f"{orders['unplaced']:,} refunds or cancellations of orders that are not his"


def amounts(listed: list[dict[str, str]]) -> str:
    """The amounts of several currencies, side by side."""
    return ", ".join(shown_money(money) for money in listed)


def shown_money(money: dict[str, str]) -> str:
    """Money of some JSON as people read it: `1,234.50 EUR`."""
    return format_amount(Decimal(money["amount"]), money["currency"])


def _points(programme: str, of: dict[str, int]) -> str:
    debt = f", {of['negative']:,} owed" if of["negative"] else ""
    return (
        f"{programme}: {of['active']:,} active, {of['pending']:,} pending, {of['spent']:,} spent, "
        f"{of['expired']:,} expired of {of['earned']:,} earned{debt}"
    )


def _satisfaction(report: dict[str, Any]) -> list[str]:
    texts = []
    csat, nps, ces = report["csat"], report["nps"], report["ces"]
    if csat["answers"]:
        answers = counted(csat["answers"], "answer")
        satisfied = f"{csat['satisfied_percent']:g} % satisfied"
        texts.append(f"CSAT {csat['mean']:g} of 5 ({answers}, {satisfied})")
    if nps["answers"]:
        texts.append(f"NPS {nps['score']:+g} ({counted(nps['answers'], 'answer')})")
    if ces["answers"]:
        texts.append(f"CES {ces['mean']:g} of 7 ({counted(ces['answers'], 'answer')})")
    return texts


def _consent(consent: dict[str, str], zone: tzinfo) -> str:
    channel = "any channel" if consent["channel"] == "any" else consent["channel"]
    since = shown_iso(consent["time"], zone)
    return f"{consent['purpose']} by {channel}: {consent['state']} since {since}"


def _trait(name: str, said: dict[str, Any]) -> str:
    value = said["value"]
    if isinstance(value, dict):
        value = ", ".join(f"{key} {inner}" for key, inner in value.items())
    return f"{name.replace('_', ' ')}: {value}"
