"""The keys of subjects beside an embedded ledger: an SQLite file of their own."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from ledger.errors import KeysMissing, Locked
from ledger.keyring import DESTROYED, MASTER_ROW, Tally, WrappedKey
from ledger.masters import ID_BYTES, LABELLED_BYTES

_TABLE = """
CREATE TABLE IF NOT EXISTS subject_keys (
    subject    TEXT PRIMARY KEY,
    wrapped    BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""
_TOMBSTONES = """
CREATE INDEX IF NOT EXISTS tombstones ON subject_keys (subject) WHERE length(wrapped) = 0
"""
"""So that every opening of a ledger can ask for them."""
_DESTROY = """
INSERT INTO subject_keys VALUES (?, x'', ?) ON CONFLICT (subject) DO UPDATE
SET wrapped = excluded.wrapped, created_at = excluded.created_at WHERE length(wrapped) > 0
"""
_UNDER_OTHERS = f"""
SELECT subject, wrapped, created_at FROM subject_keys
WHERE subject > ? AND subject <> '{MASTER_ROW}' AND length(wrapped) > 0
AND NOT (length(wrapped) = {LABELLED_BYTES} AND substr(wrapped, 1, {ID_BYTES}) = ?)
ORDER BY subject LIMIT ?
"""
_TALLY = f"""
SELECT CASE length(wrapped) WHEN {LABELLED_BYTES} THEN substr(wrapped, 1, {ID_BYTES}) END,
    length(wrapped) = 0, count(*)
FROM subject_keys WHERE subject <> '{MASTER_ROW}' GROUP BY 1, 2
"""


class SQLiteKeyStore:
    """The file with the wrapped keys; see `ledger.keyring.KeyStore`."""

    def __init__(self, path: Path, ledger_path: Path) -> None:
        self._path = path
        self._ledger_path = ledger_path
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def create(self) -> None:
        """Make the empty file (mode 0600)."""
        os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
        self._open().execute(_TABLE)
        self._open().execute(_TOMBSTONES)

    def check(self) -> None:
        if not self._path.is_file():
            raise KeysMissing(
                f"the subjects' keys {self._path} are missing; restore them from their backup"
            )

    def find(self, subjects: Sequence[str]) -> Iterable[tuple[str, bytes]]:
        return self._open().execute(
            "SELECT subject, wrapped FROM subject_keys "
            "WHERE subject IN (SELECT value FROM json_each(?))",
            (msgspec.json.encode(subjects).decode(),),
        )

    def add(self, keys: Sequence[WrappedKey], master: bytes) -> None:
        with self._writing() as connection:
            if _master(connection) in (None, master):
                _insert(keys, connection)

    def bring(self, keys: Sequence[WrappedKey]) -> None:
        with self._writing() as connection:
            _insert(keys, connection)

    def every(self) -> Iterable[WrappedKey]:
        rows = self._open().execute(
            "SELECT subject, wrapped, created_at FROM subject_keys ORDER BY subject"
        )
        return (WrappedKey(*row) for row in rows)

    def master(self) -> bytes | None:
        return _master(self._open())

    def turn_to(self, master: bytes, known: Sequence[bytes]) -> bool:
        with self._writing() as connection:
            there = _master(connection)
            if there is not None and there not in known:
                return False
            if there != master:
                connection.execute(
                    "INSERT INTO subject_keys VALUES (?, ?, unixepoch() * 1000000) "
                    "ON CONFLICT (subject) DO UPDATE SET wrapped = excluded.wrapped, "
                    "created_at = excluded.created_at",
                    (MASTER_ROW, master),
                )
        return True

    def under_others(self, master: bytes, after: str, limit: int) -> list[WrappedKey]:
        rows = self._open().execute(_UNDER_OTHERS, (after, master, limit))
        return [WrappedKey(*row) for row in rows]

    def rewrap(self, keys: Sequence[tuple[str, bytes, bytes]]) -> None:
        with self._writing() as connection:
            connection.executemany(
                "UPDATE subject_keys SET wrapped = ? WHERE subject = ? AND wrapped = ?",
                [(new, subject, old) for subject, old, new in keys],
            )

    def destroy(self, subjects: Sequence[str], now: int) -> int:
        with self._writing() as connection:
            count = sum(wrapped != DESTROYED for _, wrapped in self.find(subjects))
            connection.executemany(_DESTROY, [(subject, now) for subject in subjects])
        return count

    def scrub(self) -> None:
        """See `ledger.keyring.KeyStore`: the file is written anew, and the WAL emptied.

        Setting free bytes to zero as they are freed (`secure_delete`) would not do by itself:
        pages that were divided before can have copies in them. Raises Locked while others read.
        """
        connection = self._open()
        try:
            connection.execute("VACUUM")
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            busy = True
        if busy:
            raise Locked(
                f"{self._path} is in use: what was destroyed is not in use any more, but "
                "still on the disk; run the same command again"
            )

    def returned(self) -> list[str]:
        with closing(sqlite3.connect(self._ledger_path, timeout=60)) as ledger:
            erased = [s for (s,) in ledger.execute("SELECT subject FROM erased_subjects")]
        return [subject for subject, wrapped in self.find(erased) if wrapped] if erased else []

    def unrecorded(self) -> list[tuple[str, int]]:
        """See `ledger.keyring.KeyStore`; tombstones are read first, since they come last."""
        gone = (
            self._open()
            .execute("SELECT subject, created_at FROM subject_keys WHERE length(wrapped) = 0")
            .fetchall()
        )
        if not gone:
            return []
        with closing(sqlite3.connect(self._ledger_path, timeout=60)) as ledger:
            erased = {s for (s,) in ledger.execute("SELECT subject FROM erased_subjects")}
        return [(subject, at) for subject, at in gone if subject not in erased]

    def tally(self) -> Tally:
        rows = self._open().execute(_TALLY).fetchall()
        return Tally(
            under={id_: count for id_, _, count in rows if id_ is not None},
            unlabelled=sum(count for id_, gone, count in rows if id_ is None and not gone),
            destroyed=sum(count for _, gone, count in rows if gone),
        )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self._path, timeout=60, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA temp_store=MEMORY")  # of VACUUM, which copies all keys
            self._connection = connection
        return self._connection


def _master(connection: sqlite3.Connection) -> bytes | None:
    row = connection.execute(
        "SELECT wrapped FROM subject_keys WHERE subject = ?", (MASTER_ROW,)
    ).fetchone()
    return row and bytes(row[0])


def _insert(keys: Sequence[WrappedKey], connection: sqlite3.Connection) -> None:
    connection.executemany("INSERT OR IGNORE INTO subject_keys VALUES (?, ?, ?)", keys)
