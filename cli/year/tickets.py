"""Tickets with real lives: agents, a bot, waiting, reopening, merging, and some odd turns."""

from dataclasses import dataclass

from cli.year.business import Year
from cli.year.clocks import DAY, HOUR, SECOND, when_office_opens
from cli.year.journal import HELPDESK, Data
from cli.year.loyalty import answer_survey, show_goodwill
from cli.year.people import COMPLAINER, Customer
from cli.year.vocabulary import (
    AGENT_LINES,
    AGENTS,
    BOT_LINES,
    CUSTOMER_LINES,
    TEAMS,
    TICKET_TITLES,
)

CLOSED_AFTER = 4 * DAY
"""A solved ticket that nobody touches is closed by the helpdesk itself."""

ROUNDS_MAX = 4
MERGED_SHARE = 0.03
ODD_SHARE = 0.012
FORGOTTEN_SHARE = 0.04
KINDS = ("request", "request", "incident", "claim", "question")
PRIORITIES = ("low", "normal", "normal", "high", "urgent")


@dataclass(slots=True)
class Ticket:
    """A ticket while it lives; `at` moves on, and `sequence` orders what shares a second."""

    year: Year
    customer: Customer
    ticket_id: str
    at: int
    agent: str
    sequence: int = 0

    def report(self, kind: str, data: Data) -> None:
        self.sequence += 1
        data["ticket_id"] = self.ticket_id
        self.year.book(self.customer, self.at, HELPDESK, kind, data, self.sequence, self.ticket_id)

    def become(self, status: str) -> None:
        self.report("ticket.status_changed.v1", {"status": status})

    def assign(self, data: Data) -> None:
        self.report("ticket.assigned.v1", data)

    def comment(self, author: str, texts: tuple[str, ...]) -> None:
        data: Data = {"author": author, "public": True, "text": self.year.pick(texts)}
        if author == "agent":
            data["agent"] = self.agent
        self.report("ticket.commented.v1", data)

    def whisper(self) -> None:
        """A note among agents, which the customer never sees."""
        text = self.year.pick(
            ("Asked the warehouse.", "Same as last week.", "Please double-check.")
        )
        data: Data = {"author": "agent", "agent": self.agent, "public": False, "text": text}
        self.report("ticket.commented.v1", data)

    def wait_for_agent(self, minutes_max: float) -> None:
        self.at = when_office_opens(self.at + self.year.minutes(2, minutes_max))

    def wait_for_customer(self) -> None:
        self.at += self.year.minutes(10, 2_800)


def complain(year: Year, customer: Customer, at: int) -> None:
    """Something is wrong, and the customer opens a ticket."""
    live_ticket(year, customer, at, year.pick(("email", "email", "web", "chat")))


def live_ticket(year: Year, customer: Customer, at: int, channel: str) -> None:
    """One ticket from its opening to its close, or to the end of the year."""
    ticket = _open(year, customer, at, channel)
    if year.chance(MERGED_SHARE):
        _merge_a_double(ticket, channel)
    _take_in_charge(ticket)
    for _ in range(year.between(1, ROUNDS_MAX)):
        _go_back_and_forth(ticket)
    if year.chance(FORGOTTEN_SHARE):
        return
    _solve(ticket)
    if year.chance(0.1):
        _reopen(ticket)
    _finish(ticket)


def _open(year: Year, customer: Customer, at: int, channel: str) -> Ticket:
    ticket = Ticket(year, customer, f"T{year.number()}", at, year.pick(AGENTS))
    data: Data = {
        "channel": channel,
        "kind": year.pick(KINDS),
        "title": year.pick(TICKET_TITLES),
        "team": year.pick(TEAMS),
    }
    if year.chance(0.7):
        data["priority"] = year.pick(PRIORITIES)
    ticket.report("ticket.opened.v1", data)
    if year.chance(0.6):
        ticket.comment("bot", BOT_LINES)
    return ticket


def _merge_a_double(ticket: Ticket, channel: str) -> None:
    """The customer has written twice; the second ticket goes into the first."""
    at = ticket.at + ticket.year.minutes(2, 55)
    double = _open(ticket.year, ticket.customer, at, channel)
    double.wait_for_agent(90)
    double.report("ticket.merged.v1", {"into_ticket_id": ticket.ticket_id})


def _take_in_charge(ticket: Ticket) -> None:
    year = ticket.year
    ticket.wait_for_agent(60)
    ticket.assign({"assignee": ticket.agent})
    if year.chance(0.5):
        ticket.become("open")
    if year.chance(0.15):
        ticket.report("ticket.priority_changed.v1", {"priority": year.pick(PRIORITIES)})


def _go_back_and_forth(ticket: Ticket) -> None:
    """An agent answers and the customer is waited for; or it takes longer than that."""
    year = ticket.year
    ticket.wait_for_agent(240)
    if year.chance(0.15):
        _hand_over(ticket)
    ticket.comment("agent", AGENT_LINES)
    if year.chance(0.2):
        ticket.whisper()
    if year.chance(0.12):
        ticket.become("on_hold")
        ticket.at = when_office_opens(ticket.at + year.between(DAY, 6 * DAY))
        ticket.become("open")
    elif year.chance(0.6):
        ticket.become("pending")
        ticket.wait_for_customer()
        ticket.comment("customer", CUSTOMER_LINES)
        ticket.become("open")


def _hand_over(ticket: Ticket) -> None:
    ticket.agent = ticket.year.pick(AGENTS)
    ticket.assign({"assignee": ticket.agent, "team": ticket.year.pick(TEAMS)})


def _solve(ticket: Ticket) -> None:
    ticket.wait_for_agent(400)
    ticket.become("solved")
    year, customer = ticket.year, ticket.customer
    if year.chance(0.25):
        asked = ticket.at + year.between(HOUR, 2 * DAY)
        answer_survey(year, customer, asked, year.pick(("csat", "csat", "ces")), ticket.ticket_id)
    if customer.segment == COMPLAINER and year.chance(0.1):
        show_goodwill(year, customer, ticket.at + 30 * SECOND)


def _reopen(ticket: Ticket) -> None:
    ticket.at += ticket.year.between(HOUR, 3 * DAY)
    ticket.comment("customer", CUSTOMER_LINES)
    ticket.become("open")
    ticket.wait_for_agent(300)
    ticket.comment("agent", AGENT_LINES)
    _solve(ticket)


def _finish(ticket: Ticket) -> None:
    year = ticket.year
    if year.chance(0.92):
        ticket.at += CLOSED_AFTER
        ticket.become("closed")
    if year.chance(ODD_SHARE):
        # Tools let people do it: a status that cannot follow the one before.
        ticket.at += year.between(HOUR, 5 * DAY)
        ticket.become(year.pick(("pending", "on_hold", "solved")))
