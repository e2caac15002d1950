"""Stripe, Shopify, HubSpot and Standard Webhooks: payloads in their shapes become touchpoints."""

import json
from functools import cache
from typing import Any

import pytest

from tests.web.webhooks.signing import Sent
from web.webhooks.connector import load_connector, shipped_path
from web.webhooks.receiving import translated

MOMENT = 1_767_607_200

_loaded = cache(load_connector)


def given(connector: str, body: Any, **headers: str) -> list[dict[str, Any]]:
    """The touchpoints that a body gives, or the reasons why it is kept."""
    path = shipped_path(connector)
    assert path is not None
    sent = Sent(json.dumps(body).encode()).plus(**headers)
    return [
        {"refused": item[1].reason, "path": item[1].path}
        if isinstance(item, tuple)
        else json.loads(b"".join(item.parts()))
        for item in translated(_loaded(path), sent.received(), connector)
    ]


def stripe_event(type_: str, about: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "evt_1", "object": "event", "type": type_, "created": MOMENT,
        "data": {"object": about, **more},
    }  # fmt: skip


CHARGE = {"id": "ch_1", "object": "charge", "amount": 1099, "currency": "eur", "customer": "cus_1"}


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (1099, "eur", ("10.99", "EUR")),
        (5, "usd", ("0.05", "USD")),
        (0, "usd", ("0.00", "USD")),
        (1099, "jpy", ("1099", "JPY")),
        (1090, "kwd", ("1.090", "KWD")),
    ],
)
def test_a_charge_is_a_sale_in_the_units_of_its_currency(
    amount: int, currency: str, written: tuple[str, str]
) -> None:
    about = CHARGE | {"amount": amount, "currency": currency}
    (sale,) = given("stripe", stripe_event("charge.succeeded", about))
    assert sale["type"] == "order.completed.v1"
    assert (sale["id"], sale["subject"]) == ("evt_1", "stripe:cus_1")
    assert sale["time"] == "2026-01-05T10:00:00Z"
    assert sale["data"] == {
        "order_id": "ch_1",
        "total": dict(zip(("amount", "currency"), written, strict=True)),
    }


def test_a_charge_without_a_customer_is_whose_address_it_bears() -> None:
    about = CHARGE | {"customer": None, "billing_details": {"email": "ana@example.com"}}
    (sale,) = given("stripe", stripe_event("charge.succeeded", about))
    assert sale["subject"] == "email:ana@example.com"
    (guest,) = given("stripe", stripe_event("charge.succeeded", CHARGE | {"customer": None}))
    assert (guest["type"], guest["subject"]) == ("order.completed.v1", "stripe_charge:ch_1")


def test_what_is_only_authorised_is_no_sale_until_it_is_captured() -> None:
    held = CHARGE | {"captured": False, "amount_captured": 0}
    (authorised,) = given("stripe", stripe_event("charge.succeeded", held))
    assert (authorised["type"], authorised["subject"]) == ("event.tracked.v1", "stripe:cus_1")
    guest = held | {"customer": None, "receipt_email": "ana@example.com"}
    (authorised,) = given("stripe", stripe_event("charge.succeeded", guest))
    assert (authorised["type"], authorised["subject"]) == (
        "event.tracked.v1",
        "email:ana@example.com",
    )
    given_up = stripe_event("charge.refunded", held | {"amount_refunded": 1099})
    assert [one["type"] for one in given("stripe", given_up)] == ["event.tracked.v1"]

    part = CHARGE | {"captured": True, "amount_captured": 1000}
    (sale,) = given("stripe", stripe_event("charge.captured", part))
    assert sale["type"] == "order.completed.v1"
    assert sale["data"] == {"order_id": "ch_1", "total": {"amount": "10.00", "currency": "EUR"}}
    older = CHARGE | {"captured": True}
    (sale,) = given("stripe", stripe_event("charge.captured", older))
    assert sale["data"]["total"]["amount"] == "10.99"
    (sale,) = given("stripe", stripe_event("charge.succeeded", part | {"amount_captured": 1099}))
    assert (sale["type"], sale["data"]["total"]["amount"]) == ("order.completed.v1", "10.99")


def test_what_lets_its_holder_pay_is_not_kept() -> None:
    secret = {"client_secret": "pi_1_secret_2", "confirmation_secret": {"client_secret": "s"}}
    intent = {"id": "pi_1", "object": "payment_intent", "customer": "cus_1", "status": "new"}
    (tracked,) = given("stripe", stripe_event("payment_intent.payment_failed", intent | secret))
    assert tracked["data"]["name"] == "stripe: payment_intent.payment_failed"
    assert "secret" not in json.dumps(tracked)
    assert tracked["data"]["properties"]["status"] == "new"


def test_refunds_are_told_one_by_one() -> None:
    first = CHARGE | {"amount_refunded": 300}
    (refund,) = given(
        "stripe", stripe_event("charge.refunded", first, previous_attributes={"amount_refunded": 0})
    )
    assert refund["type"] == "order.refunded.v1"
    assert refund["data"] == {"order_id": "ch_1", "amount": {"amount": "3.00", "currency": "EUR"}}
    second = CHARGE | {"amount_refunded": 500}
    before = {"amount_refunded": 300}
    assert given("stripe", stripe_event("charge.refunded", second, previous_attributes=before)) == [
        {"refused": "row", "path": "data.amount.amount"}
    ]
    listed = second | {"refunds": {"data": [{"amount": 200}]}}
    (refund,) = given("stripe", stripe_event("charge.refunded", listed, previous_attributes=before))
    assert refund["data"]["amount"]["amount"] == "2.00"


def test_what_else_stripe_tells() -> None:
    about = {"id": "cus_1", "name": "Ana", "email": "ana@example.com", "phone": None,
             "address": {"country": "IT"}, "preferred_locales": ["it"]}  # fmt: skip
    (described,) = given("stripe", stripe_event("customer.updated", about))
    assert described["subject"] == "stripe:cus_1"
    assert described["data"]["traits"] == {
        "name": "Ana", "email": "ana@example.com", "country": "IT", "language": "it",
    }  # fmt: skip
    nothing: dict[str, Any] = {
        "id": "cus_2",
        "object": "customer",
        "email": None,
        "preferred_locales": [],
    }
    (tracked,) = given("stripe", stripe_event("customer.created", nothing))
    assert (tracked["type"], tracked["subject"]) == ("event.tracked.v1", "stripe:cus_2")
    (tracked,) = given("stripe", stripe_event("invoice.payment_failed", {"customer": "cus_1"}))
    assert tracked["data"]["name"] == "stripe: invoice.payment_failed"
    assert given("stripe", stripe_event("payment_intent.succeeded", CHARGE)) == []
    assert given("stripe", stripe_event("balance.available", {})) == [
        {"refused": "unmapped", "path": ""}
    ]


ORDER = {
    "order_number": 1001, "financial_status": "paid",
    "id": 450, "email": "bob@example.com", "created_at": "2026-01-05T10:00:00-05:00",
    "updated_at": "2026-01-06T10:00:00-05:00", "currency": "USD", "total_price": "409.94",
    "total_discounts": "10.00", "discount_codes": [{"code": "TENOFF", "amount": "10.00"}],
    "source_name": "web", "customer": {"id": 207}, "cancel_reason": None, "cancelled_at": None,
    "line_items": [
        {"id": 1, "product_id": 632, "quantity": 2, "price": "199.00"},
        {"id": 2, "product_id": None, "variant_id": None, "quantity": 1, "price": "11.94"},
    ],
    "refunds": [],
}  # fmt: skip


TOPICS = (
    "orders/create", "orders/updated", "orders/cancelled", "orders/paid", "orders/fulfilled",
    "orders/partially_fulfilled", "checkouts/create", "customers/create", "customers/update",
    "customers_email_marketing_consent/update", "customers_marketing_consent/update",
)  # fmt: skip


def shopify(topic: str, body: Any) -> list[dict[str, Any]]:
    return given("shopify", body, X_Shopify_Topic=topic, X_Shopify_Event_Id="e1")


def test_what_is_not_signed_makes_nothing_new_of_what_is() -> None:
    """Topic and event id are headers: another one may be put beside a body that was intercepted."""

    def told(body: Any) -> list[dict[str, Any]]:
        known: dict[str, dict[str, Any]] = {}
        for topic in TOPICS:
            for event in ("e1", "e2"):
                for one in given("shopify", body, X_Shopify_Topic=topic, X_Shopify_Event_Id=event):
                    if "refused" not in one:
                        assert known.setdefault(one["id"], one) == one
        return list(known.values())

    at = "2026-01-07T10:00:00Z"
    assert [one["type"] for one in told(ORDER | {"name": "#1001", "token": "t0"})] == [
        "order.completed.v1",
        "event.tracked.v1",
    ]
    checkout = {"id": 9, "token": "t1", "email": "bob@example.com", "line_items": [],
                "total_price": "5.00", "currency": "USD", "created_at": at, "updated_at": at,
                "total_discounts": "0.00",
                "abandoned_checkout_url": "https://shop.example/9", "completed_at": None,
                }  # fmt: skip
    (begun,) = told(checkout)
    assert (begun["type"], begun["id"]) == ("checkout.started.v1", "checkout-t1")
    person = {"id": 207, "email": "bob@example.com", "updated_at": at,
              "email_marketing_consent": {"state": "subscribed"}}  # fmt: skip
    assert [one["type"] for one in told(person)] == ["customer.described.v1", "consent.granted.v1"]
    assert [one["type"] for one in told({"id": 208, "updated_at": at})] == ["event.tracked.v1"]
    consent = {"customer_id": 207, "email_marketing_consent": {
        "state": "unsubscribed", "consent_updated_at": at}}  # fmt: skip
    assert [one["type"] for one in told(consent)] == ["consent.withdrawn.v1"]


def test_an_order_is_told_when_it_is_made() -> None:
    (sale,) = shopify("orders/create", ORDER)
    assert (sale["id"], sale["subject"]) == ("order-450", "shopify:207")
    assert sale["time"] == "2026-01-05T10:00:00-05:00"
    assert sale["data"] == {
        "order_id": "450",
        "total": {"amount": "409.94", "currency": "USD"},
        "discount": {"amount": "10.00", "currency": "USD"},
        "coupon": "TENOFF",
        "traffic_source": "web",
        "lines": [
            {"product_id": "632", "quantity": 2, "price": {"amount": "199.00", "currency": "USD"}},
            {"product_id": "2", "quantity": 1, "price": {"amount": "11.94", "currency": "USD"}},
        ],
    }
    (guest,) = shopify("orders/create", ORDER | {"customer": None})
    assert guest["subject"] == "email:bob@example.com"


def test_an_order_of_nobody_counts_and_one_of_the_test_gateway_does_not() -> None:
    till = ORDER | {"customer": None, "email": ""}
    (by_phone,) = shopify("orders/create", till | {"phone": "+393331234567"})
    assert by_phone["subject"] == "phone:+393331234567"
    (by_order,) = shopify("orders/create", till)
    assert by_order["subject"] == "shopify_order:450"
    refund = {"id": 1, "order_id": 450, "amount": "1.00", "currency": "USD", "kind": "refund",
              "status": "success", "created_at": "2026-01-06T10:00:00-05:00"}  # fmt: skip
    refunded = till | {"refunds": [{"id": 9, "transactions": [refund]}]}
    assert shopify("orders/updated", refunded)[0]["subject"] == "shopify_order:450"
    for topic in ("orders/create", "orders/paid", "orders/cancelled", "orders/updated"):
        assert shopify(topic, refunded | {"test": True}) == []


def test_refunds_come_with_the_order_and_each_once() -> None:
    def transaction(id_: int, amount: str, **more: str) -> dict[str, Any]:
        return {"id": id_, "order_id": 450, "amount": amount, "currency": "USD",
                "kind": "refund", "status": "success",
                "created_at": "2026-01-06T10:00:00-05:00", **more}  # fmt: skip

    assert shopify("orders/updated", ORDER) == []
    refunds = [
        {"id": 9, "transactions": [transaction(1, "10.00"), transaction(2, "1.00", status="error")]}
    ]
    (first,) = shopify("orders/updated", ORDER | {"refunds": refunds})
    assert (first["id"], first["subject"]) == ("refund-1", "shopify:207")
    assert first["data"] == {"order_id": "450", "amount": {"amount": "10.00", "currency": "USD"}}
    refunds.append({"id": 10, "transactions": [transaction(3, "5.00")]})
    again, second = shopify("orders/updated", ORDER | {"refunds": refunds})
    assert again == first
    assert second["id"] == "refund-3"
    assert shopify("refunds/create", {"id": 10, "order_id": 450}) == []


def test_what_else_shopify_tells() -> None:
    (cancelled,) = shopify("orders/cancelled", ORDER | {
        "cancel_reason": "fraud", "cancelled_at": "2026-01-07T10:00:00-05:00",
    })  # fmt: skip
    assert cancelled["data"] == {"order_id": "450", "reason": "fraud"}
    (described,) = shopify("customers/update", {
        "id": 207, "email": "bob@example.com", "first_name": "Bob", "last_name": None,
        "updated_at": "2026-01-07T10:00:00Z", "default_address": {"country_code": "US"},
    })  # fmt: skip
    assert described["data"]["traits"] == {
        "name": "Bob", "email": "bob@example.com", "country": "US",
    }  # fmt: skip
    for state, type_ in (("subscribed", "consent.granted.v1"),
                         ("unsubscribed", "consent.withdrawn.v1")):  # fmt: skip
        (consent,) = shopify("customers_email_marketing_consent/update", {
            "customer_id": 207, "email_marketing_consent": {
                "state": state, "consent_updated_at": "2026-01-07T10:00:00Z",
            },
        })  # fmt: skip
        assert (consent["type"], consent["subject"]) == (type_, "shopify:207")
    (paid,) = shopify("orders/paid", ORDER | {"name": "#1"})
    assert paid["data"]["name"] == "shopify: orders/paid"
    nothing = {"id": 208, "email": None, "updated_at": "2026-01-07T10:00:00Z"}
    (tracked,) = shopify("customers/create", nothing)
    assert (tracked["type"], tracked["subject"]) == ("event.tracked.v1", "shopify:208")
    assert shopify("customers/redact", {"customer": {"id": 207}})[0]["refused"] == "unmapped"


@pytest.mark.parametrize(
    ("consents", "channels"),
    [
        ({"email_marketing_consent": {"state": "subscribed", "consent_updated_at": None}},
         ["email"]),
        ({"email_marketing_consent": {"state": "subscribed"},
          "sms_marketing_consent": {"state": "subscribed"}}, ["email", "sms"]),
        ({"email_marketing_consent": {"state": "not_subscribed"}, "accepts_marketing": True,
          "sms_marketing_consent": None}, []),
        ({"accepts_marketing": True}, ["email"]),
        ({"accepts_marketing": False}, []),
    ],
)  # fmt: skip
def test_who_comes_may_consent_on_the_way_in(consents: dict[str, Any], channels: list[str]) -> None:
    came = {"id": 207, "email": "bob@example.com", "updated_at": "2026-01-07T10:00:00Z"} | consents
    described, *granted = shopify("customers/create", came)
    assert described["type"] == "customer.described.v1"
    assert [
        (one["type"], one["subject"], one["time"], one["data"]["channel"]) for one in granted
    ] == [
        ("consent.granted.v1", "shopify:207", "2026-01-07T10:00:00Z", channel)
        for channel in channels
    ]
    assert len({one["id"] for one in [described, *granted]}) == 1 + len(channels)
    assert [one["type"] for one in shopify("customers/update", came)] == ["customer.described.v1"]


def test_consent_to_texts_and_one_without_a_time_of_its_own() -> None:
    body = {"id": 207, "phone": "+15005550006", "sms_marketing_consent": {"state": "unsubscribed"}}
    (consent,) = given(
        "shopify", body, X_Shopify_Topic="customers_marketing_consent/update",
        X_Shopify_Event_Id="e1", X_Shopify_Triggered_At="2026-01-07T10:00:00Z",
    )  # fmt: skip
    assert (consent["type"], consent["subject"]) == ("consent.withdrawn.v1", "shopify:207")
    assert (consent["data"]["channel"], consent["time"]) == ("sms", "2026-01-07T10:00:00Z")


def hubspot(**event: Any) -> list[dict[str, Any]]:
    common = {"eventId": 1, "portalId": 2, "appId": 3, "attemptNumber": 0,
              "occurredAt": MOMENT * 1_000, "objectId": 5}  # fmt: skip
    return given("hubspot", [common | event])


def test_a_contact_is_described_by_what_changes() -> None:
    change = {"subscriptionType": "contact.propertyChange"}
    (email,) = hubspot(propertyName="email", propertyValue="ana@example.com", **change)
    assert (email["type"], email["subject"]) == ("customer.described.v1", "hubspot:5")
    assert email["data"]["traits"] == {"email": "ana@example.com"}
    (stage,) = hubspot(propertyName="lifecyclestage", propertyValue="lead", **change)
    assert stage["data"]["traits"]["segment"] == "lead"
    (name,) = hubspot(propertyName="firstname", propertyValue="Ana", **change)
    assert name["data"]["traits"]["custom"] == {"firstname": "Ana"}
    (other,) = hubspot(propertyName="hs_score", propertyValue="7", **change)
    assert other["type"] == "event.tracked.v1"
    (emptied,) = hubspot(propertyName="email", propertyValue="", **change)
    assert emptied["type"] == "event.tracked.v1"


def test_an_attempt_more_is_the_same_event() -> None:
    first = hubspot(subscriptionType="contact.creation")
    assert hubspot(subscriptionType="contact.creation", attemptNumber=3) == first
    assert first[0]["data"]["properties"] == {"portalId": 2, "appId": 3}


def test_contacts_that_are_merged_are_linked() -> None:
    links = hubspot(subscriptionType="contact.merge", primaryObjectId=5, mergedObjectIds=[6, 7])
    assert [(link["subject"], link["data"]["other"]) for link in links] == [
        ("hubspot:5", "hubspot:6"),
        ("hubspot:5", "hubspot:7"),
    ]
    links = hubspot(
        subscriptionType="contact.merge", primaryObjectId=5, mergedObjectIds=[6], newObjectId=9
    )
    assert [link["data"]["other"] for link in links] == ["hubspot:6", "hubspot:9"]
    same = {"subscriptionType": "contact.merge", "primaryObjectId": 5, "mergedObjectIds": [6]}
    assert len(hubspot(newObjectId=5, **same)) == 1
    assert hubspot(subscriptionType="deal.creation") == [{"refused": "unmapped", "path": ""}]


def test_two_associations_of_one_moment_are_two() -> None:
    def association(to: int) -> dict[str, Any]:
        return {"subscriptionType": "contact.associationChange", "fromObjectId": 5,
                "toObjectId": to, "eventId": 1, "occurredAt": MOMENT * 1_000}  # fmt: skip

    first, second = given("hubspot", [association(8), association(9)])
    assert first["subject"] == second["subject"] == "hubspot:5"
    assert first["id"] != second["id"]
    assert first["data"] == {
        "name": "hubspot: contact.associationChange", "properties": {"toObjectId": 8},
    }  # fmt: skip


def test_generic_subscriptions_tell_of_contacts_as_well() -> None:
    change = {"subscriptionType": "object.propertyChange", "propertyName": "email",
              "propertyValue": "ana@example.com"}  # fmt: skip
    (email,) = hubspot(objectTypeId="0-1", **change)
    assert (email["type"], email["subject"]) == ("customer.described.v1", "hubspot:5")
    assert hubspot(objectTypeId="0-2", **change) == [{"refused": "unmapped", "path": ""}]
    (made,) = hubspot(subscriptionType="object.creation", objectTypeId="0-1")
    assert made["data"]["name"] == "hubspot: object.creation"
    (link,) = hubspot(
        subscriptionType="object.merge", objectTypeId="0-1", primaryObjectId=5, mergedObjectIds=[6]
    )
    assert link["type"] == "customer.linked.v1"


@pytest.mark.parametrize("kind", [{}, {"objectTypeId": "0-5"}])
def test_tickets_count_though_hubspot_does_not_say_whose_they_are(kind: dict[str, str]) -> None:
    name = "object" if kind else "ticket"
    change = kind | {"subscriptionType": f"{name}.propertyChange"}
    told = [
        *hubspot(subscriptionType=f"{name}.creation", **kind),
        *hubspot(propertyName="hs_ticket_priority", propertyValue="MEDIUM", **change),
        *hubspot(propertyName="hubspot_owner_id", propertyValue="77", **change),
        *hubspot(propertyName="hs_pipeline_stage", propertyValue="4", **change),
    ]
    assert {one["subject"] for one in told} == {"hubspot_ticket:5"}
    assert [(one["type"], one["data"]) for one in told] == [
        ("ticket.opened.v1", {"ticket_id": "5"}),
        ("ticket.priority_changed.v1", {"ticket_id": "5", "priority": "normal"}),
        ("ticket.assigned.v1", {"ticket_id": "5", "assignee": "77"}),
        ("ticket.status_changed.v1", {"ticket_id": "5", "status": "closed"}),
    ]
    (merged,) = hubspot(
        subscriptionType=f"{name}.merge", primaryObjectId=5, mergedObjectIds=[6], **kind
    )
    assert (merged["type"], merged["subject"]) == ("ticket.merged.v1", "hubspot_ticket:6")
    assert merged["data"] == {"ticket_id": "6", "into_ticket_id": "5"}
    for kept in (
        {"propertyName": "subject", "propertyValue": "Broken"},  # personal, and nobody's
        {"propertyName": "hs_pipeline_stage", "propertyValue": "90210"},
    ):
        assert hubspot(**kept, **change) == [{"refused": "unmapped", "path": ""}]


@pytest.mark.parametrize(
    ("data", "subject"),
    [
        ({"customer_id": 42}, "customer:42"),
        ({"user_id": "u1"}, "customer:u1"),
        ({"email": "ana@example.com"}, "email:ana@example.com"),
    ],
)
def test_any_sender_of_standard_webhooks_is_understood(data: dict[str, Any], subject: str) -> None:
    body = {"type": "invoice.paid", "timestamp": "2026-01-05T10:00:00Z", "data": data}
    (tracked,) = given("standard_webhooks", body, webhook_id="msg_1")
    assert (tracked["id"], tracked["subject"]) == ("msg_1", subject)
    assert tracked["data"] == {"name": "invoice.paid", "properties": data}
