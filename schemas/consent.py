"""Consent: what the customer allows the business to do, by channel and purpose."""

from typing import Literal

from schemas.fields import Id, PersonalText
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import trailing

ConsentChannel = Literal["email", "sms", "phone", "post", "chat", "any"]
ConsentPurpose = Literal["marketing", "profiling", "service"]


def _scope(channel: str, purpose: str) -> str:
    return f"{purpose} by {'any channel' if channel == 'any' else channel}"


@fact
class ConsentGranted(Touchpoint):
    """The customer allows it from now on; `any` covers every channel."""

    TYPE = "consent.granted.v1"
    CHANNEL = "consent"

    channel: ConsentChannel
    purpose: ConsentPurpose
    legal_basis: Id | None = None
    evidence: PersonalText = None

    def summary(self) -> str:
        basis = f" ({self.legal_basis})" if self.legal_basis else ""
        return f"allowed {_scope(self.channel, self.purpose)}{basis}"


@fact
class ConsentWithdrawn(Touchpoint):
    """The customer allows it no longer; `any` covers every channel."""

    TYPE = "consent.withdrawn.v1"
    CHANNEL = "consent"

    channel: ConsentChannel
    purpose: ConsentPurpose
    legal_basis: Id | None = None
    evidence: PersonalText = None

    def summary(self) -> str:
        return f"refused {_scope(self.channel, self.purpose)}" + trailing("; ", self.legal_basis)
