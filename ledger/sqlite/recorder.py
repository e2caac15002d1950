"""The library's recorder on an SQLite file: its readers and tracking, and appends by the group."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec
from eventsourcing.persistence import Notification, StoredEvent, Tracking
from eventsourcing.sqlite import SQLiteCursor, SQLiteProcessRecorder

from ledger.appending import Appending, Row, hex_of
from ledger.sqlite.connections import SQLiteLedgerCursor
from ledger.sqlite.schema import create_schema
from ledger.sqlite.streams import LAST_VERSIONS, OF_STREAMS, StreamIndex

if TYPE_CHECKING:
    from ledger.sqlite.store import SQLiteStore

_NOTIFICATIONS = """
SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events
WHERE notification_id >= ?1 AND notification_id <= coalesce(?2, 9223372036854775807)
AND (?3 IS NULL OR topic IN (SELECT value FROM json_each(?3)))
ORDER BY notification_id LIMIT ?4
"""
_EVENTS = f"""
SELECT originator_id, originator_version, topic, state FROM {OF_STREAMS}
WHERE originator_version > coalesce(?, -1) AND originator_version <= coalesce(?, {2**63 - 1})
ORDER BY originator_version * ? LIMIT ?
"""


class SQLiteRecorder(Appending[SQLiteLedgerCursor], SQLiteProcessRecorder):
    """The writer of facts: appends groups, once each, under the write lock of the file."""

    def __init__(self, store: "SQLiteStore") -> None:
        SQLiteProcessRecorder.__init__(self, store)
        Appending.__init__(self)
        self.store = store
        self._streams = StreamIndex()

    def construct_create_table_statements(self) -> list[str]:
        return []

    def create_table(self) -> None:
        create_schema(self.store.path, uuid4().hex)

    def _insert_new(self, rows: Sequence[Row], cursor: SQLiteLedgerCursor) -> int:
        """What goes before a row that fails stays: keeping what it needs to roll back costs a
        fifth more."""
        changes = cursor.connection.total_changes
        try:
            cursor.insert("INSERT OR FAIL INTO stored_events", rows)
        except sqlite3.IntegrityError:
            rows = rows[: cursor.connection.total_changes - changes]
        self._streams.add(rows, cursor)
        return len(rows)

    def _insert(self, rows: Sequence[Row], cursor: SQLiteLedgerCursor) -> None:
        cursor.insert_rows("stored_events", rows)
        self._streams.add(rows, cursor)

    def _insert_versioned(self, rows: Sequence[Row], cursor: SQLiteLedgerCursor) -> None:
        """There is no unique index of streams and versions: see ledger/sqlite/streams.py."""
        last = dict(self._versions_in_log(sorted({row[1] for row in rows}), cursor))
        for _, stream, version, *_ in rows:
            if version <= last.get(stream, -1):
                raise sqlite3.IntegrityError(f"stream {stream} has a version {version} already")
            last[stream] = version
        self._insert(rows, cursor)

    def forget_versions(self) -> None:
        super().forget_versions()
        self._streams.forget()

    def _versions_in_log(
        self, streams: Sequence[str], cursor: SQLiteLedgerCursor
    ) -> Iterable[tuple[str, int]]:
        return cursor.execute(LAST_VERSIONS, (cursor.listed(streams),)).fetchall()

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

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The library's way to read a stream; its own statement needs an index of streams."""
        with self.store.cursor() as cursor:
            rows = cursor.execute(
                _EVENTS,
                (cursor.listed([hex_of(originator_id)]), gt, lte, -1 if desc else 1,
                 -1 if limit is None else limit),
            ).fetchall()  # fmt: skip
        return [
            StoredEvent(
                originator_id=self.convert_originator_id(stream),
                originator_version=version,
                topic=topic,
                state=state,
            )
            for stream, version, topic, state in rows
        ]

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
