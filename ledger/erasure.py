"""Erasure: everything personal of a person becomes unreadable, for ever, and everything else stays.

The keys of the person's subjects are destroyed, so that the ciphertexts in the log, in views and
in every copy of them are noise. What rests on values that go with them, a person's being one by
an equal address, is first recorded as facts of its own. All of that is one transaction; the keys
are destroyed behind it, and should that be interrupted, the next who opens the ledger does it.
To erase a person again finishes what was interrupted, and purges what has come since.
"""

import os
from base64 import urlsafe_b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from domain.identity import Joined
from ledger.errors import LedgerError
from ledger.governance import governance
from ledger.ledger import Ledger
from ledger.masking import personal_parts
from ledger.personal import TOKEN_BYTES
from ledger.persons import Persons, persons_of
from ledger.quarantine import DISCARDED
from ledger.stating import fact, submissions_of
from ledger.store import Cursor
from ledger.traces import Traces
from schemas.envelope import Envelope
from schemas.identity import CustomerDescribed, CustomerMerged
from schemas.privacy import PersonErased
from schemas.replay import decode
from schemas.subject import kind_of, stream_of

FIXED = "they had an address or number in common, which was erased"


class Changed(LedgerError):
    """The person is not any more what was looked at."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would do to a person.

    `fresh` are those of the subjects that are not erased yet, and `before` the certificate by
    which the person was erased, when none is left. `values` counts the personal values in the log
    that will be unreadable, `fixed` are joins by equal values that will be recorded as facts,
    `entries` the quarantined things, up to the entry `looked`, in which the person was found.
    """

    person: str
    subjects: tuple[str, ...]
    fresh: tuple[str, ...]
    before: str | None
    touchpoints: int
    values: int
    fixed: Sequence[Joined]
    tokens: int
    traces: Traces
    entries: Sequence[int]
    looked: int


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure has done; the body of its certificate. `again` when it had been before."""

    certificate_id: str
    again: bool
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
    """See what erasing the person of a (stored) subject comes to. Nothing is changed."""
    head = ledger.log.head().position
    with ledger.store.cursor() as cursor:
        persons = _persons(subject, head, cursor)
        person = persons.person_of(subject)
        subjects = persons.subjects_of(person)
        erased = _erased_among(subjects, cursor)
        tokens = _tokens_of(subjects, cursor)
        stored = ledger.log.streams(persons.streams_of(person), head)
        envelopes = [decode(event.topic, event.state) for event in stored]
        traces = Traces.of(ledger.vault, subjects, tokens, envelopes)
        found = list(traces.in_entries(ledger.quarantine, cursor))
    fresh = tuple(subject for subject in subjects if subject not in erased)
    parts = [part for e in envelopes for part in personal_parts(e)]
    return Plan(
        person=person,
        subjects=subjects,
        fresh=fresh,
        before=None if fresh else erased[subjects[0]],
        touchpoints=len(envelopes),
        values=sum(of in fresh for of, _ in parts),
        fixed=_by_value(persons, person) if fresh else (),
        tokens=len(tokens),
        traces=traces,
        entries=[entry for entry, is_there in found if is_there],
        looked=max((entry for entry, _ in found), default=0),
    )


def erase(ledger: Ledger, plan: Plan, reason: str, certificate_id: str) -> Erased:
    """Carry a plan out. When it returns, nothing personal of the person can be read any more.

    Raises Changed when the person has become another since the plan was made, and nothing is
    done then. Raises Locked when the keys are destroyed but somebody keeps their old bytes on
    the disk; to erase the person again tries again.
    """
    submissions = submissions_of(ledger, _facts(ledger, plan, reason, certificate_id), "erase")
    with ledger.store.cursor(write=True) as cursor:
        cursor.be_thorough()
        _refuse_changed(plan, cursor)
        appended = ledger.log.append_within(submissions, cursor)
        if appended.receipt.recorded != len(submissions):
            raise Changed(f"certificate {certificate_id} is taken: choose another")
        now = ledger.log.clock()
        cursor.insert_rows(
            "erased_subjects", [(subject, certificate_id, now) for subject in plan.fresh]
        )
        tokens = purge_tokens(plan.subjects, cursor)
        late = plan.traces.in_entries(ledger.quarantine, cursor, plan.looked)
        entries = [*plan.entries, *(entry for entry, is_there in late if is_there)]
        for entry in entries:
            note = f"erased: {plan.before or certificate_id}"
            ledger.quarantine.settle(entry, DISCARDED, note, now, cursor)
    keys = ledger.keyring.destroy(plan.subjects)
    ledger.store.scrub()
    return Erased(
        certificate_id=plan.before or certificate_id,
        again=plan.before is not None,
        erased_at=now,
        position=appended.receipt.head,
        subjects=plan.subjects,
        keys_destroyed=keys,
        values_unreadable=plan.values,
        tokens_purged=tokens,
        quarantine_purged=len(entries),
        links_fixed=len(plan.fixed),
        touchpoints_kept=plan.touchpoints,
    )


def _facts(ledger: Ledger, plan: Plan, reason: str, certificate_id: str) -> list[Envelope[Any]]:
    facts = [
        fact(ledger, join.one, CustomerMerged(other=join.other, reason=FIXED),
             f"{certificate_id}-link-{number}", join.tie.order[0])
        for number, join in enumerate(plan.fixed, 1)
    ]  # fmt: skip
    data = PersonErased(reason=reason, certificate_id=certificate_id)
    facts += [
        fact(ledger, subject, data, f"{certificate_id}-{number}")
        for number, subject in enumerate(plan.fresh, 1)
    ]
    return facts


def _persons(subject: str, head: int, cursor: Cursor) -> Persons:
    return persons_of([subject], governance(head, cursor), head, cursor)


def _by_value(persons: Persons, person: str) -> list[Joined]:
    return [j for j in persons.joins_of(person) if j.tie.type == CustomerDescribed.TYPE]


def _erased_among(subjects: Sequence[str], cursor: Cursor) -> dict[str, str]:
    """Those of the subjects that are erased, each with its certificate."""
    rows = cursor.execute(
        f"SELECT subject, certificate_id FROM erased_subjects WHERE subject {cursor.AMONG}",
        (cursor.listed(subjects),),
    )
    return dict(rows.fetchall())


def _refuse_changed(plan: Plan, cursor: Cursor) -> None:
    """Under the writer lock, which nothing comes past any more."""
    (head,) = cursor.execute("SELECT position FROM head").fetchone()
    persons = _persons(plan.person, head, cursor)
    subjects = persons.subjects_of(persons.person_of(plan.person))
    erased = _erased_among(subjects, cursor)
    fresh = tuple(subject for subject in subjects if subject not in erased)
    fixed = _by_value(persons, plan.person) if fresh else []
    if (subjects, fresh, fixed) != (plan.subjects, plan.fresh, list(plan.fixed)):
        raise Changed(f"{plan.person} has become another person meanwhile: look again")


def _tokens_of(subjects: Sequence[str], cursor: Cursor) -> list[str]:
    """The tokens of addresses and numbers that the subjects were seen with."""
    rows = cursor.execute(
        f"SELECT DISTINCT token FROM search_tokens WHERE subject {cursor.AMONG}",
        (cursor.listed(subjects),),
    )
    return [token for (token,) in rows.fetchall()]


def purge_tokens(subjects: Sequence[str], cursor: Cursor) -> int:
    """Forget which addresses and numbers the subjects were seen with; how many that were.

    Ties by them stay, since who is one person with whom must not change, at any moment; another
    token, of nothing, takes the place of one that tells of these subjects alone.
    """
    stated = cursor.execute(
        f"SELECT t.subject, t.other, t.position FROM ties AS t JOIN {cursor.OF_STREAMS} "
        f"ON e.notification_id = t.position WHERE t.subject {cursor.AMONG} AND e.topic = ?",
        (
            cursor.listed(stream_of(subject) for subject in subjects),
            cursor.listed(subjects),
            CustomerDescribed.TYPE,
        ),
    ).fetchall()
    shared = _shared_tokens({token for _, token, _ in stated}, subjects, cursor)
    fresh = {token: _token_of_nothing(token) for _, token, _ in stated if token not in shared}
    for subject, token, position in stated:
        if token in fresh:
            for one, two in ((subject, token), (token, subject)):
                cursor.execute(
                    "DELETE FROM ties WHERE subject = ? AND other = ? AND position = ?",
                    (one, two, position),
                )
            new = fresh[token]
            cursor.insert_rows("ties", [(subject, new, position), (new, subject, position)])
    cursor.execute(
        f"DELETE FROM search_tokens WHERE subject {cursor.AMONG}", (cursor.listed(subjects),)
    )
    return cursor.rowcount


def _shared_tokens(tokens: Collection[str], subjects: Sequence[str], cursor: Cursor) -> set[str]:
    """Those tokens that are subjects of the person, or that others are tied to as well."""
    rows = cursor.execute(
        f"SELECT DISTINCT subject, other FROM ties WHERE subject {cursor.AMONG}",
        (cursor.listed(tokens),),
    ).fetchall()
    own = set(subjects)
    return own.intersection(tokens) | {token for token, other in rows if other not in own}


def _token_of_nothing(token: str) -> str:
    return f"{kind_of(token)}:~{urlsafe_b64encode(os.urandom(TOKEN_BYTES)).decode().rstrip('=')}"
