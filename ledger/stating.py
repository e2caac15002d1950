"""Facts that Touchstone itself states, in the name of whoever uses it: merges, looks, erasures."""

from collections.abc import Sequence
from typing import Any

from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.log import Submission
from ledger.quarantine import Received
from ledger.record import Duplicate, Recorded, records_of
from schemas.door import Refused
from schemas.envelope import Envelope
from schemas.touchpoint import Touchpoint

SOURCE = "touchstone"


def fact(
    ledger: Ledger, subject: str, data: Touchpoint, id_: str, at: int | None = None
) -> Envelope[Any]:
    """A fact about a (stored) subject that occurs now, or at another moment."""
    at = ledger.log.clock() if at is None else at
    return Envelope(type=data.TYPE, at=at, source=SOURCE, id=id_, subject=subject, data=data)


def submissions_of(ledger: Ledger, facts: Sequence[Envelope[Any]], door: str) -> list[Submission]:
    """Facts, ready for the log. Raises LedgerError when one cannot be recorded."""
    submissions = []
    for record in records_of(facts, ledger.vault):
        if isinstance(record, Refused):
            raise LedgerError(f"{door}: this cannot be recorded: {record}")
        submissions.append(Submission(Received(record.state, door), record))
    return submissions


def state(ledger: Ledger, facts: Sequence[Envelope[Any]], door: str) -> list[Recorded | Duplicate]:
    """Record facts as one group; where each of them stands.

    When it returns they are durable. Raises LedgerError when one cannot be recorded.
    """
    outcomes = []
    for outcome in ledger.log.append(submissions_of(ledger, facts, door)).outcomes:
        if not isinstance(outcome, Recorded | Duplicate):
            raise LedgerError(f"{door}: this was not recorded: {outcome.refused.message}")
        outcomes.append(outcome)
    return outcomes
