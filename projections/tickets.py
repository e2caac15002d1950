"""The tickets view: how each ticket stands, by its id, whoever spoke of it."""

from operator import attrgetter

from domain.tickets import READS, Ticket, evolve
from projections.view import View

TICKETS = View(
    name="tickets",
    version=1,
    reads=READS,
    state=Ticket,
    evolve=evolve,
    key=attrgetter("data.ticket_id"),
    columns=(
        ("customer", "customer"),
        ("status", "status"),
        ("priority", "priority"),
        ("assignee", "assignee"),
        ("team", "team"),
        ("opened_at", "opened_at"),
        ("closed_at", "closed_at"),
    ),
)
