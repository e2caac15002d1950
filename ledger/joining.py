"""Joining and parting persons: decisions about who is one person, recorded as facts."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from domain.identity import Joined, Tie
from domain.voiding import Identity
from ledger.errors import LedgerError
from ledger.governance import governance
from ledger.ledger import Ledger
from ledger.persons import Persons, Ties
from ledger.stating import fact, state
from schemas.identity import CustomerLinked, CustomerMerged, CustomerUnmerged

EXPLICIT = (CustomerMerged.TYPE, CustomerLinked.TYPE)
HYPOTHETICAL = 2**62
"""A merge that is only tried occurs behind everything that is recorded."""


class NotParted(LedgerError):
    """Nothing was undone, and here is why."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Two subjects as they are, and as they would be after a decision about them."""

    now: Persons
    then: Persons


@dataclass(frozen=True, slots=True)
class Parting:
    """The facts that an unmerge would undo, and what would still hold the two together."""

    undone: Sequence[Tie]
    still: Sequence[Joined]
    what_if: WhatIf


def try_merge(ledger: Ledger, subject: str, other: str) -> WhatIf:
    """What merging two (stored) subjects would come to. Nothing is recorded."""
    tie = Tie((HYPOTHETICAL, 0, "", ""), CustomerMerged.TYPE, subject, other)
    return _what_if(ledger, (subject, other), more=[tie])


def merge(ledger: Ledger, subject: str, other: str, reason: str, id_: str) -> int:
    """Record that two (stored) subjects are one person; the position.

    The same id again records nothing new.
    """
    data = CustomerMerged(other=other, reason=reason)
    (outcome,) = state(ledger, [fact(ledger, subject, data, id_)], "merge")
    return outcome.position


def try_unmerge(ledger: Ledger, subject: str, other: str, named: Identity | None = None) -> Parting:
    """What parting two (stored) subjects would undo: the merges and links directly between them,
    or the one fact that is `named` by its (source, id).

    Raises NotParted when they are not one person, or nothing of the kind joins them.
    """
    now = _what_if(ledger, (subject, other)).now
    person = now.person_of(subject)
    if now.person_of(other) != person:
        raise NotParted(f"{subject} and {other} are not one person")
    joins = now.joins_of(person)
    undone = _to_be_undone(joins, {subject, other}, named)
    if not undone:
        raise NotParted(_no_such_join(subject, other, joins, named))
    what_if = _what_if(ledger, (subject, other), without={tie.identity for tie in undone})
    left = what_if.then.joins
    return Parting(undone, path(left, subject, other), what_if)


def unmerge(
    ledger: Ledger, subject: str, other: str, parting: Parting, reason: str, id_: str
) -> list[int]:
    """Record that the facts of a parting hold no longer; the positions.

    The same id again records nothing new.
    """
    facts = []
    for number, tie in enumerate(parting.undone):
        source, merge_id = tie.identity
        data = CustomerUnmerged(other=other, reason=reason, merge_id=merge_id, merge_source=source)
        facts.append(fact(ledger, subject, data, f"{id_}-{number}" if number else id_))
    return [outcome.position for outcome in state(ledger, facts, "unmerge")]


def path(joins: Sequence[Joined], start: str, end: str) -> list[Joined]:
    """The fewest facts that make two subjects one person; none when they are not."""
    reached: dict[str, tuple[str, Joined] | None] = {start: None}
    waiting = deque([start])
    while waiting and end not in reached:
        here = waiting.popleft()
        for join in joins:
            there = {join.one: join.other, join.other: join.one}.get(here)
            if there is not None and there not in reached:
                reached[there] = here, join
                waiting.append(there)
    found: list[Joined] = []
    step = reached.get(end)
    while step is not None:
        found.append(step[1])
        step = reached[step[0]]
    return found[::-1]


def _to_be_undone(joins: Sequence[Joined], pair: set[str], named: Identity | None) -> list[Tie]:
    if named is not None:
        found = [join.tie for join in joins if join.tie.identity == named]
        return found[:1]
    direct = [join.tie for join in joins if {join.one, join.other} == pair]
    return [tie for tie in direct if tie.type in EXPLICIT]


def _no_such_join(subject: str, other: str, joins: Sequence[Joined], named: Identity | None) -> str:
    if named is not None:
        return f"{named[1]} of {named[0]} does not make them one person"
    steps = "; ".join(told(join) for join in path(joins, subject, other))
    return (
        f"no merge or link stands directly between {subject} and {other}. They are one person by: "
        f"{steps}. Name the fact to undo with --merge-id and --merge-source"
    )


def told(join: Joined) -> str:
    """A join in words, without anything personal."""
    source, id_ = join.tie.identity
    how = {CustomerMerged.TYPE: "merged", CustomerLinked.TYPE: "linked"}.get(
        join.tie.type, "an equal address or number"
    )
    return f"{join.one} and {join.other} ({how}, {id_} of {source})"


def _what_if(
    ledger: Ledger,
    subjects: Sequence[str],
    more: Sequence[Tie] = (),
    without: Collection[Identity] = (),
) -> WhatIf:
    head = ledger.log.head().position
    with ledger.store.cursor() as cursor:
        known = governance(head, cursor)
        ties = Ties(known, head, cursor).reach(subjects)
    now = ties.persons(known, head)
    return WhatIf(now, ties.persons(known, head, more=more, without=without))
