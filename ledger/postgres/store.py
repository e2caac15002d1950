"""A ledger's store in one schema of a PostgreSQL database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import psycopg
from eventsourcing.postgres import ConnectionPool, PostgresDatastore
from psycopg.rows import dict_row, tuple_row

from ledger.errors import Locked
from ledger.postgres.connections import (
    CONNECT_SECONDS_MAX,
    LOCK_SECONDS_MAX,
    PostgresCursor,
    in_our_words,
)
from ledger.postgres.listening import PostgresListening, listening, lock_name
from ledger.postgres.recorder import PostgresRecorder

CONNECTIONS_MAX = 10
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BEGIN_VIEWS = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off"
FROZEN_SECONDS_MAX = 60
"""How long a writer may do nothing in the middle of a transaction: everybody else waits for it."""

_BEGIN_FACTS = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{FROZEN_SECONDS_MAX}s'; "
    "SELECT FROM head FOR UPDATE"
)
_SETTINGS = {
    "lock_timeout": f"{LOCK_SECONDS_MAX}s",
    # Every question of the ledger goes by an index. With stale statistics the planner may think
    # that joining the whole log with a list of a thousand ids is quicker.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # For the same reason, and because rebuilding has workers of its own.
    "max_parallel_workers_per_gather": "0",
    "work_mem": "32MB",
    "jit": "off",
    # What was promised must not hang on what a user or a database is set to.
    "synchronous_commit": "on",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # A client that is gone without a word gives back within half a minute what it has locked.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


class PostgresStore(PostgresDatastore):
    """The library's datastore, with connections of our own and transactions for our SQL."""

    writes_in_parallel = True

    def __init__(self, conninfo: str, schema: str, place: str) -> None:
        super().__init__("", "", "", "", "", schema=schema, lock_timeout=LOCK_SECONDS_MAX)
        self._conninfo = conninfo
        self._place = place
        self.pool = ConnectionPool(
            conninfo,
            kwargs={"row_factory": dict_row, "autocommit": True},
            min_size=1,
            max_size=CONNECTIONS_MAX,
            open=False,
            timeout=CONNECT_SECONDS_MAX,
            # The pauses between its attempts double: beyond this they would outlast an outage.
            reconnect_timeout=CONNECT_SECONDS_MAX,
        )

    def register_type_adapters(self) -> None:
        """Nothing to do: the library's composite types are for its own inserts."""

    @contextmanager
    def cursor(  # type: ignore[override]
        self, *, write: bool = False, durable: bool = True
    ) -> Iterator[PostgresCursor]:
        """See `ledger.store.Store`; the writer lock is the row of the head."""
        begin = _BEGIN_READING if not write else _BEGIN_FACTS if durable else _BEGIN_VIEWS
        try:
            connection = self._begun(begin)
            try:
                cursor = PostgresCursor(connection, row_factory=tuple_row)
                cursor.format = psycopg.pq.Format.BINARY
                yield cursor
                if write:
                    connection.commit()
            finally:
                _end(connection)
                self.pool.putconn(connection)
        except psycopg.Error as error:
            raise in_our_words(error, self._place) from error

    def _begun(self, begin: str) -> psycopg.Connection[dict[str, object]]:
        """A connection in a new transaction; those that the server has closed are given up."""
        self.pool.open()
        closed = 0
        while True:
            connection = self.pool.getconn()
            try:
                connection.execute(begin)
            except BaseException:
                was_closed = connection.closed
                _end(connection)
                self.pool.putconn(connection)
                closed += was_closed
                if not was_closed or closed > CONNECTIONS_MAX:
                    raise
            else:
                return connection

    def recorder(self) -> PostgresRecorder:
        return PostgresRecorder(self)

    @contextmanager
    def exclusively(self, name: str) -> Iterator[None]:
        """See `ledger.store.Store`; here it is an advisory lock of a connection of its own."""
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                row = connection.execute(
                    "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))",
                    (lock_name(self.schema, name),),
                ).fetchone()
                if row != (True,):
                    raise Locked(f"a {name} of this ledger is under way")
                try:
                    yield
                finally:  # the end of a connection releases it too, but only some time later
                    with suppress(psycopg.Error):
                        connection.execute("SELECT pg_advisory_unlock_all()")
        except psycopg.Error as error:
            raise in_our_words(error, self._place) from error

    def scrub(self) -> None:
        """See `ledger.store.Store`; whoever does not own the tables leaves it to autovacuum."""
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                connection.execute("SET client_min_messages = error")
                connection.execute("VACUUM (SKIP_LOCKED) quarantine_parts, search_tokens, ties")
        except psycopg.Error as error:
            raise in_our_words(error, self._place) from error

    def listening(self) -> AbstractContextManager[PostgresListening]:
        """See `ledger.store.Store`; it has a connection of its own."""
        return listening(self._conninfo, self.schema, self._place)


def options(schema: str) -> str:
    """What each connection sets for itself at its start, as libpq's `options`."""
    settings = {"search_path": schema, **_SETTINGS}
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _end(connection: psycopg.Connection[dict[str, object]]) -> None:
    """Roll back what was not committed; a connection that is gone has done so itself."""
    try:
        connection.rollback()
    except psycopg.Error:
        connection.close()
