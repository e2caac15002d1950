"""Social networks: private messages and public mentions."""

from schemas.fields import Id, PersonalText
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import shown, trailing


@fact
class SocialMessageReceived(Touchpoint):
    """The customer wrote to the business on a network."""

    TYPE = "social.message_received.v1"
    CHANNEL = "social"

    network: Id
    post_id: Id
    text: PersonalText = None
    agent: Id | None = None

    def summary(self) -> str:
        return f"wrote on {self.network}" + trailing(": ", shown(self.text))


@fact
class SocialMessageSent(Touchpoint):
    """The business answered the customer on a network."""

    TYPE = "social.message_sent.v1"
    CHANNEL = "social"

    network: Id
    post_id: Id
    text: PersonalText = None
    agent: Id | None = None

    def summary(self) -> str:
        who = trailing(" by ", self.agent)
        return f"was answered on {self.network}{who}" + trailing(": ", shown(self.text))


@fact
class SocialMentioned(Touchpoint):
    """The customer spoke of the business in public."""

    TYPE = "social.mentioned.v1"
    CHANNEL = "social"

    network: Id
    post_id: Id
    text: PersonalText = None
    agent: Id | None = None

    def summary(self) -> str:
        return f"mentioned the business on {self.network}" + trailing(": ", shown(self.text))
