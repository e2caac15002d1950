"""One person's orders: how many, what they brought in, and which was the first."""

from typing import Any

import pytest

from domain.customers import Customer, evolve, summary
from domain.revenue import plus
from schemas.envelope import Envelope
from schemas.money import Money
from schemas.page import PageViewed
from schemas.purchase import OrderCancelled, OrderCompleted, OrderLine, OrderRefunded
from tests.domain.story import euro, folded, happened

CURRENCY = "EUR"


def shown(*touchpoints: Envelope[Any]) -> dict[str, Any]:
    return summary(folded(evolve, Customer(), touchpoints), "customer:42")


def orders(*touchpoints: Envelope[Any]) -> dict[str, Any]:
    found: dict[str, Any] = shown(*touchpoints)["orders"]
    return found


def bought(
    number: float, order_id: str, amount: str, currency: str = CURRENCY, **fields: Any
) -> Envelope[Any]:
    total = Money(amount=amount, currency=currency)
    return happened(number, OrderCompleted(order_id=order_id, total=total, **fields))


def refunded(number: float, order_id: str, amount: str, currency: str = CURRENCY) -> Envelope[Any]:
    money = Money(amount=amount, currency=currency)
    return happened(number, OrderRefunded(order_id=order_id, amount=money))


def cancelled(number: float, order_id: str) -> Envelope[Any]:
    return happened(number, OrderCancelled(order_id=order_id))


def net(*touchpoints: Envelope[Any]) -> dict[str, str]:
    return {money["currency"]: money["amount"] for money in orders(*touchpoints)["net"]}


def test_net_revenue_is_totals_less_partial_refunds() -> None:
    told = (bought(0, "A1", "100.00"), bought(1, "A2", "50.00"), refunded(2, "A1", "30.00"))
    assert net(*told, refunded(3, "A1", "0.50")) == {"EUR": "119.50"}
    assert orders(*told)["count"] == 2


def test_currencies_are_never_added() -> None:
    assert net(bought(0, "A1", "10.00", "USD"), bought(1, "A2", "5.00")) == {
        "EUR": "5.00",
        "USD": "10.00",
    }


def test_a_cancelled_order_counts_nothing_even_where_it_was_refunded() -> None:
    told = (bought(0, "A1", "100.00"), refunded(1, "A1", "40.00"), cancelled(2, "A1"))
    assert orders(*told) == {"count": 0, "cancelled": 1, "net": [], "first": None, "unplaced": 0}
    assert net(*told, bought(3, "A2", "5.00")) == {"EUR": "5.00"}


def test_a_refund_before_its_order_waits_for_it() -> None:
    early = refunded(0, "A1", "40.00")
    assert orders(early)["unplaced"] == 1
    assert orders(early)["net"] == []
    assert net(early, bought(1, "A1", "100.00")) == {"EUR": "60.00"}
    assert orders(early, bought(1, "A1", "100.00"))["unplaced"] == 0


def test_a_cancellation_before_its_order_waits_for_it() -> None:
    told = (cancelled(0, "A1"), refunded(0.5, "A1", "1.00"))
    assert orders(*told)["unplaced"] == 2
    assert orders(*told, bought(1, "A1", "100.00"))["count"] == 0


def test_a_refund_of_an_order_that_is_not_his_stays_unplaced() -> None:
    told = orders(bought(0, "A1", "100.00"), refunded(1, "B7", "100.00"))
    assert (told["unplaced"], told["net"][0]["amount"]) == (1, "100.00")


@pytest.mark.parametrize("number", [0, 2])
def test_a_refund_in_another_currency_is_an_anomaly_and_takes_nothing(number: int) -> None:
    told = (bought(1, "A1", "100.00"), refunded(number, "A1", "40.00", "USD"))
    assert net(*told) == {"EUR": "100.00"}
    assert shown(*told)["anomalies"] == 1


def test_a_second_order_of_the_same_id_is_an_anomaly_and_ignored() -> None:
    told = (bought(0, "A1", "100.00"), bought(1, "A1", "999.00"))
    assert net(*told) == {"EUR": "100.00"}
    assert (shown(*told)["anomalies"], orders(*told)["count"]) == (1, 1)
    assert shown(*told)["touchpoints"] == 2


def line(product_id: str) -> OrderLine:
    return OrderLine(product_id=product_id, quantity=1, price=euro("1.00"))


def test_the_first_order_gives_the_month_the_product_and_the_source_of_the_visit() -> None:
    told = bought(0, "A1", "2.00", lines=(line("tea"), line("cup")), traffic_source="newsletter")
    assert orders(told, bought(1, "A2", "9.00", lines=(line("pot"),)))["first"] == {
        "month": "2026-01",
        "product": "tea",
        "traffic_source": "newsletter",
    }


def test_a_cancelled_order_is_nobodys_first() -> None:
    told = (bought(0, "A1", "2.00", lines=(line("tea"),)), bought(1, "A2", "9.00"))
    assert orders(*told, cancelled(2, "A1"))["first"]["product"] is None


def viewed(number: float, traffic_source: str | None) -> Envelope[Any]:
    return happened(number, PageViewed(url="https://shop.example/", traffic_source=traffic_source))


def test_an_order_without_a_source_has_that_of_the_last_page_view_before_it() -> None:
    told = (viewed(0, "search"), viewed(1, "advert"), viewed(2, None), viewed(9, "friend"))
    assert orders(*told, bought(3, "A1", "2.00"))["first"]["traffic_source"] == "advert"
    named = bought(3, "A1", "2.00", traffic_source="mail")
    assert orders(*told, named)["first"]["traffic_source"] == "mail"
    assert orders(*told, bought(-1, "A1", "2.00"))["first"]["traffic_source"] is None


def test_amounts_of_the_greatest_size_add_up_exactly() -> None:
    greatest = "999999999999999.999999999"
    assert net(bought(0, "A1", greatest), bought(1, "A2", greatest)) == {
        "EUR": "1999999999999999.999999998"
    }
    assert plus("0.000000001", "0.000000001") == "0.000000002"
