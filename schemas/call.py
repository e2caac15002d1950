"""Telephone calls, as the telephone system reports them."""

from typing import Literal

from schemas.fields import Id, PersonalPhone, Seconds
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import lasting, trailing

Direction = Literal["inbound", "outbound"]
Outcome = Literal["answered", "abandoned", "voicemail", "failed"]


@fact
class CallStarted(Touchpoint):
    """A call began: the customer rang (inbound) or was rung (outbound)."""

    TYPE = "call.started.v1"
    CHANNEL = "call"

    call_id: Id
    direction: Direction
    queue: Id | None = None
    phone: PersonalPhone = None

    def summary(self) -> str:
        what = "called in" if self.direction == "inbound" else "was called"
        return what + trailing(", queue ", self.queue)


@fact
class CallAnswered(Touchpoint):
    """An agent took the call."""

    TYPE = "call.answered.v1"
    CHANNEL = "call"

    call_id: Id
    agent: Id

    def summary(self) -> str:
        return f"was answered by {self.agent} (call {self.call_id})"


@fact
class CallEnded(Touchpoint):
    """A call is over; `wait_seconds` is what the customer waited before it was answered.

    A source that reports each call once, when it is over, needs no other type.
    """

    TYPE = "call.ended.v1"
    CHANNEL = "call"

    call_id: Id
    direction: Direction
    outcome: Outcome
    duration_seconds: Seconds
    wait_seconds: Seconds | None = None
    agent: Id | None = None
    topic: Id | None = None
    resolved: bool | None = None

    def summary(self) -> str:
        what = "called in" if self.direction == "inbound" else "was called"
        wait = "" if self.wait_seconds is None else f", waited {lasting(self.wait_seconds)}"
        by = trailing(" by ", self.agent) if self.outcome == "answered" else ""
        took = f" ({lasting(self.duration_seconds)})"
        return what + wait + f", {self.outcome}{by}{took}" + trailing(", about ", self.topic)
