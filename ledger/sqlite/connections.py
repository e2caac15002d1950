"""Connections to an SQLite file, and its cursor: WAL, `synchronous=FULL`, one writer at a time."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteTransaction,
)

from ledger.errors import LedgerError, Locked
from ledger.sqlite import sql_views
from ledger.sqlite.streams import OF_STREAMS, STATES_IN_RANGE, STATES_JOINED, teach_prefixes

LOCK_SECONDS_MAX = 60
READING_CACHE_KIBIBYTES = 16 * 1024
"""Of a connection that reads or writes views: the rest is read from the mapped file."""
APPENDING_CACHE_KIBIBYTES = 32 * 1024
"""Of a connection that appends: what a group changes of the indexes, the next one changes again. A
commit may go through the whole cache, so that a large one costs more than it saves."""
CHECKPOINT_PAGES = 32_000
"""Pages of an index are written again and again: they reach the file once per 128 MiB of WAL. A
longer WAL costs more in looking pages up than it saves in writing them."""
ROWS_A_STATEMENT = 32
MAPPED_BYTES_MAX = 4 * 1024**3

_SEALED_ROWS = """
SELECT notification_id, recorded_at, originator_version, topic, source, id, originator_id,
digest, state FROM stored_events WHERE notification_id BETWEEN ? AND ? ORDER BY notification_id
"""


class SQLiteLedgerCursor(sqlite3.Cursor):
    """A cursor with the words of `ledger.store.Cursor`: lists are passed as JSON."""

    AMONG = "IN (SELECT value FROM json_each(?))"
    OF_STREAMS = OF_STREAMS
    TEXT = "TEXT"
    DIALECT = sql_views.DIALECT
    FOR_UPDATE = ""
    IDENTIFIED = (
        "json_each(?) AS wanted CROSS JOIN stored_events AS e "
        "ON e.id = json_extract(wanted.value, '$[1]') "
        "AND e.source = json_extract(wanted.value, '$[0]')"
    )

    def listed(self, values: Iterable[str | int]) -> str:
        return msgspec.json.encode(list(values)).decode()

    def identities(self, pairs: Iterable[tuple[str, str]]) -> str:
        return msgspec.json.encode(list(pairs)).decode()

    def states_in_range(self, first: str, last: str, until: int) -> list[bytes]:
        try:
            (joined,) = self.execute(STATES_JOINED, (first, last, until)).fetchone()
        except sqlite3.DataError:  # longer than a value of SQLite can be, which is 1 GB
            return [state for (state,) in self.execute(STATES_IN_RANGE, (first, last, until))]
        return [] if joined is None else [joined]

    def states_of_streams(self, streams: Iterable[str], until: int) -> list[bytes]:
        sql = f"SELECT state FROM {OF_STREAMS} WHERE notification_id <= ?"
        return [state for (state,) in self.execute(sql, (self.listed(streams), until))]

    def sealed_rows(self, first: int, last: int) -> list[Any]:
        """Texts are not decoded: that is quicker, and one that is no UTF-8 any more is read too."""
        self.connection.text_factory = bytes
        try:
            return self.execute(_SEALED_ROWS, (first, last)).fetchall()
        finally:
            self.connection.text_factory = str

    def insert_rows(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        self.insert(f"INSERT INTO {table}", rows)

    def insert_missing(self, table: str, rows: Sequence[Sequence[str]]) -> None:
        self.insert(f"INSERT INTO {table}", rows, "ON CONFLICT DO NOTHING")

    def upsert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        changes = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
        otherwise = f"ON CONFLICT ({columns[0]}) DO UPDATE SET {changes}"
        self.insert(f"INSERT INTO {table}", rows, otherwise)

    def be_impatient(self) -> None:
        """Nothing to do: a transaction that writes has every lock from its start."""

    def be_thorough(self) -> None:
        self.execute("PRAGMA secure_delete = ON")

    def analyze(self, table: str) -> None:
        """Nothing to do: there is one index, and every question goes by it."""

    def lock_table(self, table: str) -> None:
        """Nothing to do: who writes has the whole file to himself."""

    def defined_view(self, name: str) -> str | None:
        return sql_views.defined_view(name, self)

    def define_view(self, name: str, query: str) -> None:
        sql_views.define_view(name, query, self)

    def number_on(self, table: str, column: str) -> None:
        """Nothing to do: SQLite remembers the greatest number that there was."""

    def insert(self, into: str, rows: Iterable[Sequence[Any]], otherwise: str = "") -> None:
        """Insert rows, many with each statement: other threads run while one is at work, and
        there is less between two of them than with executemany. What is left over goes alone."""
        source = iter(rows)
        while part := list(islice(source, ROWS_A_STATEMENT)):
            places = f"({', '.join('?' * len(part[0]))})"
            if len(part) == ROWS_A_STATEMENT:
                all_places = ", ".join([places] * ROWS_A_STATEMENT)
                values = list(chain.from_iterable(part))
                self.execute(f"{into} VALUES {all_places} {otherwise}", values)
            else:
                self.executemany(f"{into} VALUES {places} {otherwise}", part)


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


class Pool(SQLiteConnectionPool):
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
        teach_prefixes(raw)
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


def in_our_words(error: Exception) -> Exception:
    """What SQLite says, or the library says for it when a transaction ends on an error."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return Locked(f"another process holds the ledger for longer than {LOCK_SECONDS_MAX} s")
    if "full" in text:
        return LedgerError("the disk is full; nothing of this group was recorded")
    if "readonly" in text:
        return LedgerError("the ledger's file, or its folder, cannot be written to")
    return LedgerError(f"the store has failed: {text}")
