"""The schema of a ledger in an SQLite file, made and upgraded by numbered scripts."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ledger.errors import NotInitialised
from ledger.schema_versions import check_not_newer, check_version, migrations_in, newest_of
from ledger.sqlite.connections import LOCK_SECONDS_MAX, in_our_words
from ledger.sqlite.streams import teach_prefixes

APPLICATION_ID = 0x546F7563
"""What marks an SQLite file as a ledger. Part of the storage format: never change it."""
MIGRATIONS = migrations_in("ledger.sqlite")


def create_schema(path: Path, ledger_id: str) -> bool:
    """Bring a new or older file to the newest schema, all or nothing; True when it was new.

    Raises NotInitialised, and changes nothing, when the file is something else than a ledger.
    """
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS_MAX, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        teach_prefixes(connection)
        connection.execute("BEGIN IMMEDIATE")  # of two that create it, one finds it made
        there = _version_of(connection, path)
        check_not_newer(there, newest_of(MIGRATIONS))
        for number, sql in MIGRATIONS:
            if number > there:
                for statement in _statements(sql):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        if there == 0:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("INSERT INTO head VALUES (1, ?, 0, 0)", (ledger_id,))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as error:
        raise _unusable(error, path) from error
    finally:
        connection.close()
    return there == 0


def _statements(sql: str) -> Iterator[str]:
    """The statements of a script, one by one; those of a trigger stay inside it."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The number of the newest migration in this file; 0 for an empty one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (tables or version):
        raise NotInitialised(f"{path} is a database of something else, not a ledger")
    return version


def is_new(path: Path) -> bool:
    """Whether a ledger can be made here: nothing is there yet, or an empty SQLite file."""
    if not path.exists():
        return True
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS_MAX)
    try:
        return _version_of(connection, path) == 0
    except sqlite3.DatabaseError as error:
        raise _unusable(error, path) from error
    finally:
        connection.close()


def check_schema(path: Path) -> str:
    """The ledger's id. Raises NotInitialised or SchemaMismatch when it cannot be worked with."""
    if not path.is_file():
        raise NotInitialised(f"there is no ledger at {path}; `touchstone init` makes one")
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS_MAX)
    try:
        there = _version_of(connection, path)
        if there == 0:
            raise NotInitialised(f"{path} is not a ledger yet; `touchstone init` makes it one")
        check_version(there, newest_of(MIGRATIONS))
        ledger_id: str = connection.execute("SELECT ledger_id FROM head").fetchone()[0]
        return ledger_id
    except sqlite3.DatabaseError as error:
        raise _unusable(error, path) from error
    finally:
        connection.close()


def _unusable(error: sqlite3.DatabaseError, path: Path) -> Exception:
    if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
        return NotInitialised(f"{path} is not a ledger, nor any other SQLite file")
    return in_our_words(error)
