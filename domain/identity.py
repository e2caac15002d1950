"""Which subjects are one person: a pure function of a set of identity facts.

Facts are taken in the order in which they occurred. A merge, which is somebody's decision, always
joins. A link, which a source vouches for, and an address or number that is stated of two subjects
join by the identity rules in force when they occurred: no value that is blocked, and no more
subjects of a kind than a person may have. Without rules every link joins, and no statement does.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from domain.occurred import Occurred, Order, order_of
from schemas.fields import microseconds
from schemas.identity import (
    CustomerDescribed,
    CustomerLinked,
    CustomerMerged,
    IdentityRulesPublished,
)
from schemas.subject import kind_of

KINDS_FIRST, KINDS_LAST = ("customer",), ("email", "phone", "anonymous")
"""What a person is called by, if there is a choice, and what only if there is none."""
JOINING = (CustomerMerged.TYPE, CustomerLinked.TYPE, CustomerDescribed.TYPE)


class Tie(NamedTuple):
    """A fact about two subjects: that they are one person, or, when it describes a subject, that
    this address or number (the token that is `other`) is the subject's."""

    order: Order
    type: str
    subject: str
    other: str

    @property
    def identity(self) -> tuple[str, str]:
        """The (source, id) of the fact."""
        return self.order[2:]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityVersion:
    """One published version of the identity rules. `blocked` has tokens of addresses and numbers
    beside the values as they were written."""

    version: int
    valid_from: int
    published: Order
    link_kinds: frozenset[str]
    blocked: frozenset[str]
    at_most: Mapping[str, int]

    def blocks(self, subject: str) -> bool:
        """Whether a subject's value says nothing about who it is."""
        return subject in self.blocked or subject.partition(":")[2] in self.blocked


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """All identity rules that are known."""

    versions: tuple[IdentityVersion, ...] = ()

    def in_force(self, at: int) -> IdentityVersion | None:
        """The highest version with `valid_from` ≤ `at`; of equal ones, the last published."""
        held = (version for version in self.versions if version.valid_from <= at)
        return max(held, key=lambda v: (v.version, v.published), default=None)


def identity_version(fact: Occurred, tokens: Iterable[str]) -> IdentityVersion:
    """The version that a fact publishes; `tokens` are those of its blocked values."""
    data: IdentityRulesPublished = fact.data
    return IdentityVersion(
        version=data.version,
        valid_from=microseconds(data.valid_from),
        published=order_of(fact),
        link_kinds=frozenset(data.link_kinds),
        blocked=frozenset((*data.blocked_values, *tokens)),
        at_most=data.at_most,
    )


@dataclass(frozen=True, slots=True)
class Joined:
    """Two subjects that a fact makes one person."""

    one: str
    other: str
    tie: Tie


@dataclass(frozen=True, slots=True)
class Declined:
    """Two subjects that a fact would have joined, had the rules let it."""

    one: str
    other: str
    tie: Tie
    why: str


class Grouping:
    """The groups of subjects that ties make.

    `members` has every group of more than one subject, by the person's name; `person` the name
    for each of these subjects. `joins` are in the order in which they occurred.
    """

    def __init__(self, ties: Iterable[Tie], rules: IdentityRules) -> None:
        self.joins: list[Joined] = []
        self.declined: list[Declined] = []
        self._rules = rules
        self._group: dict[str, _Group] = {}
        self._first_stated: dict[str, str] = {}
        for tie in sorted(ties):
            self._take(tie)
        groups = {id(group): group.subjects for group in self._group.values()}
        self.members = {named(g): tuple(sorted(g)) for g in groups.values() if len(g) > 1}
        self.person = {s: name for name, group in self.members.items() for s in group}

    def _take(self, tie: Tie) -> None:
        rules = self._rules.in_force(tie.order[0])
        if tie.type == CustomerMerged.TYPE:
            self._join(tie.subject, tie.other, tie)
        elif tie.type == CustomerLinked.TYPE:
            self._join_by(rules, tie, tie.subject, tie.other)
        else:
            self._state(rules, tie)

    def _state(self, rules: IdentityVersion | None, tie: Tie) -> None:
        """An address belongs to whom it was first stated of, and to who is known by nothing else;
        whoever it is stated of later joins these."""
        first = self._first_stated.setdefault(tie.other, tie.subject)
        if rules is None:
            return
        for owner in (tie.other, first):
            kinds = {kind_of(owner), kind_of(tie.subject)}
            if kinds <= rules.link_kinds:
                self._join_by(rules, tie, owner, tie.subject)

    def _join_by(self, rules: IdentityVersion | None, tie: Tie, one: str, other: str) -> None:
        if rules is not None and one != other:
            why = self._objection(rules, one, other, tie)
            if why is not None:
                self.declined.append(Declined(one, other, tie, why))
                return
        self._join(one, other, tie)

    def _objection(self, rules: IdentityVersion, one: str, other: str, tie: Tie) -> str | None:
        if any(map(rules.blocks, {one, other, tie.other})):
            return "the value is blocked"
        mine, others = self._group_of(one), self._group_of(other)
        if mine is not others:
            for kind, most in rules.at_most.items():
                count = mine.kinds[kind] + others.kinds[kind]
                if count > most:
                    return f"a person has at most {most} of the kind {kind}, this would be {count}"
        return None

    def _group_of(self, subject: str) -> "_Group":
        group = self._group.get(subject)
        if group is None:
            group = self._group[subject] = _Group([subject], Counter((kind_of(subject),)))
        return group

    def _join(self, one: str, other: str, tie: Tie) -> None:
        if one != other:
            self.joins.append(Joined(one, other, tie))
        larger, smaller = self._group_of(one), self._group_of(other)
        if larger is smaller:
            return
        if len(larger.subjects) < len(smaller.subjects):
            larger, smaller = smaller, larger
        larger.subjects.extend(smaller.subjects)
        larger.kinds.update(smaller.kinds)
        for subject in smaller.subjects:
            self._group[subject] = larger


class _Group(NamedTuple):
    """Subjects that are one person, and how many there are of each kind."""

    subjects: list[str]
    kinds: Counter[str]


def named(subjects: Iterable[str]) -> str:
    """What a person of these subjects is called: the same whatever the order of the facts."""
    return min(subjects, key=_rank)


def _rank(subject: str) -> tuple[int, str]:
    kind = kind_of(subject)
    if kind in KINDS_FIRST:
        return KINDS_FIRST.index(kind), subject
    late = KINDS_LAST.index(kind) + 1 if kind in KINDS_LAST else 0
    return len(KINDS_FIRST) + late, subject
