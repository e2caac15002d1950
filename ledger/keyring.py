"""The keys of subjects, one each, wrapped under the master key in a store of their own.

They live apart from the log so that a backup of the log holds no key: destroying a key erases
the person everywhere at once.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from ledger.keyfile import KEY_BYTES

CACHED_KEYS_MAX = 200_000
_TABLE = """
CREATE TABLE IF NOT EXISTS subject_keys (
    subject    TEXT PRIMARY KEY,
    wrapped    BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""


class Keyring:
    """Gives each subject its key. A key that it gives is durable before the call returns."""

    def __init__(self, path: Path, master: bytes) -> None:
        self._path = path
        self._master = master
        self._cache: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def create(self) -> None:
        """Make the empty store (mode 0600)."""
        os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
        with self._lock:
            self._open().execute(_TABLE)

    def find(self, subjects: Iterable[str]) -> dict[str, bytes]:
        """The keys of those subjects that have one."""
        with self._lock:
            wanted = set(subjects)
            found = {s: self._cache[s] for s in wanted if s in self._cache}
            missing = [s for s in wanted if s not in found]
            return found | self._load(missing) if missing else found

    def ensure(self, subjects: Iterable[str]) -> dict[str, bytes]:
        """The keys of all these subjects; those that have none get one, durably."""
        wanted = set(subjects)
        found = self.find(wanted)
        missing = sorted(wanted - found.keys())
        if not missing:
            return found
        with self._lock:
            now = time.time_ns() // 1_000
            rows = [(s, aes_key_wrap(self._master, os.urandom(KEY_BYTES)), now) for s in missing]
            with self._open() as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT OR IGNORE INTO subject_keys VALUES (?, ?, ?)", rows)
            # Read back: another process may have been first, and its key is then the one.
            return found | self._load(missing)

    def _load(self, subjects: list[str]) -> dict[str, bytes]:
        """Read keys from the store; they are remembered, and others forgotten if there are many."""
        if len(self._cache) + len(subjects) > CACHED_KEYS_MAX:
            self._cache.clear()
        rows = self._open().execute(
            "SELECT subject, wrapped FROM subject_keys "
            "WHERE subject IN (SELECT value FROM json_each(?))",
            (msgspec.json.encode(subjects).decode(),),
        )
        loaded = {subject: aes_key_unwrap(self._master, wrapped) for subject, wrapped in rows}
        self._cache.update(loaded)
        return loaded

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self._path, timeout=60, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            self._connection = connection
        return self._connection
