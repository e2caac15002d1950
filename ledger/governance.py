"""What bears on other facts: the rules that are known, and the facts that were voided."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from domain.occurred import Occurred
from domain.rules import Rules
from domain.voiding import Identity, voided_by
from ledger.store import Cursor
from schemas.correction import TouchpointVoided
from schemas.fields import microseconds
from schemas.loyalty import LoyaltyProgrammeClosed, LoyaltyRulesPublished
from schemas.replay import decode

RULE_TYPES = (LoyaltyProgrammeClosed.TYPE, LoyaltyRulesPublished.TYPE)
GOVERNING_TYPES = (*RULE_TYPES, TouchpointVoided.TYPE)
T = TypeVar("T", bound=Occurred)


@dataclass(frozen=True, slots=True)
class Governance:
    """The rules and the voided facts, as some part of the log states them."""

    rules: Rules
    voided: frozenset[Identity]
    rule_facts: dict[Identity, int | None]
    """Each fact that states a rule, with the moment from which it holds, where it has one."""

    def standing(self, touchpoints: list[T]) -> list[T]:
        """The touchpoints that count: all that were not voided."""
        if not self.voided:
            return touchpoints
        return [t for t in touchpoints if (t.source, t.id) not in self.voided]


def governance(
    until: int, cursor: Cursor, shows: Callable[[int], bool] = lambda at: True
) -> Governance:
    """What is known from the facts up to a position.

    `shows` may leave out rule facts by their time of occurrence. It leaves out no void: a fact
    that was recorded in error counts at no moment, whenever that came to light.
    """
    rows = cursor.execute(
        "SELECT e.topic, e.state FROM governing_facts AS g JOIN stored_events AS e "
        f"ON e.notification_id = g.position WHERE g.topic {cursor.AMONG} AND g.position <= ? "
        "ORDER BY g.position",
        (cursor.listed(GOVERNING_TYPES), until),
    )
    facts = [decode(topic, state) for topic, state in rows]
    voided = voided_by(f for f in facts if f.type == TouchpointVoided.TYPE)
    stated = (f for f in facts if f.type in RULE_TYPES and shows(f.at))
    rules = [f for f in stated if (f.source, f.id) not in voided]
    return Governance(
        Rules.of(rules), voided, {(f.source, f.id): _valid_from(f.data) for f in rules}
    )


def restated_from(before: Governance, after: Governance) -> int | None:
    """The earliest moment for which the rules have changed between two states of the log."""
    changed = before.rule_facts.items() ^ after.rule_facts.items()
    return min((moment for _, moment in changed if moment is not None), default=None)


def _valid_from(data: Any) -> int | None:
    moment = getattr(data, "valid_from", None)
    return None if moment is None else microseconds(moment)
