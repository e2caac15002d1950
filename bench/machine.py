"""The machine that the figures are of: without it they mean nothing."""

import os
import platform
import sqlite3
from importlib.metadata import version

import msgspec
import psycopg

from tests.servers.postgres import Server

SETTINGS = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "work_mem",
    "max_wal_size",
    "checkpoint_timeout",
    "max_connections",
)


class Machine(msgspec.Struct, frozen=True):
    """What the rates depend on most. `load` is the load average when the run began.

    `postgres` and its `settings` are empty where no server took part.
    """

    cores: int
    processor: str
    system: str
    python: str
    sqlite: str
    eventsourcing: str
    load: float
    postgres: str = ""
    settings: dict[str, str] = {}

    def __str__(self) -> str:
        return (
            f"{self.cores} cores ({self.processor}), load {self.load:.1f} at the start, "
            f"{self.system}, Python {self.python}, SQLite {self.sqlite}{self._server}, "
            f"eventsourcing {self.eventsourcing}"
        )

    @property
    def _server(self) -> str:
        if not self.postgres:
            return ""
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f", PostgreSQL {self.postgres} on the same machine ({settings})"


def this_machine(server: Server | None = None) -> Machine:
    """What this machine is, and what server it has."""
    return Machine(
        cores=os.cpu_count() or 1,
        processor=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        eventsourcing=version("eventsourcing"),
        load=os.getloadavg()[0],
        postgres=_shown(server, "server_version") if server else "",
        settings={name: _shown(server, name) for name in SETTINGS} if server else {},
    )


def _shown(server: Server, name: str) -> str:
    with psycopg.connect(server.dsn()) as connection:
        row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
        return str(row[0]) if row else ""
