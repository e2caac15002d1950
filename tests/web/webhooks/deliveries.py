"""One delivery of each vendor, written by hand in its shape; each gives at least a touchpoint."""

import json
from typing import Any
from urllib.parse import urlencode

from tests.web.webhooks.signing import FORM, Sent

MOMENT = 1_767_607_200
TEN = "2026-01-05T10:00:00Z"
ANA = "ana@example.com"


def _json(body: Any, **headers: str) -> Sent:
    return Sent(json.dumps(body).encode(), headers={"Content-Type": "application/json"}).plus(
        **headers
    )


def _form(**fields: str) -> Sent:
    return Sent(urlencode(fields).encode(), headers={"Content-Type": FORM})


_CONTACT = {"id": 9, "name": "Ana", "email": ANA, "type": "contact"}

DELIVERIES: dict[str, Sent] = {
    "stripe": _json({
        "id": "evt_1", "type": "charge.succeeded", "created": MOMENT,
        "data": {"object": {"id": "ch_1", "amount": 1099, "currency": "eur", "customer": "cus_1"}},
    }),
    "shopify": _json({
        "id": 207, "email": ANA, "updated_at": TEN, "first_name": "Ana",
        "email_marketing_consent": {"state": "subscribed"},
    }, X_Shopify_Topic="customers/create", X_Shopify_Event_Id="e1"),
    "hubspot": _json([
        {"eventId": 1, "subscriptionType": "contact.propertyChange", "objectId": 5,
         "propertyName": "email", "propertyValue": ANA, "occurredAt": MOMENT * 1_000},
        {"eventId": 2, "subscriptionType": "contact.merge", "primaryObjectId": 5,
         "mergedObjectIds": [6, 7], "newObjectId": 8, "occurredAt": MOMENT * 1_000},
    ]),
    "standard_webhooks": _json({"type": "shipped", "timestamp": TEN, "data": {"customer_id": 4}}),
    "sendgrid": _json([
        {"email": ANA, "timestamp": MOMENT, "event": event, "sg_event_id": event,
         "sg_message_id": "m1.filter-1"}
        for event in ("processed", "delivered", "open")
    ]),
    "mandrill": _form(mandrill_events=json.dumps([
        {"event": event, "_id": "m1", "ts": MOMENT,
         "msg": {"_id": "m1", "email": ANA, "subject": "Hello", "ts": MOMENT}}
        for event in ("send", "open")
    ])),
    "mailchimp": _form(**{
        "type": "unsubscribe", "fired_at": "2026-01-05 10:00:00", "data[list_id]": "L1",
        "data[email]": ANA, "data[reason]": "manual", "data[campaign_id]": "c1",
    }),
    "postmark": _json({
        "RecordType": "Open", "MessageID": "m1", "Recipient": ANA, "ReceivedAt": TEN,
    }),
    "mailjet": _json([{
        "event": "sent", "time": MOMENT, "MessageID": 19421777835146490, "email": ANA,
    }]),
    "amazon_ses": _json({
        "eventType": "Send", "send": {},
        "mail": {"timestamp": TEN, "messageId": "m1", "destination": [ANA, "bo@example.com"]},
    }),
    "brevo": _json({
        "event": "delivered", "email": ANA, "id": 26224, "date": "2026-01-05 11:00:00",
        "message-id": "<m1@relay.example>", "ts_epoch": MOMENT * 1_000,
    }),
    "sparkpost": _json([{"msys": {"message_event": {
        "type": "delivery", "event_id": "923", "message_id": "m1", "rcpt_to": ANA,
        "timestamp": str(MOMENT),
    }}}]),
    "intercom": _json({
        "type": "notification_event", "id": "notif_1", "topic": "conversation.user.created",
        "created_at": MOMENT, "delivery_attempts": 1,
        "data": {"item": {
            "type": "conversation", "id": "900", "created_at": MOMENT,
            "contacts": {"contacts": [{"type": "contact", "id": "c9"}]},
        }},
    }),
    "zendesk": _json({
        "id": "z1", "type": "zen:event-type:ticket.status_changed", "time": TEN,
        "detail": {"id": "55", "requester_id": "9"},
        "event": {"current": "SOLVED", "previous": "OPEN"},
    }),
    "freshdesk": _json({"freshdesk_webhook": {
        "triggered_event": "{ticket_action:created}", "ticket_id": 11, "ticket_subject": "Broken",
        "requester_email": ANA, "updated_at": TEN,
    }}),
    "livechat": _json({
        "webhook_id": "w", "secret_key": "s", "action": "incoming_chat",
        "payload": {"chat": {
            "id": "C1", "users": [{"id": "u1", "type": "customer", "email": ANA}],
            "thread": {"id": "T1", "created_at": TEN, "events": []},
        }},
    }),
    "twilio": _form(
        CallSid="CA1", CallStatus="completed", Direction="inbound", From="+15005550006",
        To="+15005550001", CallDuration="61", Timestamp="Mon, 05 Jan 2026 10:00:00 +0000",
    ),
    "whatsapp": _json({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{
        "field": "messages", "value": {
            "messaging_product": "whatsapp",
            "messages": [{
                "from": "393331234567", "id": f"wamid.{n}", "timestamp": str(MOMENT),
                "type": "text", "text": {"body": "Ciao"},
            } for n in range(2)],
        },
    }]}]}),
    "customerio": _json({
        "event_id": "E1", "object_type": "email", "metric": "sent", "timestamp": MOMENT,
        "data": {"customer_id": "42", "delivery_id": "D", "recipient": ANA, "subject": "News"},
    }),
    "ga4": _json({
        "client_id": "1.2", "user_id": "42", "timestamp_micros": MOMENT * 1_000_000,
        "events": [{"name": "level_up"}, {"name": "level_up"}],
    }),
    "zammad": _json({
        "ticket": {
            "id": 81, "number": "10081", "title": "Broken", "customer_id": 8, "state": "open",
            "priority": {"name": "3 high"}, "article_count": 1, "created_at": TEN,
            "updated_at": TEN, "customer": {"id": 8, "email": ANA},
        },
    }),
    "chatwoot": _json({
        "event": "message_created", "id": 70, "content": "Hi", "message_type": "incoming",
        "private": False, "created_at": TEN, "sender": _CONTACT,
        "conversation": {"id": 5, "meta": {"sender": _CONTACT}},
    }),
}  # fmt: skip
