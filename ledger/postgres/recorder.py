"""The library's recorder on PostgreSQL: its readers and tracking, and appends by the group."""

import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from eventsourcing.persistence import IntegrityError, StoredEvent, Tracking
from eventsourcing.postgres import PostgresProcessRecorder

from ledger.appending import Appending, Row
from ledger.postgres.connections import PostgresCursor

if TYPE_CHECKING:
    from ledger.postgres.store import PostgresStore

CHANNEL = "touchstone"
"""On which readers are told that the log has grown; the payload is the schema of the ledger."""
_VERSIONS = """
SELECT wanted.stream::text, last.originator_version
FROM unnest(?::uuid[]) AS wanted (stream) CROSS JOIN LATERAL (
    SELECT originator_version FROM stored_events WHERE originator_id = wanted.stream
    ORDER BY originator_version DESC LIMIT 1
) AS last
"""
_MOVE_HEAD = """
WITH moved AS (UPDATE head SET position = ?, recorded_at = ?) SELECT pg_notify(?, ?)
"""
_HEAD = struct.Struct("!hiqi16siqi").pack
_LENGTH = struct.Struct("!i").pack
_RECORDED = struct.Struct("!iqi").pack


class PostgresRecorder(Appending[PostgresCursor], PostgresProcessRecorder):
    """The writer of facts: appends groups, once each, under the lock of the head row."""

    def __init__(self, store: "PostgresStore") -> None:
        PostgresProcessRecorder.__init__(self, store, tracking_table_name="tracking")
        Appending.__init__(self)
        self.store = store

    def create_table(self) -> None:
        """Nothing to do: the schema is our own (ledger/postgres/schema.py)."""

    def _insert_new(self, rows: Sequence[Row], cursor: PostgresCursor) -> int:
        """All or none of the rows: the unique index on the id is the guard."""
        cursor.execute("SAVEPOINT before_new")
        try:
            self._insert(rows, cursor)
        except psycopg.errors.UniqueViolation:
            cursor.execute("ROLLBACK TO SAVEPOINT before_new")
            return 0
        return len(rows)

    def _insert(self, rows: Sequence[Row], cursor: PostgresCursor) -> None:
        cursor.copy_in("stored_events", map(_packed, rows))

    def _versions_in_log(
        self, streams: Sequence[str], cursor: PostgresCursor
    ) -> Iterable[tuple[str, int]]:
        rows = cursor.execute(_VERSIONS, (cursor.listed(streams),))
        return [(stream.replace("-", ""), version) for stream, version in rows]

    def _move_head(self, position: int, recorded_at: int, cursor: PostgresCursor) -> None:
        """Readers are woken when the transaction commits."""
        cursor.execute(_MOVE_HEAD, (position, recorded_at, CHANNEL, self.store.schema))

    def move_tracking(self, name: str, position: int, cursor: PostgresCursor) -> None:
        """See `ledger.store.Recorder`."""
        with cursor.connection.cursor() as library:
            self._insert_tracking(library, Tracking(name, position))

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """The library's own way in, under the same lock as everybody's."""
        tracking: Tracking | None = kwargs.get("tracking")
        with self.store.cursor(write=True) as cursor:
            try:
                if tracking is not None:
                    self.move_tracking(tracking.application_name, tracking.notification_id, cursor)
                return self._insert_expected(stored_events, cursor)
            except psycopg.errors.IntegrityError as error:
                raise IntegrityError(str(error)) from error


def _packed(row: Row) -> bytes:
    """A row of stored_events for binary COPY."""
    position, stream, version, topic, state, recorded_at, source, id_, digest = row
    a, b, c = topic.encode(), source.encode(), id_.encode()
    return b"".join(
        (_HEAD(9, 8, position, 16, bytes.fromhex(stream), 8, version, len(a)), a,
         _LENGTH(len(state)), state, _RECORDED(8, recorded_at, len(b)), b,
         _LENGTH(len(c)), c, _LENGTH(len(digest)), digest)
    )  # fmt: skip
