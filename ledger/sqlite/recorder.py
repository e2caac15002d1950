"""The library's recorder on an SQLite file: its readers and tracking, and appends by the group."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from eventsourcing.persistence import Notification, StoredEvent, Tracking
from eventsourcing.sqlite import SQLiteCursor, SQLiteProcessRecorder

from ledger.appending import Appending, Row
from ledger.sqlite.connections import SQLiteLedgerCursor
from ledger.sqlite.schema import create_schema

if TYPE_CHECKING:
    from ledger.sqlite.store import SQLiteStore

_INSERT = "INSERT INTO stored_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_VERSIONS = """
SELECT originator_id, MAX(originator_version) FROM stored_events
WHERE originator_id IN (SELECT value FROM json_each(?)) GROUP BY originator_id
"""
_NOTIFICATIONS = """
SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events
WHERE notification_id >= ?1 AND notification_id <= coalesce(?2, 9223372036854775807)
AND (?3 IS NULL OR topic IN (SELECT value FROM json_each(?3)))
ORDER BY notification_id LIMIT ?4
"""


class SQLiteRecorder(Appending[SQLiteLedgerCursor], SQLiteProcessRecorder):
    """The writer of facts: appends groups, once each, under the write lock of the file."""

    def __init__(self, store: "SQLiteStore") -> None:
        SQLiteProcessRecorder.__init__(self, store)
        Appending.__init__(self)
        self.store = store

    def construct_create_table_statements(self) -> list[str]:
        return []

    def create_table(self) -> None:
        create_schema(self.store.path, uuid4().hex)

    def _insert_new(self, rows: Sequence[Row], cursor: SQLiteLedgerCursor) -> int:
        """No savepoint is set: keeping what it needs to roll back costs a fifth more."""
        changes = cursor.connection.total_changes
        try:
            cursor.executemany(_INSERT, rows)
        except sqlite3.IntegrityError:
            return cursor.connection.total_changes - changes
        return len(rows)

    def _insert(self, rows: Sequence[Row], cursor: SQLiteLedgerCursor) -> None:
        cursor.executemany(_INSERT, rows)

    def _versions_in_log(
        self, streams: Sequence[str], cursor: SQLiteLedgerCursor
    ) -> Iterable[tuple[str, int]]:
        found: list[tuple[str, int]] = cursor.execute(
            _VERSIONS, (cursor.listed(streams),)
        ).fetchall()
        return found

    def move_tracking(self, name: str, position: int, cursor: SQLiteLedgerCursor) -> None:
        """See `ledger.store.Recorder`."""
        self._insert_tracking(SQLiteCursor(cursor), Tracking(name, position))

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        cursor = c.sqlite_cursor.connection.cursor(SQLiteLedgerCursor)
        cursor.row_factory = None
        positions = self._insert_expected(stored_events, cursor)
        tracking: Tracking | None = kwargs.get("tracking")
        if tracking is not None:
            self._insert_tracking(c, tracking)
        return positions

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The library's way to read pages; its own statement needs a column called rowid."""
        first = 0 if start is None else start + (not inclusive_of_start)
        wanted = msgspec.json.encode(list(topics)).decode() if topics else None
        with self.store.cursor() as cursor:
            rows = cursor.execute(_NOTIFICATIONS, (first, stop, wanted, limit)).fetchall()
        return [
            Notification(
                id=position,
                originator_id=self.convert_originator_id(stream),
                originator_version=version,
                topic=topic,
                state=state,
            )
            for position, stream, version, topic, state in rows
        ]
