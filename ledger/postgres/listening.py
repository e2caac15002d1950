"""A session on PostgreSQL that is notified when the log grows, and holds advisory locks."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow

from ledger.postgres.connections import in_our_words
from ledger.postgres.recorder import CHANNEL

_CLAIM = (
    "SELECT wanted.name, pg_try_advisory_lock(hashtextextended(%s || wanted.name, 0)) "
    "FROM unnest(%s::text[]) AS wanted (name)"
)


class PostgresListening:
    """See `ledger.store.Listening`."""

    def __init__(self, connection: psycopg.Connection[TupleRow], schema: str, place: str) -> None:
        self._connection = connection
        self._schema = schema
        self._place = place
        self._held: frozenset[str] = frozenset()

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        told = False
        try:
            while not told:
                left = max(0.0, deadline - time.monotonic())
                found = list(self._connection.notifies(timeout=left, stop_after=1))
                told = not found or any(notify.payload == self._schema for notify in found)
        except psycopg.Error as error:
            raise in_our_words(error, self._place) from error

    def claim(self, names: Iterable[str]) -> frozenset[str]:
        missing = [name for name in names if name not in self._held]
        try:  # asked also when nothing is missing: the answer shows that the session is alive
            rows = self._connection.execute(_CLAIM, (lock_name(self._schema, ""), missing))
            self._held |= {name for name, taken in rows if taken}
        except psycopg.Error as error:
            raise in_our_words(error, self._place) from error
        return self._held.intersection(names)


@contextmanager
def listening(conninfo: str, schema: str, place: str) -> Iterator[PostgresListening]:
    """See `ledger.store.Store.listening`."""
    try:
        connection = psycopg.connect(conninfo, autocommit=True)
    except psycopg.Error as error:
        raise in_our_words(error, place) from error
    try:
        connection.execute(f"LISTEN {CHANNEL}")
        yield PostgresListening(connection, schema, place)
    except psycopg.Error as error:
        raise in_our_words(error, place) from error
    finally:
        connection.close()


def lock_name(schema: str, name: str) -> str:
    """What is hashed into the number of an advisory lock."""
    return f"touchstone {schema} {name}"
