"""Looks: who has seen whose personal data, when, which fields and why. Looks are facts."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from uuid import uuid4

import msgspec

from ledger.ledger import Ledger
from ledger.stating import SOURCE, fact, state
from schemas.privacy import PersonalDataViewed
from schemas.subject import kind_of

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
    viewed = (
        PersonalDataViewed(of=of, fields=tuple(sorted(fields)), purpose=purpose)
        for of, fields in looks.items()
    )
    facts = (fact(ledger, f"{READER}:{reader}", data, f"look-{uuid4()}", now) for data in viewed)
    while group := list(islice(facts, GROUP_LOOKS_MAX)):
        state(ledger, group, "look")


class _Data(msgspec.Struct):
    of: str
    fields: tuple[str, ...]
    purpose: str


class _Viewed(msgspec.Struct):
    at: int
    source: str
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
        for position, stored in page:
            viewed = _viewed(stored)
            if viewed.data.of in wanted and _is_look(viewed):
                yield _of(position, viewed)
        if len(page) < PAGE_LOOKS:
            return
        after = page[-1][0]


def _is_look(viewed: _Viewed) -> bool:
    """Looks are Touchstone's own to state; another source could claim anybody's."""
    return viewed.source == SOURCE and kind_of(viewed.subject) == READER


def _of(position: int, viewed: _Viewed) -> Look:
    return Look(
        position=position,
        at=viewed.at,
        reader=viewed.subject.partition(":")[2],
        of=viewed.data.of,
        fields=viewed.data.fields,
        purpose=viewed.data.purpose,
    )
