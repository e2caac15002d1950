"""Decisions that append: judged on all recorded facts, under the writer lock.

Everything else in the ledger is a fact that some service reports. Only a request can be turned
down, and two requests can never both be granted what is there once: the lock of the writer is
held from reading the facts until the decision is in the log.
"""

from dataclasses import dataclass
from typing import Any

from domain.redemption import RedemptionRequest, Refusal, decide
from domain.rules import Rules
from ledger.governance import governance
from ledger.ledger import Ledger
from ledger.log import Appended, Submission
from ledger.persons import persons_of
from ledger.quarantine import Received
from ledger.record import Recorded, records_of
from ledger.store import Cursor
from schemas.door import Refused
from schemas.envelope import Envelope
from schemas.loyalty import PointsRedeemed
from schemas.replay import decode

SOURCE = "touchstone"


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A redemption that is in the log; `again` when it was there before this request."""

    position: int
    points: int
    again: bool


class IdTaken(Exception):
    """Another decision, or one with other content, was recorded under this id."""


def redeem(
    ledger: Ledger,
    subject: str,
    programme: str,
    points: int,
    id_: str,
    reward: str | None = None,
    *,
    request: str | None = None,
) -> Redeemed | Refusal:
    """Spend points if they are there, once for each `id_`, however often it is asked.

    `request` says by which request it was asked for, and is recorded as its `correlationid`:
    the same id for another request is taken. Without it subject, programme and points have to
    be the same. Raises IdTaken when the id belongs to another redemption, Refused when `subject`
    cannot be a subject.
    """
    stored = ledger.vault.stored_subject(subject)
    with ledger.store.cursor(write=True) as cursor:
        known = cursor.execute(
            "SELECT notification_id, topic, state FROM stored_events WHERE id = ? AND source = ?",
            (id_, SOURCE),
        ).fetchone()
        if known is not None:
            return _again(known, (stored, programme, points), request)
        now = ledger.log.clock()
        rules, facts = _recorded(stored, cursor)
        wish = RedemptionRequest(
            programme=programme,
            redemption_id=id_,
            points=points,
            source=SOURCE,
            id=id_,
            subject=stored,
            reward=reward,
        )
        decision = decide(facts, rules, wish, now)
        if isinstance(decision, Refusal):
            return decision
        envelope: Envelope[Any] = Envelope(
            type=decision.TYPE,
            at=now,
            source=SOURCE,
            id=id_,
            subject=stored,
            correlationid=request,
            data=decision,
        )
        position = _append(ledger, envelope, cursor)
        return Redeemed(position, points, again=False)


def _recorded(subject: str, cursor: Cursor) -> tuple[Rules, list[Envelope[Any]]]:
    """The rules and all facts of the person that count, as they stand under the lock."""
    (head,) = cursor.execute("SELECT position FROM head").fetchone()
    known = governance(head, cursor)
    persons = persons_of([subject], known, head, cursor)
    streams = persons.streams_of(persons.person_of(subject))
    rows = cursor.execute(
        f"SELECT topic, state FROM {cursor.OF_STREAMS}", (cursor.listed(streams),)
    )
    return known.rules, known.standing([decode(topic, state) for topic, state in rows])


def _append(ledger: Ledger, envelope: Envelope[Any], cursor: Cursor) -> int:
    """Record the decision in the transaction in which it was made."""
    (record,) = records_of([envelope], ledger.vault)
    if isinstance(record, Refused):
        raise record
    submission = Submission(Received(record.state, "redeem"), record)
    appended: Appended = ledger.log.append_within([submission], cursor)
    (outcome,) = appended.outcomes
    if not isinstance(outcome, Recorded):
        raise RuntimeError("a redemption was not recorded although its id was free")
    return outcome.position


def _again(
    known: tuple[int, str, bytes], asked: tuple[str, str, int], request: str | None
) -> Redeemed:
    """The answer to a request that was granted before; its caller did not hear of it."""
    position, topic, state = known
    envelope = decode(topic, state)
    data = envelope.data
    if isinstance(data, PointsRedeemed):
        named = (envelope.subject, data.programme, data.points)
        if named == asked if request is None else envelope.correlationid == request:
            return Redeemed(position, data.points, again=True)
    raise IdTaken(f"position {position} holds another touchpoint under the id of this request")
