"""Where a ledger on PostgreSQL is: a server, a database, a schema in it, and a key file."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger.errors import BadAddress
from ledger.postgres.connections import CONNECT_SECONDS_MAX, in_our_words
from ledger.postgres.keys import PostgresKeyStore
from ledger.postgres.roles import role_statements
from ledger.postgres.schema import check_schema, create_schema, version_of
from ledger.postgres.store import PostgresStore, options

SCHEMES = ("postgresql://", "postgres://")
SCHEMA = "touchstone"
_FORM = (
    "the ledger is not of the form postgresql://USER@HOST:PORT/DATABASE; "
    "special characters of a password are written as %XX"
)
_LIVENESS = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""A server that is gone without a word is noticed within half a minute."""
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """See `ledger.address.Address`."""

    conninfo: str = field(repr=False)
    schema: str
    keys: Path

    @classmethod
    def parse(cls, url: str, keys: Path | None) -> "PostgresAddress":
        """Read `postgresql://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME`, with any of libpq's
        parameters. Raises BadAddress."""
        try:
            parts = urlsplit(url)
            parameters = dict(parse_qsl(parts.query))
        except ValueError:  # its message may hold the password
            raise BadAddress(_FORM) from None
        schema = parameters.pop("schema", SCHEMA)
        if not _SCHEMA.fullmatch(schema):
            raise BadAddress(
                f"the schema {schema!r} must be of small letters, digits and _, at most 40"
            )
        if keys is None:
            raise BadAddress(
                "a ledger on PostgreSQL needs a key file: name it with --keys FILE "
                "or TOUCHSTONE_KEYS"
            )
        try:
            query = urlencode(parameters, quote_via=quote)
            conninfo = make_conninfo(urlunsplit(parts._replace(query=query)))
        except psycopg.Error:
            raise BadAddress(_FORM) from None
        return cls(conninfo, schema, keys)

    @property
    def url(self) -> str:
        known = conninfo_to_dict(self.conninfo)
        user = f"{known['user']}@" if "user" in known else ""
        port = f":{known['port']}" if "port" in known else ""
        place = f"{user}{known.get('host', '')}{port}/{known.get('dbname', '')}"
        return f"postgresql://{place}?schema={self.schema}"

    @property
    def place(self) -> str:
        return self.url

    @property
    def key_places(self) -> str:
        return f"{self.keys} and the schema {self.schema}_keys"

    @property
    def secret_files(self) -> tuple[Path, ...]:
        return (self.keys,)

    @property
    def disk(self) -> Path | None:
        return None

    def store(self) -> PostgresStore:
        return PostgresStore(self._settled(self.schema), self.schema, self.place)

    def key_store(self) -> PostgresKeyStore:
        schema = f"{self.schema}_keys"
        return PostgresKeyStore(self._settled(schema), schema, self.schema, self.place)

    def is_new(self) -> bool:
        with self._connection() as connection:
            return version_of(connection, self.schema) == 0

    def create(self, ledger_id: str) -> bool:
        with self._connection() as connection:
            return create_schema(connection, self.schema, ledger_id)

    def check(self) -> str:
        with self._connection() as connection:
            return check_schema(connection, self.schema, self.place)

    def diagnose(self) -> tuple[str, str | None]:
        with self._connection() as connection:
            check_schema(connection, self.schema, self.place)
            version = connection.info.parameter_status("server_version")
            row = connection.execute("SHOW fsync").fetchone()
        off = None if row == ("on",) else "fsync is off: what is recorded may be lost"
        return f"PostgreSQL {version}, {self.place}", off

    def make_roles(self, *, dry_run: bool) -> list[str]:
        """Make the roles of ledger/postgres/roles.py for this ledger; returns the SQL."""
        with self._connection() as connection:
            check_schema(connection, self.schema, self.place)
            statements = role_statements(self.schema)
            shown = [statement.as_string(connection) for statement in statements]
            with connection.transaction(force_rollback=dry_run):
                for statement in statements:
                    connection.execute(statement)
        return shown

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        try:
            with psycopg.connect(self._settled(self.schema), autocommit=True) as connection:
                yield connection
        except psycopg.Error as error:
            raise in_our_words(error, self.place) from error

    def _settled(self, schema: str) -> str:
        """How to connect, with the settings that every connection of ours has."""
        known = conninfo_to_dict(self.conninfo)
        settled: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS_MAX,
            "application_name": "touchstone",
            **_LIVENESS,
            **known,
            "options": f"{known.get('options', '')} {options(schema)}".strip(),
        }
        return make_conninfo(**settled)
