"""The embedded store: one SQLite file, on the recorder and tracking of `eventsourcing`.

The schema is our own (positions must never be renumbered, see docs/DECISIONS.md), the
library's readers work on it, and its inserts go the same way as everybody's: under
the head row, which is the writer lock and hands out dense positions.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
from eventsourcing.persistence import Notification, OperationalError, StoredEvent, Tracking
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteProcessRecorder,
    SQLiteTransaction,
)

from ledger.errors import LedgerError, Locked, NotInitialised, SchemaMismatch
from ledger.record import Duplicate, Known, Record, Recorded

LOCK_SECONDS_MAX = 60
APPLICATION_ID = 0x546F7563
"""What marks an SQLite file as a ledger. Part of the storage format: never change it."""
READING_CACHE_KIBIBYTES = 16 * 1024
"""Of a connection that reads or writes views: the rest is read from the mapped file."""
APPENDING_CACHE_KIBIBYTES = 512 * 1024
"""Of a connection that appends, at most: each touchpoint of a group dirties another page of the
index of streams, and reading those pages anew for every group costs a quarter of its time."""
CHECKPOINT_PAGES = 32_000
"""Pages of an index are written again and again: they reach the file once per 128 MiB of WAL. A
longer WAL costs more in looking pages up than it saves in writing them."""
MAPPED_BYTES_MAX = 4 * 1024**3
VERSIONS_CACHED_MAX = 500_000

_INSERT = "INSERT INTO stored_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_VERSIONS = """
SELECT originator_id, MAX(originator_version) FROM stored_events
WHERE originator_id IN (SELECT value FROM json_each(?)) GROUP BY originator_id
"""
_KNOWN = """
SELECT e.source, e.id, e.notification_id, e.digest
FROM json_each(?) AS wanted CROSS JOIN stored_events AS e
ON e.id = json_extract(wanted.value, '$[1]') AND e.source = json_extract(wanted.value, '$[0]')
"""
_NOTIFICATIONS = """
SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events
WHERE notification_id >= ?1 AND notification_id <= coalesce(?2, 9223372036854775807)
AND (?3 IS NULL OR topic IN (SELECT value FROM json_each(?3)))
ORDER BY notification_id LIMIT ?4
"""


class _ImmediateTransaction(SQLiteTransaction):
    """Takes the write lock at the start, so that nothing read in it can be overtaken."""

    def __enter__(self) -> SQLiteCursor:
        cursor = self.connection.cursor()
        cursor.execute("BEGIN IMMEDIATE" if self.commit else "BEGIN")
        return cursor


class _Connection(SQLiteConnection):
    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        with _ImmediateTransaction(self, commit=commit) as cursor, cursor:
            yield cursor


class _Pool(SQLiteConnectionPool):
    """Connections to one file, with so much cache each."""

    def __init__(self, path: Path, cache_kibibytes: int, size: int) -> None:
        self._cache_kibibytes = cache_kibibytes
        super().__init__(
            db_name=str(path),
            lock_timeout=LOCK_SECONDS_MAX,
            pool_size=size,
            pool_timeout=LOCK_SECONDS_MAX,
        )

    def _create_connection(self) -> SQLiteConnection:
        raw = super()._create_connection()._sqlite_conn
        raw.row_factory = sqlite3.Row
        for pragma in (
            "synchronous = FULL",
            f"cache_size = -{self._cache_kibibytes}",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            f"busy_timeout = {LOCK_SECONDS_MAX * 1_000}",
            f"mmap_size = {MAPPED_BYTES_MAX}",
            "temp_store = MEMORY",
        ):
            raw.execute(f"PRAGMA {pragma}")
        return _Connection(sqlite_conn=raw, max_age=self.max_age)


class Datastore(SQLiteDatastore):
    """Connections to the ledger's file: WAL, `synchronous=FULL`, writers one after another."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_timeout=LOCK_SECONDS_MAX)
        self.path = path
        self.pool.close()
        self.pool = _Pool(path, READING_CACHE_KIBIBYTES, 4)
        self._appending = _Pool(path, APPENDING_CACHE_KIBIBYTES, 1)

    def close(self) -> None:
        super().close()
        self._appending.close()

    @contextmanager
    def cursor(self, *, write: bool = False, durable: bool = True) -> Iterator[sqlite3.Cursor]:
        """A transaction that gives plain tuples: committed when `write`, else rolled back.

        What is not `durable` is still all or nothing, but a loss of power may take the last of
        it back: enough for views, which are folded on from the position that goes with them.
        """
        try:
            pool = self._appending if write and durable else self.pool
            connection = pool.get_connection(is_writer=write)
            try:
                synchronous = "FULL" if durable else "NORMAL"
                connection._sqlite_conn.execute(f"PRAGMA synchronous = {synchronous}")
                with connection.transaction(commit=write) as wrapped:
                    cursor = wrapped.sqlite_cursor
                    cursor.row_factory = None
                    yield cursor
            finally:
                pool.put_connection(connection)
        except (sqlite3.OperationalError, OperationalError) as error:
            raise _in_our_words(error) from error


def _in_our_words(error: Exception) -> Exception:
    """What SQLite says, or the library says for it when a transaction ends on an error."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return Locked(f"another process holds the ledger for longer than {LOCK_SECONDS_MAX} s")
    if "full" in text:
        return LedgerError("the disk is full; nothing of this group was recorded")
    if "readonly" in text:
        return LedgerError("the ledger's file, or its folder, cannot be written to")
    return LedgerError(f"the store has failed: {text}")


class Recorder(SQLiteProcessRecorder):
    """The writer of facts: appends groups, once each, under the head row."""

    def __init__(self, datastore: Datastore) -> None:
        super().__init__(datastore)
        self.store = datastore
        self._versions: dict[str, int] = {}
        self._versions_at = -1

    def construct_create_table_statements(self) -> list[str]:
        return []

    def create_table(self) -> None:
        create_schema(self.store.path, uuid4().hex)

    def append(
        self, records: Sequence[Record], now: int, cursor: sqlite3.Cursor
    ) -> list[Recorded | Duplicate | Known]:
        """Record what is new, in order, in the caller's write transaction.

        Returns for each record its position, or what the ledger knows under its `(source, id)`.
        """
        position, recorded_at = cursor.execute("SELECT position, recorded_at FROM head").fetchone()
        if self._versions_at != position:
            self._versions.clear()
        recorded_at = max(now, recorded_at)
        try:
            outcomes = self._insert_all(records, position, recorded_at, cursor)
        except BaseException:
            self._versions.clear()
            raise
        head = position + sum(outcome.__class__ is Recorded for outcome in outcomes)
        if head != position:
            cursor.execute("UPDATE head SET position = ?, recorded_at = ?", (head, recorded_at))
        self._versions_at = head
        return outcomes

    def forget_versions(self) -> None:
        """To be called when a transaction with an append in it was rolled back."""
        self._versions.clear()
        self._versions_at = -1

    def _insert_all(
        self, records: Sequence[Record], position: int, recorded_at: int, cursor: sqlite3.Cursor
    ) -> list[Recorded | Duplicate | Known]:
        """What stands before the first record that is known already is inserted without asking.

        No savepoint is set for that: keeping what it needs to roll back costs a fifth more.
        """
        rows = self._rows(records, position, recorded_at, cursor)
        changes = cursor.connection.total_changes
        try:
            cursor.executemany(_INSERT, rows)
            count = len(rows)
        except sqlite3.IntegrityError:
            count = cursor.connection.total_changes - changes
        self._insert_beside(records[:count], rows[:count], cursor)
        outcomes: list[Recorded | Duplicate | Known] = [Recorded(row[0]) for row in rows[:count]]
        if count < len(rows):
            rest = records[count:]
            for record in rest:  # these versions were not used after all
                self._versions[record.stream] -= 1
            outcomes += self._insert_unknown(rest, position + count, recorded_at, cursor)
        return outcomes

    def _rows(
        self, records: Sequence[Record], position: int, recorded_at: int, cursor: sqlite3.Cursor
    ) -> list[tuple[Any, ...]]:
        """The rows of these records, each with the next position and version of its stream."""
        versions = self._versions_of(records, cursor)
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

    def _insert_beside(
        self, records: Sequence[Record], rows: list[Any], cursor: sqlite3.Cursor
    ) -> None:
        """The side tables that belong to the same fact: search tokens, governing facts."""
        tokens = [(token, r.subject) for r in records if r.tokens for token in r.tokens]
        if tokens:
            cursor.executemany("INSERT OR IGNORE INTO search_tokens VALUES (?, ?)", tokens)
        governing = [(r.topic, row[0]) for r, row in zip(records, rows, strict=True) if r.governs]
        if governing:
            cursor.executemany("INSERT INTO governing_facts VALUES (?, ?)", governing)

    def _insert_unknown(
        self, records: Sequence[Record], position: int, recorded_at: int, cursor: sqlite3.Cursor
    ) -> list[Recorded | Duplicate | Known]:
        """The slower way: look up every `(source, id)` first, in the log and in the group."""
        known = self.known([(r.source, r.id) for r in records], cursor)
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
                same = there.digest == record.digest
                outcomes.append(Duplicate(there.position) if same else there)
        rows = self._rows(fresh, position, recorded_at, cursor)
        cursor.executemany(_INSERT, rows)
        self._insert_beside(fresh, rows, cursor)
        return outcomes

    def known(
        self, identities: Sequence[tuple[str, str]], cursor: sqlite3.Cursor
    ) -> dict[tuple[str, str], Known]:
        """What the log holds under these pairs of (source, id)."""
        wanted = msgspec.json.encode(identities).decode()
        rows = cursor.execute(_KNOWN, (wanted,))
        return {(source, id_): Known(at, digest) for source, id_, at, digest in rows}

    def _versions_of(self, records: Sequence[Record], cursor: sqlite3.Cursor) -> dict[str, int]:
        """The versions of the records' streams, kept while nobody else writes."""
        if len(self._versions) > VERSIONS_CACHED_MAX:
            self._versions.clear()
        missing = {r.stream for r in records} - self._versions.keys()
        if missing:
            wanted = msgspec.json.encode(sorted(missing)).decode()
            self._versions.update(dict.fromkeys(missing, 0))
            self._versions.update(cursor.execute(_VERSIONS, (wanted,)).fetchall())
        return self._versions

    def move_tracking(self, name: str, position: int, cursor: sqlite3.Cursor) -> None:
        """Advance a reader or a source; the library refuses to go back (IntegrityError)."""
        self._insert_tracking(SQLiteCursor(cursor), Tracking(name, position))

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """The library's own way in, with the versions that its caller expects."""
        cursor = c.sqlite_cursor
        position, recorded_at = tuple(
            cursor.execute("SELECT position, recorded_at FROM head").fetchone()
        )
        recorded_at = max(recorded_at, time.time_ns() // 1_000)
        rows = [
            (position + n, _hex(e.originator_id), e.originator_version, e.topic, e.state,
             recorded_at, "eventsourcing", f"{_hex(e.originator_id)}:{e.originator_version}", b"")
            for n, e in enumerate(stored_events, 1)
        ]  # fmt: skip
        cursor.executemany(_INSERT, rows)
        head = (position + len(rows), recorded_at)
        cursor.execute("UPDATE head SET position = ?, recorded_at = ?", head)
        self.forget_versions()
        tracking: Tracking | None = kwargs.get("tracking")
        if tracking is not None:
            self._insert_tracking(c, tracking)
        return [row[0] for row in rows]

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


def _hex(originator_id: UUID | str) -> str:
    return originator_id.hex if isinstance(originator_id, UUID) else originator_id


def migrations() -> list[tuple[int, str]]:
    """The numbered SQL files that make the schema, in order."""
    folder = files("ledger").joinpath("migrations/sqlite")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:3]), folder.joinpath(name).read_text("utf-8")) for name in names]


def create_schema(path: Path, ledger_id: str) -> bool:
    """Bring a new or older file to the newest schema, all or nothing; True when it was new.

    Raises NotInitialised, and changes nothing, when the file is something else than a ledger.
    """
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS_MAX, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")  # of two that create it, one finds it made
        there = _version_of(connection, path)
        _check_not_newer(there)
        for number, sql in migrations():
            if number > there:
                for statement in _statements(sql):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        if there == 0:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("INSERT INTO head VALUES (1, ?, 0, 0)", (ledger_id,))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as error:
        raise _unusable(error, path) from error
    finally:
        connection.close()
    return there == 0


def _check_not_newer(there: int) -> None:
    newest = migrations()[-1][0]
    if there > newest:
        raise SchemaMismatch(
            f"the ledger's schema is version {there}, this Touchstone's is {newest}: "
            "upgrade Touchstone"
        )


def _statements(sql: str) -> Iterator[str]:
    """The statements of a script, one by one; those of a trigger stay inside it."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The number of the newest migration in this file; 0 for an empty one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (tables or version):
        raise NotInitialised(f"{path} is a database of something else, not a ledger")
    return version


def is_new(path: Path) -> bool:
    """Whether a ledger can be made here: nothing is there yet, or an empty SQLite file."""
    if not path.exists():
        return True
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS_MAX)
    try:
        return _version_of(connection, path) == 0
    except sqlite3.DatabaseError as error:
        raise _unusable(error, path) from error
    finally:
        connection.close()


def check_schema(path: Path) -> str:
    """The ledger's id. Raises NotInitialised or SchemaMismatch when it cannot be worked with."""
    if not path.is_file():
        raise NotInitialised(f"there is no ledger at {path}; `touchstone init` makes one")
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS_MAX)
    try:
        there, newest = _version_of(connection, path), migrations()[-1][0]
        if there == 0:
            raise NotInitialised(f"{path} is not a ledger yet; `touchstone init` makes it one")
        _check_not_newer(there)
        if there != newest:
            raise SchemaMismatch(
                f"the ledger's schema is version {there}, this Touchstone's is {newest}: "
                "`touchstone init` upgrades it"
            )
        ledger_id: str = connection.execute("SELECT ledger_id FROM head").fetchone()[0]
        return ledger_id
    except sqlite3.DatabaseError as error:
        raise _unusable(error, path) from error
    finally:
        connection.close()


def _unusable(error: sqlite3.DatabaseError, path: Path) -> Exception:
    if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
        return NotInitialised(f"{path} is not a ledger, nor any other SQLite file")
    return _in_our_words(error)
