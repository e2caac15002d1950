"""The file of a replay: a table for each view, what depends on the moment, and what it is of."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from ledger.sqlite.connections import SQLiteLedgerCursor
from projections.analyst_views import query_of
from projections.aside import table_of
from projections.fold import Failure
from projections.view import Column, Momentary, View
from schemas.fields import rfc3339

FORMAT = 1
"""The version of the form of these files, in the table `replay`."""
ROWS_AT_ONCE = 1_000
MOMENTS = ("as_of", "known_at", "moment", "made_at")
SQL_TYPES = {"text": "TEXT", "integer": "INTEGER", "time": "TEXT", "amount": ""}
"""An amount has no type, so that SQLite leaves its decimals as they are written."""

_TABLES = """
CREATE TABLE file.replay (format INTEGER NOT NULL, ledger TEXT NOT NULL, as_of TEXT, known_at TEXT,
    moment TEXT NOT NULL, position INTEGER NOT NULL, head INTEGER NOT NULL,
    touchpoints INTEGER NOT NULL, rules TEXT, made_at TEXT NOT NULL, made_by TEXT NOT NULL);
CREATE TABLE file.views (name TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL,
    rows INTEGER NOT NULL);
CREATE TABLE file.failed (view TEXT NOT NULL, key TEXT NOT NULL, error TEXT NOT NULL);
"""


class ReplayFile:
    """Writes the file, from the scratch tables that the views were folded into."""

    def __init__(self, path: Path, scratch: SQLiteLedgerCursor) -> None:
        self._path = path
        self._cursor = scratch

    def __enter__(self) -> Self:
        self._cursor.execute("ATTACH DATABASE ? AS file", (str(self._path),))
        self._cursor.execute("PRAGMA file.journal_mode = OFF")
        self._cursor.execute("PRAGMA file.synchronous = OFF")
        for statement in filter(str.strip, _TABLES.split(";")):
            self._cursor.execute(statement)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if not self._cursor.connection.in_transaction:
            self._cursor.execute("DETACH DATABASE file")

    def write(self, view: View, moment: int, failures: Iterable[Failure]) -> int:
        """Write all that there is of a view as of a moment (microseconds since 1970); its rows."""
        cursor, name = self._cursor, view.name
        shown = (*view.columns, *(Column(f.name, "", f.kind) for f in view.figures))
        columns = (f"{c.name} {SQL_TYPES[c.kind]}" for c in shown)
        defined = ", ".join(["key TEXT NOT NULL", *columns, "state TEXT NOT NULL"])
        cursor.execute("BEGIN")
        cursor.execute(f"CREATE TABLE file.{name} ({defined})")
        query = query_of(view, f"main.{table_of(view)}", cursor.DIALECT)
        cursor.execute(f"INSERT INTO file.{name} {query}")
        rows = cursor.rowcount
        cursor.execute(f"CREATE UNIQUE INDEX file.{name}_key ON {name} (key)")
        for momentary in view.momentary:
            self._write_momentary(view, momentary, moment)
        cursor.execute("INSERT INTO file.views VALUES (?, ?, ?)", (name, view.version, rows))
        cursor.executemany(
            "INSERT INTO file.failed VALUES (?, ?, ?)", [(name, f.key, f.error) for f in failures]
        )
        cursor.execute("COMMIT")
        return rows

    def _write_momentary(self, view: View, momentary: Momentary, moment: int) -> None:
        """Write the rows that a view's states give as of a moment."""
        name, columns = momentary.name, momentary.columns
        defined = ", ".join(f"{column} {kind}" for column, kind in columns)
        self._cursor.execute(f"CREATE TABLE file.{name} (key TEXT NOT NULL, {defined})")
        places = ", ".join("?" * (len(columns) + 1))
        statement = f"INSERT INTO file.{name} VALUES ({places})"
        rows = (
            (key, *values)
            for key, state in self._states(view)
            for values in momentary.rows(state, moment)
        )
        while page := list(islice(rows, ROWS_AT_ONCE)):
            self._cursor.executemany(statement, page)
        self._cursor.execute(f"CREATE INDEX file.{name}_key ON {name} (key)")

    def _states(self, view: View) -> Iterator[tuple[str, Any]]:
        decode = msgspec.json.Decoder(view.state).decode
        reading = self._cursor.connection.cursor()
        for key, state in reading.execute(f"SELECT key, state FROM main.{table_of(view)}"):
            yield key, decode(state)

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
