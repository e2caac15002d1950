"""Putting data to a touchpoint's class, as the doors do, and collecting what it refuses."""

import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.registry import touchpoint_class
from schemas.touchpoint import Touchpoint

MINIMAL: dict[str, dict[str, Any]] = {
    "call.started.v1": {"call_id": "C1", "direction": "inbound"},
    "call.answered.v1": {"call_id": "C1", "agent": "Ana"},
    "call.ended.v1": {
        "call_id": "C1",
        "direction": "inbound",
        "outcome": "answered",
        "duration_seconds": 125,
    },
    "email.received.v1": {"message_id": "M1"},
    "email.sent.v1": {"message_id": "M1"},
    "email.delivered.v1": {"message_id": "M1"},
    "email.opened.v1": {"message_id": "M1"},
    "email.bounced.v1": {"message_id": "M1"},
    "email.unsubscribed.v1": {"message_id": "M1"},
    "email.clicked.v1": {"message_id": "M1", "url": "https://shop.example/"},
    "chat.started.v1": {"conversation_id": "K1"},
    "chat.message_posted.v1": {"conversation_id": "K1", "message_id": "M1", "author": "bot"},
    "chat.handed_off.v1": {"conversation_id": "K1", "to_agent": "Ana"},
    "chat.ended.v1": {"conversation_id": "K1"},
    "sms.sent.v1": {"message_id": "M1"},
    "sms.delivered.v1": {"message_id": "M1"},
    "sms.failed.v1": {"message_id": "M1"},
    "sms.replied.v1": {"message_id": "M1"},
    "social.message_received.v1": {"network": "mastodon", "post_id": "P1"},
    "social.message_sent.v1": {"network": "mastodon", "post_id": "P1"},
    "social.mentioned.v1": {"network": "mastodon", "post_id": "P1"},
    "page.viewed.v1": {"url": "https://shop.example/"},
    "form.submitted.v1": {"form_id": "F1"},
    "visit.scheduled.v1": {"visit_id": "V1"},
    "visit.completed.v1": {"visit_id": "V1"},
    "visit.cancelled.v1": {"visit_id": "V1"},
    "order.completed.v1": {"order_id": "A1", "total": {"amount": "12.50", "currency": "EUR"}},
    "order.refunded.v1": {"order_id": "A1", "amount": {"amount": "12.50", "currency": "EUR"}},
    "order.cancelled.v1": {"order_id": "A1"},
    "checkout.started.v1": {"checkout_id": "X1"},
    "referral.made.v1": {"referral_id": "R1", "programme": "main", "referee": "customer:7"},
    "referral.advanced.v1": {"referral_id": "R1", "stage": "signed_up"},
    "referral.converted.v1": {"referral_id": "R1"},
    "ticket.opened.v1": {"ticket_id": "T-1"},
    "ticket.assigned.v1": {"ticket_id": "T-1"},
    "ticket.priority_changed.v1": {"ticket_id": "T-1", "priority": "high"},
    "ticket.status_changed.v1": {"ticket_id": "T-1", "status": "solved"},
    "ticket.commented.v1": {"ticket_id": "T-1", "author": "agent", "public": True},
    "ticket.merged.v1": {"ticket_id": "T-1", "into_ticket_id": "T-2"},
    "survey.answered.v1": {"survey_id": "S1", "kind": "csat", "score": 4},
    "statement.delivery_chosen.v1": {"delivery": "electronic"},
    "loyalty.rules_published.v1": {
        "programme": "main",
        "version": 1,
        "valid_from": "2026-01-01T00:00:00Z",
        "earn": [],
    },
    "loyalty.programme_closed.v1": {
        "programme": "main",
        "last_redemption_at": "2026-12-31T23:59:59+01:00",
    },
    "points.redeemed.v1": {"programme": "main", "redemption_id": "D1", "points": 50},
    "points.redemption_cancelled.v1": {"programme": "main", "redemption_id": "D1"},
    "points.adjusted.v1": {
        "programme": "main",
        "adjustment_id": "J1",
        "points": -5,
        "reason": "a slip",
    },
    "consent.granted.v1": {"channel": "any", "purpose": "marketing"},
    "consent.withdrawn.v1": {"channel": "sms", "purpose": "profiling"},
    "customer.described.v1": {"traits": {}},
    "customer.linked.v1": {"other": "email:ana@example.com"},
    "customer.merged.v1": {"other": "customer:7", "reason": "same passport"},
    "customer.unmerged.v1": {
        "other": "customer:7",
        "reason": "twins",
        "merge_id": "e1",
        "merge_source": "crm",
    },
    "event.tracked.v1": {"name": "Article Saved"},
    "touchpoint.voided.v1": {"voided_source": "shop", "voided_id": "e1", "reason": "a test"},
    "identity.rules_published.v1": {
        "version": 1,
        "valid_from": "2026-01-01T00:00:00Z",
        "link_kinds": ["email"],
        "blocked_values": ["info@example.com"],
        "at_most": {"email": 5},
    },
    "person.erased.v1": {"reason": "asked to be", "certificate_id": "Z1"},
    "personal_data.viewed.v1": {"of": "customer:7", "fields": ["name"], "purpose": "a claim"},
    "note.added.v1": {"note_id": "N1", "text": "likes tea", "agent": "Ana", "internal": True},
    "cost.recorded.v1": {"amount": {"amount": "3.10", "currency": "EUR"}, "about": "a call"},
}
"""The least that each type of the catalogue accepts, in the catalogue's order."""


@cache
def adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def accepted(type_name: str, data: object) -> Any:
    """The touchpoint that the data makes. Raises pydantic's ValidationError."""
    touchpoint: Touchpoint = adapter(touchpoint_class(type_name)).validate_json(json.dumps(data))
    return touchpoint


def refusals(type_name: str, data: object) -> dict[str, str]:
    """What is wrong with the data: a message by the path of each field; empty if nothing is."""
    try:
        accepted(type_name, data)
    except ValidationError as error:
        return {".".join(map(str, problem["loc"])): problem["msg"] for problem in error.errors()}
    return {}


def minimal(type_name: str, **changes: object) -> dict[str, Any]:
    """The minimal data of the type, with some fields changed or added."""
    return MINIMAL[type_name] | changes


def event(type_name: str, **changes: object) -> dict[str, Any]:
    """A whole CloudEvent with the minimal data of its type."""
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "shop",
        "type": type_name,
        "subject": "customer:42",
        "time": "2026-01-05T10:00:00Z",
        "data": MINIMAL[type_name],
    } | changes
