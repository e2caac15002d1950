"""`/v1/tickets`: the board, one ticket, and what happened with it."""

from heapq import nsmallest

from domain.tickets import STATUSES
from ledger.access import Right
from ledger.ledger import Ledger
from projections.query import Cut, history, subjects_of
from projections.tickets import TICKETS
from projections.windows import Record
from projections.windows.tickets import (
    URGENT_FIRST,
    Rank,
    Wanted,
    board,
    board_records,
    rank,
    ticket_record,
)
from projections.windows.timeline import Order, timeline_records
from projections.windows.whom import moment_of
from web.answering import PAGE, UNKNOWN, WRONG, window
from web.asking import CUT, IN_CLEAR, PAGED, TICKET, Question, person_in, query, several
from web.boards import boards
from web.endpoint import OBJECT, Answer, Endpoint
from web.paging import page_of, place_in
from web.problems import Problem

READ = (Right.READ,)


def tickets(ledger: Ledger, question: Question) -> Record:
    """The most urgent first, and of those that are equally urgent the oldest."""
    cut, limit, sight = question.cut, question.limit, question.sight(ledger)
    after = place_in(question.text("cursor"), Rank)
    named = question.text("customer")
    subjects = () if named is None else subjects_of(ledger, person_in(ledger, named, cut), cut)
    wanted = Wanted(
        statuses=question.several("status"),
        assignee=question.text("assignee"),
        priorities=question.several("priority"),
        subjects=subjects,
        only_open=question.flag("open"),
    )
    with boards(ledger, (TICKETS,), cut) as folded:
        listed = board(folded, wanted, limit + 1, after)
    now = moment_of(ledger, cut)
    return page_of(
        listed, limit, rank, lambda page: sight.on_record(board_records(page, now, sight))
    )


def ticket(ledger: Ledger, question: Question) -> Record:
    """How a ticket stands, and how long it took."""
    cut, sight = question.cut, question.sight(ledger)
    record = ticket_record(ledger, question.part("id"), cut, sight)
    if record is None:
        raise _unknown(cut)
    sight.on_record([record])
    return record


def ticket_history(ledger: Ledger, question: Question) -> Record:
    """What happened with a ticket, whoever did it."""
    cut, limit, sight = question.cut, question.limit, question.sight(ledger)
    after = place_in(question.text("cursor"), Order)
    told = history(ledger, TICKETS, question.part("id"), cut)
    if not told:
        raise _unknown(cut)
    behind = [one for one in told if after is None or one.envelope.order > after]
    return page_of(
        nsmallest(limit + 1, behind, lambda one: one.envelope.order),
        limit,
        lambda one: one.envelope.order,
        lambda page: timeline_records(ledger, page, cut, sight),
    )


def _unknown(cut: Cut) -> Problem:
    said = "there is no such ticket" if cut.now else "nothing was known of it at that time"
    return Problem(404, "unknown_ticket", said)


ENDPOINTS = (
    Endpoint(
        method="GET", path="/v1/tickets", name="listTickets", tag="tickets", needs=READ,
        handler=window(tickets, TICKETS),
        summary="Tickets, the most urgent first, and of those the oldest.",
        parameters=(
            several("status", "Only this status", STATUSES),
            several("priority", "Only this priority", URGENT_FIRST),
            query("assignee", "Only what this agent has."),
            query("customer", "Only the tickets of this customer, given by a subject."),
            query("open", "Only what is not solved or closed.", enum=["true", "false"]),
            *PAGED, *CUT, IN_CLEAR,
        ),
        gives={200: Answer(says="A page of tickets.", schema=PAGE), 400: WRONG, 404: UNKNOWN},
    ),
    Endpoint(
        method="GET", path="/v1/tickets/{id}", name="showTicket", tag="tickets", needs=READ,
        handler=window(ticket, TICKETS),
        summary="How a ticket stands, and how long it took.",
        parameters=(TICKET, *CUT, IN_CLEAR),
        gives={200: Answer(says="The ticket.", schema=OBJECT), 400: WRONG, 404: UNKNOWN},
    ),
    Endpoint(
        method="GET", path="/v1/tickets/{id}/history", name="showHistory", tag="tickets",
        needs=READ, handler=window(ticket_history, TICKETS),
        summary="What happened with a ticket, whoever did it.",
        parameters=(TICKET, *PAGED, *CUT, IN_CLEAR),
        gives={200: Answer(says="A page of touchpoints.", schema=PAGE), 400: WRONG, 404: UNKNOWN},
    ),
)  # fmt: skip
