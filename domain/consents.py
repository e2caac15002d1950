"""Consent: which statement decides whether a person may be reached on a channel.

`any` covers every channel. For a channel and a purpose, the latest statement by occurrence that
applies decides, whether it named the channel or `any`. Who unsubscribes from an email withdraws
marketing by email. Who is erased withdraws whatever he had said anything about, by every channel.
"""

from typing import Any, NamedTuple, TypeVar, get_args

import msgspec

from domain.occurred import Occurred
from schemas.consent import ConsentChannel, ConsentGranted, ConsentWithdrawn
from schemas.email import EmailUnsubscribed
from schemas.fields import rfc3339
from schemas.privacy import PersonErased

ANY = "any"
CHANNELS = tuple(channel for channel in get_args(ConsentChannel) if channel != ANY)
"""The channels on which somebody can be reached."""
EMAIL = "email"
MARKETING = "marketing"
GRANTED, WITHDRAWN = "granted", "withdrawn"

READS: dict[str, tuple[str, ...]] = {
    ConsentGranted.TYPE: ("channel", "purpose"),
    ConsentWithdrawn.TYPE: ("channel", "purpose"),
    EmailUnsubscribed.TYPE: (),
    PersonErased.TYPE: (),
}
"""The types that state a consent, each with the fields of `data` that say which."""


class Scope(NamedTuple):
    """What a statement is about."""

    channel: str
    purpose: str


class Statement(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What was said, and by which touchpoint. `at` is in microseconds since 1970 (UTC)."""

    granted: bool
    at: int
    source: str
    id: str

    @property
    def state(self) -> str:
        """`granted` or `withdrawn`."""
        return GRANTED if self.granted else WITHDRAWN


S = TypeVar("S", bound=Statement)
Standing = dict[str, dict[str, S]]
"""By purpose, then by channel (each that was ever named, `any` among them): what decides."""

Consents = Standing[Statement]


def scopes_of(touchpoint: Occurred, consents: Standing[S]) -> list[Scope]:
    """What a touchpoint of one of the types in READS is about, after what stands already.

    An erasure is about every purpose that was ever named; of what was never said it says nothing.
    """
    if touchpoint.type == PersonErased.TYPE:
        return [Scope(ANY, purpose) for purpose in sorted(consents)]
    if touchpoint.type == EmailUnsubscribed.TYPE:
        return [Scope(EMAIL, MARKETING)]
    return [Scope(touchpoint.data.channel, touchpoint.data.purpose)]


def grants(touchpoint: Occurred) -> bool:
    """Whether a touchpoint of one of the types in READS allows what it is about."""
    return touchpoint.type == ConsentGranted.TYPE


def statement_of(touchpoint: Occurred) -> Statement:
    """What a touchpoint of one of the types in READS says."""
    return Statement(grants(touchpoint), touchpoint.at, touchpoint.source, touchpoint.id)


def covers(named: str, channel: str) -> bool:
    """Whether a statement that names one channel applies to another."""
    return named in (channel, ANY)


def note(consents: Standing[S], scope: Scope, statement: S) -> None:
    """Let the next statement, by occurrence, decide for every channel that it covers."""
    of_purpose = consents.setdefault(scope.purpose, {})
    of_purpose[scope.channel] = statement
    for channel in of_purpose:
        if covers(scope.channel, channel):
            of_purpose[channel] = statement


def deciding(consents: Standing[S], channel: str, purpose: str) -> S | None:
    """The statement in force for a channel and a purpose; None when nothing was ever said.

    Asked of the channel `any`, only what was said of `any` applies.
    """
    of_purpose = consents.get(purpose, {})
    return of_purpose.get(channel) or of_purpose.get(ANY)


def in_force(consents: Consents) -> list[dict[str, Any]]:
    """One entry for each purpose and channel that was ever named, with what holds for it now."""
    return [
        {
            "channel": channel,
            "purpose": purpose,
            "state": decides.state,
            "time": rfc3339(decides.at),
            "source": decides.source,
            "id": decides.id,
        }
        for purpose in sorted(consents)
        for channel, decides in sorted(consents[purpose].items())
    ]
