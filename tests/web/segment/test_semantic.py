"""Events with a meaning become the catalogue's touchpoints, and are tracked where they cannot."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.segment.shapes import KEY, call, one, track
from web.segment.semantic import semantic_mapping

EUR = "EUR"
PRODUCTS = [
    {"product_id": "P1", "price": 9.5, "quantity": 2, "category": "Games", "brand": "Acme"},
    {"sku": "S2", "price": 3, "quantity": 1},
]
LINES = [
    {"product_id": "P1", "quantity": 2, "price": {"amount": "9.5", "currency": EUR},
     "category": "Games"},
    {"product_id": "S2", "quantity": 1, "price": {"amount": "3", "currency": EUR}},
]  # fmt: skip
ORDER = {"order_id": "A1", "currency": EUR}
MAIL = {"email_id": "e1", "campaign_id": "c1", "email_subject": "Hello"}
MAILED = {"message_id": "e1", "campaign": "c1"}
CHAT = {"conversation_id": "k1"}
TICKET = {"ticket_id": "T1"}
SMS = {"message_id": "s1", "campaign": "c1", "purpose": "marketing"}
VISIT = {"visit_id": "v1", "at": "2026-01-09T09:00:00Z"}
POST = {"network": "x", "post_id": "p1", "text": "hi"}
REFERRAL = {"referral_id": "r1"}
CONSENT = {"channel": "email", "purpose": "marketing"}


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": EUR}


EXAMPLES: tuple[tuple[str, dict[str, Any], str, dict[str, Any]], ...] = (
    ("Order Completed", {**ORDER, "total": 25.98, "revenue": 22, "products": PRODUCTS,
                         "coupon": "HI", "discount": 2.5, "affiliation": "Rome"},
     "order.completed.v1", {"order_id": "A1", "total": eur("25.98"), "lines": LINES,
                            "coupon": "HI", "discount": eur("2.5"), "place": "Rome"}),
    ("Completed Order", {"orderId": "A1", "value": "12.50"},
     "order.completed.v1", {"order_id": "A1", "total": {"amount": "12.50", "currency": "USD"}}),
    ("Order Refunded", {**ORDER, "total": 5}, "order.refunded.v1",
     {"order_id": "A1", "amount": eur("5")}),
    ("Order Refunded", {**ORDER, "products": PRODUCTS}, "order.refunded.v1",
     {"order_id": "A1", "amount": eur("22")}),
    ("Order Refunded", ORDER, "order.cancelled.v1",
     {"order_id": "A1", "reason": "refunded in full"}),
    ("Order Cancelled", {**ORDER, "reason": "late"}, "order.cancelled.v1",
     {"order_id": "A1", "reason": "late"}),
    ("Checkout Started", {**ORDER, "value": 3.5}, "checkout.started.v1",
     {"checkout_id": "A1", "total": eur("3.5")}),
    ("Checkout Started", ORDER, "checkout.started.v1", {"checkout_id": "A1"}),
    ("Email Delivered", MAIL, "email.delivered.v1", MAILED),
    ("Email Opened", MAIL, "email.opened.v1", MAILED),
    ("Email Bounced", {**MAIL, "reason": "full"}, "email.bounced.v1", {**MAILED, "reason": "full"}),
    ("Email Link Clicked", {**MAIL, "link_url": "https://a.example"}, "email.clicked.v1",
     {**MAILED, "url": "https://a.example"}),
    ("Email Marked as Spam", MAIL, "email.unsubscribed.v1", {**MAILED, "reason": "marked as spam"}),
    ("Unsubscribed", MAIL, "email.unsubscribed.v1", MAILED),
    ("Unsubscribed", {"list_id": "l1"}, "email.unsubscribed.v1", {"message_id": "m-1"}),
    ("Email Sent", {**MAIL, "purpose": "service"}, "email.sent.v1",
     {**MAILED, "subject_line": "Hello", "purpose": "service"}),
    ("Email Received", {"message_id": "e1", "body": "Hi"}, "email.received.v1",
     {"message_id": "e1", "body": "Hi"}),
    ("Live Chat Conversation Started", CHAT, "chat.started.v1", CHAT),
    ("Live Chat Conversation Ended", {**CHAT, "conversation_duration": 12.5}, "chat.ended.v1",
     {**CHAT, "duration_seconds": 12.5}),
    ("Live Chat Message Sent", {**CHAT, "message_id": "1", "message_body": "hi"},
     "chat.message_posted.v1", {**CHAT, "message_id": "1", "author": "customer", "text": "hi"}),
    ("Live Chat Message Received", {**CHAT, "agent_id": "ag"}, "chat.message_posted.v1",
     {**CHAT, "message_id": "m-1", "author": "agent", "agent": "ag"}),
    ("Live Chat Message Received", {**CHAT, "role": "assistant"}, "chat.message_posted.v1",
     {**CHAT, "message_id": "m-1", "author": "bot"}),
    ("Chat Handed Off", {**CHAT, "to": "ag"}, "chat.handed_off.v1", {**CHAT, "to_agent": "ag"}),
    ("SMS Sent", {**SMS, "to": "+39333"}, "sms.sent.v1", {**SMS, "phone": "+39333"}),
    ("SMS Delivered", SMS, "sms.delivered.v1", SMS),
    ("SMS Failed", SMS, "sms.failed.v1", SMS),
    ("SMS Replied", {**SMS, "from": "+39333"}, "sms.replied.v1", {**SMS, "phone": "+39333"}),
    ("Call Started", {"call_id": "c", "direction": "inbound", "queue": "q"}, "call.started.v1",
     {"call_id": "c", "direction": "inbound", "queue": "q"}),
    ("Call Answered", {"call_id": "c", "agent": "ag"}, "call.answered.v1",
     {"call_id": "c", "agent": "ag"}),
    ("Call Ended", {"call_id": "c", "direction": "inbound", "outcome": "answered",
                    "duration_s": 312, "agent_id": "ag", "resolved": True},
     "call.ended.v1", {"call_id": "c", "direction": "inbound", "outcome": "answered",
                       "duration_seconds": 312, "agent": "ag", "resolved": True}),
    ("Ticket Created", {**TICKET, "subject": "Help", "priority": "high"}, "ticket.opened.v1",
     {**TICKET, "title": "Help", "priority": "high"}),
    ("Ticket Assigned", {**TICKET, "assignee_id": "ag"}, "ticket.assigned.v1",
     {**TICKET, "assignee": "ag"}),
    ("Ticket Priority Changed", {**TICKET, "to": "low"}, "ticket.priority_changed.v1",
     {**TICKET, "priority": "low"}),
    ("Ticket Status Changed", {**TICKET, "from": "open", "to": "On-hold"},
     "ticket.status_changed.v1", {**TICKET, "status": "on_hold"}),
    ("Ticket Solved", TICKET, "ticket.status_changed.v1", {**TICKET, "status": "solved"}),
    ("Ticket Closed", TICKET, "ticket.status_changed.v1", {**TICKET, "status": "closed"}),
    ("Ticket Reopened", TICKET, "ticket.status_changed.v1", {**TICKET, "status": "open"}),
    ("Ticket Comment Added", {**TICKET, "author_kind": "agent", "public": False, "text": "x"},
     "ticket.commented.v1", {**TICKET, "author": "agent", "public": False, "text": "x"}),
    ("Ticket Merged", {**TICKET, "into": "T2"}, "ticket.merged.v1",
     {**TICKET, "into_ticket_id": "T2"}),
    ("Survey Answered", {"survey_id": "s", "kind": "NPS", "score": 9, "ticket_id": "T1"},
     "survey.answered.v1", {"survey_id": "s", "kind": "nps", "score": 9, "about": "T1"}),
    ("Consent Granted", CONSENT, "consent.granted.v1", CONSENT),
    ("Consent Withdrawn", CONSENT, "consent.withdrawn.v1", CONSENT),
    ("Referral Made", {**REFERRAL, "program": "main", "referee": "customer:7"}, "referral.made.v1",
     {**REFERRAL, "programme": "main", "referee": "customer:7"}),
    ("Referral Made", {**REFERRAL, "program": "main", "referee_email": "bob@example.org"},
     "referral.made.v1", {**REFERRAL, "programme": "main", "referee": "email:bob@example.org"}),
    ("Referral Advanced", {**REFERRAL, "stage": "trial"}, "referral.advanced.v1",
     {**REFERRAL, "stage": "trial"}),
    ("Referral Converted", {**REFERRAL, "order_id": "A1"}, "referral.converted.v1",
     {**REFERRAL, "order_id": "A1"}),
    ("Statement Delivery Chosen", {"delivery": "paper"}, "statement.delivery_chosen.v1",
     {"delivery": "paper"}),
    ("Form Submitted", {"form_id": "f", "fields": {"a": 1}}, "form.submitted.v1",
     {"form_id": "f", "fields": {"a": 1}}),
    ("Visit Scheduled", VISIT, "visit.scheduled.v1", VISIT),
    ("Visit Completed", {**VISIT, "rep_id": "ag"}, "visit.completed.v1", {**VISIT, "agent": "ag"}),
    ("Visit Cancelled", VISIT, "visit.cancelled.v1", VISIT),
    ("Social Message Received", POST, "social.message_received.v1", POST),
    ("Social Message Sent", POST, "social.message_sent.v1", POST),
    ("Social Mention Observed", POST, "social.mentioned.v1", POST),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "properties", "type_name", "data"), EXAMPLES, ids=[name for name, *_ in EXAMPLES]
)
def test_an_event_with_a_meaning_is_that_touchpoint(
    name: str, properties: dict[str, Any], type_name: str, data: dict[str, Any]
) -> None:
    event = one(track(name, **properties))
    found = event["data"]
    extra = found.pop("extra", {})
    assert (event["type"], found) == (type_name, data)
    told = json.dumps([found, extra, name])
    for value in _scalars(properties):
        assert str(value).lower() in told.lower()


def _scalars(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [found for inner in value.values() for found in _scalars(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _scalars(inner)]
    return [] if isinstance(value, bool) else [value]


def test_every_table_of_the_mapping_has_an_example() -> None:
    types = {(name.casefold(), type_name) for name, _, type_name, _ in EXAMPLES}
    for table in semantic_mapping().tables:
        assert table.when is not None
        assert table.when.among is not None
        asked = {(name, table.type) for name in table.when.among}
        assert asked & types or "page" in table.when.among, table.label


@pytest.mark.parametrize("name", ["order completed", "ORDER_COMPLETED", " Order  Completed "])
def test_a_name_is_known_however_it_is_written(name: str) -> None:
    assert one(track(name, order_id="A1", total=1))["type"] == "order.completed.v1"


@pytest.mark.parametrize(
    ("name", "properties"),
    [
        ("Order Completed", {"total": 5}),
        ("Order Completed", {"order_id": "A1"}),
        ("Order Completed", {"order_id": "A1", "total": "a lot"}),
        ("Order Completed", {"order_id": "A1", "total": -1}),
        ("Order Completed", {"order_id": "A1", "total": 1e40}),
        ("Order Completed", {"order_id": "A1", "total": 1, "currency": "XXXX"}),
        ("Order Completed", {"order_id": ["A1"], "total": 1}),
        ("Order Updated", {"order_id": "A1", "total": 1}),
        ("Email Opened", {}),
        ("Email Link Clicked", {"email_id": "e1"}),
        ("Call Ended", {"direction": "inbound", "duration_s": 312}),
        ("Chat Started", {"agent": "ag-7"}),
        ("Ticket Status Changed", {"ticket_id": "T1", "to": "thinking"}),
        ("Survey Answered", {"survey_id": "s", "kind": "nps", "score": 11}),
        ("Consent Granted", {"channel": "pigeon", "purpose": "marketing"}),
        ("Referral Made", {"referral_id": "r1", "program": "main", "referee": "bob"}),
        ("Points Redeemed", {"points": 5}),
    ],
)
def test_what_lacks_something_is_tracked_under_its_own_name(
    name: str, properties: dict[str, Any]
) -> None:
    event = one(track(name, **properties))
    assert event["type"] == "event.tracked.v1"
    assert event["data"] == {"name": name} | ({"properties": properties} if properties else {})


@pytest.mark.parametrize(
    "told",
    [
        {"total": -10},
        {"total": "€10"},
        {"total": 10, "currency": "euro"},
        {"total": False},
        {"refundAmount": "10"},
        {"amount": 10},
        {"refund_total": "ten"},
        {"products": [{"product_id": "P1"}]},
        {"products": [{"product_id": "P1", "price": "ten", "quantity": 1}]},
        {"products": "P1"},
        {"product_id": "P1"},
        {"lineItems": [{"id": 7}]},
        {"partial": True},
    ],
)
def test_a_refund_that_is_not_of_all_cancels_nothing(told: dict[str, Any]) -> None:
    sent = track("Order Refunded", order_id="A1", **told)
    assert one(sent)["data"] == {"name": "Order Refunded", "properties": sent["properties"]}


@pytest.mark.parametrize("told", [{"total": None}, {"products": []}, {"reason": "late"}, {}])
def test_a_refund_of_which_nothing_is_told_is_of_all(told: dict[str, Any]) -> None:
    assert one(track("Order Refunded", orderId="A1", **told))["type"] == "order.cancelled.v1"


def test_prices_may_be_texts_and_currencies_in_any_case() -> None:
    bought = [{"price": "9.50", "quantity": "2"}, {"price": 3, "quantity": 1}]
    for told in ({"products": bought}, {"total": "22"}):
        data = one(track("Order Refunded", order_id="A1", currency="eur ", **told))["data"]
        assert data["amount"] == eur("22")
    order = one(track("Order Completed", order_id="A1", total=1, discount=1, currency="Eur"))
    assert order["type"] == "order.completed.v1"
    assert {order["data"][name]["currency"] for name in ("total", "discount")} == {EUR}


@pytest.mark.parametrize(
    ("wrong", "spared"),
    [
        ({"products": [{"sku": "a", "price": 1}]}, "lines"),
        ({"products": [{"sku": "a", "price": "x", "quantity": 1}]}, "lines"),
        ({"products": [{"sku": "a", "price": 1, "quantity": 0.5}]}, "lines"),
        ({"products": ["a", "b"]}, "lines"),
        ({"coupon": {"code": "HI"}}, "coupon"),
        ({"coupon": "x" * 201}, "coupon"),
        ({"discount": "none"}, "discount"),
        ({"coupon": ["a"], "discount": -2, "products": [{}]}, "lines"),
    ],
)
def test_an_order_stands_without_what_is_not_fit_and_keeps_it(
    wrong: dict[str, Any], spared: str
) -> None:
    event = one(track("Order Completed", order_id="A1", total=5, **wrong))
    assert event["type"] == "order.completed.v1"
    assert spared not in event["data"]
    assert wrong.items() <= event["data"]["extra"].items()


def test_a_property_called_as_what_stands_beside_it_is_not_lost() -> None:
    sent = track("Ticket Solved", ticket_id="T1", context="mine", call={"a": 1})
    sent = {**sent, "context": {"ip": "1"}, "channel": "server"}
    assert one(sent)["data"]["extra"] == {
        "context": "mine",
        "call": {"a": 1},
        "_context": {"ip": "1"},
        "_call": {"channel": "server"},
    }


def test_what_brought_the_order_about_is_its_campaign() -> None:
    sent = call(
        "track",
        event="Order Completed",
        properties={"order_id": "A1", "total": 1},
        context={"campaign": {"source": "spring"}},
    )
    assert one(sent)["data"]["traffic_source"] == "spring"


@pytest.mark.parametrize(
    ("told", "amount"),
    [
        ("59.900000000000006", "59.9"),
        ("0.30000000000000004", "0.3"),
        ("12.50", "12.50"),
        ("1e2", "100"),
        ("1.5e-3", "0.0015"),
        ("0.1234567894", "0.123456789"),
        ("7", "7"),
    ],
)
def test_an_amount_has_the_digits_that_were_sent_but_for_those_of_floats(
    told: str, amount: str
) -> None:
    from ledger.rows import WrittenNumber, json_value
    from web.segment.call import Delivery
    from web.segment.calls import touchpoints

    sent = json.dumps(track("Order Completed", order_id="A1", total=0)).replace(
        '"total": 0', f'"total": {told}'
    )
    fields = json_value(sent.encode())
    assert isinstance(fields["properties"]["total"], int | WrittenNumber)
    (raw,) = touchpoints(fields, Delivery(source="shop", content_key=KEY, received_at=0))
    assert json.loads(raw)["data"]["total"]["amount"] == amount


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 9)), min_size=1, max_size=5))
def test_a_refund_in_part_is_what_its_products_cost(bought: list[tuple[int, int]]) -> None:
    products = [{"price": cents / 100, "quantity": count} for cents, count in bought]
    event = one(track("Order Refunded", order_id="A1", products=products))
    total = sum(Decimal(cents) * count / 100 for cents, count in bought)
    if total:
        assert Decimal(event["data"]["amount"]["amount"]) == total


PAGE = Path(__file__).parents[3] / "docs" / "SEGMENT.md"


def test_the_page_names_every_event_that_is_known() -> None:
    cells = [row.split(" | ")[0].casefold() for row in PAGE.read_text("utf-8").splitlines()]
    rows = [set(re.findall("[a-z]+", cell)) for cell in cells if cell.startswith("|")]
    for table in semantic_mapping().tables:
        assert table.when is not None
        for name in table.when.among or ():
            assert any(set(name.split()) <= words for words in rows), name
