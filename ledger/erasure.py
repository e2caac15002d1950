"""Erasure: everything personal of a person becomes unreadable, for ever, and everything else stays.

The keys of the person's subjects are destroyed, so that the ciphertexts in the log, in views and
in every copy of them are noise. What rests on values that go with them, a person's being one by
an equal address, is first recorded as facts of its own. All of that is one transaction; the keys
are destroyed behind it, and should that be interrupted, the next who opens the ledger does it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from domain.identity import Joined
from ledger.errors import LedgerError
from ledger.governance import governance
from ledger.ledger import Ledger
from ledger.masking import personal_parts
from ledger.persons import Persons, persons_of
from ledger.quarantine import DISCARDED, Entry
from ledger.stating import fact, submissions_of
from ledger.store import Cursor
from schemas.envelope import Envelope
from schemas.identity import CustomerDescribed, CustomerMerged
from schemas.privacy import PersonErased
from schemas.replay import decode
from schemas.subject import is_token, stream_of

TELLING_CHARACTERS_MIN = 5
"""A shorter value is found in many places that have nothing to do with the person."""
ENTRIES_AT_ONCE = 200
FIXED = "they had an address or number in common, which was erased"


class ErasedBefore(LedgerError):
    """The person is erased already."""


class Changed(LedgerError):
    """The person is not any more what was looked at."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would do to a person.

    `values` counts the personal values in the log that will be unreadable, `fixed` are joins by
    equal values that will be recorded as facts, `entries` the quarantined things in which the
    person was found.
    """

    person: str
    subjects: tuple[str, ...]
    touchpoints: int
    values: int
    fixed: Sequence[Joined]
    entries: Sequence[int]
    tokens: int


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure has done; the body of its certificate."""

    certificate_id: str
    erased_at: int
    position: int
    subjects: tuple[str, ...]
    keys_destroyed: int
    values_unreadable: int
    tokens_purged: int
    quarantine_purged: int
    links_fixed: int
    touchpoints_kept: int


def plan_erasure(ledger: Ledger, subject: str) -> Plan:
    """See what erasing the person of a (stored) subject comes to. Nothing is changed.

    Raises ErasedBefore.
    """
    head = ledger.log.head().position
    with ledger.store.cursor() as cursor:
        persons = _persons(subject, head, cursor)
        person = persons.person_of(subject)
        subjects = persons.subjects_of(person)
        _refuse_erased(subjects, cursor)
        tokens = _count_tokens(subjects, cursor)
    stored = ledger.log.streams(persons.streams_of(person), head)
    envelopes = [decode(event.topic, event.state) for event in stored]
    parts = [part for e in envelopes for part in personal_parts(e)]
    return Plan(
        person=person,
        subjects=subjects,
        touchpoints=len(envelopes),
        values=sum(of in subjects for of, _ in parts),
        fixed=_by_value(persons, person),
        entries=list(_entries_about(ledger, subjects, envelopes)),
        tokens=tokens,
    )


def erase(ledger: Ledger, plan: Plan, reason: str, certificate_id: str) -> Erased:
    """Carry a plan out. When it returns, nothing personal of the person can be read any more.

    Raises Changed when the person has become another since the plan was made, and nothing is
    done then. Raises Locked when the keys are destroyed but somebody keeps their old bytes on
    the disk; opening the ledger again tries again.
    """
    facts = [
        fact(ledger, join.one, CustomerMerged(other=join.other, reason=FIXED),
             f"{certificate_id}-link-{number}", join.tie.order[0])
        for number, join in enumerate(plan.fixed, 1)
    ]  # fmt: skip
    data = PersonErased(reason=reason, certificate_id=certificate_id)
    facts += [
        fact(ledger, subject, data, f"{certificate_id}-{number}")
        for number, subject in enumerate(plan.subjects, 1)
    ]
    submissions = submissions_of(ledger, facts, "erase")
    with ledger.store.cursor(write=True) as cursor:
        _refuse_changed(plan, cursor)
        appended = ledger.log.append_within(submissions, cursor)
        if appended.receipt.recorded != len(facts):
            raise Changed(f"certificate {certificate_id} is taken: choose another")
        now = ledger.log.clock()
        rows = [(subject, certificate_id, now) for subject in plan.subjects]
        cursor.insert_rows("erased_subjects", sorted(rows))
        tokens = _purge_tokens(plan.subjects, cursor)
        for entry in plan.entries:
            note = f"erased: {certificate_id}"
            ledger.quarantine.settle(entry, DISCARDED, note, now, cursor)
    keys = ledger.keyring.destroy(plan.subjects)
    return Erased(
        certificate_id=certificate_id,
        erased_at=now,
        position=appended.receipt.head,
        subjects=plan.subjects,
        keys_destroyed=keys,
        values_unreadable=plan.values,
        tokens_purged=tokens,
        quarantine_purged=len(plan.entries),
        links_fixed=len(plan.fixed),
        touchpoints_kept=plan.touchpoints,
    )


def _persons(subject: str, head: int, cursor: Cursor) -> Persons:
    return persons_of([subject], governance(head, cursor), head, cursor)


def _by_value(persons: Persons, person: str) -> list[Joined]:
    return [j for j in persons.joins_of(person) if j.tie.type == CustomerDescribed.TYPE]


def _refuse_erased(subjects: Sequence[str], cursor: Cursor) -> None:
    rows = cursor.execute(
        f"SELECT subject, certificate_id FROM erased_subjects WHERE subject {cursor.AMONG}",
        (cursor.listed(subjects),),
    ).fetchall()
    if len(rows) == len(subjects):
        raise ErasedBefore(f"{subjects[0]} was erased before, by certificate {rows[0][1]}")


def _refuse_changed(plan: Plan, cursor: Cursor) -> None:
    """Under the writer lock, which nothing comes past any more."""
    (head,) = cursor.execute("SELECT position FROM head").fetchone()
    persons = _persons(plan.person, head, cursor)
    subjects = persons.subjects_of(persons.person_of(plan.person))
    _refuse_erased(subjects, cursor)
    same = subjects == plan.subjects and _by_value(persons, plan.person) == list(plan.fixed)
    if not same:
        raise Changed(f"{plan.person} has become another person meanwhile: look again")


def _count_tokens(subjects: Sequence[str], cursor: Cursor) -> int:
    (count,) = cursor.execute(
        f"SELECT count(*) FROM search_tokens WHERE subject {cursor.AMONG}",
        (cursor.listed(subjects),),
    ).fetchone()
    return int(count)


def _purge_tokens(subjects: Sequence[str], cursor: Cursor) -> int:
    """Forget which addresses and numbers the subjects were seen with."""
    rows = cursor.execute(
        "SELECT t.subject, t.other, t.position FROM ties AS t JOIN stored_events AS e "
        f"ON e.notification_id = t.position WHERE t.subject {cursor.AMONG} "
        f"AND e.topic = ? AND e.originator_id {cursor.AMONG_STREAMS}",
        (
            cursor.listed(subjects),
            CustomerDescribed.TYPE,
            cursor.listed(stream_of(subject).hex for subject in subjects),
        ),
    ).fetchall()
    for subject, other, position in rows:
        for one, two in ((subject, other), (other, subject)):
            cursor.execute(
                "DELETE FROM ties WHERE subject = ? AND other = ? AND position = ?",
                (one, two, position),
            )
    cursor.execute(
        f"DELETE FROM search_tokens WHERE subject {cursor.AMONG}", (cursor.listed(subjects),)
    )
    return cursor.rowcount


def _entries_about(
    ledger: Ledger, subjects: Sequence[str], envelopes: Sequence[Envelope[Any]]
) -> Iterator[int]:
    """The quarantined things in which a subject, or a telling value of the person, is found."""
    marks = _marks(ledger, subjects, envelopes)
    after = 0
    while True:
        with ledger.store.cursor() as cursor:
            page: list[Entry] = ledger.quarantine.entries(
                cursor, None, ENTRIES_AT_ONCE, after=after
            )
            for entry in page:
                received = ledger.quarantine.received(entry, cursor)
                text = b"\n".join(_texts(received.raw, received.key, received.headers)).lower()
                if any(mark in text for mark in marks):
                    yield entry.entry
        if len(page) < ENTRIES_AT_ONCE:
            return
        after = page[-1].entry


def _texts(raw: Any, key: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> list[bytes]:
    return [raw, key or b"", *(value or b"" for _, value in headers)]


def _marks(
    ledger: Ledger, subjects: Sequence[str], envelopes: Sequence[Envelope[Any]]
) -> frozenset[bytes]:
    """What the person is found by in bytes that nobody could read: subjects, addresses, names."""
    found = {f'"{subject}"' for subject in subjects if not is_token(subject)}
    for envelope in ledger.vault.reveal(envelopes):
        found.add(envelope.subject.partition(":")[2] if ":~" not in envelope.subject else "")
        if isinstance(envelope.data, CustomerDescribed):
            traits = envelope.data.traits
            found |= {value for value in (traits.name, traits.email, traits.phone) if value}
    telling = (value for value in found if len(value) >= TELLING_CHARACTERS_MIN)
    return frozenset(value.lower().encode() for value in telling)
