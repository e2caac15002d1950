"""Who is one person with whom, as some part of the log has it.

Only the subjects that are asked for are looked at, and what hangs together with them: the table
of ties leads from one subject to the next, and the facts behind the ties say which of them hold.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from domain.identity import JOINING, Declined, Grouping, Joined, Tie
from domain.occurred import Occurred, order_of
from domain.voiding import Identity
from ledger.governance import JOINING_TYPES, Governance
from ledger.store import Cursor
from schemas.replay import NarrowDecoder
from schemas.subject import stream_of

Shows = Callable[[int], bool]
_FACTS = NarrowDecoder({})


@dataclass(frozen=True, slots=True)
class Persons:
    """Persons of more than one subject, as far as they were asked for; all others are alone."""

    named: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    homes: Mapping[str, str] = field(default_factory=dict)
    """The stream, one of the person's that the log has, whose reader folds the whole person."""
    joins: Sequence[Joined] = ()
    declined: Sequence[Declined] = ()

    def person_of(self, subject: str) -> str:
        """The name of the person that a (stored) subject is."""
        return self.named.get(subject, subject)

    def subjects_of(self, person: str) -> tuple[str, ...]:
        """The subjects that are this person, in order."""
        return self.members.get(person, (person,))

    def joins_of(self, person: str) -> list[Joined]:
        """What makes the person's subjects one, in the order in which it occurred."""
        return [join for join in self.joins if self.person_of(join.one) == person]

    def streams_of(self, person: str) -> list[str]:
        """The streams in which touchpoints of a person may stand."""
        return [stream_of(subject) for subject in self.subjects_of(person)]


ALONE = Persons()
"""Where every subject is a person of its own."""


class Ties:
    """All ties that hang together with some subjects, whether they hold or not."""

    def __init__(self, known: Governance, until: int, cursor: Cursor) -> None:
        self._cursor = cursor
        self._until = until
        self._stated = bool(known.identity.versions)
        self._found: dict[tuple[int, str], Tie] = {}
        self._seen: set[str] = set()

    def reach(self, subjects: Iterable[str]) -> "Ties":
        """Take in what hangs together with these subjects as well."""
        new = set(subjects) - self._seen
        while new:
            self._seen |= new
            new = self._ends_of(new) - self._seen
        return self

    @property
    def subjects(self) -> frozenset[str]:
        """All subjects that were met."""
        return frozenset(self._seen)

    def persons(
        self,
        known: Governance,
        until: int,
        shows: Shows = lambda at: True,
        more: Iterable[Tie] = (),
        without: Collection[Identity] = (),
    ) -> Persons:
        """The persons that the ties up to a position make, as far as they hold and are shown.

        `more` and `without` say what it would be like if facts were added or did not hold.
        """
        out = known.voided | known.undone | set(without)
        ties = [
            tie
            for (position, _), tie in self._found.items()
            if position <= until and tie.identity not in out and shows(tie.order[0])
        ]
        ties.extend(more)
        grouping = Grouping(ties, known.identity)
        homes: dict[str, str] = {}
        for subject in {tie.subject for tie in ties} & grouping.person.keys():
            person, stream = grouping.person[subject], stream_of(subject)
            homes[person] = min(stream, homes.get(person, stream))
        return Persons(grouping.person, grouping.members, homes, grouping.joins, grouping.declined)

    def _ends_of(self, subjects: Iterable[str]) -> set[str]:
        """Take in the ties of these subjects; their other ends."""
        rows = self._cursor.execute(
            f"SELECT position, subject, other FROM ties WHERE subject {self._cursor.AMONG} "
            "AND position <= ?",
            (self._cursor.listed(subjects), self._until),
        ).fetchall()
        facts = self._facts_at(sorted({position for position, *_ in rows}))
        ends = set()
        for position, subject, end in rows:
            fact = facts.get(position)
            if fact is not None:
                other = end if fact.subject == subject else subject
                self._found[position, other] = Tie(order_of(fact), fact.type, fact.subject, other)
                ends.add(end)
        return ends

    def _facts_at(self, positions: Sequence[int]) -> dict[int, Occurred]:
        """The facts at these positions, but for those that join nobody."""
        rows = self._cursor.execute(
            f"SELECT notification_id, state FROM stored_events "
            f"WHERE notification_id {self._cursor.AMONG}",
            (self._cursor.listed(positions),),
        ).fetchall()
        facts = _FACTS.page([state for _, state in rows]) if rows else []
        joining = JOINING if self._stated else JOINING_TYPES
        return {
            position: fact
            for (position, _), fact in zip(rows, facts, strict=True)
            if fact.type in joining
        }


def persons_of(
    subjects: Iterable[str],
    known: Governance,
    until: int,
    cursor: Cursor,
    shows: Shows = lambda at: True,
) -> Persons:
    """The persons that these (stored) subjects are, by what the log has up to a position.

    `shows` may leave out identity facts by their time of occurrence.
    """
    if not known.joins:
        return ALONE
    return Ties(known, until, cursor).reach(subjects).persons(known, until, shows)
