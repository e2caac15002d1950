"""What bears on other facts: the rules that are known, and the facts that were struck out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from domain.identity import IdentityRules, identity_version
from domain.occurred import Occurred
from domain.rules import Rules
from domain.voiding import Identity, voided_by
from ledger.store import Cursor
from schemas.correction import TouchpointVoided
from schemas.fields import microseconds
from schemas.identity import (
    CustomerLinked,
    CustomerMerged,
    CustomerUnmerged,
    IdentityRulesPublished,
)
from schemas.loyalty import LoyaltyProgrammeClosed, LoyaltyRulesPublished
from schemas.replay import decode

RULE_TYPES = (LoyaltyProgrammeClosed.TYPE, LoyaltyRulesPublished.TYPE)
GOVERNING_TYPES = (
    *RULE_TYPES,
    TouchpointVoided.TYPE,
    CustomerUnmerged.TYPE,
    IdentityRulesPublished.TYPE,
)
JOINING_TYPES = (CustomerLinked.TYPE, CustomerMerged.TYPE)
"""The types of facts by which subjects become one person without any rule."""
T = TypeVar("T", bound=Occurred)


class Assumed(NamedTuple):
    """A rule or voiding that the log does not have, but is to be taken as known; see `governance`.

    `tokens` are those of the addresses and numbers that a rule of identity blocks.
    """

    fact: Any
    tokens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Governance:
    """The rules and the facts that are struck out, as some part of the log states them.

    `undone` are merges that do not join any more, and `joins` says whether any subjects may be
    one person at all. What occurred after `moment` (microseconds since 1970) does not count.
    """

    rules: Rules
    voided: frozenset[Identity]
    rule_facts: dict[Identity, int | None]
    """Each fact that states a rule, with the moment from which it holds, where it has one."""
    identity: IdentityRules
    undone: frozenset[Identity]
    joins: bool
    moment: int | None = None

    def standing(self, touchpoints: list[T]) -> list[T]:
        """The touchpoints that count: all that occurred by the moment and were not voided."""
        if self.moment is not None:
            touchpoints = [t for t in touchpoints if t.at <= self.moment]
        if not self.voided:
            return touchpoints
        return [t for t in touchpoints if (t.source, t.id) not in self.voided]


def governance(
    until: int,
    cursor: Cursor,
    shows: Callable[[int], bool] = lambda at: True,
    assumed: Sequence[Assumed] = (),
) -> Governance:
    """What is known from the facts up to a position.

    `shows` may leave out rule facts by their time of occurrence. It leaves out no void: a fact
    that was recorded in error counts at no moment, whenever that came to light. What is assumed
    is known whatever `shows` says, and takes the place of a fact with its source and id.
    """
    rows = cursor.execute(
        "SELECT g.position, e.topic, e.state FROM governing_facts AS g JOIN stored_events AS e "
        f"ON e.notification_id = g.position WHERE g.topic {cursor.AMONG} AND g.position <= ? "
        "ORDER BY g.position",
        (cursor.listed(GOVERNING_TYPES), until),
    ).fetchall()
    facts = [(position, decode(topic, state)) for position, topic, state in rows]
    everything = (*(f for _, f in facts), *(one.fact for one in assumed))
    voided = voided_by(f for f in everything if f.type == TouchpointVoided.TYPE)
    out = voided | {(one.fact.source, one.fact.id) for one in assumed}
    standing = [(p, f) for p, f in facts if (f.source, f.id) not in out and shows(f.at)]
    rules = [f for f in (*(f for _, f in standing), *(a.fact for a in assumed))
             if f.type in RULE_TYPES]  # fmt: skip
    undone = (f.data for _, f in standing if isinstance(f.data, CustomerUnmerged))
    identity = tuple(
        identity_version(fact, _tokens_at(position, fact.subject, cursor))
        for position, fact in standing
        if fact.type == IdentityRulesPublished.TYPE
    ) + tuple(
        identity_version(fact, tokens)
        for fact, tokens in assumed
        if fact.type == IdentityRulesPublished.TYPE
    )
    return Governance(
        Rules.of(rules),
        voided,
        {(f.source, f.id): _valid_from(f.data) for f in rules},
        IdentityRules(identity),
        frozenset((data.merge_source, data.merge_id) for data in undone),
        joins=bool(identity) or _any_joining(until, cursor),
    )


def _tokens_at(position: int, subject: str, cursor: Cursor) -> list[str]:
    """The tokens of addresses and numbers that a fact about a subject has in it."""
    rows = cursor.execute(
        "SELECT other FROM ties WHERE subject = ? AND position = ?", (subject, position)
    )
    return [token for (token,) in rows]


def _any_joining(until: int, cursor: Cursor) -> bool:
    """Whether any fact up to a position says of two subjects that they are one person."""
    row = cursor.execute(
        f"SELECT 1 FROM governing_facts WHERE topic {cursor.AMONG} AND position <= ? LIMIT 1",
        (cursor.listed(JOINING_TYPES), until),
    ).fetchone()
    return row is not None


def identity_restated_from(before: Governance, after: Governance) -> int | None:
    """The earliest moment for which the identity rules have changed."""
    old, new = before.identity.versions, after.identity.versions
    changed = [v for v in new if v not in old] + [v for v in old if v not in new]
    return min((version.valid_from for version in changed), default=None)


def restated_from(before: Governance, after: Governance) -> int | None:
    """The earliest moment for which the rules have changed between two states of the log."""
    changed = before.rule_facts.items() ^ after.rule_facts.items()
    return min((moment for _, moment in changed if moment is not None), default=None)


def _valid_from(data: Any) -> int | None:
    moment = getattr(data, "valid_from", None)
    return None if moment is None else microseconds(moment)
