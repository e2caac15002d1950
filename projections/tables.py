"""The tables of views: one a generation, written by the engine alone."""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from projections.fold import Row

_ROWS = "SELECT key, last, streams, state FROM"


def table_of(view: str, generation: int) -> str:
    """The name of a generation's table. View names come from the registry, never from outside."""
    return f"{view}_{generation}"


def create_table(table: str, cursor: sqlite3.Cursor) -> None:
    """An empty table without its index, for filling in bulk."""
    cursor.execute(
        f"CREATE TABLE IF NOT EXISTS {table} "
        "(key TEXT NOT NULL, last TEXT NOT NULL, streams TEXT, state TEXT NOT NULL) STRICT"
    )


def index_for_joining(table: str, cursor: sqlite3.Cursor) -> None:
    """Let keys be found while they are not unique yet: each would cost a pass over the table."""
    cursor.execute(f"CREATE INDEX IF NOT EXISTS {table}_joining ON {table} (key)")


def index_table(table: str, cursor: sqlite3.Cursor) -> None:
    """Make keys unique and quick to find."""
    cursor.execute(f"DROP INDEX IF EXISTS {table}_joining")
    cursor.execute(f"CREATE UNIQUE INDEX IF NOT EXISTS {table}_key ON {table} (key)")


def drop_table(table: str, cursor: sqlite3.Cursor) -> None:
    cursor.execute(f"DROP TABLE IF EXISTS {table}")


def add_rows(table: str, rows: Iterable[Row], cursor: sqlite3.Cursor) -> None:
    """Write rows into a table that has no index yet."""
    cursor.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", rows)


def write_rows(table: str, rows: Iterable[Row], cursor: sqlite3.Cursor) -> None:
    """Write rows over those of the same keys."""
    cursor.executemany(
        f"INSERT INTO {table} VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
        "last = excluded.last, streams = excluded.streams, state = excluded.state",
        rows,
    )


def remove_rows(table: str, keys: Sequence[str], cursor: sqlite3.Cursor) -> None:
    """Remove the rows of keys of which nothing counts any more."""
    cursor.executemany(f"DELETE FROM {table} WHERE key = ?", [(key,) for key in keys])


def rows_of(table: str, keys: Sequence[str], cursor: sqlite3.Cursor) -> dict[str, Row]:
    """The rows of those keys that have one."""
    wanted = msgspec.json.encode(keys).decode()
    rows = cursor.execute(
        f"{_ROWS} {table} WHERE key IN (SELECT value FROM json_each(?))", (wanted,)
    )
    return {row[0]: Row(*row) for row in rows}


def spanning_keys(table: str, cursor: sqlite3.Cursor) -> Iterable[tuple[str, list[str]]]:
    """Keys that came out of a rebuild more than once, each with all the streams that reach it."""
    rows = cursor.execute(
        f"SELECT key, json_group_array(streams) FROM {table} "
        "GROUP BY key HAVING COUNT(*) > 1 ORDER BY key"
    ).fetchall()
    for key, listed in rows:
        parts = [msgspec.json.decode(part) for part in msgspec.json.decode(listed)]
        yield key, sorted({stream for part in parts for stream in part})


def replace_spanning_key(table: str, key: str, row: Row | None, cursor: sqlite3.Cursor) -> None:
    """Put one row in the place of all that a key has."""
    cursor.execute(f"DELETE FROM {table} WHERE key = ?", (key,))
    if row is not None:
        add_rows(table, [row], cursor)
