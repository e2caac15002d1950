"""The keys of subjects beside an embedded ledger: an SQLite file of their own."""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from ledger.errors import KeysMissing
from ledger.keyring import WrappedKey

_TABLE = """
CREATE TABLE IF NOT EXISTS subject_keys (
    subject    TEXT PRIMARY KEY,
    wrapped    BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""


class SQLiteKeyStore:
    """The file with the wrapped keys; see `ledger.keyring.KeyStore`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def create(self) -> None:
        """Make the empty file (mode 0600)."""
        os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
        self._open().execute(_TABLE)

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

    def add(self, keys: Sequence[WrappedKey]) -> None:
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO subject_keys VALUES (?, ?, ?)", keys)

    def every(self) -> Iterable[WrappedKey]:
        rows = self._open().execute(
            "SELECT subject, wrapped, created_at FROM subject_keys ORDER BY subject"
        )
        return (WrappedKey(*row) for row in rows)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self._path, timeout=60, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            self._connection = connection
        return self._connection
