"""Text messages to and from the customer's phone."""

from schemas.fields import Id, PersonalPhone, PersonalText, SendingPurpose
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import shown, trailing


@fact
class SmsSent(Touchpoint):
    """The business sent a text message; marketing needs a consent that holds at that time."""

    TYPE = "sms.sent.v1"
    CHANNEL = "sms"

    message_id: Id
    phone: PersonalPhone = None
    text: PersonalText = None
    campaign: Id | None = None
    purpose: SendingPurpose | None = None

    def summary(self) -> str:
        kind = "a marketing SMS" if self.purpose == "marketing" else "an SMS"
        about = trailing(" of campaign ", self.campaign) + trailing(": ", shown(self.text))
        return f"was sent {kind}{about}"


@fact
class SmsDelivered(Touchpoint):
    """The text message reached the phone."""

    TYPE = "sms.delivered.v1"
    CHANNEL = "sms"

    message_id: Id
    phone: PersonalPhone = None
    text: PersonalText = None
    campaign: Id | None = None
    purpose: SendingPurpose | None = None

    def summary(self) -> str:
        return f"got SMS {self.message_id}" + trailing(" of campaign ", self.campaign)


@fact
class SmsFailed(Touchpoint):
    """The text message did not reach the phone."""

    TYPE = "sms.failed.v1"
    CHANNEL = "sms"

    message_id: Id
    phone: PersonalPhone = None
    text: PersonalText = None
    campaign: Id | None = None
    purpose: SendingPurpose | None = None

    def summary(self) -> str:
        return f"could not be reached by SMS {self.message_id}"


@fact
class SmsReplied(Touchpoint):
    """The customer answered a text message."""

    TYPE = "sms.replied.v1"
    CHANNEL = "sms"

    message_id: Id
    phone: PersonalPhone = None
    text: PersonalText = None
    campaign: Id | None = None
    purpose: SendingPurpose | None = None

    def summary(self) -> str:
        return f"replied to SMS {self.message_id}" + trailing(": ", shown(self.text))
