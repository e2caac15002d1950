"""Net revenue of one person: what the orders came to, less what was given back.

Amounts are decimal strings, as the sources wrote them, and are added exactly. Currencies are
never added to each other. A refund or a cancellation that occurred before its order waits here.
"""

from collections.abc import Iterable
from decimal import Context, Inexact, InvalidOperation
from typing import Any

import msgspec

AMOUNT_DIGITS_MAX = 60
"""Sums of 24-digit amounts stay exact for 10^36 of them; beyond it, an error, never rounding."""

_EXACT = Context(prec=AMOUNT_DIGITS_MAX, traps=[Inexact, InvalidOperation])


class Purchase(msgspec.Struct, array_like=True, gc=False):
    """One completed order; `product` is the first of its lines."""

    at: int
    total: str
    currency: str
    refunded: str | None = None
    cancelled: bool = False
    product: str | None = None
    traffic_source: str | None = None


class Unplaced(msgspec.Struct, array_like=True, gc=False):
    """Refunds (amount, currency) and cancellations whose order has not occurred so far."""

    refunds: list[tuple[str, str]] = []
    cancellations: int = 0


def plus(amount: str | None, more: str) -> str:
    """The exact sum of two decimal strings, in plain notation; None is nothing at all."""
    if amount is None:
        return more
    return format(_EXACT.add(_EXACT.create_decimal(amount), _EXACT.create_decimal(more)), "f")


def minus(amount: str, less: str | None) -> str:
    """The exact difference of two decimal strings, in plain notation."""
    if less is None:
        return amount
    decimal = _EXACT.subtract(_EXACT.create_decimal(amount), _EXACT.create_decimal(less))
    return format(decimal, "f")


def refund(purchase: Purchase, amount: str, currency: str) -> bool:
    """Give back part of the total. False, and no change, when the currency is another."""
    if currency != purchase.currency:
        return False
    purchase.refunded = plus(purchase.refunded, amount)
    return True


def place(purchase: Purchase, waiting: Unplaced) -> int:
    """Apply what waited for this order; how many of the refunds were in another currency."""
    purchase.cancelled = waiting.cancellations > 0
    placed = [refund(purchase, amount, currency) for amount, currency in waiting.refunds]
    return placed.count(False)


def first_product(lines: Any) -> str | None:
    """The product of an order's first line, if it has lines."""
    if not lines:
        return None
    product: str = lines[0].product_id
    return product


def net_revenue(purchases: Iterable[Purchase]) -> dict[str, str]:
    """Per currency, in their alphabet: totals less refunds. Cancelled orders count nothing."""
    net: dict[str, str] = {}
    for purchase in purchases:
        if not purchase.cancelled:
            kept = minus(purchase.total, purchase.refunded)
            net[purchase.currency] = plus(net.get(purchase.currency), kept)
    return dict(sorted(net.items()))


def money(amount: str, currency: str) -> dict[str, str]:
    """Money as it is written in JSON."""
    return {"amount": amount, "currency": currency}
