"""Traces: where a person is found in what quarantine keeps, which nobody could read as touchpoints.

A trace is a whole value: a subject, a name, an address or number however it is written. Only what
is no JSON is searched for values within it, and then for such as stand nowhere by chance.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ledger.personal import Vault
from ledger.quarantine import Quarantine, Received
from ledger.store import Cursor
from schemas.door import Refused
from schemas.envelope import Envelope
from schemas.identity import CustomerDescribed
from schemas.subject import is_personal, is_token

TELLING_CHARACTERS_MIN = 5
"""A shorter value is found in many texts that have nothing to do with the person."""
ENTRIES_AT_ONCE = 200
_WORDS = re.compile(r"[^\s\"'<>,;(){}\[\]]+")
_SUBJECT_LIKE = re.compile(r"[a-z][a-z0-9_]*:.+", re.DOTALL)


@dataclass(frozen=True)
class Traces:
    """What a person is known by: stored subjects, tokens of addresses and numbers, names."""

    vault: Vault
    subjects: frozenset[str]
    tokens: frozenset[str]
    names: frozenset[str]

    @classmethod
    def of(
        cls,
        vault: Vault,
        subjects: Iterable[str],
        tokens: Iterable[str],
        envelopes: Sequence[Envelope[Any]],
    ) -> "Traces":
        """What these touchpoints tell of the person of these subjects."""
        names = {
            envelope.data.traits.name.casefold()
            for envelope in vault.reveal(envelopes)
            if isinstance(envelope.data, CustomerDescribed) and envelope.data.traits.name
        }
        known = frozenset(subjects)
        return cls(vault, known, known.union(tokens), frozenset(names))

    def in_entries(
        self, quarantine: Quarantine, cursor: Cursor, after: int = 0
    ) -> Iterator[tuple[int, bool]]:
        """Each entry behind a number that still has its bytes, and whether the person is in it."""
        while page := quarantine.entries(cursor, None, ENTRIES_AT_ONCE, after=after):
            for entry in page:
                yield entry.entry, self.are_in(quarantine.received(entry, cursor))
            after = page[-1].entry

    def are_in(self, received: Received) -> bool:
        """Whether the person is named in what was received, in its key or in its headers."""
        beside = [received.key, *(value for _, value in received.headers)]
        if any(self._is_named(part.decode("utf-8", "replace")) for part in beside if part):
            return True
        raw = received.raw if isinstance(received.raw, bytes) else b"".join(received.parts())
        try:
            return any(map(self._is_named, _strings(msgspec.json.decode(raw))))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._are_within(raw.decode("utf-8", "replace"))

    def _is_named(self, value: str) -> bool:
        value = value.strip()
        return (
            value.casefold() in self.names
            or value in self.subjects
            or not self.tokens.isdisjoint(self._tokens_of(value))
        )

    def _are_within(self, text: str) -> bool:
        folded = text.casefold()
        if any(len(n) >= TELLING_CHARACTERS_MIN and n in folded for n in self.names):
            return True
        return any(map(self._is_named, _WORDS.findall(text)))

    def _tokens_of(self, value: str) -> Sequence[str]:
        if _SUBJECT_LIKE.fullmatch(value) and is_personal(value) and not is_token(value):
            try:
                return [self.vault.stored_subject(value)]
            except Refused:
                return []
        if "@" in value or sum(map(str.isdigit, value)) > TELLING_CHARACTERS_MIN:
            return self.vault.tokens_of([value])
        return []


def _strings(value: Any) -> Iterator[str]:
    """Every text in some JSON."""
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if isinstance(here, str):
            yield here
        elif isinstance(here, dict):
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)
