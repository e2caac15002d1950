"""Events whose names have a meaning: to touchpoints of the catalogue, by a mapping.

`semantic.toml` says which. An event that lacks what the catalogue requires gives no touchpoint
here. One with an optional field that is not fit gives the touchpoint without it, and keeps what
was told in `extra`.
"""

import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ledger.conversions import NumberForm, Unfit
from ledger.mapping import Mapping, RowRefused, TouchpointTable, load_mapping
from ledger.mapping_values import Scope
from ledger.rows import WrittenNumber
from schemas.door import Refused, parse
from web.segment.call import Call, encoded

DECIMALS_MAX = 9
"""How many decimals an amount can have; sums of floats in clients have more."""
MAGNITUDE_MAX = 15
"""Numbers of more digits, before the point or behind it, are no amounts of money."""
FIELDS_SPARED_MAX = 16
_CURRENCY = re.compile(r"\s*[A-Za-z]{3}\s*")
"""A currency as it is told; the catalogue has it in capitals."""
_SAYS_HOW_MUCH = re.compile(
    "(.*[_ ])?(amount|(sub)?total|revenue|value|price|partial|quantity|(product|item|line|sku)s?)"
    "([_ ].*)?",
    re.DOTALL,
)
"""Names, in snake case, of properties by which a refund may be one in part."""


@cache
def semantic_mapping() -> Mapping:
    """The mapping that is shipped."""
    return load_mapping(Path(__file__).with_name("semantic.toml"))


def semantic(call: Call, event: str) -> bytes | None:
    """The CloudEvent that an event of this name is, if it is one of the catalogue."""
    key = _key(event) if event else call.kind
    tables = semantic_mapping().taking({"event": key})
    if not tables:
        return None
    row = _row(call, key)
    made = (_made(table, row, call) for table in tables)
    return next((event for event in made if event is not None), None)


def _made(table: TouchpointTable, row: dict[str, Any], call: Call) -> bytes | None:
    """What a table makes of it, without optional fields that are not fit; None if it cannot."""
    less: TouchpointTable | None = table
    for _ in range(FIELDS_SPARED_MAX):
        if less is None:
            return None
        try:
            return _checked(less, row, call)
        except (RowRefused, Refused) as refused:
            top, _, path = refused.path.partition(".")
            field = path.partition(".")[0].partition("[")[0]
            less = less.without(field) if top == "data" and field != "extra" else None
    return None


def _checked(table: TouchpointTable, row: dict[str, Any], call: Call) -> bytes:
    """The touchpoint, if the door will let it pass. Raises RowRefused or Refused.

    Its condition holds, by which it was found, and its envelope is that of the call.
    """
    data = table.attributes["data"].of(Scope(row, 1))
    used = ("properties", "event") if call.kind == "track" else ("properties",)
    data["extra"] = call.left_over(*used, beside=data.get("extra"))
    raw = encoded(call.event(table.type, data))
    parse(raw)
    return raw


def _key(event: str) -> str:
    """A name as it is looked up: `order_completed` and `Order Completed` are the same."""
    return " ".join(event.replace("_", " ").split()).casefold()


def _row(call: Call, key: str) -> dict[str, Any]:
    """What the mapping sees. No name of it may be one of a product's, which are looked up in it."""
    properties = _rounded(call.object("properties"))
    currency = properties.get("currency")
    if isinstance(currency, str) and _CURRENCY.fullmatch(currency):
        properties["currency"] = currency.strip().upper()
    return {
        "event": key,
        "messageId": call.id,
        "subject": call.subject,
        "time": call.times.time,
        "properties": properties,
        "context": call.context,
        "call": call.fields,
        "referring_site": _referring_site(call) if call.kind == "page" else None,
        "sum_of_products": _sum_of(properties.get("products")) if "refund" in key else None,
        "whole_order": _whole_order(properties) if "refund" in key else None,
    }


def _rounded(value: Any) -> Any:
    """The same, with no more decimals than an amount of money can have."""
    kind = value.__class__
    if kind is WrittenNumber:
        return _fewer_decimals(value)
    if kind is dict:
        return {n: v if v.__class__ is str else _rounded(v) for n, v in value.items()}
    if kind is list:
        return [_rounded(inner) for inner in value]
    return value


def _fewer_decimals(number: WrittenNumber) -> WrittenNumber:
    if len(number.digits) <= DECIMALS_MAX + 2 and "e" not in number.digits.lower():
        return number
    try:
        exact = Decimal(number.digits)
    except ArithmeticError:  # 1e-99999999999999999999
        return number
    exponent = exact.as_tuple().exponent
    if (
        not isinstance(exponent, int)
        or exponent >= -DECIMALS_MAX
        or abs(exact.adjusted()) > MAGNITUDE_MAX
    ):
        return number
    rounded = format(round(exact, DECIMALS_MAX), "f")
    return WrittenNumber(rounded.rstrip("0").rstrip("."))


def _sum_of(products: Any) -> str | None:
    """What all products cost, where each says its price and how many there are."""
    if not isinstance(products, list) or not products:
        return None
    total = Decimal()
    for product in products:
        price, count = (_number(product, name) for name in ("price", "quantity"))
        if price is None or count is None:
            return None
        total += price * count
    return format(total.normalize(), "f")


def _number(product: Any, name: str) -> Decimal | None:
    """A number of a product, which may be written as a text."""
    try:
        number = Decimal(NumberForm().decimal(product[name]))
    except (LookupError, TypeError, Unfit, ArithmeticError):
        return None
    return number if abs(number.adjusted()) <= MAGNITUDE_MAX else None


def _whole_order(properties: dict[str, Any]) -> Any:
    """The order, where nothing but the order is told of a refund: no amount, and no product.

    What is told and cannot be read is not nothing: it must not become all.
    """
    for name, value in properties.items():
        if value not in (None, "", [], {}) and _SAYS_HOW_MUCH.fullmatch(_snake(name)):
            return None
    return properties.get("order_id") or properties.get("orderId")


def _snake(name: str) -> str:
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).casefold()


def _referring_site(call: Call) -> str | None:
    """The site that led to a page, if it is another one."""
    page = call.context.get("page")
    places = [place for place in (call.object("properties"), page) if isinstance(place, dict)]
    referrer = next((found for p in places if (found := _host(p.get("referrer")))), None)
    here = next((found for p in places if (found := _host(p.get("url")))), None)
    return referrer if referrer != here else None


def _host(url: Any) -> str | None:
    try:
        found = urlsplit(url).hostname if isinstance(url, str) else None
    except ValueError:
        return None
    return found.removeprefix("www.") if found else None
