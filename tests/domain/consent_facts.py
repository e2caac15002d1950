"""Short ways to state what somebody allows and is sent, at given minutes of one morning."""

from typing import Any

from schemas.consent import ConsentGranted, ConsentWithdrawn
from schemas.email import EmailSent, EmailUnsubscribed
from schemas.envelope import Envelope
from schemas.privacy import PersonErased
from schemas.sms import SmsSent
from tests.domain.story import happened


def granted(
    number: float, channel: Any, purpose: Any = "marketing", basis: str | None = None, **more: Any
) -> Envelope[Any]:
    data = ConsentGranted(channel=channel, purpose=purpose, legal_basis=basis)
    return happened(number, data, **more)


def withdrawn(
    number: float, channel: Any, purpose: Any = "marketing", basis: str | None = None, **more: Any
) -> Envelope[Any]:
    data = ConsentWithdrawn(channel=channel, purpose=purpose, legal_basis=basis)
    return happened(number, data, **more)


def unsubscribed(number: float, **more: Any) -> Envelope[Any]:
    return happened(number, EmailUnsubscribed(message_id="M1"), **more)


def sms(number: float, purpose: Any = "marketing", **more: Any) -> Envelope[Any]:
    data = SmsSent(message_id="M2", phone="~phone", text="~text", purpose=purpose, campaign="may")
    return happened(number, data, **more)


def email(number: float, purpose: Any = "marketing", **more: Any) -> Envelope[Any]:
    return happened(number, EmailSent(message_id="M3", body="~text", purpose=purpose), **more)


def erased(number: float, **more: Any) -> Envelope[Any]:
    return happened(number, PersonErased(reason="request 7", certificate_id="C1"), **more)
