"""Meetings in person, at the customer's place or at the business."""

from schemas.fields import Id, Moment, Text
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import short, trailing


@fact
class VisitScheduled(Touchpoint):
    """A visit was agreed for `at`; agreeing the same visit again moves it."""

    TYPE = "visit.scheduled.v1"
    CHANNEL = "visit"

    visit_id: Id
    at: Moment | None = None
    place: Text | None = None
    agent: Id | None = None

    def summary(self) -> str:
        when = "" if self.at is None else f" for {self.at.isoformat(' ', 'minutes')}"
        where = trailing(" at ", short(self.place or ""))
        return f"agreed a visit{when}{where}" + trailing(" with ", self.agent)


@fact
class VisitCompleted(Touchpoint):
    """The visit took place."""

    TYPE = "visit.completed.v1"
    CHANNEL = "visit"

    visit_id: Id
    at: Moment | None = None
    place: Text | None = None
    agent: Id | None = None

    def summary(self) -> str:
        where = trailing(" at ", short(self.place or ""))
        return f"met {self.agent or 'the business'}{where} (visit {self.visit_id})"


@fact
class VisitCancelled(Touchpoint):
    """The visit will not take place."""

    TYPE = "visit.cancelled.v1"
    CHANNEL = "visit"

    visit_id: Id
    at: Moment | None = None
    place: Text | None = None
    agent: Id | None = None

    def summary(self) -> str:
        return f"saw visit {self.visit_id} cancelled" + trailing(" by ", self.agent)
