"""Looks: who has seen whose personal data, when, which fields and why. Looks are facts."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any
from uuid import uuid4

import msgspec

from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.log import Submission
from ledger.quarantine import Received
from ledger.record import Recorded, records_of
from schemas.door import Refused
from schemas.envelope import Envelope
from schemas.privacy import PersonalDataViewed
from schemas.subject import kind_of

SOURCE = "touchstone"
READER = "reader"
GROUP_LOOKS_MAX = 1_000
PAGE_LOOKS = 5_000


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look. `at` is in microseconds since 1970; `fields` are paths in `data`."""

    position: int
    at: int
    reader: str
    of: str
    fields: tuple[str, ...]
    purpose: str


def record_looks(
    ledger: Ledger, reader: str, purpose: str, looks: Mapping[str, Iterable[str]]
) -> None:
    """Record which fields of which (stored) subjects somebody is about to see.

    When it returns, the looks are durable. Raises LedgerError when one cannot be recorded:
    then nothing may be shown.
    """
    now = ledger.log.clock()
    envelopes = iter(
        [_look(reader, of, tuple(sorted(fields)), purpose, now) for of, fields in looks.items()]
    )
    while group := list(islice(envelopes, GROUP_LOOKS_MAX)):
        _append(ledger, group)


def _look(reader: str, of: str, fields: tuple[str, ...], purpose: str, now: int) -> Envelope[Any]:
    return Envelope(
        type=PersonalDataViewed.TYPE,
        at=now,
        source=SOURCE,
        id=f"look-{uuid4()}",
        subject=f"{READER}:{reader}",
        data=PersonalDataViewed(of=of, fields=fields, purpose=purpose),
    )


def _append(ledger: Ledger, envelopes: list[Envelope[Any]]) -> None:
    submissions = []
    for record in records_of(envelopes, ledger.vault):
        if isinstance(record, Refused):
            raise LedgerError(f"the look cannot be recorded, so nothing is shown: {record}")
        submissions.append(Submission(Received(record.state, "look"), record))
    appended = ledger.log.append(submissions)
    if not all(isinstance(outcome, Recorded) for outcome in appended.outcomes):
        raise LedgerError("the look was not recorded, so nothing is shown")


class _Data(msgspec.Struct):
    of: str
    fields: tuple[str, ...]
    purpose: str


class _Viewed(msgspec.Struct):
    at: int
    subject: str
    data: _Data


_viewed = msgspec.json.Decoder(_Viewed).decode
_PAGE = """
SELECT g.position, e.state FROM governing_facts AS g
JOIN stored_events AS e ON e.notification_id = g.position
WHERE g.topic = ? AND g.position > ? ORDER BY g.position LIMIT ?
"""


def looks_at(ledger: Ledger, subjects: Collection[str]) -> Iterator[Look]:
    """Every look at one of these (stored) subjects, in the order of positions.

    It reads all looks that there are and nothing else of the log: the positions of facts that
    are no contact are kept by type.
    """
    after, wanted = 0, frozenset(subjects)
    while True:
        with ledger.store.cursor() as cursor:
            parameters = (PersonalDataViewed.TYPE, after, PAGE_LOOKS)
            page = cursor.execute(_PAGE, parameters).fetchall()
        for position, state in page:
            viewed = _viewed(state)
            if viewed.data.of in wanted and kind_of(viewed.subject) == READER:
                yield _of(position, viewed)
        if len(page) < PAGE_LOOKS:
            return
        after = page[-1][0]


def _of(position: int, viewed: _Viewed) -> Look:
    return Look(
        position=position,
        at=viewed.at,
        reader=viewed.subject.partition(":")[2],
        of=viewed.data.of,
        fields=viewed.data.fields,
        purpose=viewed.data.purpose,
    )
