"""One ticket: how it stands, who has it, and how long it took.

`evolve` folds the touchpoints that name the ticket, of whatever subject, in the order in which
they occurred. None is refused for the state that it meets.
"""

from collections.abc import Callable, Container, Iterable
from typing import Any

import msgspec

from domain.occurred import Occurred
from domain.stated import Stated, described, stated, written

STATUSES = ("new", "open", "pending", "on_hold", "solved", "closed")
NEW, OPEN, CLOSED = "new", "open", "closed"
RESOLVED = frozenset({"solved", "closed"})
REOPENINGS_OF_CLOSED = frozenset({NEW, OPEN})
"""What may follow `closed`; any other status after it is an anomaly."""

PRIORITY_DEFAULT = "normal"
MICROSECONDS = 1_000_000


class Ticket(msgspec.Struct, omit_defaults=True):
    """What is known of one ticket. Times are microseconds since 1970 (UTC).

    A ticket exists from its earliest touchpoint, as `new` and of normal priority until something
    says otherwise. `customer` is the subject that it was opened under, or that of its earliest
    touchpoint while no opening is known. `microseconds` is the time spent in each status that
    was left again; the present one runs from `status_since`. `assignments` counts those to an
    agent or a team, `assignees` those to each agent. `response_from` is when the wait
    for a first answer began: the beginning, or the last reopening that nobody had answered yet.
    """

    ticket: str = ""
    customer: str = ""
    opened: bool = False
    status: str = NEW
    status_since: int = 0
    priority: str = PRIORITY_DEFAULT
    assignee: str | None = None
    team: str | None = None
    kind: str | None = None
    channel: str | None = None
    title: Stated | None = None
    opened_at: int | None = None
    response_from: int | None = None
    first_response_at: int | None = None
    resolved_at: int | None = None
    last_resolved_at: int | None = None
    closed_at: int | None = None
    reopens: int = 0
    assignments: int = 0
    assignees: dict[str, int] = {}
    public_comments: int = 0
    internal_comments: int = 0
    merged_into: str | None = None
    microseconds: dict[str, int] = {}
    anomalies: int = 0


def evolve(state: Ticket, touchpoint: Occurred, rules: object) -> Ticket:
    """Fold the next touchpoint, by occurrence, into the ticket. Mutates and returns `state`."""
    apply = _MEANINGS.get(touchpoint.type)
    if apply is None:
        return state
    if state.opened_at is None:
        _begin(state, touchpoint)
    apply(state, touchpoint)
    return state


def _begin(state: Ticket, touchpoint: Occurred) -> None:
    state.ticket = touchpoint.data.ticket_id
    state.customer = touchpoint.subject
    state.opened_at = state.response_from = state.status_since = touchpoint.at


def _open(state: Ticket, touchpoint: Occurred) -> None:
    if state.opened:
        state.anomalies += 1
        return
    data = touchpoint.data
    state.opened = True
    state.customer = touchpoint.subject
    state.channel = data.channel
    state.kind = data.kind
    if data.priority is not None:
        state.priority = data.priority
    if data.team is not None:
        state.team = data.team
    if data.title is not None:
        state.title = stated(data.title, touchpoint)


def _assign(state: Ticket, touchpoint: Occurred) -> None:
    """An agent has it, of the team named or the one before; or a team, and no agent; or nobody."""
    data = touchpoint.data
    state.assignee = data.assignee
    if data.assignee is None:
        state.team = data.team
    else:
        state.assignees[data.assignee] = state.assignees.get(data.assignee, 0) + 1
        if data.team is not None:
            state.team = data.team
    if data.assignee is not None or data.team is not None:
        state.assignments += 1


def _set_priority(state: Ticket, touchpoint: Occurred) -> None:
    state.priority = touchpoint.data.priority


def _change_status(state: Ticket, touchpoint: Occurred) -> None:
    status = touchpoint.data.status
    if state.status == CLOSED and status not in REOPENINGS_OF_CLOSED:
        state.anomalies += 1
    _enter(state, status, touchpoint.at)


def _comment(state: Ticket, touchpoint: Occurred) -> None:
    data = touchpoint.data
    if not data.public:
        state.internal_comments += 1
        return
    state.public_comments += 1
    if state.first_response_at is None and data.author == "agent":
        state.first_response_at = touchpoint.at


def _merge(state: Ticket, touchpoint: Occurred) -> None:
    state.merged_into = touchpoint.data.into_ticket_id
    _enter(state, CLOSED, touchpoint.at)


def _enter(state: Ticket, status: str, at: int) -> None:
    """Leave the present status for another; the same one again changes nothing."""
    left = state.status
    if status == left:
        return
    if at > state.status_since:
        spent = state.microseconds.get(left, 0) + at - state.status_since
        state.microseconds[left] = spent
    state.status, state.status_since = status, at
    if status not in RESOLVED:
        if left in RESOLVED:
            _reopen(state, at)
        return
    if left not in RESOLVED:
        state.last_resolved_at = at
        if state.resolved_at is None:
            state.resolved_at = at
    if status == CLOSED:
        state.closed_at = at


def _reopen(state: Ticket, at: int) -> None:
    state.reopens += 1
    state.closed_at = None
    # What was resolved without an answer by an agent (by a bot, say) has its first wait now.
    if state.first_response_at is None:
        state.response_from = at


_MEANINGS: dict[str, Callable[[Ticket, Occurred], None]] = {
    "ticket.opened.v1": _open,
    "ticket.assigned.v1": _assign,
    "ticket.priority_changed.v1": _set_priority,
    "ticket.status_changed.v1": _change_status,
    "ticket.commented.v1": _comment,
    "ticket.merged.v1": _merge,
}

READS: dict[str, tuple[str, ...]] = {
    "ticket.opened.v1": ("ticket_id", "channel", "kind", "priority", "title", "team"),
    "ticket.assigned.v1": ("ticket_id", "assignee", "team"),
    "ticket.priority_changed.v1": ("ticket_id", "priority"),
    "ticket.status_changed.v1": ("ticket_id", "status"),
    "ticket.commented.v1": ("ticket_id", "author", "public"),
    "ticket.merged.v1": ("ticket_id", "into_ticket_id"),
}
"""The fields of `data` that the fold reads, by type. It reads no other type."""


def counts(known: Iterable[Ticket], subjects: Container[str]) -> dict[str, int]:
    """How many of these tickets are of these subjects, and how many of those are not resolved."""
    own = [ticket for ticket in known if ticket.customer in subjects]
    return {"open": sum(ticket.status not in RESOLVED for ticket in own), "total": len(own)}


def seconds_in(state: Ticket, moment: int) -> dict[str, float]:
    """Seconds spent in each status up to `moment` (microseconds since 1970), which must not be
    earlier than the ticket's last touchpoint; an earlier one adds nothing to the present status.
    """
    spent = {status: state.microseconds.get(status, 0) for status in STATUSES}
    if state.opened_at is not None:
        spent[state.status] += max(0, moment - state.status_since)
    return {status: microseconds / MICROSECONDS for status, microseconds in spent.items()}


def show(state: Ticket, moment: int) -> dict[str, Any]:
    """The ticket as `ticket show` prints it, at `moment` (microseconds since 1970, UTC).

    Times are RFC 3339 in UTC. `first_response_seconds` is the wait for the first public comment
    by an agent; `resolution_seconds` and `full_resolution_seconds` run from the beginning to the
    first and to the last resolution. Each is None until both of its ends exist.
    """
    return {
        "ticket": state.ticket,
        "customer": state.customer,
        "status": state.status,
        "priority": state.priority,
        "assignee": state.assignee,
        "team": state.team,
        "kind": state.kind,
        "channel": state.channel,
        "title": described(state.title),
        **_times(state),
        "reopens": state.reopens,
        "assignees": len(state.assignees),
        "assignments": state.assignments,
        "comments": {"public": state.public_comments, "internal": state.internal_comments},
        "anomalies": state.anomalies,
        "merged_into": state.merged_into,
        "seconds": seconds_in(state, moment),
        "first_response_seconds": _between(state.response_from, state.first_response_at),
        "resolution_seconds": _between(state.opened_at, state.resolved_at),
        "full_resolution_seconds": _between(state.opened_at, state.last_resolved_at),
    }


def _times(state: Ticket) -> dict[str, str | None]:
    return {
        "opened_at": written(state.opened_at),
        "first_response_at": written(state.first_response_at),
        "resolved_at": written(state.resolved_at),
        "last_resolved_at": written(state.last_resolved_at),
        "closed_at": written(state.closed_at),
    }


def _between(start: int | None, end: int | None) -> float | None:
    return None if start is None or end is None else (end - start) / MICROSECONDS
