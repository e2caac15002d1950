"""What a window shows of personal data: masks, or values in clear once the look is recorded."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from ledger.access import Access, Right
from ledger.ledger import Ledger
from ledger.log import Stored
from ledger.looks import record_looks
from ledger.masking import MASK, masked, personal_parts
from ledger.personal import ERASED, subjects_with_keys
from projections.query import Told, first_touchpoints, lags
from projections.registry import PROJECTIONS
from schemas.identity import CustomerDescribed
from schemas.personal_fields import personal_fields
from schemas.replay import decode
from schemas.subject import is_token

PERSONAL_TRAITS = frozenset(field.path[-1] for field in personal_fields(CustomerDescribed))
TITLE = "title"
PURPOSE_CHARACTERS_MAX = 500

Said = dict[str, Any]
"""A value with the touchpoint that stated it, as `domain.stated.described` gives it."""
T = TypeVar("T")


def is_purpose(text: str) -> bool:
    """Whether it can stand in a look as what somebody looks for."""
    return 0 < len(text.strip()) <= PURPOSE_CHARACTERS_MAX and text.isprintable()


class Sight(Protocol):
    """How one command sees what is personal. Subjects that it is given are stored ones."""

    @property
    def in_clear(self) -> bool:
        """Whether values are shown rather than masks."""

    def subjects(self, stored: Iterable[str]) -> dict[str, str]:
        """Each subject with the name under which it is shown."""

    def told(self, told: Sequence[Told]) -> list[Told]:
        """Touchpoints as they are shown."""

    def traits(self, traits: Mapping[str, Said]) -> dict[str, Said]:
        """The traits of a customer (see `domain.stated.described`) as they are shown."""

    def title(self, title: Said) -> Said:
        """The title of a ticket (see `domain.stated.described`) as it is shown."""

    def fetch_keys(self, subjects: Iterable[str]) -> None:
        """Get what many subjects will need at once."""

    def foresee(self, told: Iterable[Told]) -> None:
        """Touchpoints that will be shown, so that the look at them can be recorded beforehand."""

    def on_record(self, records: Iterable[T]) -> Iterable[T]:
        """What is to be printed. Whatever it shows in clear is on record when this returns."""


class Masked:
    """Sees `[personal]` and the tokens of subjects. It needs no key. See Sight."""

    in_clear = False

    def subjects(self, stored: Iterable[str]) -> dict[str, str]:
        return {subject: subject for subject in stored}

    def told(self, told: Sequence[Told]) -> list[Told]:
        return [replace(t, envelope=masked(t.envelope)) for t in told]

    def traits(self, traits: Mapping[str, Said]) -> dict[str, Said]:
        return {
            name: said | {"value": MASK} if name in PERSONAL_TRAITS else said
            for name, said in traits.items()
        }

    def title(self, title: Said) -> Said:
        return title | {"value": MASK}

    def fetch_keys(self, subjects: Iterable[str]) -> None:
        pass

    def foresee(self, told: Iterable[Told]) -> None:
        pass

    def on_record(self, records: Iterable[T]) -> Iterable[T]:
        return records


class Revealed:
    """Sees everything whose key is there, and keeps count of what it sees. See Sight.

    `follow` is called once a look is on record, if the views were up to date before it: looks
    are facts, and who looks next is to find them up to date too.
    """

    in_clear = True

    def __init__(
        self, ledger: Ledger, access: Access, purpose: str, follow: Callable[[], None]
    ) -> None:
        """Raises Denied when the access gives no right to see personal data."""
        access.need(Right.REVEAL)
        self._ledger = ledger
        self._reader = access.name
        self._purpose = purpose
        self._follow = follow
        self._seen: dict[str, set[str]] = {}
        self._recorded: dict[str, set[str]] = {}
        self._heeded: set[str] = set()

    def subjects(self, stored: Iterable[str]) -> dict[str, str]:
        """A token stands for an address or number, which some touchpoint of the subject keeps
        encrypted; where its key is gone, the token is all that is left."""
        names = dict.fromkeys(stored)
        clear = {name: name for name in names}
        tokens = [name for name in names if is_token(name)]
        firsts = first_touchpoints(self._ledger, tokens) if tokens else []
        self._heed(subjects_with_keys(firsts))
        for first, opened in zip(firsts, self._ledger.vault.reveal(firsts), strict=True):
            clear[first.subject] = opened.subject
            if opened.subject != first.subject:
                self.note(first.subject, "subject")
        return clear

    def told(self, told: Sequence[Told]) -> list[Told]:
        self.foresee(told)
        opened = self._ledger.vault.reveal(t.envelope for t in told)
        return [replace(t, envelope=e) for t, e in zip(told, opened, strict=True)]

    def traits(self, traits: Mapping[str, Said]) -> dict[str, Said]:
        stated = {said["subject"] for said in traits.values()}
        names = self.subjects(stated)
        self._heed(stated)
        return {
            name: (self._opened(said, f"traits.{name}") if name in PERSONAL_TRAITS else said)
            | {"subject": names[said["subject"]]}
            for name, said in traits.items()
        }

    def title(self, title: Said) -> Said:
        (subject,) = self.subjects([title["subject"]]).values()
        self._heed([title["subject"]])
        return self._opened(title, TITLE) | {"subject": subject}

    def fetch_keys(self, subjects: Iterable[str]) -> None:
        listed = set(subjects)
        self._heed(listed)
        self._ledger.keyring.find(listed)

    def foresee(self, told: Iterable[Told]) -> None:
        parts = {part for t in told for part in personal_parts(t.envelope)}
        self._heed({subject for subject, _ in parts})
        there = self._ledger.keyring.find({subject for subject, _ in parts})
        for subject, field in parts:
            if subject in there:
                self.note(subject, field)

    def note(self, subject: str, field: str) -> None:
        """This field of this (stored) subject is about to be shown."""
        if field not in self._recorded.get(subject, ()):
            self._seen.setdefault(subject, set()).add(field)

    def on_record(self, records: Iterable[T]) -> Iterable[T]:
        """All of it is made first: only then is it known whom and what it shows."""
        made, seen = list(records), self._seen
        self._heeded.clear()
        if seen:
            up_to_date = not any(lag.lag for lag in lags(self._ledger, PROJECTIONS))
            record_looks(self._ledger, self._reader, self._purpose, seen)
            self._seen = {}
            for subject, fields in seen.items():
                self._recorded.setdefault(subject, set()).update(fields)
            if up_to_date:  # and is to stay so, for those who look next
                self._follow()
        return made

    def _heed(self, subjects: Iterable[str]) -> None:
        """Whoever lives long has read keys before, also of those who were erased meanwhile."""
        unheeded = set(subjects) - self._heeded
        if unheeded:
            self._ledger.heed_erasures_of(unheeded)
            self._heeded |= unheeded

    def _opened(self, said: Said, field: str) -> Said:
        value = self._ledger.vault.reveal_value(
            said["value"], said["subject"], said["source"], said["id"], f"data.{field}"
        )
        if value != ERASED:
            self.note(said["subject"], field)
        return said | {"value": value}


def subject_in(sight: Sight, stored: str) -> str:
    """One (stored) subject by the name under which it is shown."""
    return sight.subjects([stored])[stored]


def read_stored(stored: Iterable[Stored]) -> list[Told]:
    """Stored events as touchpoints, still encrypted, in the order in which they came."""
    return [Told(s.position, s.recorded_at, decode(s.topic, s.state)) for s in stored]
