"""Corrections: the log is never rewritten, so a mistake in it is named by another fact."""

from schemas.fields import Id, RequiredPersonalText
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import shown, trailing


@fact
class TouchpointVoided(Touchpoint):
    """The fact (voided_source, voided_id) was recorded in error and counts in no view.

    Asked for what was known before this one was recorded, it still does.
    """

    TYPE = "touchpoint.voided.v1"
    CHANNEL = None

    voided_source: Id
    voided_id: Id
    reason: RequiredPersonalText

    def summary(self) -> str:
        what = f"touchpoint {self.voided_id} of {self.voided_source} was voided"
        return what + trailing(": ", shown(self.reason))
