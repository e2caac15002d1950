"""A scratch table's home: an SQLite file that nobody else sees and that need not survive."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.sqlite.connections import SQLiteLedgerCursor


@contextmanager
def scratch_cursor(path: Path) -> Iterator[SQLiteLedgerCursor]:
    """A cursor on a new file, outside of any transaction; it has the words of all cursors."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = OFF")
        yield connection.cursor(SQLiteLedgerCursor)
    finally:
        connection.close()
