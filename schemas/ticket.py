"""Tickets: requests, incidents, claims and questions, from opening to close."""

from typing import Literal

from schemas.fields import Author, Id, PersonalText
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import shown, trailing

TicketKind = Literal["request", "incident", "claim", "question"]
Priority = Literal["low", "normal", "high", "urgent"]
Status = Literal["new", "open", "pending", "on_hold", "solved", "closed"]


@fact
class TicketOpened(Touchpoint):
    """A ticket was made for the customer."""

    TYPE = "ticket.opened.v1"
    CHANNEL = "ticket"

    ticket_id: Id
    channel: Id | None = None
    kind: TicketKind | None = None
    priority: Priority | None = None
    title: PersonalText = None
    team: Id | None = None

    def summary(self) -> str:
        priority = f" ({self.priority})" if self.priority else ""
        return f"opened ticket {self.ticket_id}{priority}" + trailing(": ", shown(self.title))


@fact
class TicketAssigned(Touchpoint):
    """Somebody is to see to the ticket from now on; nobody, where neither is named."""

    TYPE = "ticket.assigned.v1"
    CHANNEL = "ticket"

    ticket_id: Id
    assignee: Id | None = None
    team: Id | None = None

    def summary(self) -> str:
        if self.assignee is None and self.team is None:
            return f"ticket {self.ticket_id} was assigned to nobody"
        who = self.assignee or f"team {self.team}"
        of = trailing(" of team ", self.team) if self.assignee else ""
        return f"ticket {self.ticket_id} was assigned to {who}{of}"


@fact
class TicketPriorityChanged(Touchpoint):
    """The ticket became more or less urgent."""

    TYPE = "ticket.priority_changed.v1"
    CHANNEL = "ticket"

    ticket_id: Id
    priority: Priority

    def summary(self) -> str:
        return f"ticket {self.ticket_id} became {self.priority}"


@fact
class TicketStatusChanged(Touchpoint):
    """The ticket went to another status; from solved or closed to an open one is a reopening."""

    TYPE = "ticket.status_changed.v1"
    CHANNEL = "ticket"

    ticket_id: Id
    status: Status

    def summary(self) -> str:
        return f"ticket {self.ticket_id} went to {self.status.replace('_', ' ')}"


@fact
class TicketCommented(Touchpoint):
    """Somebody wrote on the ticket; the customer sees what is public."""

    TYPE = "ticket.commented.v1"
    CHANNEL = "ticket"

    ticket_id: Id
    author: Author
    public: bool
    agent: Id | None = None
    text: PersonalText = None

    def summary(self) -> str:
        who = {
            "customer": "commented on",
            "agent": f"was answered{trailing(' by ', self.agent)} on",
            "bot": "was answered by a bot on",
        }[self.author]
        if not self.public:
            who = f"{self.agent or self.author} noted internally on"
        return f"{who} ticket {self.ticket_id}" + trailing(": ", shown(self.text))


@fact
class TicketMerged(Touchpoint):
    """The ticket lives on in another one, which is about the same thing."""

    TYPE = "ticket.merged.v1"
    CHANNEL = "ticket"

    ticket_id: Id
    into_ticket_id: Id

    def summary(self) -> str:
        return f"ticket {self.ticket_id} was merged into {self.into_ticket_id}"
