"""Connections to a PostgreSQL server, and their cursor."""

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Self

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.rows import TupleRow
from psycopg.types.json import Json

from ledger.errors import Denied, LedgerError, Locked, Unreachable
from ledger.postgres import sql_views

LOCK_SECONDS_MAX = 60
CONNECT_SECONDS_MAX = 10
COPIED_BYTES = 128 * 1024
"""Rows are packed up to so much, and sent."""
PIECE_BITS = 9
"""Up to 512 states are joined into a piece: of the largest, that is what a value may hold."""
IMPATIENT_MILLISECONDS = 200
"""Who waits for a lock that readers hold makes all later readers wait behind him."""
_UNREACHABLE = ("08", "57P", "53300", "25P03")
_DENIED = ("28", "42501")
_REFUSALS = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied",
    "is not permitted to log in",
    'FATAL:  role "',  # does not exist
)
_LOCKED = ("55P03", "40P01", "40001")
_DISK_FULL = "53100"
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TRAILER = b"\xff\xff"
_INT = struct.Struct("!iq").pack
_LENGTH = struct.Struct("!i").pack
_COLUMNS = struct.Struct("!h").pack
_NULL = _LENGTH(-1)

_SEALED_ROWS = """
SELECT notification_id, recorded_at, originator_version, convert_to(topic, 'UTF8'),
convert_to(source, 'UTF8'), convert_to(id, 'UTF8'),
convert_to(encode(uuid_send(originator_id), 'hex'), 'UTF8'), digest, state
FROM stored_events WHERE notification_id BETWEEN ? AND ? ORDER BY notification_id
"""


class PostgresCursor(psycopg.Cursor[TupleRow]):
    """A cursor with the words of `ledger.store.Cursor`: lists are arrays, bulk goes by COPY."""

    AMONG = "= ANY(?)"
    OF_STREAMS = "(SELECT * FROM stored_events WHERE originator_id = ANY(?::uuid[])) AS e"
    TEXT = 'text COLLATE "C"'
    DIALECT = sql_views.DIALECT
    FOR_UPDATE = "FOR UPDATE"
    IDENTIFIED = (
        "json_array_elements(?::json) AS wanted JOIN stored_events AS e "
        "ON e.id = (wanted.value ->> 1) AND e.source = (wanted.value ->> 0)"
    )

    def execute(  # type: ignore[override]
        self, sql: Any, parameters: Sequence[Any] = (), /, **options: Any
    ) -> Self:
        """One statement, with question marks for its parameters."""
        statement = with_placeholders(sql) if isinstance(sql, str) else sql
        return super().execute(statement, parameters or None, **options)

    def listed(self, values: Iterable[str | int]) -> list[str | int]:
        return list(values)

    def identities(self, pairs: Iterable[tuple[str, str]]) -> Json:
        return Json(list(pairs))

    def states_in_range(self, first: str, last: str, until: int) -> list[bytes]:
        return self._joined_states("originator_id BETWEEN ? AND ?", (first, last, until))

    def states_of_streams(self, streams: Iterable[str], until: int) -> list[bytes]:
        return self._joined_states("originator_id = ANY(?::uuid[])", (list(streams), until))

    def _joined_states(self, streams: str, parameters: Sequence[Any]) -> list[bytes]:
        """A piece is what lies close together in the log: far fewer rows for both sides.

        The answer is waited for in one call of libpq. Reading it part by part, as psycopg does,
        stops at each part until a thread that folds meanwhile lets this one go on.
        """
        sql = (
            "SELECT string_agg(state, ','::bytea) FROM stored_events "
            f"WHERE {streams} AND notification_id <= ? GROUP BY notification_id >> {PIECE_BITS}"
        )
        statement = psycopg.ClientCursor(self.connection).mogrify(
            with_placeholders(sql), parameters
        )
        result = self.connection.pgconn.exec_params(
            statement.encode(), None, result_format=Format.BINARY
        )
        if result.status != ExecStatus.TUPLES_OK:
            if self.connection.closed:  # what libpq says of that has no code
                raise psycopg.OperationalError(self.connection.pgconn.get_error_message())
            raise error_from_result(result)
        pieces = (result.get_value(row, 0) for row in range(result.ntuples))
        return [piece for piece in pieces if piece is not None]

    def sealed_rows(self, first: int, last: int) -> list[Any]:
        return self.execute(_SEALED_ROWS, (first, last)).fetchall()

    def insert_rows(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        self.copy_in(table, map(packed_row, rows))

    def insert_missing(self, table: str, rows: Sequence[Sequence[str]]) -> None:
        arrays = ", ".join("?::text[]" for _ in rows[0])
        self.execute(
            f"INSERT INTO {table} SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING",
            [list(column) for column in zip(*rows, strict=True)],
        )

    def upsert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        if not rows:
            return
        beside = f"upserted_{table}"
        self.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS {beside} (LIKE {table}) ON COMMIT DELETE ROWS"
        )
        self.copy_in(beside, map(packed_row, rows))
        changes = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
        self.execute(
            f"INSERT INTO {table} SELECT * FROM {beside} "
            f"ON CONFLICT ({columns[0]}) DO UPDATE SET {changes}"
        )

    def be_impatient(self) -> None:
        self.execute(f"SET LOCAL lock_timeout = '{IMPATIENT_MILLISECONDS}ms'")

    def be_thorough(self) -> None:
        """Nothing to do: what is deleted is vacuumed afterwards."""

    def analyze(self, table: str) -> None:
        self.execute(f"ANALYZE {table}")

    def lock_table(self, table: str) -> None:
        self.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")

    def defined_view(self, name: str) -> str | None:
        return sql_views.defined_view(name, self)

    def define_view(self, name: str, query: str) -> None:
        sql_views.define_view(name, query, self)

    def number_on(self, table: str, column: str) -> None:
        self.execute(
            f"SELECT setval(pg_get_serial_sequence(?, ?), coalesce(max({column}), 0) + 1, false) "
            f"FROM {table}",
            (table, column),
        )

    def copy_in(self, table: str, packed: Iterable[bytes]) -> None:
        """Bring rows, packed for binary COPY, into a table.

        They go part by part, so that the server stores the first while the next are packed, and
        what is large need not be held whole.
        """
        part = bytearray(_COPY_HEADER)
        with self.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
            for row in packed:
                part += row
                if len(part) >= COPIED_BYTES:
                    copy.write(bytes(part))
                    part.clear()
            copy.write(bytes(part) + _COPY_TRAILER)


def packed_row(row: Sequence[Any]) -> bytes:
    """A row for binary COPY; integers are bigint, strings text, bytes bytea."""
    return b"".join((_COLUMNS(len(row)), *map(_packed, row)))


def _packed(value: Any) -> bytes:
    if value is None:
        return _NULL
    if isinstance(value, int):
        return _INT(8, value)
    raw = value.encode() if isinstance(value, str) else value
    return _LENGTH(len(raw)) + raw


@lru_cache(maxsize=1_000)
def with_placeholders(sql: str) -> str:
    """SQL as psycopg reads it: it wants %s where the ledger's SQL has a question mark."""
    return sql.replace("%", "%%").replace("?", "%s")


def in_our_words(error: psycopg.Error, place: str) -> LedgerError:
    """What the server says, for people. Its detail is left out: it may quote a value."""
    state = error.sqlstate or ""
    said = error.diag.message_primary or ""
    if state.startswith(_DENIED) or (not state and _is_refused(error)):
        return Denied(f"{place} refuses: {said or _first_line(error)}")
    went_down = error.diag.severity_nonlocalized == "PANIC"  # what it was doing may yet be done
    if (
        went_down
        or state.startswith(_UNREACHABLE)
        or (not state and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError))
    ):
        return Unreachable(f"{place} cannot be reached: {said or _first_line(error)}")
    if state.startswith(_LOCKED):
        return Locked(f"another process holds the ledger for longer than {LOCK_SECONDS_MAX} s")
    if state == _DISK_FULL:
        return LedgerError("the server's disk is full; nothing of this group was recorded")
    return LedgerError(f"the store has failed: {said or type(error).__name__} ({state})")


def _is_refused(error: psycopg.Error) -> bool:
    """Whether a server would not let us in: while connecting there is no code, only words."""
    return any(words in str(error) for words in _REFUSALS)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
