"""Who is one person with whom, before and after a page of the log."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from domain.identity import JOINING
from ledger.governance import GOVERNING_TYPES, Governance
from ledger.persons import ALONE, Persons, Ties
from ledger.store import Cursor

_MOVING = frozenset((*JOINING, *GOVERNING_TYPES))


@dataclass(frozen=True, slots=True)
class Turn:
    """A page is folded in between two positions; what governs at each."""

    before: Governance
    known: Governance
    after: int
    reached: int


@dataclass(frozen=True, slots=True)
class People:
    """The persons of whom a page tells, as they are behind it.

    `moved` are subjects whose person consists of other subjects than before the page.
    """

    persons: Persons = ALONE
    moved: frozenset[str] = frozenset()


def people_of(turn: Turn, touchpoints: Iterable[Any], cursor: Cursor) -> People:
    """The persons whom the touchpoints of a page, and the facts that it strikes out, concern."""
    touchpoints = list(touchpoints)
    if not (turn.known.joins or turn.before.joins):
        return People()
    ties = Ties(turn.known, turn.reached, cursor)
    ties.reach({touchpoint.subject for touchpoint in touchpoints})
    persons = ties.persons(turn.known, turn.reached)
    if not any(touchpoint.type in _MOVING for touchpoint in touchpoints):
        return People(persons)
    return People(persons, _moved(ties.persons(turn.before, turn.after), persons))


def _moved(earlier: Persons, persons: Persons) -> frozenset[str]:
    return frozenset(
        subject
        for name in {*earlier.members, *persons.members}
        if earlier.subjects_of(name) != persons.subjects_of(name)
        for there in (earlier, persons)
        for subject in there.subjects_of(name)
    )
