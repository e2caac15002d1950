"""The file of a replay: a table for each view, what depends on the moment, and what it is of.

Whoever folds a range leaves its rows in a file of their own, so that they do not pass from process
to process. Columns, which cost more than rows, are reckoned where these parts are put together: in
one statement a view, beside which others fold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from ledger.sqlite.connections import SQLiteLedgerCursor
from ledger.sqlite.scratch import scratch_cursor
from projections.analyst_views import query_of
from projections.aside import table_of
from projections.fold import Failure, Row
from projections.ranges import Rows
from projections.view import Column, Momentary, View
from schemas.fields import rfc3339

FORMAT = 1
"""The version of the form of these files, in the table `replay`."""
PAGE_SIZE = "page_size = 16384"
"""States are long: pages of 4 KiB hold but a few, and cost a tenth more."""
ROWS_AT_ONCE = 500
MOMENTS = ("as_of", "known_at", "moment", "made_at")
SQL_TYPES = {"text": "TEXT", "integer": "INTEGER", "time": "TEXT", "amount": ""}
"""An amount has no type, so that SQLite leaves its decimals as they are written."""

_PARTS_OF_ROW = attrgetter("key", "streams", "state")
_KEY_AND_STATE = attrgetter("key", "state")
_TABLES = """
CREATE TABLE file.replay (format INTEGER NOT NULL, ledger TEXT NOT NULL, as_of TEXT, known_at TEXT,
    moment TEXT NOT NULL, position INTEGER NOT NULL, head INTEGER NOT NULL,
    touchpoints INTEGER NOT NULL, rules TEXT, made_at TEXT NOT NULL, made_by TEXT NOT NULL);
CREATE TABLE file.views (name TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL,
    rows INTEGER NOT NULL);
CREATE TABLE file.failed (view TEXT NOT NULL, key TEXT NOT NULL, error TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Parts:
    """Writes what single ranges gave: what each view was folded into, and what depends on the
    moment (microseconds since 1970). It goes along to those who fold."""

    folder: Path
    views: tuple[View, ...]
    moment: int

    def path(self, number: int) -> Path:
        return self.folder / f"part_{number}.db"

    def keep(self, number: int, rows: Rows) -> Rows:
        """Write what a range gave; of that, only what has failed is left."""
        with scratch_cursor(self.path(number)) as cursor:
            cursor.execute("PRAGMA " + PAGE_SIZE)
            cursor.execute("BEGIN")
            for view in self.views:
                _create_momentary(view, "main", cursor)
                _write_folded(view, rows[view.name][0], self.moment, cursor)
            cursor.execute("COMMIT")
        return {name: ([], failures) for name, (_, failures) in rows.items()}


def _write_folded(view: View, rows: Sequence[Row], moment: int, cursor: SQLiteLedgerCursor) -> None:
    table = table_of(view)
    cursor.execute(f"CREATE TABLE {table} (key TEXT NOT NULL, streams TEXT, state TEXT NOT NULL)")
    _insert(table, map(_PARTS_OF_ROW, rows), cursor)
    for momentary in view.momentary:
        states = map(_KEY_AND_STATE, rows)
        _write_momentary(view, momentary, states, moment, "main", cursor)


def _write_momentary(
    view: View,
    momentary: Momentary,
    states: Iterable[tuple[str, str]],
    moment: int,
    schema: str,
    cursor: SQLiteLedgerCursor,
) -> None:
    """Write the rows that states of a view, by key, give as of a moment."""
    decode = msgspec.json.Decoder(view.state).decode
    rows = ((key, *row) for key, state in states for row in momentary.rows(decode(state), moment))
    _insert(f"{schema}.{momentary.name}", rows, cursor)


def _insert(table: str, rows: Iterable[tuple[Any, ...]], cursor: SQLiteLedgerCursor) -> None:
    """Many rows a statement: after each, this thread may have to wait for the others."""
    rows = iter(rows)
    while page := list(islice(rows, ROWS_AT_ONCE)):
        places = f"({', '.join('?' * len(page[0]))})"
        values = ", ".join([places] * len(page))
        cursor.execute(f"INSERT INTO {table} VALUES {values}", list(chain.from_iterable(page)))


def _create_table(view: View, cursor: SQLiteLedgerCursor) -> None:
    """The table of a view in the file, without its index."""
    shown = (*view.columns, *(Column(f.name, "", f.kind) for f in view.figures))
    columns = (f"{c.name} {SQL_TYPES[c.kind]}" for c in shown)
    defined = ", ".join(["key TEXT NOT NULL", *columns, "state TEXT NOT NULL"])
    cursor.execute(f"CREATE TABLE file.{view.name} ({defined})")


def _create_momentary(view: View, schema: str, cursor: SQLiteLedgerCursor) -> None:
    for momentary in view.momentary:
        defined = ", ".join(f"{column} {kind}" for column, kind in momentary.columns)
        cursor.execute(f"CREATE TABLE {schema}.{momentary.name} (key TEXT NOT NULL, {defined})")


class ReplayFile:
    """Puts the file together, from the parts and from what was folded again behind them.

    It is attached to the scratch file, from whose tables keys of several streams are joined. It
    waits for no disk: who keeps it sees to that when it is whole.
    """

    def __init__(self, path: Path, parts: Parts, scratch: SQLiteLedgerCursor) -> None:
        self._path = path
        self._parts = parts
        self._cursor = scratch

    def __enter__(self) -> Self:
        cursor = self._cursor
        cursor.execute("ATTACH DATABASE ? AS file", (str(self._path),))
        for setting in (PAGE_SIZE, "journal_mode = OFF", "synchronous = OFF"):
            cursor.execute(f"PRAGMA file.{setting}")
        for statement in filter(str.strip, _TABLES.split(";")):
            cursor.execute(statement)
        for view in self._parts.views:
            _create_table(view, cursor)
            _create_momentary(view, "file", cursor)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if not self._cursor.connection.in_transaction:
            self._cursor.execute("DETACH DATABASE file")

    def take(self, number: int) -> None:
        """Take over the part of a range, which is gone afterwards.

        Which streams reach which keys goes to the scratch table of a view of which several may
        reach one.
        """
        cursor, path = self._cursor, self._parts.path(number)
        cursor.execute("ATTACH DATABASE ? AS part", (str(path),))
        cursor.execute("BEGIN")
        for view in self._parts.views:
            part = f"part.{table_of(view)}"
            cursor.execute(f"INSERT INTO file.{view.name} {query_of(view, part, cursor.DIALECT)}")
            for table in (momentary.name for momentary in view.momentary):
                cursor.execute(f"INSERT INTO file.{table} SELECT * FROM part.{table}")
            if not view.by_person:
                stubs = f"SELECT key, '', streams, '' FROM {part}"
                cursor.execute(f"INSERT INTO main.{table_of(view)} {stubs}")
        cursor.execute("COMMIT")
        cursor.execute("DETACH DATABASE part")
        path.unlink()

    def replace(self, view: View, keys: Iterable[str]) -> None:
        """Put what keys of several streams came to, the only rows of the scratch table that have
        a state, in the place of all that the ranges gave for these keys."""
        cursor = self._cursor
        gone = cursor.listed(keys)
        joined = f"(SELECT key, state FROM main.{table_of(view)} WHERE state <> '')"
        cursor.execute("BEGIN")
        for table in (view.name, *(momentary.name for momentary in view.momentary)):
            cursor.execute(f"DELETE FROM file.{table} WHERE key {cursor.AMONG}", (gone,))
        cursor.execute(f"INSERT INTO file.{view.name} {query_of(view, joined, cursor.DIALECT)}")
        for momentary in view.momentary:
            rows = cursor.connection.execute(f"SELECT key, state FROM {joined}")
            _write_momentary(view, momentary, rows, self._parts.moment, "file", cursor)
        cursor.execute("COMMIT")

    def finish(self, view: View, failures: Iterable[Failure]) -> int:
        """Index a view that is complete, and note its failures; how many rows it has."""
        cursor, name = self._cursor, view.name
        cursor.execute("BEGIN")
        cursor.execute(f"CREATE UNIQUE INDEX file.{name}_key ON {name} (key)")
        for momentary in view.momentary:
            cursor.execute(f"CREATE INDEX file.{momentary.name}_key ON {momentary.name} (key)")
        (count,) = cursor.execute(f"SELECT COUNT(*) FROM file.{name}").fetchone()
        cursor.execute("INSERT INTO file.views VALUES (?, ?, ?)", (name, view.version, count))
        cursor.executemany(
            "INSERT INTO file.failed VALUES (?, ?, ?)", [(name, f.key, f.error) for f in failures]
        )
        cursor.execute("COMMIT")
        return int(count)

    def describe(self, description: Mapping[str, int | str | None]) -> None:
        """Say what the file is of; moments are given in microseconds since 1970."""
        told = {"format": FORMAT, **description}
        for name in MOMENTS:
            at = told[name]
            told[name] = rfc3339(at) if isinstance(at, int) else None
        names, places = ", ".join(told), ", ".join("?" * len(told))
        self._cursor.execute(
            f"INSERT INTO file.replay ({names}) VALUES ({places})", tuple(told.values())
        )
