"""One ticket: its status, its holders, its clocks."""

from typing import Any

import msgspec
import pytest

from domain.tickets import Ticket, counts, evolve, show
from schemas.envelope import Envelope
from schemas.fields import Author
from schemas.purchase import OrderCancelled
from schemas.ticket import (
    Priority,
    Status,
    TicketAssigned,
    TicketCommented,
    TicketMerged,
    TicketOpened,
    TicketPriorityChanged,
    TicketStatusChanged,
)
from tests.domain.story import folded, happened, minute

HOUR = 3600.0


def opened(number: float, **fields: Any) -> Envelope[Any]:
    return happened(number, TicketOpened(ticket_id="T1", **fields))


def went(number: float, status: Status) -> Envelope[Any]:
    return happened(number, TicketStatusChanged(ticket_id="T1", status=status))


def commented(number: float, author: Author, *, public: bool = True) -> Envelope[Any]:
    return happened(number, TicketCommented(ticket_id="T1", author=author, public=public))


def assigned(number: float, assignee: str | None, team: str | None = None) -> Envelope[Any]:
    return happened(number, TicketAssigned(ticket_id="T1", assignee=assignee, team=team))


def became(number: float, priority: Priority) -> Envelope[Any]:
    return happened(number, TicketPriorityChanged(ticket_id="T1", priority=priority))


def merged(number: float, into: str) -> Envelope[Any]:
    return happened(number, TicketMerged(ticket_id="T1", into_ticket_id=into))


def shown(*touchpoints: Envelope[Any], at: float = 10_000) -> dict[str, Any]:
    return show(folded(evolve, Ticket(), touchpoints), minute(at))


def test_a_ticket_opens_as_new_and_of_normal_priority() -> None:
    ticket = shown(opened(0), at=30)
    assert ticket == {
        "ticket": "T1",
        "customer": "customer:42",
        "status": "new",
        "priority": "normal",
        "assignee": None,
        "team": None,
        "kind": None,
        "channel": None,
        "title": None,
        "opened_at": "2026-01-05T09:00:00Z",
        "first_response_at": None,
        "resolved_at": None,
        "last_resolved_at": None,
        "closed_at": None,
        "reopens": 0,
        "assignees": 0,
        "assignments": 0,
        "comments": {"public": 0, "internal": 0},
        "anomalies": 0,
        "merged_into": None,
        "seconds": {
            "new": HOUR / 2,
            "open": 0.0,
            "pending": 0.0,
            "on_hold": 0.0,
            "solved": 0.0,
            "closed": 0.0,
        },
        "first_response_seconds": None,
        "resolution_seconds": None,
        "full_resolution_seconds": None,
    }


def test_the_opening_gives_its_words_and_where_the_title_came_from() -> None:
    ticket = shown(
        opened(0, channel="email", kind="claim", priority="high", title="~cipher", team="billing")
    )
    assert (ticket["channel"], ticket["kind"]) == ("email", "claim")
    assert (ticket["priority"], ticket["team"]) == ("high", "billing")
    assert ticket["title"] == {
        "value": "~cipher",
        "time": "2026-01-05T09:00:00Z",
        "source": "shop",
        "id": "ticket.opened.v1@0",
        "subject": "customer:42",
    }


def test_a_ticket_exists_from_its_earliest_touchpoint_and_keeps_that_subject() -> None:
    comment = TicketCommented(ticket_id="T1", author="customer", public=True)
    ticket = shown(happened(0, comment, subject="customer:7"), went(5, "open"))
    assert (ticket["customer"], ticket["opened_at"]) == ("customer:7", "2026-01-05T09:00:00Z")
    assert ticket["seconds"]["new"] == 5 * 60


def test_an_opening_that_comes_second_names_the_customer_but_not_the_beginning() -> None:
    comment = TicketCommented(ticket_id="T1", author="customer", public=True)
    ticket = shown(
        happened(0, comment, subject="email:~x"), went(1, "open"), became(2, "urgent"), opened(3)
    )
    assert (ticket["customer"], ticket["opened_at"]) == ("customer:42", "2026-01-05T09:00:00Z")
    assert (ticket["status"], ticket["priority"], ticket["anomalies"]) == ("open", "urgent", 0)


def test_a_second_opening_is_counted_and_changes_nothing() -> None:
    ticket = shown(opened(0, priority="low"), went(1, "pending"), opened(2, priority="urgent"))
    assert (ticket["priority"], ticket["status"], ticket["anomalies"]) == ("low", "pending", 1)


def test_the_latest_assignment_and_priority_hold() -> None:
    ticket = shown(
        opened(0, team="front"),
        assigned(1, "ana"),
        assigned(2, "ben", "billing"),
        assigned(3, "ana"),
        became(4, "urgent"),
    )
    assert (ticket["assignee"], ticket["team"], ticket["priority"]) == ("ana", "billing", "urgent")
    assert (ticket["assignees"], ticket["assignments"]) == (2, 3)


def test_a_ticket_handed_to_a_team_has_no_assignee_and_one_handed_to_nobody_no_team() -> None:
    to_team = shown(opened(0), assigned(1, "ana", "front"), assigned(2, None, "billing"))
    assert (to_team["assignee"], to_team["team"]) == (None, "billing")
    to_nobody = shown(opened(0), assigned(1, "ana", "front"), assigned(2, None))
    assert (to_nobody["assignee"], to_nobody["team"]) == (None, None)
    assert to_nobody["assignments"] == 1


def test_only_a_public_comment_by_an_agent_is_a_response() -> None:
    ticket = shown(
        opened(0),
        commented(1, "customer"),
        commented(2, "bot"),
        commented(3, "agent", public=False),
        commented(4, "agent"),
        commented(5, "agent"),
    )
    assert ticket["first_response_at"] == "2026-01-05T09:04:00Z"
    assert ticket["first_response_seconds"] == 4 * 60
    assert ticket["comments"] == {"public": 4, "internal": 1}


def test_solving_then_closing_is_one_resolution() -> None:
    ticket = shown(opened(0), went(30, "solved"), went(60, "closed"))
    assert ticket["resolved_at"] == ticket["last_resolved_at"] == "2026-01-05T09:30:00Z"
    assert ticket["closed_at"] == "2026-01-05T10:00:00Z"
    assert (ticket["resolution_seconds"], ticket["reopens"]) == (30 * 60, 0)


def test_first_and_full_resolution_differ_after_a_reopening() -> None:
    ticket = shown(opened(0), went(30, "solved"), went(40, "open"), went(60, "solved"))
    assert (ticket["resolution_seconds"], ticket["full_resolution_seconds"]) == (1800, 3600)
    assert ticket["reopens"] == 1


def test_a_reopened_ticket_is_not_closed_until_it_is_closed_again() -> None:
    reopened = (opened(0), went(30, "closed"), went(40, "open"))
    assert shown(*reopened)["closed_at"] is None
    assert shown(*reopened)["anomalies"] == 0
    assert shown(*reopened, went(50, "closed"))["closed_at"] == "2026-01-05T09:50:00Z"


@pytest.mark.parametrize("status", ["new", "open", "pending", "on_hold"])
@pytest.mark.parametrize("rest", ["solved", "closed"])
def test_going_from_rest_to_any_unresolved_status_is_a_reopening(
    rest: Status, status: Status
) -> None:
    assert shown(opened(0), went(1, rest), went(2, status))["reopens"] == 1


@pytest.mark.parametrize("status", ["pending", "on_hold", "solved", "closed"])
def test_a_status_that_cannot_follow_closed_is_applied_and_counted(status: Status) -> None:
    ticket = shown(opened(0), went(1, "closed"), went(2, status))
    assert (ticket["status"], ticket["anomalies"]) == (status, 1)


def test_comments_and_assignments_on_a_closed_ticket_are_everyday_and_not_counted() -> None:
    ticket = shown(opened(0), went(1, "closed"), commented(2, "customer"), assigned(3, "ana"))
    assert (ticket["anomalies"], ticket["assignee"]) == (0, "ana")


def test_a_merge_closes_and_resolves_the_ticket() -> None:
    ticket = shown(opened(0), merged(20, "T9"))
    assert (ticket["status"], ticket["merged_into"]) == ("closed", "T9")
    assert ticket["resolved_at"] == ticket["closed_at"] == "2026-01-05T09:20:00Z"


def test_the_same_status_again_changes_nothing() -> None:
    once = shown(opened(0), went(10, "open"), went(30, "pending"), at=60)
    again = shown(opened(0), went(10, "open"), went(20, "open"), went(30, "pending"), at=60)
    assert once == again


def test_a_moment_before_the_last_touchpoint_adds_no_negative_time() -> None:
    assert shown(opened(0), went(10, "open"), at=5)["seconds"]["open"] == 0


def test_requester_wait_and_agent_wait_follow_from_the_seconds() -> None:
    seconds = shown(
        opened(0), went(10, "open"), went(30, "on_hold"), went(45, "pending"), went(105, "solved")
    )["seconds"]
    assert seconds["new"] + seconds["open"] + seconds["on_hold"] == 45 * 60
    assert seconds["pending"] == HOUR


def test_published_zammad_working_time_over_a_whole_life() -> None:
    """New for 60 minutes, open for 30, waiting for 30, closed: 90 minutes of work."""
    life = (opened(0), went(60, "open"), went(90, "pending"), went(120, "closed"))
    seconds = shown(*life, at=120)["seconds"]
    assert seconds["new"] + seconds["open"] == 90 * 60


def test_published_zammad_working_time_from_half_an_hour_on() -> None:
    """Of the same life, what lies between creation + 30 minutes and the close: 60 minutes."""
    before = shown(opened(0), at=30)["seconds"]
    after = shown(opened(0), went(60, "open"), went(90, "pending"), went(120, "closed"))["seconds"]
    worked = sum(after[status] - before[status] for status in ("new", "open"))
    assert worked == 60 * 60


def test_published_chatwoot_response_after_a_bot_resolved_and_the_customer_came_back() -> None:
    """A bot resolves on Monday 9:05, reopened on Friday 14:00, an agent at 14:10: 10 minutes."""
    friday = 4 * 24 * 60 + 5 * 60
    ticket = shown(
        opened(0),
        commented(5, "bot"),
        went(5, "solved"),
        went(friday, "open"),
        commented(friday + 10, "agent"),
    )
    assert ticket["first_response_seconds"] == 10 * 60
    assert ticket["first_response_at"] == "2026-01-09T14:10:00Z"


def test_a_reopening_after_an_answer_leaves_the_first_response_alone() -> None:
    ticket = shown(
        opened(0),
        commented(5, "agent"),
        went(6, "solved"),
        went(90, "open"),
        commented(95, "agent"),
    )
    assert ticket["first_response_seconds"] == 5 * 60


def test_a_touchpoint_of_another_kind_leaves_no_trace() -> None:
    order = happened(0, OrderCancelled(order_id="A1"))
    assert msgspec.json.encode(folded(evolve, Ticket(), [order])) == b"{}"


def test_tickets_are_counted_for_those_whose_they_are() -> None:
    known = [
        Ticket(ticket="T1", customer="customer:42"),
        Ticket(ticket="T2", customer="customer:42", status="solved"),
        Ticket(ticket="T3", customer="email:ana@example.com", status="pending"),
        Ticket(ticket="T4", customer="customer:7"),
    ]
    assert counts(known, ("customer:42", "email:ana@example.com")) == {"open": 2, "total": 3}
    assert counts([], ("customer:42",)) == {"open": 0, "total": 0}
