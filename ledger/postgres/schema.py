"""The schema of a ledger in a PostgreSQL database, made and upgraded by numbered scripts."""

from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from ledger.errors import LedgerError, NotInitialised
from ledger.schema_versions import check_not_newer, check_version, migrations_in, newest_of

MIGRATIONS = migrations_in("ledger.postgres")
SERVER_MIN = 150_000
"""PostgreSQL 15."""
Connection = psycopg.Connection[tuple[Any, ...]]


def check_server(connection: Connection) -> None:
    """Raises LedgerError when the server cannot hold a ledger."""
    if connection.info.server_version < SERVER_MIN:
        raise LedgerError("PostgreSQL 15 or later is needed")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise LedgerError(f"the database is encoded in {encoding}; a ledger needs UTF8")


def create_schema(connection: Connection, schema: str, ledger_id: str) -> bool:
    """Bring the schema to the newest version, all or nothing; True when there was none."""
    check_server(connection)
    with connection.transaction():  # of two that create it, one finds it made
        make_schema(connection, schema)
        there = version_of(connection, schema)
        check_not_newer(there, newest_of(MIGRATIONS))
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)")
        for number, sql in MIGRATIONS:
            if number > there:
                connection.execute(sql.encode())
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version VALUES (%s)", (newest_of(MIGRATIONS),))
        if there == 0:
            connection.execute("INSERT INTO head VALUES (1, %s, 0, 0)", (ledger_id,))
    return there == 0


def make_schema(connection: Connection, schema: str) -> None:
    """Make the schema if need be, and keep others who make it away until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (schema,))
    connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))


def version_of(connection: Connection, schema: str) -> int:
    """The version of the ledger's schema; 0 when there is no ledger.

    Raises NotInitialised when the schema holds tables of something else.
    """
    tables = {
        name
        for (name,) in connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) "
            "AND relkind IN ('r', 'p', 'v', 'm')",
            (schema,),
        )
    }
    if not tables:
        return 0
    if not {"schema_version", "head", "stored_events"} <= tables:
        raise NotInitialised(
            f"the schema {schema} holds tables of something else, not a ledger; "
            "name another with ?schema="
        )
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    return int(str(row[0])) if row else 0


def check_schema(connection: Connection, schema: str, place: str) -> str:
    """The ledger's id. Raises NotInitialised or SchemaMismatch when it cannot be worked with."""
    check_server(connection)
    there = version_of(connection, schema)
    if there == 0:
        raise NotInitialised(f"there is no ledger at {place}; `touchstone init` makes one")
    check_version(there, newest_of(MIGRATIONS))
    row = connection.execute("SELECT ledger_id FROM head").fetchone()
    if row is None:
        raise NotInitialised(f"the ledger at {place} has lost its head; restore a backup")
    return str(row[0])
