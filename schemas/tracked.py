"""What a client tracks under a name of its own, which this catalogue does not know."""

from schemas.fields import Id, PersonalMap
from schemas.touchpoint import Touchpoint, fact


@fact
class EventTracked(Touchpoint):
    """Something happened that only the source has a word for."""

    TYPE = "event.tracked.v1"
    CHANNEL = "tracked"

    name: Id
    properties: PersonalMap = None

    def summary(self) -> str:
        return f"did “{self.name}”"
