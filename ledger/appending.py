"""Appending: how a group of records becomes part of the log, the same on both stores.

Everything happens under the writer lock, that is the head row, which hands out dense positions.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from ledger.personal import NOT_COMPARED
from ledger.record import Duplicate, Known, Record, Recorded
from ledger.store import Cursor

VERSIONS_CACHED_MAX = 500_000
C = TypeVar("C", bound=Cursor)
Row = tuple[int, str, int, str, bytes, int, str, str, bytes]
"""A row of stored_events: position, stream, version, topic, state, recorded_at, source, id,
digest."""


class Appending(ABC, Generic[C]):
    """The part of a recorder that appends groups, once each."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._versions_at = -1

    @abstractmethod
    def _insert_new(self, rows: Sequence[Row], cursor: C) -> int:
        """Insert rows without asking first; returns how many of the first of them are in.

        The rest begins with, or has in it, one whose `(source, id)` is known already.
        """

    @abstractmethod
    def _insert(self, rows: Sequence[Row], cursor: C) -> None:
        """Insert rows that are known to be new."""

    def _insert_versioned(self, rows: Sequence[Row], cursor: C) -> None:
        """Insert rows that bring their versions along; refuse one that its stream has already."""
        self._insert(rows, cursor)

    @abstractmethod
    def _versions_in_log(self, streams: Sequence[str], cursor: C) -> Iterable[tuple[str, int]]:
        """The last version of those of the streams that are in the log."""

    def _move_head(self, position: int, recorded_at: int, cursor: C) -> None:
        move_head(position, recorded_at, cursor)

    def append(
        self, records: Sequence[Record], now: int, cursor: C
    ) -> list[Recorded | Duplicate | Known]:
        """See `ledger.store.Recorder`."""
        position, recorded_at = head_of(cursor)
        if self._versions_at != position:
            self.forget_versions()
        recorded_at = max(now, recorded_at)
        try:
            outcomes = self._insert_all(records, position, recorded_at, cursor)
        except BaseException:
            self.forget_versions()
            raise
        head = position + sum(outcome.__class__ is Recorded for outcome in outcomes)
        if head != position:
            self._move_head(head, recorded_at, cursor)
        self._versions_at = head
        return outcomes

    def insert_stored(self, rows: Sequence[Row], cursor: C) -> None:
        """See `ledger.store.Recorder`."""
        try:
            self._insert_versioned(rows, cursor)
        finally:
            self.forget_versions()

    def forget_versions(self) -> None:
        """See `ledger.store.Recorder`."""
        self._versions.clear()
        self._versions_at = -1

    def _insert_all(
        self, records: Sequence[Record], position: int, recorded_at: int, cursor: C
    ) -> list[Recorded | Duplicate | Known]:
        """What stands before the first record that is known already is inserted without asking."""
        rows = self._rows(records, position, recorded_at, cursor)
        count = self._insert_new(rows, cursor)
        _insert_beside(records[:count], rows[:count], cursor)
        outcomes: list[Recorded | Duplicate | Known] = [Recorded(row[0]) for row in rows[:count]]
        if count < len(rows):
            rest = records[count:]
            for record in rest:  # these versions were not used after all
                self._versions[record.stream] -= 1
            outcomes += self._insert_unknown(rest, position + count, recorded_at, cursor)
        return outcomes

    def _rows(
        self, records: Sequence[Record], position: int, recorded_at: int, cursor: C
    ) -> list[Row]:
        """The rows of these records, each with the next position and version of its stream."""
        versions = self._versions_of({record.stream for record in records}, cursor)
        rows = []
        for record in records:
            position += 1
            stream = record.stream
            version = versions[stream] = versions[stream] + 1
            rows.append(
                (position, stream, version, record.topic, record.state, recorded_at,
                 record.source, record.id, record.digest)
            )  # fmt: skip
        return rows

    def _insert_unknown(
        self, records: Sequence[Record], position: int, recorded_at: int, cursor: C
    ) -> list[Recorded | Duplicate | Known]:
        """The slower way: look up every `(source, id)` first, in the log and in the group."""
        known = known_in_log([(r.source, r.id) for r in records], cursor)
        fresh: list[Record] = []
        outcomes: list[Recorded | Duplicate | Known] = []
        for record in records:
            identity = (record.source, record.id)
            there = known.get(identity)
            if there is None:
                fresh.append(record)
                there = known[identity] = Known(position + len(fresh), record.digest)
                outcomes.append(Recorded(there.position))
            else:
                same = there.digest == record.digest or NOT_COMPARED in (
                    there.digest,
                    record.digest,
                )
                outcomes.append(Duplicate(there.position) if same else there)
        rows = self._rows(fresh, position, recorded_at, cursor)
        self._insert(rows, cursor)
        _insert_beside(fresh, rows, cursor)
        return outcomes

    def _versions_of(self, streams: set[str], cursor: C) -> dict[str, int]:
        """The last versions of these streams, and of others; kept while nobody else writes."""
        if len(self._versions) > VERSIONS_CACHED_MAX:
            self.forget_versions()
        # A set minus the keys of a dict goes through all the keys.
        missing = [stream for stream in streams if stream not in self._versions]
        if missing:
            self._versions.update(dict.fromkeys(missing, 0))
            self._versions.update(self._versions_in_log(sorted(missing), cursor))
        return self._versions

    def _insert_expected(self, events: Sequence[StoredEvent], cursor: C) -> list[int]:
        """The library's own way in, with the versions that its caller expects."""
        position, recorded_at = head_of(cursor)
        recorded_at = max(recorded_at, time.time_ns() // 1_000)
        rows: list[Row] = [
            (position + n, hex_of(e.originator_id), e.originator_version, e.topic, e.state,
             recorded_at, "eventsourcing", f"{hex_of(e.originator_id)}:{e.originator_version}", b"")
            for n, e in enumerate(events, 1)
        ]  # fmt: skip
        self.insert_stored(rows, cursor)
        self._move_head(position + len(rows), recorded_at, cursor)
        return [row[0] for row in rows]


def head_of(cursor: Cursor) -> tuple[int, int]:
    """The last position, and when it was recorded (microseconds since 1970)."""
    position, recorded_at = cursor.execute("SELECT position, recorded_at FROM head").fetchone()
    return position, recorded_at


def move_head(position: int, recorded_at: int, cursor: Cursor) -> None:
    """State where the log ends after this transaction."""
    cursor.execute("UPDATE head SET position = ?, recorded_at = ?", (position, recorded_at))


def known_in_log(
    identities: Sequence[tuple[str, str]], cursor: Cursor
) -> dict[tuple[str, str], Known]:
    """What the log holds under these pairs of (source, id)."""
    rows = cursor.execute(
        f"SELECT e.source, e.id, e.notification_id, e.digest FROM {cursor.IDENTIFIED}",
        (cursor.identities(identities),),
    )
    return {(source, id_): Known(at, digest) for source, id_, at, digest in rows}


def _insert_beside(records: Sequence[Record], rows: Sequence[Row], cursor: Cursor) -> None:
    """The side tables that belong to the same fact: search tokens, ties, governing facts."""
    tokens = {(token, r.subject) for r in records if r.tokens for token in r.tokens}
    if tokens:
        cursor.insert_missing("search_tokens", sorted(tokens))
    ties = [
        tie
        for r, row in zip(records, rows, strict=True)
        if r.ties
        for other in set(r.ties)
        for tie in ((r.subject, other, row[0]), (other, r.subject, row[0]))
    ]
    if ties:
        cursor.insert_rows("ties", sorted(ties))
    governing = [(r.topic, row[0]) for r, row in zip(records, rows, strict=True) if r.governs]
    if governing:
        cursor.insert_rows("governing_facts", governing)


def hex_of(originator_id: UUID | str) -> str:
    """A stream as the log has it."""
    return originator_id.hex if isinstance(originator_id, UUID) else originator_id
