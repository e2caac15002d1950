"""Whom a question is about, and as of which moment."""

from typing import NamedTuple

from ledger.ledger import Ledger
from projections.query import NOW, Cut, first_touchpoints, persons_at, subjects_of
from schemas.subject import is_personal


class NotASubject(ValueError):
    """What was given has no kind, or no value."""


class Nobody(LookupError):
    """Nobody is known by this subject."""


class Several(LookupError):
    """An address or number that was seen with several customers, who are `persons`."""

    def __init__(self, persons: list[str]) -> None:
        super().__init__("seen with several customers")
        self.persons = persons


class Named(NamedTuple):
    """The person (as the log knows him) who was named; `seen_with` where he was named by an
    address or number that has no touchpoints of its own."""

    person: str
    seen_with: bool


def moment_of(ledger: Ledger, cut: Cut) -> int:
    """The moment for which a cut asks: that of `as_of`, otherwise now."""
    return ledger.log.clock() if cut.as_of is None else cut.as_of


def stored_subject(ledger: Ledger, subject: str) -> str:
    """The subject as the log knows it.

    Raises NotASubject, and Refused when an address or number cannot be one.
    """
    kind, colon, value = subject.partition(":")
    if not (kind and colon and value):
        raise NotASubject("a subject has a kind and a value, such as customer:42")
    return ledger.vault.stored_subject(subject)


def person_of(ledger: Ledger, subject: str, cut: Cut = NOW) -> Named:
    """The person whom somebody means by a subject, as a cut shows him.

    An address or number that has no touchpoints of its own means the one customer with whom
    it was seen. Raises NotASubject, Refused, Nobody or Several.
    """
    stored = stored_subject(ledger, subject)
    seen_with = ledger.log.subjects_with(stored) if is_personal(stored) else []
    known = persons_at(ledger, [stored, *seen_with], cut)
    if stored in known.named or first_touchpoints(ledger, [stored]):
        return Named(known.person_of(stored), seen_with=False)
    if not seen_with:
        raise Nobody("nobody is known by this subject")
    persons = sorted({known.person_of(other) for other in seen_with})
    if len(persons) > 1:
        raise Several(persons)
    return Named(persons[0], seen_with=True)


def acting_subject(ledger: Ledger, subject: str, person: str) -> str:
    """The subject that a decision is recorded of: the one that was named, if it is the
    person's, so that it goes with him should the person ever be parted again."""
    stored = stored_subject(ledger, subject)
    return stored if stored in subjects_of(ledger, person) else person
