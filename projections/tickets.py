"""The tickets view: how each ticket stands, by its id, whoever spoke of it."""

from collections.abc import Iterator
from operator import attrgetter

from domain.tickets import READS, STATUSES, Ticket, evolve, seconds_in
from projections.view import Column, Momentary, View


def _times(state: Ticket, moment: int) -> Iterator[tuple[float, ...]]:
    """How long the ticket has been in each status."""
    spent = seconds_in(state, moment)
    yield tuple(spent[status] for status in STATUSES)


TICKETS = View(
    name="tickets",
    version=1,
    reads=READS,
    state=Ticket,
    evolve=evolve,
    key=attrgetter("data.ticket_id"),
    columns=(
        Column("customer", "customer"),
        Column("status", "status"),
        Column("status_since", "status_since", "time"),
        Column("priority", "priority"),
        Column("assignee", "assignee"),
        Column("team", "team"),
        Column("kind", "kind"),
        Column("channel", "channel"),
        Column("opened_at", "opened_at", "time"),
        Column("first_response_at", "first_response_at", "time"),
        Column("resolved_at", "resolved_at", "time"),
        Column("last_resolved_at", "last_resolved_at", "time"),
        Column("closed_at", "closed_at", "time"),
        Column("reopens", "reopens", "integer"),
        Column("assignments", "assignments", "integer"),
        Column("public_comments", "public_comments", "integer"),
        Column("internal_comments", "internal_comments", "integer"),
        Column("merged_into", "merged_into"),
        Column("anomalies", "anomalies", "integer"),
    ),
    momentary=(
        Momentary("ticket_seconds", tuple((status, "REAL") for status in STATUSES), _times),
    ),
)
