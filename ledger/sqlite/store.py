"""A ledger's store in one SQLite file."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from eventsourcing.persistence import OperationalError
from eventsourcing.sqlite import SQLiteDatastore

from ledger.errors import Locked
from ledger.sqlite.connections import (
    APPENDING_CACHE_KIBIBYTES,
    LOCK_SECONDS_MAX,
    READING_CACHE_KIBIBYTES,
    Pool,
    SQLiteLedgerCursor,
    in_our_words,
)
from ledger.sqlite.listening import SQLiteListening, listening, lock, lock_file
from ledger.sqlite.recorder import SQLiteRecorder

SCRUB_SECONDS_MAX = 10
"""How long readers are waited for before what was removed is left on the disk for now."""


class SQLiteStore(SQLiteDatastore):
    """The library's datastore, with connections of our own and transactions for our SQL."""

    writes_in_parallel = False

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_timeout=LOCK_SECONDS_MAX)
        self.path = path
        self.pool.close()
        self.pool = Pool(path, READING_CACHE_KIBIBYTES, 4)
        self._appending = Pool(path, APPENDING_CACHE_KIBIBYTES, 1)

    def close(self) -> None:
        super().close()
        self._appending.close()

    @contextmanager
    def cursor(self, *, write: bool = False, durable: bool = True) -> Iterator[SQLiteLedgerCursor]:
        """See `ledger.store.Store`."""
        try:
            pool = self._appending if write and durable else self.pool
            connection = pool.get_connection(is_writer=write)
            try:
                raw = connection._sqlite_conn
                raw.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                with connection.transaction(commit=write):
                    cursor = raw.cursor(SQLiteLedgerCursor)
                    cursor.row_factory = None
                    yield cursor
            finally:
                pool.put_connection(connection)
        except (sqlite3.OperationalError, OperationalError) as error:
            raise in_our_words(error) from error

    def recorder(self) -> SQLiteRecorder:
        return SQLiteRecorder(self)

    @contextmanager
    def exclusively(self, name: str) -> Iterator[None]:
        """See `ledger.store.Store`; here it is a locked file beside the ledger."""
        with lock_file(self.path, name).open("w") as file:
            if not lock(file):
                raise Locked(f"a {name} of this ledger is under way")
            yield

    def scrub(self) -> None:
        """See `ledger.store.Store`: what `be_thorough` has overwritten is brought into the file,
        and the WAL, which still has the old pages, is emptied."""
        with closing(sqlite3.connect(self.path, timeout=SCRUB_SECONDS_MAX)) as connection:
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise Locked(
                f"{self.path} is being read: what was removed is still on the disk; run the same "
                "command again"
            )

    def listening(self) -> AbstractContextManager[SQLiteListening]:
        """See `ledger.store.Store`; here it looks at the head, and locks files."""
        return listening(self.path, self._head)

    def _head(self) -> int:
        with self.cursor() as cursor:
            return int(cursor.execute("SELECT position FROM head").fetchone()[0])
