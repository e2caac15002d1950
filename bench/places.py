"""Where the ledgers of a run are: files in a temporary folder, or databases of one server."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg

from ledger.address import Address, parse_url
from tests.servers.postgres import Server


class Place(Protocol):
    """Room for the ledgers of one kind of store, each under a name of its own."""

    @property
    def store(self) -> str:
        """The kind of store, as the report names it."""

    @property
    def folder(self) -> Path:
        """For files; those that are not of the store too."""

    def address(self, name: str) -> Address:
        """Where a new ledger of this name may be made."""

    def settle(self) -> None:
        """Have done what the store does after many rows were written, so that nobody waits."""


@dataclass(frozen=True)
class SQLitePlace:
    """Files in a folder, each with its keys beside it."""

    folder: Path
    store: str = "SQLite"

    def address(self, name: str) -> Address:
        return parse_url(f"sqlite:///{self.folder / name}.db")

    def settle(self) -> None:
        """Nothing: a file is as it was written."""


@dataclass(frozen=True)
class PostgresPlace:
    """Databases of one server, one for each ledger and each opponent."""

    folder: Path
    server: Server
    store: str = "PostgreSQL"
    made: list[str] = field(default_factory=list)

    def address(self, name: str) -> Address:
        return parse_url(self.database(name), self.folder / f"{name}.postgres.keys")

    def database(self, name: str) -> str:
        """The DSN of a new database."""
        self.made.append(self.server.created(name))
        return self.made[-1]

    def settle(self) -> None:
        """Count rows and mark pages in all databases now, before the server comes to do so."""
        for database in self.made:
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute("VACUUM (ANALYZE)")
