"""Referrals: customers who bring customers. The subject is the referrer."""

from typing import Literal

from schemas.fields import Id
from schemas.subject import Subject
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import shown_subject, trailing

Stage = Literal["clicked", "signed_up", "trial", "checkout"]


@fact
class ReferralMade(Touchpoint):
    """The customer recommended the business to the referee."""

    TYPE = "referral.made.v1"
    CHANNEL = "referral"

    referral_id: Id
    programme: Id
    referee: Subject

    def summary(self) -> str:
        return f"referred {shown_subject(self.referee)} (programme {self.programme})"


@fact
class ReferralAdvanced(Touchpoint):
    """The referee came a step nearer to buying."""

    TYPE = "referral.advanced.v1"
    CHANNEL = "referral"

    referral_id: Id
    stage: Stage

    def summary(self) -> str:
        return f"saw referral {self.referral_id} reach {self.stage.replace('_', ' ')}"


@fact
class ReferralConverted(Touchpoint):
    """The referee became a customer."""

    TYPE = "referral.converted.v1"
    CHANNEL = "referral"

    referral_id: Id
    order_id: Id | None = None

    def summary(self) -> str:
        return f"saw referral {self.referral_id} convert" + trailing(", order ", self.order_id)
