"""The one line that a timeline shows for each touchpoint."""

from typing import Any

import pytest
from hypothesis import given, settings

from schemas.registry import BY_TYPE
from tests.schemas.checking import accepted, minimal
from tests.schemas.strategies import Event, envelope_of, events

EUR = "EUR"


@pytest.mark.parametrize(
    ("type_name", "changes", "line"),
    [
        (
            "call.ended.v1",
            {"wait_seconds": 32, "agent": "Ana"},
            "called in, waited 32 s, answered by Ana (2 min 5 s)",
        ),
        (
            "call.ended.v1",
            {"direction": "outbound", "outcome": "voicemail", "agent": "Ana"},
            "was called, voicemail (2 min 5 s)",
        ),
        ("email.sent.v1", {"purpose": "marketing"}, "was sent a marketing email"),
        ("email.received.v1", {"subject_line": "My order"}, "wrote an email: My order"),
        ("email.received.v1", {"subject_line": "~c1pher"}, "wrote an email: …"),
        ("chat.message_posted.v1", {}, "was answered in chat by a bot"),
        ("page.viewed.v1", {"title": "Shoes"}, "viewed Shoes"),
        (
            "visit.scheduled.v1",
            {"at": "2026-03-01T09:30:00+01:00", "agent": "Ana"},
            "agreed a visit for 2026-03-01 09:30+01:00 with Ana",
        ),
        ("visit.completed.v1", {}, "met the business (visit V1)"),
        ("order.completed.v1", {}, "bought for 12.50 EUR (order A1)"),
        (
            "order.completed.v1",
            {
                "lines": [
                    {
                        "product_id": "P",
                        "quantity": 2,
                        "price": {"amount": "6.25", "currency": "EUR"},
                    }
                ]
            },
            "bought for 12.50 EUR (order A1, 1 line)",
        ),
        ("order.cancelled.v1", {"reason": "too\nlate"}, "cancelled order A1: too late"),
        ("referral.advanced.v1", {}, "saw referral R1 reach signed up"),
        (
            "ticket.opened.v1",
            {"priority": "high", "title": "Lost"},
            "opened ticket T-1 (high): Lost",
        ),
        ("ticket.assigned.v1", {}, "ticket T-1 was assigned to nobody"),
        ("ticket.assigned.v1", {"team": "north"}, "ticket T-1 was assigned to team north"),
        ("ticket.status_changed.v1", {}, "ticket T-1 went to solved"),
        ("ticket.commented.v1", {"agent": "Ana"}, "was answered by Ana on ticket T-1"),
        (
            "ticket.commented.v1",
            {"agent": "Ana", "public": False},
            "Ana noted internally on ticket T-1",
        ),
        ("survey.answered.v1", {}, "rated 4 of 5 (csat)"),
        ("points.redeemed.v1", {"points": 1_250}, "spent 1,250 points (main)"),
        ("points.adjusted.v1", {"points": 1}, "was given 1 point (main): a slip"),
        ("points.adjusted.v1", {}, "lost 5 points (main): a slip"),
        ("consent.granted.v1", {}, "allowed marketing by any channel"),
        ("consent.withdrawn.v1", {}, "refused profiling by sms"),
        (
            "customer.described.v1",
            {"traits": {"name": "Ana", "birth_year": 1984}},
            "was described by name, birth year: Ana",
        ),
        ("customer.linked.v1", {}, "was linked to email:ana@example.com"),
        ("customer.linked.v1", {"other": "email:~" + "A" * 22}, "was linked to email:…"),
        (
            "loyalty.rules_published.v1",
            {},
            "rules of main, version 1, were published (0 earn rules, from 2026-01-01)",
        ),
    ],
)
def test_a_summary_says_what_happened(type_name: str, changes: dict[str, Any], line: str) -> None:
    assert accepted(type_name, minimal(type_name, **changes)).summary() == line


@pytest.mark.parametrize("type_name", BY_TYPE)
def test_the_summary_of_the_smallest_touchpoint_is_short(type_name: str) -> None:
    assert 5 < len(accepted(type_name, minimal(type_name)).summary()) < 100


@settings(max_examples=300)
@given(event=events())
def test_a_summary_is_always_one_line(event: Event) -> None:
    line = envelope_of(event).data.summary()
    assert line == " ".join(line.split())
    assert 0 < len(line) < 250
