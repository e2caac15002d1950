"""One order: its total, what was given back, and what strangers did to it."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain.orders import READS, Order, evolve, show
from schemas.envelope import Envelope
from schemas.money import Money
from schemas.purchase import OrderCancelled, OrderCompleted, OrderRefunded
from tests.domain.story import euro, folded, happened, narrowed


def completed(number: float, amount: str = "100.00", **more: Any) -> Envelope[Any]:
    return happened(number, OrderCompleted(order_id="A1", total=euro(amount)), **more)


def refunded(number: float, amount: str, currency: str = "EUR", **more: Any) -> Envelope[Any]:
    money = Money(amount=amount, currency=currency)
    return happened(number, OrderRefunded(order_id="A1", amount=money), **more)


def cancelled(number: float, **more: Any) -> Envelope[Any]:
    return happened(number, OrderCancelled(order_id="A1"), **more)


def shown(*touchpoints: Envelope[Any]) -> dict[str, Any]:
    return show(folded(evolve, Order(), touchpoints))


def test_a_completed_order_is_shown_with_its_total_as_its_net() -> None:
    assert shown(completed(0)) == {
        "order": "A1",
        "customer": "customer:42",
        "time": "2026-01-05T09:00:00Z",
        "total": {"amount": "100.00", "currency": "EUR"},
        "refunded": {"amount": "0", "currency": "EUR"},
        "net": {"amount": "100.00", "currency": "EUR"},
        "status": "completed",
        "anomalies": [],
        "ignored": 0,
    }


def test_partial_refunds_add_up_until_the_order_is_refunded() -> None:
    partly = shown(completed(0), refunded(1, "30.00"), refunded(2, "20.5"))
    assert (partly["status"], partly["net"]["amount"]) == ("partly refunded", "49.50")
    wholly = shown(completed(0), refunded(1, "30"), refunded(2, "70"))
    assert (wholly["status"], wholly["net"]["amount"]) == ("refunded", "0.00")


def test_a_cancelled_order_has_no_net_whatever_was_refunded() -> None:
    order = shown(completed(0), refunded(1, "30.00"), cancelled(2))
    assert order["status"] == "cancelled"
    assert order["net"] == {"amount": "0", "currency": "EUR"}


def test_a_refund_and_a_cancellation_may_precede_their_order() -> None:
    assert shown(refunded(0, "25.00"), completed(1))["net"]["amount"] == "75.00"
    assert shown(cancelled(0), completed(1))["status"] == "cancelled"


def test_an_order_of_which_only_a_refund_is_known_is_unknown() -> None:
    order = shown(refunded(0, "25.00", subject="customer:7"))
    assert (order["order"], order["status"]) == ("A1", "unknown")
    assert [order[key] for key in ("customer", "time", "total", "refunded", "net")] == [None] * 5
    assert order["anomalies"] == []


def test_a_refund_under_another_subject_changes_nothing_and_is_an_anomaly() -> None:
    order = shown(
        refunded(0, "10.00", subject="customer:9"),
        completed(1),
        refunded(2, "20.00", subject="customer:7"),
        cancelled(3, subject="customer:7"),
    )
    assert (order["status"], order["net"]["amount"]) == ("completed", "100.00")
    assert order["anomalies"] == ["customer:7", "customer:9"]


def test_the_first_completion_stands_and_later_ones_are_ignored() -> None:
    order = shown(completed(0), completed(1, "999.00"), completed(2, subject="customer:7"))
    assert (order["total"]["amount"], order["customer"]) == ("100.00", "customer:42")
    assert (order["ignored"], order["anomalies"]) == (1, ["customer:7"])


def test_a_refund_in_another_currency_is_not_added_but_ignored() -> None:
    order = shown(completed(0), refunded(1, "30.00", "USD"))
    assert (order["status"], order["refunded"]["amount"]) == ("completed", "0")
    assert order["ignored"] == 1


def test_the_smallest_amounts_are_written_without_an_exponent() -> None:
    order = shown(completed(0, "0.000000003"), refunded(1, "0.000000002"))
    assert order["net"]["amount"] == "0.000000001"


subjects = st.sampled_from(["customer:42", "customer:7"])
minutes = st.integers(0, 5)
amounts = st.decimals("0", "200", places=2).map(str)
facts = st.one_of(
    st.builds(lambda m, a, s: completed(m, a, subject=s), minutes, amounts, subjects),
    st.builds(lambda m, a, s: refunded(m, a, subject=s), minutes, amounts, subjects),
    st.builds(lambda m, s: cancelled(m, subject=s), minutes, subjects),
)


@given(st.lists(facts, max_size=8), st.integers(0, 8))
def test_an_order_stored_in_the_middle_of_a_fold_comes_out_the_same(
    touchpoints: list[Envelope[Any]], pause: int
) -> None:
    touchpoints.sort(key=lambda t: t.order)
    whole = msgspec.json.encode(folded(evolve, Order(), touchpoints))
    stored = msgspec.json.encode(folded(evolve, Order(), touchpoints[:pause]))
    resumed = msgspec.json.decode(stored, type=Order)
    assert msgspec.json.encode(folded(evolve, resumed, touchpoints[pause:])) == whole
    narrow = folded(evolve, Order(), narrowed(READS, touchpoints))
    assert msgspec.json.encode(narrow) == whole
