"""Why a view says what it says: the touchpoints that made a field, found by folding alone.

The *makers* of a field are the touchpoints that changed it at their place in the fold, from the
last one on that alone gives what it gave (it states the field outright, so that what came before
does not matter any more). Folded alone, without all others, the makers give the field its value;
where they would not, because it depends on more than what changed it, the least of the others
with which they do are makers too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from domain.rules import Rules
from ledger.errors import LedgerError
from ledger.ledger import Ledger
from projections.differing import differing
from projections.fold import fold, where
from projections.query import Cut, Told, governing, history
from projections.view import NEVER, View

Fields = Mapping[str, Any]
Face = Callable[[Any], Fields]
"""The fields that a window shows of a state, by their paths."""
FOLDED_MAX = 3_000_000
"""Touchpoints that are folded to find the least; beyond it more is named than would be needed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a view folds for one key, in order, with the rules, as of a moment."""

    view: View
    told: Sequence[Told]
    rules: Rules
    moment: int

    def state(self, told: Sequence[Told] | None = None) -> Any:
        """The state that they make, or that some of them would make alone."""
        envelopes = (one.envelope for one in (self.told if told is None else told))
        return fold(self.view, envelopes, self.rules)

    def fields(self, face: Face, told: Sequence[Told]) -> Fields:
        """The fields that some of them make alone. Of what nothing is told there are none."""
        return face(self.state(told)) if told else {}


@dataclass(frozen=True, slots=True)
class Maker:
    """A touchpoint that made a field, and by how much it changed it, where that is a number."""

    told: Told
    change: int | None


@dataclass(frozen=True, slots=True)
class Explained:
    """A field with its value, and what made it so, oldest first."""

    field: str
    value: Any
    makers: Sequence[Maker]


class Unfoldable(LedgerError):
    """The fold of a key fails, so nothing can be said of it; it is parked in the live view."""


@contextmanager
def folding(view: View, key: str) -> Iterator[None]:
    """Raise Unfoldable where a fold fails, with the place in the code and without any value."""
    try:
        yield
    except Exception as error:
        if isinstance(error, LedgerError):
            raise
        raise Unfoldable(
            f"{key} of the view {view.name} cannot be folded: {where(error)}"
        ) from None


def facts_of(ledger: Ledger, view: View, key: str, cut: Cut) -> Facts:
    """What a view folds for a key as a cut shows it; the same that `query.state_of` folds."""
    moment = ledger.log.clock() if cut.as_of is None else cut.as_of
    known = governing(ledger, cut)
    since = view.since(known.rules).get
    envelopes = {t.position: t for t in history(ledger, view, key, cut)}
    standing = known.standing([t.envelope for t in envelopes.values()])
    counting = {(e.source, e.id) for e in standing}
    told = [
        t
        for t in envelopes.values()
        if identity(t) in counting
        and t.envelope.at <= moment
        and t.envelope.at >= since(t.envelope.type, NEVER)
    ]
    return Facts(view, told, known.rules, moment)


def identity(told: Told) -> tuple[str, str]:
    """The (source, id) of a touchpoint."""
    return told.envelope.source, told.envelope.id


def explain(facts: Facts, face: Face, wanted: Callable[[str], bool]) -> list[Explained]:
    """The wanted fields of the state that the facts make, each with its makers."""
    steps = Steps(facts, face)
    return [
        Explained(name, value, _makers(steps, name, value))
        for name, value in steps.fields.items()
        if wanted(name)
    ]


class Steps:
    """The fold of some facts, step by step: at which of them each field changed.

    With `among` (positions) only those steps are looked at, which is quicker.
    """

    def __init__(self, facts: Facts, face: Face, among: Set[int] | None = None) -> None:
        self.facts = facts
        self.face = face
        self.changes: dict[str, list[tuple[int, Any]]] = {}
        """By field, each step (its place among the facts) that changed it, and to what."""
        state, evolve = facts.view.state(), facts.view.evolve
        before: Fields | None = face(state)
        self.begins = before or {}
        """What the fields are when nothing has stated them."""
        for place, one in enumerate(facts.told):
            if among is not None and one.position not in among:
                evolve(state, one.envelope, facts.rules)
                before = None
                continue
            before = face(state) if before is None else before
            evolve(state, one.envelope, facts.rules)
            now = face(state)
            if now != before:
                for name in differing(before, now):
                    self.changes.setdefault(name, []).append((place, now.get(name)))
            before = now
        self.fields: Fields = {}
        if facts.told:
            self.fields = face(state) if before is None else before
        self._alone: dict[int, Fields] = {}

    def alone(self, place: int) -> Fields:
        """The fields as one touchpoint would make them, had there been no other."""
        if place not in self._alone:
            self._alone[place] = self.facts.fields(self.face, [self.facts.told[place]])
        return self._alone[place]


def _difference(before: Any, after: Any) -> int | None:
    if type(after) is not int or type(before) not in (int, type(None)):
        return None
    return after - (before or 0)


def _makers(steps: Steps, name: str, value: Any) -> list[Maker]:
    told, changes = steps.facts.told, steps.changes.get(name, [])
    if not changes:  # so it began, with the first touchpoint, if it is anything at all
        return [Maker(told[0], None)] if value and told else []
    start = _outright_from(steps, name, changes)
    changed = _changes_by(steps, name, changes, start)
    made = [told[place] for place, _ in changes[start:]]

    def suffices(chosen: Sequence[Told]) -> bool:
        return bool(steps.facts.fields(steps.face, chosen).get(name) == value)

    everything = together(told, made, told, suffices)
    return [Maker(one, changed.get(one.position)) for one in everything]


def _outright_from(steps: Steps, name: str, changes: Sequence[tuple[int, Any]]) -> int:
    """From which of the changes on it depends on nothing before; 0 when there is none later."""
    for start in range(len(changes) - 1, 0, -1):
        place, value = changes[start]
        if steps.alone(place).get(name) == value:
            return start
    return 0


def _changes_by(
    steps: Steps, name: str, changes: Sequence[tuple[int, Any]], start: int
) -> dict[int, int | None]:
    """By how much each change from `start` on changed a number, by position."""
    found, before = {}, steps.begins.get(name)
    for place, value in changes[start:]:
        found[steps.facts.told[place].position] = _difference(before, value)
        before = value
    return found


def together(
    order: Sequence[Told],
    chosen: Sequence[Told],
    others: Sequence[Told],
    suffices: Callable[[Sequence[Told]], bool],
) -> list[Told]:
    """The chosen, with the least of the others with which they suffice, in the order given.

    `suffices` is asked with touchpoints in that order. Where the search does not come to an end
    that suffices, it is all of them.
    """
    kept = {one.position for one in chosen}
    folded = 0

    def of(places: set[int]) -> list[Told]:
        return [one for one in order if one.position in places]

    def enough(places: set[int]) -> bool:
        nonlocal folded
        folded += len(places)
        return suffices(of(places))

    def least(known: set[int], added: bool, rest: list[int]) -> set[int]:
        """What of `rest` is needed beside `known` (U. Junker, QuickXplain, AAAI 2004)."""
        if added and enough(known):
            return set()
        if len(rest) <= 1 or folded > FOLDED_MAX:
            return set(rest)
        older, newer = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        late = least(known | set(older), True, newer)
        return late | least(known | late, bool(late), older)

    if enough(kept):
        return of(kept)
    rest = [one.position for one in others if one.position not in kept]
    found = kept | least(kept, False, rest)
    return of(found) if enough(found) else of(kept | set(rest))
