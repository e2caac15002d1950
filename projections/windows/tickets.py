"""Tickets as records: the board, and one of them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import NamedTuple, get_args

from domain import tickets
from domain.tickets import RESOLVED, Ticket
from ledger.ledger import Ledger
from projections.boards import Boards
from projections.query import Cut, state_of
from projections.tickets import TICKETS
from projections.windows import Record
from projections.windows.sight import Sight, subject_in
from projections.windows.whom import moment_of
from schemas.ticket import Priority

URGENT_FIRST = tuple(reversed(get_args(Priority)))
LIST_FIELDS = (
    "ticket", "customer", "status", "priority", "assignee", "team", "kind", "title",
    "opened_at", "first_response_at", "resolved_at", "closed_at", "reopens",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which tickets are wanted; `subjects` are the (stored) ones of a customer."""

    statuses: Collection[str] = ()
    assignee: str | None = None
    priorities: Collection[str] = ()
    subjects: Collection[str] = ()
    only_open: bool = False

    def passes(self, ticket: Ticket) -> bool:
        return (
            (not self.statuses or ticket.status in self.statuses)
            and (self.assignee is None or ticket.assignee == self.assignee)
            and (not self.priorities or ticket.priority in self.priorities)
            and (not self.subjects or ticket.customer in self.subjects)
            and not (self.only_open and ticket.status in RESOLVED)
        )


class Rank(NamedTuple):
    """A place on the board: the most urgent first, of those the oldest."""

    urgency: int
    opened_at: int
    ticket: str


def rank(ticket: Ticket) -> Rank:
    """The place of a ticket on the board."""
    return Rank(URGENT_FIRST.index(ticket.priority), ticket.opened_at or 0, ticket.ticket)


def board(
    folded: Boards,
    wanted: Wanted,
    limit: int | None = None,
    after: Rank | None = None,
) -> list[Ticket]:
    """The tickets that are wanted, by rank; those behind a rank, if one is given."""
    found = (ticket for _, ticket in folded.walk(TICKETS) if wanted.passes(ticket))
    behind = found if after is None else (ticket for ticket in found if rank(ticket) > after)
    return sorted(behind, key=rank) if limit is None else nsmallest(limit, behind, rank)


def board_records(listed: Sequence[Ticket], now: int, sight: Sight) -> Iterator[Record]:
    """The lines of the board, in the order of the tickets given."""
    names = sight.subjects({ticket.customer for ticket in listed})
    sight.fetch_keys({ticket.title.subject for ticket in listed if ticket.title})
    for ticket in listed:
        shown = tickets.show(ticket, now)
        record = {name: shown[name] for name in LIST_FIELDS}
        record["customer"] = names[ticket.customer]
        if record["title"] is not None:
            record["title"] = sight.title(record["title"])["value"]
        yield record


def ticket_record(ledger: Ledger, ticket_id: str, cut: Cut, sight: Sight) -> Record | None:
    """How a ticket stands, and how long it took; None when nothing is known of it."""
    ticket: Ticket | None = state_of(ledger, TICKETS, ticket_id, cut)
    if ticket is None:
        return None
    record = tickets.show(ticket, moment_of(ledger, cut))
    record["customer"] = subject_in(sight, ticket.customer)
    if record["title"] is not None:
        record["title"] = sight.title(record["title"])
    return record
