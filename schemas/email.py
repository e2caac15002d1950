"""Emails: what customers write and what becomes of what they are sent."""

from schemas.fields import Id, PersonalText, SendingPurpose, Text
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import short, shown, trailing


@fact
class EmailReceived(Touchpoint):
    """The customer wrote to the business."""

    TYPE = "email.received.v1"
    CHANNEL = "email"

    message_id: Id
    thread_id: Id | None = None
    subject_line: PersonalText = None
    body: PersonalText = None
    campaign: Id | None = None
    purpose: SendingPurpose | None = None
    agent: Id | None = None

    def summary(self) -> str:
        return "wrote an email" + trailing(": ", shown(self.subject_line))


@fact
class EmailSent(Touchpoint):
    """The business wrote to the customer; marketing needs a consent that holds at that time."""

    TYPE = "email.sent.v1"
    CHANNEL = "email"

    message_id: Id
    thread_id: Id | None = None
    subject_line: PersonalText = None
    body: PersonalText = None
    campaign: Id | None = None
    purpose: SendingPurpose | None = None
    agent: Id | None = None

    def summary(self) -> str:
        kind = "a marketing email" if self.purpose == "marketing" else "an email"
        about = trailing(" of campaign ", self.campaign) + trailing(": ", shown(self.subject_line))
        return f"was sent {kind}{about}"


@fact
class EmailDelivered(Touchpoint):
    """The customer's mail server took the message."""

    TYPE = "email.delivered.v1"
    CHANNEL = "email"

    message_id: Id
    campaign: Id | None = None
    reason: Text | None = None

    def summary(self) -> str:
        return f"got email {self.message_id}" + trailing(" of campaign ", self.campaign)


@fact
class EmailOpened(Touchpoint):
    """The customer opened the message, as far as a sender can tell."""

    TYPE = "email.opened.v1"
    CHANNEL = "email"

    message_id: Id
    campaign: Id | None = None
    reason: Text | None = None

    def summary(self) -> str:
        return f"opened email {self.message_id}" + trailing(" of campaign ", self.campaign)


@fact
class EmailBounced(Touchpoint):
    """The message could not be delivered."""

    TYPE = "email.bounced.v1"
    CHANNEL = "email"

    message_id: Id
    campaign: Id | None = None
    reason: Text | None = None

    def summary(self) -> str:
        why = trailing(": ", short(self.reason or ""))
        return f"could not be reached by email {self.message_id}{why}"


@fact
class EmailUnsubscribed(Touchpoint):
    """The customer wants no more of these emails."""

    TYPE = "email.unsubscribed.v1"
    CHANNEL = "email"

    message_id: Id
    campaign: Id | None = None
    reason: Text | None = None

    def summary(self) -> str:
        about = trailing(" of campaign ", self.campaign) + trailing(": ", short(self.reason or ""))
        return f"unsubscribed from emails{about}"


@fact
class EmailClicked(Touchpoint):
    """The customer followed a link in the message."""

    TYPE = "email.clicked.v1"
    CHANNEL = "email"

    message_id: Id
    url: Text
    campaign: Id | None = None

    def summary(self) -> str:
        return f"clicked {short(self.url)} in email {self.message_id}"
