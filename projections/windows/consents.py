"""Consent as records: what a person allows, whether he may be reached, and who was unduly."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from domain.consent_history import ConsentHistory, Violation, answer, intervals, violation
from ledger.ledger import Ledger
from projections.boards import Boards
from projections.consents import CONSENTS
from projections.query import Cut, state_of
from projections.windows import Record
from projections.windows.sight import Sight

Found = tuple[Violation, str]
"""A violation, and of whose (stored) consent."""


def consent_records(ledger: Ledger, person: str, cut: Cut) -> list[Record]:
    """One record for each interval in which something was allowed or refused."""
    history: ConsentHistory | None = state_of(ledger, CONSENTS, person, cut)
    return intervals(history or ConsentHistory())


def whole(ledger: Ledger, cut: Cut) -> Cut:
    """The same cut of all that is recorded by now, folded on the spot: no view is behind it."""
    if cut.known_at is not None:
        return cut
    return Cut(cut.as_of, ledger.log.head().recorded_at)


def verdict(
    ledger: Ledger, subject: str, person: str | None, asked: tuple[str, str], cut: Cut
) -> Record:
    """Whether to send: by the channel and for the purpose that are asked.

    Of nobody nothing is granted: whoever sends must not take a subject that nobody knows for
    one that allows it. The cut is to be `whole`.
    """
    history: ConsentHistory | None = None
    if person is not None:
        history = state_of(ledger, CONSENTS, person, cut)
    return {"subject": subject, **answer(history or ConsentHistory(), *asked)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which violations are wanted. Times are in microseconds since 1970, inclusive."""

    since: int | None = None
    until: int | None = None
    channels: Collection[str] = ()

    def passes(self, found: Violation) -> bool:
        return (
            (self.since is None or self.since <= found.at)
            and (self.until is None or found.at <= self.until)
            and (not self.channels or found.channel in self.channels)
        )


def violations(folded: Boards, wanted: Wanted) -> Iterator[Found]:
    """The marketing that was sent without consent, in no order."""
    return (
        (found, person)
        for person, history in folded.walk(CONSENTS)
        for found in history.violations
        if wanted.passes(found)
    )


def place(listed: Found) -> tuple[int, str, str]:
    """By which violations are ordered: when, and which message."""
    found, _ = listed
    return found.at, found.source, found.id


def violation_records(listed: Iterable[Found], sight: Sight) -> Iterator[Record]:
    """Violations with whose consent it was."""
    several = list(listed)
    names = sight.subjects({person for _, person in several})
    for found, person in several:
        yield {"customer": names[person], **violation(found)}
