"""Joining and parting persons: decisions about who is one person, recorded as facts."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from domain.identity import Joined, Tie
from domain.voiding import Identity
from ledger.decisions import IdTaken
from ledger.errors import LedgerError
from ledger.governance import governance
from ledger.ledger import Ledger
from ledger.personal import NOT_COMPARED
from ledger.persons import Persons, Ties
from ledger.record import Record, Recorded
from ledger.stating import SOURCE, fact, submissions_of
from ledger.store import Cursor
from schemas.envelope import Envelope
from schemas.identity import CustomerLinked, CustomerMerged, CustomerUnmerged
from schemas.replay import decode
from schemas.touchpoint import Touchpoint

EXPLICIT = (CustomerMerged.TYPE, CustomerLinked.TYPE)
HYPOTHETICAL = 2**62
"""A merge that is only tried occurs behind everything that is recorded."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Where a decision stands in the log; `again` when it was there before it was asked for.

    `undone` are the facts that an unmerge undid.
    """

    positions: list[int]
    undone: Sequence[Identity] = ()
    again: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """What is recorded under the id of a decision."""

    position: int
    digest: bytes
    fact: Envelope[Any]

    def is_a(self, kind: type[Touchpoint]) -> bool:
        return isinstance(self.fact.data, kind)


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


def merge(ledger: Ledger, subject: str, other: str, reason: str, id_: str) -> Decided:
    """Record that two (stored) subjects are one person, once for each `id_`.

    Raises IdTaken when the id belongs to something else.
    """
    stated = fact(ledger, subject, CustomerMerged(other=other, reason=reason), id_)
    positions = _state_unless_taken(ledger, [stated], "merge")
    known = merged_before(ledger, subject, other, reason, id_) if positions is None else None
    return known or Decided(positions or [])


def merged_before(
    ledger: Ledger, subject: str, other: str, reason: str, id_: str
) -> Decided | None:
    """This same merge, if it is recorded, whatever has become of it since; None if nothing is.

    Raises IdTaken when the id belongs to something else.
    """
    known = _known(ledger, id_)
    if known is None:
        return None
    if not _is_same(ledger, known, subject, CustomerMerged(other=other, reason=reason)):
        raise _taken(known)
    return Decided([known.position], again=True)


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
) -> Decided:
    """Record that the facts of a parting hold no longer, once for each `id_`.

    Raises IdTaken when the id belongs to something else.
    """
    undone = [tie.identity for tie in parting.undone]
    facts = [
        fact(ledger, subject, _unmerged(other, reason, identity), _numbered(id_, number))
        for number, identity in enumerate(undone)
    ]
    positions = _state_unless_taken(ledger, facts, "unmerge")
    if positions is not None:
        return Decided(positions, undone)
    known = unmerged_before(ledger, subject, other, reason, id_)
    if known is None:  # the first id is free, but not one of the others
        raise IdTaken(f"something else is recorded under an id that begins with {id_}-")
    return known


def unmerged_before(
    ledger: Ledger,
    subject: str,
    other: str,
    reason: str,
    id_: str,
    named: Identity | None = None,
) -> Decided | None:
    """This same unmerge, if it is recorded, with all that it undid; None if nothing is.

    Its facts stand behind each other in the log. Raises IdTaken when the id belongs to
    something else.
    """
    positions: list[int] = []
    undone: list[Identity] = []
    while (known := _known(ledger, _numbered(id_, len(positions)))) is not None:
        data = known.fact.data
        identity = (data.merge_source, data.merge_id) if known.is_a(CustomerUnmerged) else None
        same = (
            identity is not None
            and named in (None, identity)
            and _is_same(ledger, known, subject, _unmerged(other, reason, identity))
        )
        if not positions and not same:
            raise _taken(known)
        if not same or identity is None or (positions and known.position != positions[-1] + 1):
            break
        positions.append(known.position)
        undone.append(identity)
    return Decided(positions, undone, again=True) if positions else None


def persons_then(ledger: Ledger, subjects: Sequence[str], position: int) -> Persons:
    """The persons that these (stored) subjects were up to a position."""
    with ledger.store.cursor() as cursor:
        known = governance(position, cursor)
        return Ties(known, position, cursor).reach(subjects).persons(known, position)


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


def _numbered(id_: str, number: int) -> str:
    """The id of one of the facts of a decision."""
    return f"{id_}-{number}" if number else id_


def _unmerged(other: str, reason: str, undone: Identity) -> CustomerUnmerged:
    source, id_ = undone
    return CustomerUnmerged(other=other, reason=reason, merge_id=id_, merge_source=source)


def _state_unless_taken(
    ledger: Ledger, facts: Sequence[Envelope[Any]], door: str
) -> list[int] | None:
    """Record facts whose ids are free; None, with nothing recorded, when one of them is not.

    It is looked up under the lock of the writer, or the loser of two who decide at once would
    be told of a conflict, and leave his decision in quarantine.
    """
    submissions = submissions_of(ledger, facts, door)
    with ledger.store.cursor(write=True) as cursor:
        if any(_row(stated.id, cursor) for stated in facts):
            return None
        outcomes = ledger.log.append_within(submissions, cursor).outcomes
        recorded = [outcome.position for outcome in outcomes if isinstance(outcome, Recorded)]
        if len(recorded) != len(facts):
            raise LedgerError(f"{door}: this was not recorded although its id was free")
    return recorded


def _row(id_: str, cursor: Cursor) -> Any:
    return cursor.execute(
        "SELECT notification_id, digest, topic, state FROM stored_events "
        "WHERE id = ? AND source = ?",
        (id_, SOURCE),
    ).fetchone()


def _known(ledger: Ledger, id_: str) -> _Known | None:
    with ledger.store.cursor() as cursor:
        row = _row(id_, cursor)
    if row is None:
        return None
    position, digest, topic, state = row
    return _Known(position, bytes(digest), decode(topic, state))


def _is_same(ledger: Ledger, known: _Known, subject: str, data: Touchpoint) -> bool:
    """Whether what is recorded says this of the subject, the encrypted reason included."""
    if (known.fact.type, known.fact.subject) != (data.TYPE, subject):
        return False
    stated = fact(ledger, subject, data, known.fact.id, known.fact.at)
    (submission,) = submissions_of(ledger, [stated], "again")
    record = submission.record
    # Of who was erased since, nobody can tell any more what the reason was.
    return isinstance(record, Record) and (
        record.digest == known.digest or NOT_COMPARED in (record.digest, known.digest)
    )


def _taken(known: _Known) -> IdTaken:
    return IdTaken(
        f"position {known.position:,} holds something else under the id {known.fact.id}: "
        "give this decision another"
    )
