"""Purchases: orders, refunds, cancellations, and checkouts that may come to nothing."""

from typing import Annotated

from pydantic import Field

from schemas.fields import Id, Positive, Text
from schemas.money import Money, PaidMoney
from schemas.touchpoint import Part, Touchpoint, fact
from schemas.wording import counted, short, trailing

ORDER_LINES_MAX = 1_000


@fact
class OrderLine(Part):
    """One product on an order; `price` is what one unit cost."""

    product_id: Id
    quantity: Positive
    price: Money
    category: Id | None = None


@fact
class OrderCompleted(Touchpoint):
    """The customer has bought; `total` is what the order cost after its discount."""

    TYPE = "order.completed.v1"
    CHANNEL = "purchase"

    order_id: Id
    total: PaidMoney
    lines: Annotated[tuple[OrderLine, ...], Field(max_length=ORDER_LINES_MAX)] | None = None
    discount: PaidMoney | None = None
    coupon: Id | None = None
    traffic_source: Id | None = None
    place: Text | None = None

    def summary(self) -> str:
        what = f", {counted(len(self.lines), 'line')}" if self.lines else ""
        return f"bought for {self.total} (order {self.order_id}{what})"


@fact
class OrderRefunded(Touchpoint):
    """Part or all of an order's total was given back."""

    TYPE = "order.refunded.v1"
    CHANNEL = "purchase"

    order_id: Id
    amount: PaidMoney

    def summary(self) -> str:
        return f"was refunded {self.amount} of order {self.order_id}"


@fact
class OrderCancelled(Touchpoint):
    """The order counts no longer, and earns nothing."""

    TYPE = "order.cancelled.v1"
    CHANNEL = "purchase"

    order_id: Id
    reason: Text | None = None

    def summary(self) -> str:
        return f"cancelled order {self.order_id}" + trailing(": ", short(self.reason or ""))


@fact
class CheckoutStarted(Touchpoint):
    """The customer began to pay; an order may or may not follow."""

    TYPE = "checkout.started.v1"
    CHANNEL = "purchase"

    checkout_id: Id
    total: PaidMoney | None = None

    def summary(self) -> str:
        return "began to pay" + (f" {self.total}" if self.total else "")
