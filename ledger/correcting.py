"""Voiding: the decision that a fact was recorded in error, recorded as a fact itself."""

from dataclasses import dataclass
from typing import Any

from domain.voiding import Identity, strikes
from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.log import Stored
from ledger.stating import SOURCE, fact, state
from ledger.store import Cursor
from schemas.correction import TouchpointVoided
from schemas.envelope import Envelope
from schemas.replay import decode

BY = "by"
"""The name in `extra` under which a voiding says who decided it."""
_VOIDINGS = """
SELECT e.notification_id, e.recorded_at, e.topic, e.state FROM governing_facts AS g
JOIN stored_events AS e ON e.notification_id = g.position
WHERE g.topic = ? AND g.position <= ? ORDER BY g.position
"""


class NotVoided(LedgerError):
    """It was not voided, and here is why."""


@dataclass(frozen=True, slots=True)
class Voiding:
    """A recorded `touchpoint.voided.v1`, still encrypted, with its place in the log."""

    position: int
    recorded_at: int
    fact: Envelope[Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decides that a fact was recorded in error, why, and by which name."""

    id: str
    reason: str
    by: str


def voidings(last: int, cursor: Cursor) -> dict[Identity, Voiding]:
    """What is struck out by the log up to a position, with the first voiding that does it."""
    rows = cursor.execute(_VOIDINGS, (TouchpointVoided.TYPE, last)).fetchall()
    told = [Voiding(at, recorded, decode(topic, state)) for at, recorded, topic, state in rows]
    places = {(v.fact.source, v.fact.id): v for v in told}
    struck = strikes(voiding.fact for voiding in told)
    return {voided: places[void.source, void.id] for voided, void in struck.items()}


def voiding_of(ledger: Ledger, source: str, id_: str) -> Voiding | None:
    """What strikes a fact out now; None when it counts."""
    last = ledger.log.head().position
    with ledger.store.cursor() as cursor:
        return voidings(last, cursor).get((source, id_))


def voiding(ledger: Ledger, told: Stored, decision: Decision) -> Envelope[Any]:
    """The fact that would strike out what is stored; nothing is recorded yet.

    It is about the same subject. A voiding is undone by what occurs later, so this occurs after
    the fact that it names, also where a clock ran ahead.
    """
    wrong = decode(told.topic, told.state)
    data = TouchpointVoided(
        voided_source=wrong.source,
        voided_id=wrong.id,
        reason=decision.reason,
        extra={BY: decision.by},
    )
    at = max(ledger.log.clock(), wrong.at + 1) if wrong.type == data.TYPE else None
    return fact(ledger, wrong.subject, data, decision.id, at)


def void(ledger: Ledger, void: Envelope[Any]) -> int:
    """Record a voiding; its position. When it returns it is durable.

    Raises NotVoided when something else is recorded under its name.
    """
    taken = ledger.log.identified(void.id, SOURCE)
    if taken:
        (known,) = taken
        raise NotVoided(
            f"{void.id} of {SOURCE} is at position {known.position:,} already; "
            "give this voiding a name of its own"
        )
    (outcome,) = state(ledger, [void], "void")
    return outcome.position
