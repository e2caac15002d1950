"""Live chats with people and bots."""

from schemas.fields import Author, Id, PersonalText, Seconds, Text
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import lasting, short, shown, trailing


@fact
class ChatStarted(Touchpoint):
    """A conversation began; `page` is where on the site the customer was."""

    TYPE = "chat.started.v1"
    CHANNEL = "chat"

    conversation_id: Id
    page: Text | None = None

    def summary(self) -> str:
        return "started a chat" + trailing(" on ", short(self.page or ""))


@fact
class ChatMessagePosted(Touchpoint):
    """Somebody said something in a conversation."""

    TYPE = "chat.message_posted.v1"
    CHANNEL = "chat"

    conversation_id: Id
    message_id: Id
    author: Author
    agent: Id | None = None
    text: PersonalText = None

    def summary(self) -> str:
        who = {
            "customer": "wrote in chat",
            "agent": f"was answered in chat{trailing(' by ', self.agent)}",
            "bot": "was answered in chat by a bot",
        }[self.author]
        return who + trailing(": ", shown(self.text))


@fact
class ChatHandedOff(Touchpoint):
    """The conversation passed from a bot, or from an agent, to another agent."""

    TYPE = "chat.handed_off.v1"
    CHANNEL = "chat"

    conversation_id: Id
    to_agent: Id

    def summary(self) -> str:
        return f"was handed to {self.to_agent} in chat {self.conversation_id}"


@fact
class ChatEnded(Touchpoint):
    """The conversation is over."""

    TYPE = "chat.ended.v1"
    CHANNEL = "chat"

    conversation_id: Id
    duration_seconds: Seconds | None = None

    def summary(self) -> str:
        took = self.duration_seconds
        return "ended a chat" + ("" if took is None else f" after {lasting(took)}")
