"""The keys of subjects of a ledger on PostgreSQL: a schema of their own in its database.

They stand apart so that a backup of the ledger's schema holds no key.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg

from ledger.errors import KeysMissing
from ledger.keyring import WrappedKey
from ledger.postgres.connections import in_our_words
from ledger.postgres.schema import make_schema

_TABLE = """
CREATE TABLE IF NOT EXISTS subject_keys (
    subject    text   COLLATE "C" PRIMARY KEY,
    wrapped    bytea  NOT NULL,
    created_at bigint NOT NULL
)
"""
_PAGE = """
SELECT subject, wrapped, created_at FROM subject_keys WHERE subject > %s ORDER BY subject LIMIT %s
"""
PAGE_KEYS = 10_000
Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresKeyStore:
    """The table with the wrapped keys; see `ledger.keyring.KeyStore`."""

    def __init__(self, conninfo: str, schema: str, place: str) -> None:
        self._conninfo = conninfo
        self._schema = schema
        self._place = place
        self._connection: Connection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def create(self) -> None:
        try:
            connection = self._open()
            with connection.transaction():
                make_schema(connection, self._schema)
                connection.execute(_TABLE)
        except psycopg.Error as error:
            raise in_our_words(error, self._place) from error

    def check(self) -> None:
        """See `ledger.keyring.KeyStore`; a backup of the ledger's schema alone is without them."""
        if not self._is_there():
            raise KeysMissing(
                f"the subjects' keys in the schema {self._schema} are missing; "
                "restore them from their backup"
            )

    def find(self, subjects: Sequence[str]) -> Iterable[tuple[str, bytes]]:
        rows = self._execute(
            "SELECT subject, wrapped FROM subject_keys WHERE subject = ANY(%s)", (list(subjects),)
        )
        return [(subject, wrapped) for subject, wrapped in rows]

    def add(self, keys: Sequence[WrappedKey]) -> None:
        subjects, wrapped, created = zip(*keys, strict=True)
        self._execute(
            "INSERT INTO subject_keys SELECT * FROM unnest(%s::text[], %s::bytea[], %s::bigint[]) "
            "ON CONFLICT DO NOTHING",
            (list(subjects), list(wrapped), list(created)),
        )

    def every(self) -> Iterator[WrappedKey]:
        """See `ledger.keyring.KeyStore`; none as long as the table is not made."""
        if not self._is_there():
            return
        after = ""
        while rows := self._execute(_PAGE, (after, PAGE_KEYS)):
            yield from (WrappedKey(*row) for row in rows)
            after = rows[-1][0]

    def _is_there(self) -> bool:
        return self._execute("SELECT to_regclass('subject_keys')::text", ()) != [(None,)]

    def _execute(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """One statement of its own; a connection that the server has closed is made again."""
        try:
            try:
                found = self._open().execute(sql.encode(), parameters)
            except psycopg.OperationalError:
                self.close()
                found = self._open().execute(sql.encode(), parameters)
            return found.fetchall() if found.description else []
        except psycopg.Error as error:
            raise in_our_words(error, self._place) from error

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = psycopg.connect(self._conninfo, autocommit=True)
        return self._connection
