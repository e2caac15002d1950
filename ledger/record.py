"""A touchpoint ready to be appended, and what became of it."""

from collections.abc import Sequence

import msgspec

from ledger.personal import Protected, Vault, in_clear
from schemas.door import Refused
from schemas.envelope import Envelope
from schemas.identity import (
    CustomerDescribed,
    CustomerLinked,
    CustomerMerged,
    IdentityRulesPublished,
)
from schemas.registry import BY_TYPE
from schemas.subject import stream_of
from schemas.touchpoint import Touchpoint

_encode = msgspec.json.Encoder().encode
GOVERNING = frozenset(name for name, cls in BY_TYPE.items() if cls.CHANNEL is None)
"""The types of facts that bear on other facts: rules, identity, voiding."""
_TYING = frozenset(
    cls.TYPE for cls in (CustomerDescribed, CustomerLinked, CustomerMerged, IdentityRulesPublished)
)
"""The types of facts that may put subjects together."""


class Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The bytes that will be stored, and what the log needs to know of them."""

    stream: str
    topic: str
    state: bytes
    source: str
    id: str
    digest: bytes
    subject: str
    tokens: tuple[str, ...] = ()
    governs: bool = False
    ties: tuple[str, ...] = ()
    """The subjects, or tokens, that this fact puts together with its own subject."""
    keyed: tuple[str, ...] = ()
    """The subjects under whose keys something in it is encrypted."""


class Recorded(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=True):
    """It is new, and stands at this position."""

    position: int


class Duplicate(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=True):
    """The same touchpoint was recorded before, at this position."""

    position: int


class Known(msgspec.Struct, frozen=True, gc=False):
    """Something is recorded under this `(source, id)`; as an outcome: other content, a conflict."""

    position: int
    digest: bytes


def records_of(envelopes: Sequence[Envelope[Touchpoint]], vault: Vault) -> list[Record | Refused]:
    """Encrypt and encode touchpoints for the log; a refusal takes the place of what cannot be."""
    return [
        protected if isinstance(protected, Refused) else _record(protected, vault)
        for protected in vault.protect(envelopes)
    ]


def record_in_clear(envelope: Envelope[Touchpoint]) -> Record | None:
    """The record of a touchpoint in which nothing is to be hidden, which takes no key; None of any
    other, and of those that may put subjects together."""
    protected = None if envelope.type in _TYING else in_clear(envelope)
    return None if protected is None else _record(protected)


def _record(protected: Protected, vault: Vault | None = None) -> Record:
    envelope = protected.envelope
    topic, subject = envelope.type, envelope.subject
    return Record(
        stream=stream_of(subject),
        topic=topic,
        state=_encode(envelope),
        source=envelope.source,
        id=envelope.id,
        digest=protected.digest,
        subject=subject,
        tokens=protected.tokens,
        governs=topic in GOVERNING,
        ties=_ties_of(protected, vault) if vault and topic in _TYING else (),
        keyed=protected.keyed,
    )


def _ties_of(protected: Protected, vault: Vault) -> tuple[str, ...]:
    """What a fact about identity puts together with its subject; see ledger/persons.py."""
    envelope = protected.envelope
    if envelope.type == CustomerDescribed.TYPE:
        return tuple(token for token in protected.tokens if token != envelope.subject)
    if envelope.type in (CustomerLinked.TYPE, CustomerMerged.TYPE):
        other: str = envelope.data["other"]
        return (other,) if other != envelope.subject else ()
    if envelope.type == IdentityRulesPublished.TYPE:
        return vault.tokens_of(envelope.data["blocked_values"])
    return ()
