"""The tables of views: one a generation, written by the engine alone."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter

import msgspec

from ledger.store import Cursor
from projections.fold import Row

WALK_ROWS = 2_000
_ROWS = "SELECT key, last, streams, state FROM"


def table_of(view: str, generation: int) -> str:
    """The name of a generation's table. View names come from the registry, never from outside."""
    return f"{view}_{generation}"


def create_table(table: str, cursor: Cursor) -> None:
    """An empty table without its index, for filling in bulk."""
    cursor.execute(
        f"CREATE TABLE IF NOT EXISTS {table} "
        f"(key {cursor.TEXT} NOT NULL, last TEXT NOT NULL, streams TEXT, state TEXT NOT NULL)"
    )


def index_for_joining(table: str, cursor: Cursor) -> None:
    """Let keys be found while they are not unique yet: each would cost a pass over the table."""
    cursor.execute(f"CREATE INDEX IF NOT EXISTS {table}_joining ON {table} (key)")


def index_table(table: str, cursor: Cursor) -> None:
    """Make keys unique and quick to find."""
    cursor.execute(f"DROP INDEX IF EXISTS {table}_joining")
    cursor.execute(f"CREATE UNIQUE INDEX IF NOT EXISTS {table}_key ON {table} (key)")


def drop_table(table: str, cursor: Cursor) -> None:
    cursor.execute(f"DROP TABLE IF EXISTS {table}")


def add_rows(table: str, rows: Iterable[Row], cursor: Cursor) -> None:
    """Write rows into a table that has no index yet."""
    cursor.insert_rows(table, rows)


def write_rows(table: str, rows: Sequence[Row], cursor: Cursor) -> None:
    """Write rows over those of the same keys."""
    cursor.upsert_rows(table, Row._fields, rows)


def remove_rows(table: str, keys: Sequence[str], cursor: Cursor) -> None:
    """Remove the rows of keys of which nothing counts any more."""
    if keys:
        cursor.execute(f"DELETE FROM {table} WHERE key {cursor.AMONG}", (cursor.listed(keys),))


def rows_of(table: str, keys: Sequence[str], cursor: Cursor) -> dict[str, Row]:
    """The rows of those keys that have one."""
    rows = cursor.execute(f"{_ROWS} {table} WHERE key {cursor.AMONG}", (cursor.listed(keys),))
    return {row[0]: Row(*row) for row in rows}


def walk(table: str, cursor: Cursor, after: str | None = None) -> Iterator[Row]:
    """All rows of an indexed table, or those behind a key, in order of key (by its bytes)."""
    while True:
        page = rows_behind(table, after, WALK_ROWS, cursor)
        yield from page
        if len(page) < WALK_ROWS:
            return
        after = page[-1].key


def rows_behind(table: str, after: str | None, limit: int, cursor: Cursor) -> list[Row]:
    """Up to `limit` rows behind a key, in order of key."""
    behind = "" if after is None else "WHERE key > ?"
    parameters = (limit,) if after is None else (after, limit)
    rows = cursor.execute(f"{_ROWS} {table} {behind} ORDER BY key LIMIT ?", parameters)
    return [Row(*row) for row in rows]


def sample(table: str, count: int, cursor: Cursor) -> list[str]:
    """Some keys of a table, by chance."""
    rows = cursor.execute(f"SELECT key FROM {table} ORDER BY random() LIMIT ?", (count,))
    return [key for (key,) in rows]


def spanning_keys(table: str, cursor: Cursor) -> Iterable[tuple[str, list[str]]]:
    """Keys that came out of a rebuild more than once, each with all the streams that reach it."""
    rows = cursor.execute(
        "SELECT key, streams FROM (SELECT key, streams, COUNT(*) OVER (PARTITION BY key) AS times "
        f"FROM {table}) AS counted WHERE times > 1 ORDER BY key"
    ).fetchall()
    for key, group in groupby(rows, itemgetter(0)):
        parts = [msgspec.json.decode(streams, type=list[str]) for _, streams in group]
        yield key, sorted(set(chain.from_iterable(parts)))


def replace_spanning_key(table: str, key: str, row: Row | None, cursor: Cursor) -> None:
    """Put one row in the place of all that a key has."""
    cursor.execute(f"DELETE FROM {table} WHERE key = ?", (key,))
    if row is not None:
        add_rows(table, [row], cursor)
