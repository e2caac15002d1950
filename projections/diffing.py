"""What changed between two moments, and which touchpoints changed it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from projections.differing import differing
from projections.explaining import Face, Facts, Fields, Steps, identity, together
from projections.query import Told

TOUCHPOINTS, RULES, TIME = "touchpoints", "rules", "time"


@dataclass(frozen=True, slots=True)
class Differing:
    """A field that has another value later than before, and by what.

    `because` is TOUCHPOINTS: those in `added` count later and did not before, those in `removed`
    did and do not any more (voided since, or another person's now). Put to and taken from what
    counted before, they give the later value. Otherwise no touchpoint is needed for it: it is
    RULES that others are in force, or TIME that has passed.
    """

    field: str
    before: Any
    after: Any
    because: str
    added: Sequence[Told] = ()
    removed: Sequence[Told] = ()


def differences(earlier: Facts, later: Facts, before: Face, after: Face) -> list[Differing]:
    """The fields in which the state of a key differs between two cuts.

    `before` and `after` show a state at the moments of the cuts. What changed a field are the
    touchpoints that are new and changed it at their place in the later fold, and those that are
    gone and changed it at theirs in the earlier one.
    """
    known, counts = ({identity(t) for t in facts.told} for facts in (earlier, later))
    added = [t for t in later.told if identity(t) not in known]
    removed = [t for t in earlier.told if identity(t) not in counts]
    change = _Change(
        Steps(earlier, before, {t.position for t in removed}),
        Steps(later, after, {t.position for t in added}),
        added,
        removed,
    )
    return [change.of(name) for name in differing(change.old.fields, change.new.fields)]


@dataclass(frozen=True, slots=True)
class _Change:
    """From an earlier fold to a later one: what is new in it, and what is gone from it."""

    old: Steps
    new: Steps
    added: Sequence[Told]
    removed: Sequence[Told]

    def of(self, name: str) -> Differing:
        """What changed a field."""
        value = self.new.fields.get(name)
        found = Differing(name, self.old.fields.get(name), value, TOUCHPOINTS)
        gone = {t.position for t in self.removed}

        def gives(chosen: Sequence[Told]) -> bool:
            return self._fields_with(chosen).get(name) == value

        if gives(()):
            earlier = self.old.facts
            by_time = earlier.fields(self.new.face, earlier.told).get(name) == value
            return replace(found, because=TIME if by_time else RULES)
        changed = [*_changed(self.new, name), *_changed(self.old, name)]
        every = [*self.removed, *self.added]
        needed = together(every, changed, every, gives)
        return replace(
            found,
            added=[t for t in needed if t.position not in gone],
            removed=[t for t in needed if t.position in gone],
        )

    def _fields_with(self, chosen: Sequence[Told]) -> Fields:
        """What the earlier facts give with these of the changes, under the later rules."""
        positions = {t.position for t in chosen}
        gone = {t.position for t in self.removed}
        kept = [t for t in self.old.facts.told if t.position not in positions]
        joined = [*kept, *(t for t in chosen if t.position not in gone)]
        told = sorted(joined, key=lambda t: t.envelope.order)
        return self.new.facts.fields(self.new.face, told)


def _changed(steps: Steps, name: str) -> list[Told]:
    """The touchpoints that changed a field at their place."""
    return [steps.facts.told[place] for place, _ in steps.changes.get(name, [])]
