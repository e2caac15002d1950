"""Opens what is personal, for a reader who holds the keys of the ledger."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ledger.ledger import Ledger
from ledger.log import Stored
from projections.query import Told, first_touchpoints
from schemas.identity import CustomerDescribed
from schemas.personal_fields import personal_fields
from schemas.replay import decode
from schemas.subject import is_token

PERSONAL_TRAITS = frozenset(field.path[-1] for field in personal_fields(CustomerDescribed))
TITLE_PATH = "data.title"

Said = dict[str, Any]
"""A value with the touchpoint that stated it, as `domain.stated.described` gives it."""


def clear_subjects(ledger: Ledger, stored: Iterable[str]) -> dict[str, str]:
    """Each (stored) subject with the name that people know it by.

    A token stands for an address or number, which some touchpoint of the subject keeps
    encrypted; where its key is gone, the token is all that is left.
    """
    names = dict.fromkeys(stored)
    clear = {name: name for name in names}
    tokens = [name for name in names if is_token(name)]
    firsts = first_touchpoints(ledger, tokens) if tokens else []
    for first, revealed in zip(firsts, ledger.vault.reveal(firsts), strict=True):
        clear[first.subject] = revealed.subject
    return clear


def clear_subject(ledger: Ledger, stored: str) -> str:
    """One (stored) subject by the name that people know it by."""
    return clear_subjects(ledger, [stored])[stored]


def clear_told(ledger: Ledger, told: Sequence[Told]) -> list[Told]:
    """The same touchpoints with everything personal in clear."""
    revealed = ledger.vault.reveal(t.envelope for t in told)
    return [replace(t, envelope=e) for t, e in zip(told, revealed, strict=True)]


def clear_stored(ledger: Ledger, stored: Iterable[Stored]) -> list[Told]:
    """Stored events as touchpoints in clear, in the order in which they came."""
    told = [Told(s.position, s.recorded_at, decode(s.topic, s.state)) for s in stored]
    return clear_told(ledger, told)


def fetch_keys(ledger: Ledger, subjects: Iterable[str]) -> None:
    """Get the keys of many subjects at once, for the statements that will be opened next."""
    ledger.keyring.find(subjects)


def clear_traits(ledger: Ledger, traits: Mapping[str, Said]) -> dict[str, Said]:
    """The traits of a customer (see `domain.stated.described`) in clear."""
    names = clear_subjects(ledger, {said["subject"] for said in traits.values()})
    return {
        name: (_opened(ledger, said, f"data.traits.{name}") if name in PERSONAL_TRAITS else said)
        | {"subject": names[said["subject"]]}
        for name, said in traits.items()
    }


def clear_title(ledger: Ledger, title: Said) -> Said:
    """The title of a ticket (see `domain.stated.described`) in clear."""
    subject = clear_subject(ledger, title["subject"])
    return _opened(ledger, title, TITLE_PATH) | {"subject": subject}


def _opened(ledger: Ledger, said: Said, path: str) -> Said:
    value = ledger.vault.reveal_value(
        said["value"], said["subject"], said["source"], said["id"], path
    )
    return said | {"value": value}
