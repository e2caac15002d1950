"""The keys of subjects of a ledger on PostgreSQL: a schema of their own in its database.

They stand apart so that a backup of the ledger's schema holds no key.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from ledger.errors import KeysMissing
from ledger.keyring import MASTER_ROW, Tally, WrappedKey
from ledger.masters import ID_BYTES, LABELLED_BYTES
from ledger.postgres.connections import in_our_words
from ledger.postgres.schema import make_schema

_TABLE = """
CREATE TABLE IF NOT EXISTS subject_keys (
    subject    text   COLLATE "C" PRIMARY KEY,
    wrapped    bytea  NOT NULL,
    created_at bigint NOT NULL
)
"""
_TOMBSTONES = """
CREATE INDEX IF NOT EXISTS tombstones ON subject_keys (subject) WHERE wrapped = ''
"""
"""So that every opening of a ledger can ask for them."""
_PAGE = """
SELECT subject, wrapped, created_at FROM subject_keys WHERE subject > %s ORDER BY subject LIMIT %s
"""
_INSERT = """
INSERT INTO subject_keys SELECT * FROM unnest(%s::text[], %s::bytea[], %s::bigint[])
"""
_ADD = f"""
{_INSERT} WHERE NOT EXISTS
    (SELECT FROM subject_keys WHERE subject = '{MASTER_ROW}' AND wrapped <> %s)
ON CONFLICT DO NOTHING
"""
_BRING = f"{_INSERT} ON CONFLICT DO NOTHING"
_MASTER = "SELECT wrapped FROM subject_keys WHERE subject = %s"
_TURN = """
INSERT INTO subject_keys VALUES (%s, %s, (extract(epoch FROM now()) * 1000000)::bigint)
ON CONFLICT (subject) DO UPDATE
SET wrapped = excluded.wrapped, created_at = excluded.created_at
"""
_UNDER_OTHERS = f"""
SELECT subject, wrapped, created_at FROM subject_keys
WHERE subject > %s AND subject <> '{MASTER_ROW}' AND wrapped <> ''
AND NOT (length(wrapped) = {LABELLED_BYTES} AND substr(wrapped, 1, {ID_BYTES}) = %s)
ORDER BY subject LIMIT %s
"""
_REWRAP = """
UPDATE subject_keys AS k SET wrapped = n.new
FROM unnest(%s::text[], %s::bytea[], %s::bytea[]) AS n (subject, old, new)
WHERE k.subject = n.subject AND k.wrapped = n.old
"""
_DESTROY = """
WITH gone AS (SELECT * FROM unnest(%s::text[]) AS subject),
live AS (SELECT count(*) AS count FROM subject_keys JOIN gone USING (subject) WHERE wrapped <> ''),
destroyed AS (
    INSERT INTO subject_keys SELECT subject, '', %s FROM gone
    ON CONFLICT (subject) DO UPDATE
    SET wrapped = excluded.wrapped, created_at = excluded.created_at
    WHERE subject_keys.wrapped <> ''
)
SELECT count FROM live
"""
_TALLY = f"""
SELECT CASE length(wrapped) WHEN {LABELLED_BYTES} THEN substr(wrapped, 1, {ID_BYTES}) END,
    length(wrapped) = 0, count(*)
FROM subject_keys WHERE subject <> '{MASTER_ROW}' GROUP BY 1, 2
"""
PAGE_KEYS = 10_000
Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresKeyStore:
    """The table with the wrapped keys; see `ledger.keyring.KeyStore`."""

    def __init__(self, conninfo: str, schema: str, ledger_schema: str, place: str) -> None:
        self._conninfo = conninfo
        self._schema = schema
        self._ledger_schema = ledger_schema
        self._place = place
        self._connection: Connection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def create(self) -> None:
        with self._transaction() as connection:
            make_schema(connection, self._schema)
            connection.execute(_TABLE)
            connection.execute(_TOMBSTONES)

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

    def add(self, keys: Sequence[WrappedKey], master: bytes) -> None:
        self._execute(_ADD, (*_columns(keys), master))

    def bring(self, keys: Sequence[WrappedKey]) -> None:
        self._execute(_BRING, _columns(keys))

    def every(self) -> Iterator[WrappedKey]:
        """See `ledger.keyring.KeyStore`; none as long as the table is not made."""
        if not self._is_there():
            return
        after = ""
        while rows := self._execute(_PAGE, (after, PAGE_KEYS)):
            yield from (WrappedKey(*row) for row in rows)
            after = rows[-1][0]

    def master(self) -> bytes | None:
        rows = self._execute(_MASTER, (MASTER_ROW,))
        return rows[0][0] if rows else None

    def turn_to(self, master: bytes, known: Sequence[bytes]) -> bool:
        """See `ledger.keyring.KeyStore`.

        Statements that are adding keys hold a lock on the table that conflicts with this one, so
        they have ended before, or see the new master.
        """
        with self._transaction() as connection:
            connection.execute("LOCK TABLE subject_keys IN SHARE ROW EXCLUSIVE MODE")
            row = connection.execute(_MASTER, (MASTER_ROW,)).fetchone()
            if row is not None and row[0] not in known:
                return False
            if row is None or row[0] != master:
                connection.execute(_TURN, (MASTER_ROW, master))
        return True

    def under_others(self, master: bytes, after: str, limit: int) -> list[WrappedKey]:
        return [WrappedKey(*row) for row in self._execute(_UNDER_OTHERS, (after, master, limit))]

    def rewrap(self, keys: Sequence[tuple[str, bytes, bytes]]) -> None:
        subjects, old, new = zip(*keys, strict=True)
        self._execute(_REWRAP, (list(subjects), list(old), list(new)))

    def destroy(self, subjects: Sequence[str], now: int) -> int:
        ((count,),) = self._execute(_DESTROY, (list(subjects), now))
        return int(count)

    def scrub(self) -> None:
        """See `ledger.keyring.KeyStore`: what was replaced is vacuumed, if the user owns the table.

        Another user leaves it to autovacuum. Rows that an open transaction may still see stay
        until it ends; the server's WAL, its archive and standbys keep the old bytes for as long
        as they are kept.
        """
        self._execute("VACUUM (SKIP_LOCKED) subject_keys", ())

    def returned(self) -> list[str]:
        rows = self._execute(
            f"SELECT subject FROM subject_keys JOIN {self._ledger_schema}.erased_subjects "
            "USING (subject) WHERE wrapped <> ''",
            (),
        )
        return [subject for (subject,) in rows]

    def unrecorded(self) -> list[tuple[str, int]]:
        rows = self._execute(
            "SELECT subject, created_at FROM subject_keys WHERE wrapped = '' AND NOT EXISTS "
            f"(SELECT FROM {self._ledger_schema}.erased_subjects AS e "
            "WHERE e.subject = subject_keys.subject)",
            (),
        )
        return [(subject, at) for subject, at in rows]

    def tally(self) -> Tally:
        rows = self._execute(_TALLY, ()) if self._is_there() else []
        return Tally(
            under={id_: count for id_, _, count in rows if id_ is not None},
            unlabelled=sum(count for id_, gone, count in rows if id_ is None and not gone),
            destroyed=sum(count for _, gone, count in rows if gone),
        )

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

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            connection = self._open()
            with connection.transaction():
                yield connection
        except psycopg.Error as error:
            raise in_our_words(error, self._place) from error

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = psycopg.connect(self._conninfo, autocommit=True)
        return self._connection


def _columns(keys: Sequence[WrappedKey]) -> tuple[list[str], list[bytes], list[int]]:
    subjects, wrapped, created = zip(*keys, strict=True)
    return list(subjects), list(wrapped), list(created)
