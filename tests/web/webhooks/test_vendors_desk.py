"""What help desks, chats, telephony and analytics tell becomes the right touchpoints.

Bodies are written here in the shape that each vendor documents.
"""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from schemas.fields import rfc3339
from tests.ledger.sending import NOW, SECOND
from web.webhooks.connector import load_connector, shipped_path
from web.webhooks.delivery import Delivery
from web.webhooks.payload import TRIAL_KEY, digest_of
from web.webhooks.receiving import translated

RECEIVED = rfc3339(NOW)
"""The time of what is told without one."""

VENDORS = ("intercom", "zendesk", "freshdesk", "livechat", "twilio", "whatsapp", "customerio",
           "ga4", "zammad", "chatwoot")  # fmt: skip

Told = tuple[str, str, str, str, dict[str, Any]]
"""Type, id, subject, time and data of a touchpoint."""


def told(
    connector: str,
    body: Any,
    *,
    headers: dict[str, str] | None = None,
    url: str = "https://crm.example.com/v1/webhooks/it",
    at: int = NOW,
) -> list[Any]:
    """The touchpoints that a body gives; of what is kept in quarantine, just the reason."""
    path = shipped_path(connector)
    assert path is not None
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    delivery = Delivery(method="POST", url=url, headers=headers or {}, body=raw, at=at)
    made: list[Any] = []
    for item in translated(load_connector(path), delivery, connector):
        if isinstance(item, tuple):
            made.append(item[1].reason)
        else:
            event = json.loads(b"".join(item.parts()))
            made.append(tuple(event[k] for k in ("type", "id", "subject", "time", "data")))
    return made


def form(**fields: str) -> tuple[bytes, dict[str, str]]:
    return urlencode(fields).encode(), {"content-type": "application/x-www-form-urlencoded"}


# Intercom


def notification(topic: str, item: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "notification_event",
        "id": "notif_1",
        "topic": topic,
        "created_at": 1_767_607_200,
        "delivery_attempts": 1,
        "data": {"type": "notification_event_data", "item": item},
    }


def conversation(**more: Any) -> dict[str, Any]:
    return {
        "type": "conversation",
        "id": "900",
        "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "c9"}]},
        **more,
    }


def part(**more: Any) -> dict[str, Any]:
    one = {"id": "p1", "created_at": 1_767_607_190, "author": {"type": "admin", "id": "7"}, **more}
    return {"conversation_parts": {"conversation_parts": [one]}}


def test_intercom_conversation_begins() -> None:
    first = {
        "id": "m1",
        "body": "<p>Hello?</p>",
        "url": "https://shop.example/cart",
        "author": {"type": "user", "id": "c9", "name": "Ada", "email": "ada@example.com"},
    }
    when = "2026-01-05T10:00:00Z"
    body = notification("conversation.user.created", conversation(source=first))
    assert told("intercom", body) == [
        ("chat.started.v1", "notif_1", "intercom:c9", when,
         {"conversation_id": "900", "page": "https://shop.example/cart"}),
        ("chat.message_posted.v1", "notif_1-message", "intercom:c9", when,
         {"conversation_id": "900", "message_id": "m1", "author": "customer",
          "text": "<p>Hello?</p>"}),
        ("customer.described.v1", "notif_1-customer", "intercom:c9", when,
         {"traits": {"name": "Ada", "email": "ada@example.com"}}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "item", "types", "data"),
    [
        (
            "conversation.admin.replied",
            conversation(**part(body="Yes")),
            ["chat.message_posted.v1"],
            {"conversation_id": "900", "message_id": "p1", "author": "agent", "agent": "7",
             "text": "Yes"},
        ),
        (
            "conversation.admin.replied",
            conversation(**part(body="Beep", author={"type": "bot", "id": "1"})),
            ["chat.message_posted.v1"],
            {"conversation_id": "900", "message_id": "p1", "author": "bot", "text": "Beep"},
        ),
        (
            "conversation.admin.assigned",
            conversation(**part(assigned_to={"type": "admin", "id": "8"})),
            ["chat.handed_off.v1"],
            {"conversation_id": "900", "to_agent": "8"},
        ),
        (
            "conversation.admin.assigned",
            conversation(**part(assigned_to={"type": "nobody_admin", "id": None})),
            ["event.tracked.v1"],
            None,
        ),
        (
            "conversation.admin.closed",
            conversation(**part(body="Bye")),
            ["chat.message_posted.v1", "chat.ended.v1"],
            {"conversation_id": "900"},
        ),
        (
            "conversation.rating.added",
            conversation(conversation_rating={"rating": 4, "remark": "quick"}),
            ["survey.answered.v1"],
            {"survey_id": "intercom conversation rating", "kind": "csat", "score": 4,
             "about": "900", "comment": "quick"},
        ),
        (
            "contact.user.created",
            {"type": "contact", "role": "user", "id": "c9", "external_id": "42", "name": "Ada",
             "location": {"country": "Italy"}},
            ["customer.described.v1", "customer.linked.v1"],
            {"other": "customer:42"},
        ),
        (
            "contact.unsubscribed",
            {"type": "contact", "id": "c9", "email": "ada@example.com"},
            ["consent.withdrawn.v1"],
            {"channel": "email", "purpose": "marketing"},
        ),
        (
            "ticket.created",
            {"type": "ticket", "id": "t1", "contacts": {"contacts": [{"id": "c9"}]},
             "ticket_attributes": {"_default_title_": "Broken"}, "team_assignee_id": 0},
            ["ticket.opened.v1"],
            None,
        ),
        (
            "ticket.state.updated",
            {"type": "ticket", "id": "t1", "contacts": {"contacts": [{"id": "c9"}]},
             "ticket_state": "waiting_on_customer"},
            ["ticket.status_changed.v1"],
            {"ticket_id": "t1", "status": "pending"},
        ),
        ("contact.deleted", {"type": "contact", "id": "c9", "email": "ada@example.com"},
         ["event.tracked.v1"], None),
        ("ping", {"type": "ping"}, [], None),
    ],
)  # fmt: skip
def test_intercom_topics(
    topic: str, item: dict[str, Any], types: list[str], data: dict[str, Any] | None
) -> None:
    made = told("intercom", notification(topic, item))
    assert [one[0] for one in made] == types
    assert all(one[2] == "intercom:c9" for one in made)
    assert data is None or made[-1][4] == data


def test_intercom_company_is_nobody_in_particular() -> None:
    assert told("intercom", notification("company.created", {"type": "company", "id": "1"})) == [
        "unmapped"
    ]


# Zendesk


def zendesk(kind: str, event: dict[str, Any], **detail: Any) -> dict[str, Any]:
    return {
        "id": "z1",
        "type": f"zen:event-type:{kind}",
        "time": "2026-01-05T10:00:00.123456789Z",
        "subject": "zen:ticket:55",
        "detail": {"id": "55", "requester_id": "9", "group_id": "3", **detail},
        "event": event,
    }


@pytest.mark.parametrize(
    ("body", "kind", "data"),
    [
        (
            zendesk("ticket.created", {}, subject="Help", priority="URGENT", type="PROBLEM",
                    via={"channel": "email"}),
            "ticket.opened.v1",
            {"ticket_id": "55", "channel": "email", "kind": "incident", "priority": "urgent",
             "title": "Help", "team": "3", "extra": {"requester_id": "9"}},
        ),
        (
            zendesk("ticket.status_changed", {"current": "HOLD", "previous": "OPEN"}),
            "ticket.status_changed.v1",
            {"ticket_id": "55", "status": "on_hold"},
        ),
        (
            zendesk("ticket.priority_changed", {"current": "LOW", "previous": "HIGH"}),
            "ticket.priority_changed.v1",
            {"ticket_id": "55", "priority": "low"},
        ),
        (
            zendesk("ticket.agent_assignment_changed", {"current": 12, "previous": None}),
            "ticket.assigned.v1",
            {"ticket_id": "55", "assignee": "12", "team": "3"},
        ),
        (
            zendesk("ticket.agent_assignment_changed", {"current": None, "previous": "12"},
                    group_id=None),
            "ticket.assigned.v1",
            {"ticket_id": "55"},
        ),
        (
            zendesk("ticket.comment_added", {"comment": {"id": "5", "body": "Look", "is_public":
                    False, "author": {"id": "12", "is_staff": True}}}),
            "ticket.commented.v1",
            {"ticket_id": "55", "public": False, "text": "Look", "author": "agent",
             "agent": "12", "extra": {"comment_id": "5"}},
        ),
        (
            zendesk("ticket.comment_added", {"comment": {"id": "5", "body": "Look", "is_public":
                    True, "author": {"id": 9}}}),
            "ticket.commented.v1",
            {"ticket_id": "55", "public": True, "text": "Look", "author": "customer",
             "extra": {"comment_id": "5"}},
        ),
        (
            zendesk("ticket.tags_changed", {"tags_added": ["vip"]}),
            "event.tracked.v1",
            {"name": "zen:event-type:ticket.tags_changed", "properties": {
                "ticket": {"id": "55", "requester_id": "9", "group_id": "3"},
                "change": {"tags_added": ["vip"]}}},
        ),
    ],
)  # fmt: skip
def test_zendesk_tickets(body: dict[str, Any], kind: str, data: dict[str, Any]) -> None:
    assert told("zendesk", body) == [(kind, "z1", "zendesk:9", "2026-01-05T10:00:00.123456Z", data)]


def test_zendesk_messages_meet_their_requester_in_the_ticket() -> None:
    message = {"actor": {"type": "end_user", "id": "u"}, "message": {"id": "m", "body": "Hi"}}
    spoken = told("zendesk", zendesk("messaging_ticket.message_added", message, requester_id=None))
    opened = told("zendesk", zendesk("ticket.created", {}, via={"channel": "native_messaging"}))
    assert [(one[0], one[2]) for one in spoken] == [("chat.message_posted.v1", "zendesk_ticket:55")]
    assert opened[1][0] == "customer.linked.v1"
    assert (opened[1][2], opened[1][4]) == ("zendesk:9", {"other": "zendesk_ticket:55"})


def test_zendesk_users_and_what_is_nobodys() -> None:
    user = zendesk("user.created", {}, email="ada@example.com", external_id="42", role="end-user")
    assert [(one[0], one[2]) for one in told("zendesk", user)] == [
        ("customer.described.v1", "zendesk:55"),
        ("customer.linked.v1", "zendesk:55"),
    ]
    assert told("zendesk", zendesk("user.created", {}, role="agent")) == []
    assert told("zendesk", zendesk("organization.created", {}, requester_id=None)) == ["unmapped"]


# Freshdesk


def freshdesk(event: str, **more: str) -> dict[str, Any]:
    ticket = {"ticket_id": 11, "ticket_subject": "Broken", "requester_email": "ada@example.com"}
    return {"freshdesk_webhook": {"triggered_event": event, **ticket, **more}}


def test_freshdesk_ticket_is_opened() -> None:
    body = freshdesk(
        "{ticket_action:created}",
        ticket_priority="Medium",
        ticket_type="Question",
        requester_name="Ada",
        updated_at="2026-01-05T10:00:00Z",
    )
    assert told("freshdesk", body) == [
        ("ticket.opened.v1", "ticket-11-opened", "email:ada@example.com", "2026-01-05T10:00:00Z",
         {"ticket_id": "11", "kind": "question", "priority": "normal", "title": "Broken",
          "extra": {"type": "Question"}}),
        ("customer.described.v1", "ticket-11-requester", "email:ada@example.com",
         "2026-01-05T10:00:00Z", {"traits": {"name": "Ada", "email": "ada@example.com"}}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "kind", "data"),
    [
        ("{status:{from:2,to:4}}", "ticket.status_changed.v1", {"status": "solved"}),
        ("{priority:{from:1,to:4}}", "ticket.priority_changed.v1", {"priority": "urgent"}),
        ("{group_id:{from:--,to:5}}", "ticket.assigned.v1", {"team": "Repairs"}),
        ("{note_type:private}", "ticket.commented.v1", {"author": "agent", "public": False}),
        ("{ticket_type:{from:a,to:b}}", "event.tracked.v1", None),
    ],
)
def test_freshdesk_changes(event: str, kind: str, data: dict[str, Any] | None) -> None:
    (made,) = told("freshdesk", freshdesk(event, ticket_group_name="Repairs"))
    assert (made[0], made[2], made[3]) == (kind, "email:ada@example.com", RECEIVED)
    assert data is None or made[4] == {"ticket_id": "11", **data}


def test_freshdesk_changes_of_two_things_at_once_and_statuses_of_ones_own() -> None:
    both = told("freshdesk", freshdesk("{status:{from:2,to:5},priority:{from:1,to:2}}"))
    assert [one[0] for one in both] == ["ticket.status_changed.v1", "ticket.priority_changed.v1"]
    assert told("freshdesk", freshdesk("{status:{from:2,to:12}}")) == ["row"]


# LiveChat

ADA = "b7eff798-f8df-4364-8059-649c35c9ed0c"


def livechat(action: str, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"webhook_id": "w", "secret_key": "s", "action": action, "payload": payload, **more}


def test_livechat_chat_begins_with_a_message() -> None:
    said = {"id": "T1_1", "type": "message", "text": "Hi", "author_id": ADA,
            "created_at": "2026-01-05T10:00:01.5Z"}  # fmt: skip
    chat = {
        "id": "C1",
        "users": [
            {"id": "agent@shop.example", "type": "agent"},
            {"id": ADA, "type": "customer", "name": "Ada", "email": "ada@example.com"},
        ],
        "thread": {"id": "T1", "created_at": "2026-01-05T10:00:00Z",
                   "events": [said, {"id": "T1_2", "type": "system_message"}]},
    }  # fmt: skip
    assert told("livechat", livechat("incoming_chat", {"chat": chat})) == [
        ("chat.started.v1", "T1-started", f"livechat:{ADA}", "2026-01-05T10:00:00Z",
         {"conversation_id": "T1", "extra": {"chat_id": "C1"}}),
        ("customer.described.v1", "T1-customer", f"livechat:{ADA}", "2026-01-05T10:00:00Z",
         {"traits": {"name": "Ada", "email": "ada@example.com"}}),
        ("customer.linked.v1", "T1-link", f"livechat:{ADA}", "2026-01-05T10:00:00Z",
         {"other": "livechat_chat:C1"}),
        ("chat.message_posted.v1", "T1-T1_1", f"livechat:{ADA}", "2026-01-05T10:00:01.500000Z",
         {"conversation_id": "T1", "message_id": "T1_1", "author": "customer", "text": "Hi"}),
    ]  # fmt: skip


def test_livechat_messages_of_agents_know_the_customer_by_who_is_there() -> None:
    event = {"id": "T1_3", "type": "message", "text": "Yes", "visibility": "all",
             "author_id": "agent@shop.example", "created_at": "2026-01-05T10:00:09Z"}  # fmt: skip
    body = livechat("incoming_event", {"chat_id": "C1", "thread_id": "T1", "event": event})
    there = {"chat_presence_user_ids": ["agent@shop.example", ADA]}
    expected = {"conversation_id": "T1", "message_id": "T1_3", "author": "agent",
                "agent": "agent@shop.example", "text": "Yes"}  # fmt: skip
    for more, subject in (
        ({"additional_data": there}, f"livechat:{ADA}"),
        ({}, "livechat_chat:C1"),
    ):
        ((kind, id_, whose, when, data),) = told("livechat", {**body, **more})
        assert (kind, id_, whose, when) == (
            "chat.message_posted.v1", "T1-T1_3", subject, "2026-01-05T10:00:09Z")  # fmt: skip
        assert data == expected


@pytest.mark.parametrize(
    ("action", "payload", "types"),
    [
        ("chat_deactivated", {"user_id": ADA}, ["chat.ended.v1"]),
        ("chat_transferred", {"transferred_to": {"agent_ids": ["b@shop.example"]}},
         ["chat.handed_off.v1"]),
        ("chat_transferred", {"transferred_to": {"group_ids": [3]}}, ["event.tracked.v1"]),
        ("thread_tagged", {"tag": "refund"}, ["event.tracked.v1"]),
        ("incoming_event", {"event": {"id": "1", "type": "message", "visibility": "agents",
          "text": "psst", "author_id": "a@shop.example", "created_at": "2026-01-05T10:00:09Z"}},
         ["note.added.v1"]),
        ("incoming_event", {"event": {"id": "1", "type": "system_message"}}, []),
    ],
)  # fmt: skip
def test_livechat_actions(action: str, payload: dict[str, Any], types: list[str]) -> None:
    made = told("livechat", livechat(action, {"chat_id": "C1", "thread_id": "T1", **payload}))
    assert [one[0] for one in made] == types
    assert all(one[2] == "livechat_chat:C1" for one in made)
    assert '"s"' not in json.dumps(made)  # the secret is not kept


# Twilio


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"MessageSid": "SM1", "SmsStatus": "received", "From": "+15005550006", "Body": "Yes",
             "To": "+15005550001"},
            [("sms.replied.v1", "SM1-received", "phone:+15005550006", RECEIVED,
              {"message_id": "SM1", "phone": "+15005550006", "text": "Yes"})],
        ),
        (
            {"MessageSid": "SM2", "MessageStatus": "delivered", "SmsStatus": "delivered",
             "From": "+15005550001", "To": "+15005550006"},
            [("sms.delivered.v1", "SM2-delivered", "phone:+15005550006", RECEIVED,
              {"message_id": "SM2", "phone": "+15005550006"})],
        ),
        (
            {"MessageSid": "SM3", "MessageStatus": "undelivered", "ErrorCode": "30003",
             "From": "+15005550001", "To": "+15005550006"},
            [("sms.failed.v1", "SM3-undelivered", "phone:+15005550006", RECEIVED,
              {"message_id": "SM3", "phone": "+15005550006",
               "extra": {"status": "undelivered", "error_code": "30003"}})],
        ),
        (
            {"MessageSid": "SM4", "SmsStatus": "received", "From": "whatsapp:+15005550006",
             "WaId": "15005550006", "Body": "Hi", "To": "whatsapp:+15005550001"},
            [("social.message_received.v1", "SM4-received", "phone:+15005550006", RECEIVED,
              {"network": "whatsapp", "post_id": "SM4", "text": "Hi"})],
        ),
        (
            {"MessageSid": "SM5", "MessageStatus": "read", "To": "whatsapp:+15005550006",
             "From": "whatsapp:+15005550001"},
            [("event.tracked.v1", "SM5-read", "phone:whatsapp:+15005550006", RECEIVED,
              {"name": "twilio: message read",
               "properties": {"message_id": "SM5", "network": "whatsapp"}})],
        ),
        ({"MessageSid": "SM6", "MessageStatus": "queued", "To": "+15005550006"}, []),
        (
            {"CallSid": "CA1", "CallStatus": "ringing", "Direction": "inbound",
             "From": "+15005550006", "To": "+15005550001"},
            [("call.started.v1", "CA1-started", "phone:+15005550006", RECEIVED,
              {"call_id": "CA1", "direction": "inbound", "phone": "+15005550006"})],
        ),
        (
            {"CallSid": "CA1", "CallStatus": "completed", "Direction": "inbound",
             "From": "+15005550006", "To": "+15005550001", "CallDuration": "61",
             "Timestamp": "Mon, 05 Jan 2026 10:00:00 +0000"},
            [("call.ended.v1", "CA1-ended", "phone:+15005550006", "2026-01-05T10:00:00Z",
              {"call_id": "CA1", "direction": "inbound", "outcome": "answered",
               "duration_seconds": 61, "extra": {"status": "completed"}})],
        ),
        (
            {"CallSid": "CA2", "CallStatus": "no-answer", "Direction": "outbound-api",
             "From": "+15005550001", "To": "+15005550006"},
            [("call.ended.v1", "CA2-ended", "phone:+15005550006", RECEIVED,
              {"call_id": "CA2", "direction": "outbound", "outcome": "failed",
               "duration_seconds": 0, "extra": {"status": "no-answer"}})],
        ),
        (
            {"CallSid": "CA3", "ParentCallSid": "CA1", "CallStatus": "completed",
             "Direction": "outbound-dial", "From": "+15005550006", "To": "+15005550009"},
            [],
        ),
    ],
)  # fmt: skip
def test_twilio(fields: dict[str, str], expected: list[Told]) -> None:
    body, headers = form(**fields)
    assert told("twilio", body, headers=headers) == expected


def test_twilio_stop_takes_consent_away() -> None:
    body, headers = form(
        MessageSid="SM7", SmsStatus="received", From="+15005550006", Body="STOP", OptOutType="STOP"
    )
    assert [one[0] for one in told("twilio", body, headers=headers)] == [
        "sms.replied.v1",
        "consent.withdrawn.v1",
    ]


# WhatsApp


def whatsapp(field: str = "messages", **value: Any) -> dict[str, Any]:
    known = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1"}}
    change = {"field": field, "value": {**known, **value}}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


def test_whatsapp_messages_and_statuses_in_one_delivery() -> None:
    contacts = [{"profile": {"name": "Ada"}, "wa_id": "393331234567"}]
    text = {"from": "393331234567", "id": "wamid.1", "timestamp": "1767607200", "type": "text",
            "text": {"body": "Ciao"}}  # fmt: skip
    read = {"id": "wamid.0", "status": "read", "timestamp": "1767607201",
            "recipient_id": "393331234567"}  # fmt: skip
    sent = {**read, "status": "sent", "pricing": {"category": "service"}}
    made = told("whatsapp", whatsapp(contacts=contacts, messages=[text], statuses=[sent, read]))
    subject = "phone:+393331234567"
    one, none = (digest_of(id_, TRIAL_KEY) for id_ in (b"wamid.1", b"wamid.0"))
    assert made == [
        ("social.message_received.v1", one, subject, "2026-01-05T10:00:00Z",
         {"network": "whatsapp", "post_id": one, "text": "Ciao",
          "extra": {"name": "Ada", "message_id": "wamid.1", "message": {"type": "text"}}}),
        ("social.message_sent.v1", f"{none}-sent", subject, "2026-01-05T10:00:01Z",
         {"network": "whatsapp", "post_id": none,
          "extra": {"message_id": "wamid.0", "category": "service"}}),
        ("event.tracked.v1", f"{none}-read", subject, "2026-01-05T10:00:01Z",
         {"name": "whatsapp: message read", "properties": {"message_id": "wamid.0"}}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            whatsapp(messages=[{"from_user_id": "US.7", "id": "wamid.2", "timestamp": "1767607200",
                                "type": "button", "button": {"text": "Yes"}}]),
            [("social.message_received.v1", "whatsapp:US.7")],
        ),
        (
            whatsapp(messages=[{"from": "393331234567", "id": "wamid.3", "type": "system",
                                "timestamp": "1767607200", "system": {"wa_id": "393337654321"}}]),
            [("customer.linked.v1", "phone:+393331234567")],
        ),
        (
            whatsapp("user_preferences", user_preferences=[
                {"wa_id": "393331234567", "category": "marketing_messages", "value": "stop",
                 "timestamp": 1767607200}]),
            [("consent.withdrawn.v1", "phone:+393331234567")],
        ),
        (
            whatsapp("smb_message_echoes", message_echoes=[
                {"from": "390200000000", "to": "393331234567", "id": "wamid.4", "type": "text",
                 "timestamp": "1767607200", "text": {"body": "Here"}}]),
            [("social.message_sent.v1", "phone:+393331234567")],
        ),
        (whatsapp("message_template_status_update", event="APPROVED"), []),
    ],
)  # fmt: skip
def test_whatsapp_other_fields(body: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    made = told("whatsapp", body)
    assert [(one[0], one[2]) for one in made] == expected
    for one in made:  # what is not encrypted
        assert not any(said in f"{one[1]} {one[4].get('post_id')}" for said in ("wamid", "3933"))


@pytest.mark.parametrize(
    ("connector", "body"),
    [
        ("whatsapp", whatsapp("calls", calls=[{"id": "1"}])),
        *((name, {"hello": "world"}) for name in VENDORS if name != "ga4"),
    ],
)
def test_what_is_not_known_is_kept(connector: str, body: dict[str, Any]) -> None:
    assert told(connector, body) == ["unmapped"]


# Customer.io


def customerio(object_type: str, metric: str, **data: Any) -> dict[str, Any]:
    return {"event_id": "E1", "object_type": object_type, "metric": metric,
            "timestamp": 1_767_607_200, "data": data}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            customerio("email", "sent", customer_id="42", delivery_id="D", newsletter_id=3,
                       recipient="ada@example.com", subject="News"),
            [("email.sent.v1", "E1", "customer:42", "2026-01-05T10:00:00Z",
              {"message_id": "D", "subject_line": "News", "campaign": "newsletter-3",
               "purpose": "marketing", "extra": {"customer_id": "42", "newsletter_id": 3}})],
        ),
        (
            customerio("email", "clicked", delivery_id="D", campaign_id=9, href="https://x.example",
                       recipient="ada@example.com"),
            [("email.clicked.v1", "E1", "email:ada@example.com", "2026-01-05T10:00:00Z",
              {"message_id": "D", "url": "https://x.example", "campaign": "9",
               "extra": {"campaign_id": 9}})],
        ),
        (
            customerio("email", "spammed", delivery_id="D", customer_id="42"),
            [("email.unsubscribed.v1", "E1", "customer:42", "2026-01-05T10:00:00Z",
              {"message_id": "D", "reason": "complaint", "extra": {"customer_id": "42"}})],
        ),
        (
            customerio("customer", "unsubscribed", customer_id="42"),
            [("consent.withdrawn.v1", "E1", "customer:42", "2026-01-05T10:00:00Z",
              {"channel": "any", "purpose": "marketing"})],
        ),
        (
            customerio("sms", "delivered", identifiers={"id": "42"}, delivery_id="D",
                       recipient="+15005550006"),
            [("sms.delivered.v1", "E1", "customer:42", "2026-01-05T10:00:00Z",
              {"message_id": "D", "phone": "+15005550006"})],
        ),
        (
            customerio("push", "opened", customer_id="42", delivery_id="D"),
            [("event.tracked.v1", "E1", "customer:42", "2026-01-05T10:00:00Z",
              {"name": "customerio: push opened",
               "properties": {"customer_id": "42", "delivery_id": "D"}})],
        ),
    ],
)  # fmt: skip
def test_customerio(body: dict[str, Any], expected: list[Told]) -> None:
    assert told("customerio", body) == expected


# Google Analytics 4


def ga4(*events: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"client_id": "1.2", **more, "events": list(events)}


def test_ga4_sale_of_a_known_customer() -> None:
    item = {"item_id": "S1", "price": 10.10, "quantity": 2, "item_category": "Shoes"}
    sale = {"name": "purchase", "params": {"transaction_id": "T7", "value": 20.20,
            "currency": "EUR", "items": [item]}}  # fmt: skip
    at = "2026-01-05T10:00:00.000001Z"
    made = told("ga4", ga4(sale, user_id="42", timestamp_micros="1767607200000001"))
    assert made[0] == (
        "order.completed.v1", "purchase-T7", "customer:42", at,
        {"order_id": "T7", "total": {"amount": "20.2", "currency": "EUR"},
         "lines": [{"product_id": "S1", "quantity": 2, "category": "Shoes",
                    "price": {"amount": "10.1", "currency": "EUR"}}]},
    )  # fmt: skip
    assert made[1][0] == "customer.linked.v1"
    assert (made[1][2], made[1][4]) == ("customer:42", {"other": "ga4:1.2"})


@pytest.mark.parametrize(
    ("event", "kind", "data"),
    [
        ({"name": "page_view", "params": {"page_location": "https://x.example/", "session_id": 5}},
         "page.viewed.v1", {"url": "https://x.example/", "session_id": "5"}),
        ({"name": "refund", "params": {"transaction_id": "T7", "value": 5, "currency": "EUR"}},
         "order.refunded.v1",
         {"order_id": "T7", "amount": {"amount": "5", "currency": "EUR"}}),
        ({"name": "refund", "params": {"transaction_id": "T7"}},
         "order.cancelled.v1", {"order_id": "T7", "reason": "refunded in full"}),
        ({"name": "form_submit", "params": {"form_id": "news", "plan": "a"}},
         "form.submitted.v1", {"form_id": "news", "fields": {"plan": "a"}}),
        ({"name": "tutorial_begin"}, "event.tracked.v1", {"name": "tutorial_begin"}),
    ],
)  # fmt: skip
def test_ga4_events(event: dict[str, Any], kind: str, data: dict[str, Any]) -> None:
    (made,) = told("ga4", ga4(event))
    assert (made[0], made[2], made[3], made[4]) == (kind, "ga4:1.2", RECEIVED, data)


def test_ga4_events_that_repeat_each_other_count_and_deliveries_that_do_do_not() -> None:
    twice = ga4({"name": "level_up"}, {"name": "level_up"}, timestamp_micros=1_767_607_200_000_000)
    ids = [one[1] for one in told("ga4", twice)]
    assert len(set(ids)) == 2
    assert [one[1] for one in told("ga4", twice, at=NOW + SECOND)] == ids


# Zammad


def zammad(article: dict[str, Any] | None = None, **ticket: Any) -> dict[str, Any]:
    known = {"id": 81, "number": "10081", "title": "Broken", "customer_id": 8, "state": "open",
             "priority": {"name": "3 high"}, "group": {"name": "Desk"}, "article_count": 1,
             "owner_id": 5, "created_at": "2026-01-05T10:00:00.100Z",
             "updated_at": "2026-01-05T10:00:05.000Z"}  # fmt: skip
    return {"ticket": {**known, **ticket}, "article": article or {}}


ARTICLE = {"id": 104, "sender": "Agent", "internal": True, "body": "Look", "created_by_id": 3,
           "created_at": "2026-01-05T10:00:04.000Z"}  # fmt: skip


def test_zammad_ticket_with_its_first_article() -> None:
    customer = {"firstname": "Ada", "lastname": "L", "email": "ada@example.com",
                "updated_at": "2026-01-04T09:00:00.000Z"}  # fmt: skip
    made = told("zammad", zammad(ARTICLE, customer=customer))
    assert made == [
        ("ticket.opened.v1", "ticket-81-opened", "zammad:8", "2026-01-05T10:00:00.100000Z",
         {"ticket_id": "81", "priority": "high", "title": "Broken", "team": "Desk",
          "extra": {"number": "10081"}}),
        ("customer.described.v1", "customer-8-2026-01-04T09:00:00.000Z", "zammad:8",
         "2026-01-04T09:00:00Z", {"traits": {"name": "Ada L", "email": "ada@example.com"}}),
        ("ticket.status_changed.v1", "ticket-81-open-2026-01-05T10:00:05.000Z", "zammad:8",
         "2026-01-05T10:00:05Z", {"ticket_id": "81", "status": "open"}),
        ("ticket.commented.v1", "article-104", "zammad:8", "2026-01-05T10:00:04Z",
         {"ticket_id": "81", "author": "agent", "public": False, "agent": "3", "text": "Look"}),
    ]  # fmt: skip


def test_zammad_tells_owner_and_priority_by_the_name_of_the_trigger() -> None:
    body = zammad(article_count=4, state="on my own")
    assert told("zammad", body) == ["unmapped"]
    (owner,) = told("zammad", body, headers={"x-zammad-trigger": "Owner changed"})
    assert owner[0] == "ticket.assigned.v1"
    assert owner[4] == {"ticket_id": "81", "assignee": "5", "team": "Desk"}
    (priority,) = told("zammad", body, headers={"x-zammad-trigger": "tell of priority"})
    assert priority[4] == {"ticket_id": "81", "priority": "high"}


def test_zammad_ticket_is_closed_once_however_often_it_is_told() -> None:
    closed: dict[str, Any] = {
        "state": "closed",
        "article_count": 4,
        "last_close_at": "2026-01-06T10:00:00.000Z",
    }
    first = told("zammad", zammad(**closed))
    assert first == told("zammad", zammad(**closed, updated_at="2026-01-07T10:00:00.000Z"))


# Chatwoot

CONTACT = {"id": 9, "name": "Ada", "email": "ada@example.com", "type": "contact"}


def chatwoot_message(**more: Any) -> dict[str, Any]:
    return {
        "event": "message_created",
        "id": 70,
        "content": "Hi",
        "message_type": "incoming",
        "private": False,
        "created_at": "2026-01-05T10:00:00.000Z",
        "sender": CONTACT,
        "conversation": {"id": 5, "meta": {"sender": CONTACT}},
        **more,
    }


def chatwoot_conversation(event: str, **more: Any) -> dict[str, Any]:
    known = {"id": 5, "status": "open", "created_at": 1_767_607_200, "timestamp": 1_767_607_210,
             "updated_at": 1_767_607_210.25,
             "meta": {"sender": {**CONTACT, "identifier": "42"}}}  # fmt: skip
    return {"event": event, **known, **more}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            chatwoot_message(),
            [("chat.message_posted.v1", "message-70", {"conversation_id": "5", "message_id": "70",
              "author": "customer", "text": "Hi"})],
        ),
        (
            chatwoot_message(message_type="outgoing", sender={"id": 2, "type": "user"}),
            [("chat.message_posted.v1", "message-70", {"conversation_id": "5", "message_id": "70",
              "author": "agent", "agent": "2", "text": "Hi"})],
        ),
        (
            chatwoot_message(message_type="outgoing", sender={"id": 2, "type": "agent_bot"}),
            [("chat.message_posted.v1", "message-70", {"conversation_id": "5", "message_id": "70",
              "author": "bot", "text": "Hi"})],
        ),
        (
            chatwoot_message(private=True, message_type="outgoing",
                             sender={"id": 2, "type": "user"}),
            [("note.added.v1", "message-70", {"note_id": "70", "text": "Hi", "agent": "2",
              "internal": True, "extra": {"conversation_id": "5"}})],
        ),
        (chatwoot_message(message_type="activity"), []),
        (
            chatwoot_message(event="message_updated", content_attributes={"submitted_values": {
                "csat_survey_response": {"rating": 5, "feedback_message": "good"}}}),
            [("survey.answered.v1", "message-70-rating", {"survey_id": "chatwoot csat",
              "kind": "csat", "score": 5, "about": "5", "comment": "good"})],
        ),
        (
            chatwoot_conversation("conversation_created", channel="Channel::WebWidget"),
            [
                ("chat.started.v1", "conversation-5-started",
                 {"conversation_id": "5", "extra": {"channel": "Channel::WebWidget"}}),
                ("customer.described.v1", "conversation-5-customer",
                 {"traits": {"name": "Ada", "email": "ada@example.com"}}),
                ("customer.linked.v1", "conversation-5-link", {"other": "customer:42"}),
            ],
        ),
        (
            chatwoot_conversation("conversation_status_changed", status="resolved"),
            [("chat.ended.v1", "conversation-5-resolved-1767607210.25", {"conversation_id": "5"})],
        ),
        (
            chatwoot_conversation("conversation_updated", changed_attributes=[
                {"assignee_id": {"previous_value": None, "current_value": 2}}]),
            [("chat.handed_off.v1", "conversation-5-agent-2-1767607210.25",
              {"conversation_id": "5", "to_agent": "2"})],
        ),
        (chatwoot_conversation("conversation_typing_on"), []),
    ],
)  # fmt: skip
def test_chatwoot(body: dict[str, Any], expected: list[tuple[str, str, dict[str, Any]]]) -> None:
    made = told("chatwoot", body)
    assert [(kind, id_, data) for kind, id_, _, _, data in made] == expected
    assert all(one[2] == "chatwoot:9" for one in made)


def test_chatwoot_contact_is_described_and_linked() -> None:
    body = {"event": "contact_created", **CONTACT, "identifier": "42",
            "additional_attributes": {"country_code": "IT"}, "account": {"id": 1}}  # fmt: skip
    described, linked = told("chatwoot", body)
    assert described[4]["traits"] == {"name": "Ada", "email": "ada@example.com", "country": "IT"}
    assert (described[2], described[3]) == ("chatwoot:9", RECEIVED)
    assert linked[4] == {"other": "customer:42"}


@pytest.mark.parametrize(
    ("connector", "body", "again"),
    [
        (
            "intercom",
            notification("contact.tag.created", {"type": "contact", "id": "c9"}),
            {"delivery_attempts": 2, "delivered_at": 1_767_607_999, "delivery_status": "retry"},
        ),
        ("intercom", notification("conversation.user.created", conversation()), {}),
        ("zendesk", zendesk("ticket.status_changed", {"current": "OPEN"}), {}),
        ("customerio", customerio("email", "opened", customer_id="42", delivery_id="D"), {}),
        ("zammad", zammad(ARTICLE), {}),
        ("chatwoot", chatwoot_conversation("conversation_created"), {}),
    ],
)
def test_what_is_sent_again_later_is_the_same(
    connector: str, body: dict[str, Any], again: dict[str, Any]
) -> None:
    first = told(connector, body)
    assert first
    assert told(connector, {**body, **again}, at=NOW + 3_600 * SECOND) == first


@pytest.mark.parametrize(
    ("connector", "body"),
    [
        ("livechat", livechat("chat_deactivated", {"chat_id": "C1", "thread_id": "T1"})),
        ("freshdesk", freshdesk("{status:{from:2,to:4}}")),
        ("ga4", ga4({"name": "refund", "params": {"transaction_id": "T7"}})),
    ],
)
def test_what_has_no_time_of_its_own_keeps_its_id(connector: str, body: dict[str, Any]) -> None:
    (first,), (second,) = told(connector, body), told(connector, body, at=NOW + SECOND)
    assert first[:3] == second[:3]
    assert first[3] != second[3]
