"""The 360° view of one customer as a page for people."""

from collections.abc import Iterator
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.moments import shown_iso
from cli.output import Record, clean
from schemas.identity import TRAIT_NAMES
from schemas.money import format_amount
from schemas.wording import counted

LABEL_CHARACTERS = 14


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
