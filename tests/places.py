"""Places for ledgers on both stores: new ones in no time, and what other programs do to them.

It is a pytest plugin too: tests that ask for `places` run on each store.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from ledger.address import Address
from ledger.ledger import Ledger, create_ledger, open_ledger
from ledger.postgres.address import PostgresAddress
from ledger.sqlite.address import SQLiteAddress
from tests.servers.postgres import Server, fresh_database

KINDS = ("sqlite", "postgres")
NAME = "touchstone.db"

_EMPTYING_OPTIONS = (
    "-c session_replication_role=replica "  # so that no trigger says that facts are kept
    "-c lock_timeout=2s -c client_min_messages=warning"
)
_EMPTYING = """
CREATE FUNCTION drop_additions(place text, model text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE there record;
BEGIN
    FOR there IN SELECT relname, relkind FROM pg_class
        WHERE relnamespace = place::regnamespace AND relkind IN ('r', 'v', 'm') AND relname NOT IN
        (SELECT relname FROM pg_class WHERE relnamespace = model::regnamespace)
    LOOP
        IF to_regclass(format('%I.%I', place, there.relname)) IS NOT NULL THEN
            EXECUTE format('DROP %s %I.%I CASCADE', CASE there.relkind WHEN 'r' THEN 'TABLE'
                WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END, place, there.relname);
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION remove_rows(place text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE there record;
BEGIN
    FOR there IN SELECT relname, relkind, pg_relation_size(oid) > 100000 AS is_large
        FROM pg_class WHERE relnamespace = place::regnamespace AND relkind IN ('r', 'S')
    LOOP
        IF there.relkind = 'S' THEN
            PERFORM setval(format('%I.%I', place, there.relname), 1, false);
        ELSIF there.is_large THEN
            EXECUTE format('TRUNCATE %I.%I', place, there.relname);
        ELSE -- a new file for each table would take ten times longer
            EXECUTE format('DELETE FROM %I.%I', place, there.relname);
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION make_as(place text, model text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE copied text;
BEGIN
    PERFORM drop_additions(place, model);
    PERFORM remove_rows(place);
    PERFORM remove_rows(place || '_keys');
    FOREACH copied IN ARRAY ARRAY['head', 'schema_version'] LOOP
        EXECUTE format('INSERT INTO %1$I.%3$I SELECT * FROM %2$I.%3$I', place, model, copied);
    END LOOP;
END $$
"""


class Places(Protocol):
    """Makes ledgers on one store. Those that it makes itself share their keys."""

    @property
    def kind(self) -> str:
        """Which store it is, one of KINDS."""

    def unmade(self) -> Address:
        """A place where no ledger is yet."""

    def taken(self) -> Address:
        """A new, empty ledger."""

    def give_back(self, address: Address) -> None:
        """What was taken is not needed any more."""


class SQLitePlaces:
    """Files in a folder; a new ledger is a copy."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        self._template = self.unmade()
        create_ledger(self._template)

    def unmade(self) -> SQLiteAddress:
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        return SQLiteAddress(folder / NAME, folder / f"{NAME}.keys")

    def taken(self) -> SQLiteAddress:
        place = self.unmade()
        shutil.copytree(self._template.path.parent, place.path.parent, dirs_exist_ok=True)
        return place

    def give_back(self, address: Address) -> None:
        assert isinstance(address, SQLiteAddress)
        shutil.rmtree(address.path.parent)


class PostgresPlaces:
    """Schemas in one database; a ledger that is given back is emptied for the next who wants one.

    It is as new then, but for its statistics.
    """

    kind = "postgres"

    def __init__(self, folder: Path, dsn: str) -> None:
        self._folder = folder
        self._dsn = dsn
        self._numbers = count(1)
        self._free: list[PostgresAddress] = []
        self._connection = psycopg.connect(dsn, autocommit=True, options=_EMPTYING_OPTIONS)
        self._connection.execute(_EMPTYING)
        self._template = self.unmade()
        create_ledger(self._template)

    def close(self) -> None:
        self._connection.close()

    def unmade(self) -> PostgresAddress:
        number = next(self._numbers)
        folder = self._folder / str(number)
        folder.mkdir()
        return PostgresAddress(self._dsn, f"ledger_{number}", folder / f"{NAME}.keys")

    def taken(self) -> PostgresAddress:
        is_free = bool(self._free)
        place = self._free.pop() if is_free else self.unmade()
        shutil.copy2(self._template.keys, place.keys)
        if not is_free:
            create_ledger(place)
        return place

    def give_back(self, address: Address) -> None:
        assert isinstance(address, PostgresAddress)
        address.keys.unlink(missing_ok=True)
        # One that somebody still holds, or of which a part was dropped, is left behind.
        with suppress(psycopg.errors.LockNotAvailable, psycopg.errors.InvalidSchemaName):
            self._connection.execute(
                "SELECT make_as(%s, %s)", (address.schema, self._template.schema)
            )
            self._free.append(address)


@contextmanager
def schemas(folder: Path, server: Server) -> Iterator[PostgresPlaces]:
    """Places in a database of their own, gone afterwards."""
    with fresh_database(server) as dsn, closing(PostgresPlaces(folder, dsn)) as places:
        yield places


@contextmanager
def a_place(places: Places) -> Iterator[Address]:
    """A new, empty ledger, gone afterwards."""
    address = places.taken()
    try:
        yield address
    finally:
        places.give_back(address)


@contextmanager
def plain_connection(address: Address, *, keys: bool = False) -> Iterator[Any]:
    """The ledger's database as any tool opens it, past all our code: each statement for itself.

    With `keys` it is that of the subjects' keys.
    """
    if isinstance(address, SQLiteAddress):
        path = address.keyring if keys else address.path
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield connection
    else:
        assert isinstance(address, PostgresAddress)
        options = f"-c search_path={address.schema}{'_keys' if keys else ''}"
        with psycopg.connect(address.conninfo, autocommit=True, options=options) as opened:
            yield opened


def contents(address: Address) -> Iterator[tuple[str, bytes]]:
    """All that is kept of a ledger, byte by byte: its files; or the rows of its tables, as they
    go over the wire, and its key file."""
    if isinstance(address, SQLiteAddress):
        files = sorted(address.path.parent.iterdir())
    else:
        files = [address.keys]
        yield from _tables(address)
    for path in files:
        yield path.name, path.read_bytes()


def _tables(address: Address) -> Iterator[tuple[str, bytes]]:
    assert isinstance(address, PostgresAddress)
    with plain_connection(address) as connection:
        names = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN (%s, %s)",
            (address.schema, f"{address.schema}_keys"),
        ).fetchall()
        for schema, name in names:
            with (
                connection.cursor() as cursor,
                cursor.copy(f"COPY {schema}.{name} TO STDOUT (FORMAT BINARY)") as rows,
            ):
                yield name, b"".join(rows)


@contextmanager
def held(address: Address) -> Iterator[None]:
    """Somebody else is in the middle of writing."""
    with plain_connection(address) as other:
        if isinstance(address, SQLiteAddress):
            other.execute("BEGIN IMMEDIATE")
        else:
            other.execute("BEGIN; SELECT FROM head FOR UPDATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture(scope="session")
def sqlite_places(tmp_path_factory: pytest.TempPathFactory) -> SQLitePlaces:
    return SQLitePlaces(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="session")
def postgres_places(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Server
) -> Iterator[PostgresPlaces]:
    with schemas(tmp_path_factory.mktemp("schemas"), postgres_server) as places:
        yield places


@pytest.fixture(scope="session", params=KINDS)
def places(request: pytest.FixtureRequest) -> Places:
    """Places on each store in turn: what is asked of a ledger holds on both."""
    found: Places = request.getfixturevalue(f"{request.param}_places")
    return found


@pytest.fixture
def address(places: Places) -> Iterator[Address]:
    """Where a ledger is that has been created, and has nothing in it; on each store in turn."""
    with a_place(places) as taken_place:
        yield taken_place


@pytest.fixture
def on_postgres(postgres_places: PostgresPlaces) -> Iterator[Address]:
    """The same, on PostgreSQL alone."""
    with a_place(postgres_places) as taken_place:
        yield taken_place


@pytest.fixture
def ledger(address: Address) -> Iterator[Ledger]:
    """An open ledger with nothing in it."""
    with open_ledger(address) as opened:
        yield opened
