"""The PostgreSQL server of the tests: it answers, keeps what it promised, and leaves nothing."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.servers import postgres
from tests.servers.postgres import Server, fresh_database, temporary_server

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60

RUN = """
import os
import time
from pathlib import Path

import pytest

from tests.servers.postgres import RUN_FOLDER


@pytest.mark.parametrize("number", range(4))
def test_server(postgres_server, number):
    Path(f"server-{os.getpid()}").write_text(f"{postgres_server.port} {postgres_server.data}")
    time.sleep(0.2)  # so that each of two workers gets some


def test_ending(postgres_server):
    ENDING


def test_plain(pytestconfig):
    assert list(pytestconfig.stash[RUN_FOLDER].iterdir()) == []
"""


STOPPED = """
    Path("reached").touch()
    until = time.monotonic() + 20
    while time.monotonic() < until and not Path("signalled").exists():
        time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    with temporary_server({"max_connections": 20}) as server:
        yield server


@pytest.fixture
def server(own_server: Server) -> Server:
    """A running server of this file's own, which its tests may stop."""
    own_server.start()
    return own_server


def one(dsn: str, statement: str) -> object:
    """The first column of the first row."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(statement).fetchone()
        assert row is not None
        return row[0]


def write_and_commit(dsn: str, word: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        connection.execute("INSERT INTO words VALUES (%s)", [word])


def words(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY word")]


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


class TestServer:
    def test_answers_durably_and_to_this_machine_alone(self, server: Server) -> None:
        assert one(server.dsn(), "SHOW fsync") == "on"
        assert one(server.dsn(), "SHOW synchronous_commit") == "on"
        assert one(server.dsn(), "SHOW server_encoding") == "UTF8"
        assert one(server.dsn(), "SHOW listen_addresses") == "127.0.0.1"
        assert one(server.dsn(), "SELECT current_user") == "touchstone"
        assert not list(server.data.parent.glob("**/.s.PGSQL*"))

    def test_a_setting_of_the_caller_goes_over_the_default(self, server: Server) -> None:
        assert one(server.dsn(), "SHOW max_connections") == "20"
        assert one(server.dsn(), "SHOW max_wal_size") == "2GB"

    def test_runs_as_nobody_of_importance(self, server: Server) -> None:
        assert server.data.stat().st_uid != 0
        assert (server.user is None) == (os.geteuid() != 0)

    def test_starting_a_running_server_changes_nothing(self, server: Server) -> None:
        began = one(server.dsn(), "SELECT pg_postmaster_start_time()")
        server.start()
        assert one(server.dsn(), "SELECT pg_postmaster_start_time()") == began

    def test_what_was_committed_survives_every_way_to_end(self, server: Server) -> None:
        with fresh_database(server) as dsn:
            write_and_commit(dsn, "fast")
            server.stop()
            server.start()
            write_and_commit(dsn, "immediate")
            server.stop("immediate")
            server.start()
            write_and_commit(dsn, "killed")
            server.kill()
            server.start()
            assert words(dsn) == ["fast", "immediate", "killed"]

    def test_what_was_not_committed_does_not(self, server: Server) -> None:
        with fresh_database(server) as dsn:
            write_and_commit(dsn, "committed")
            connection = psycopg.connect(dsn)
            connection.execute("INSERT INTO words VALUES ('open')")
            server.kill()
            connection.close()
            server.start()
            assert words(dsn) == ["committed"]

    @pytest.mark.parametrize("end", [Server.stop, Server.kill])
    def test_nothing_is_left_running_after_its_end(
        self, server: Server, end: Callable[[Server], None]
    ) -> None:
        with psycopg.connect(server.dsn()):  # a backend that has to go too
            assert (server.running, listens(server.port)) == (True, True)
            end(server)
            assert (server.running, listens(server.port)) == (False, False)
        end(server)  # once more is no error
        server.start()
        assert (server.running, listens(server.port)) == (True, True)

    def test_a_server_that_cannot_start_says_why(self) -> None:
        wrong = temporary_server({"shared_buffers": "much"})
        with pytest.raises(
            RuntimeError, match=r'did not start[^$]*"shared_buffers": "much"'
        ) as told:
            wrong.__enter__()
        data = re.search(r'file "(.*)/touchstone.conf"', str(told.value))
        assert data is not None
        assert not Path(data[1]).exists()


class TestFreshDatabase:
    def test_two_know_nothing_of_each_other(self, server: Server) -> None:
        with fresh_database(server) as left, fresh_database(server) as right:
            write_and_commit(left, "left")
            write_and_commit(right, "right")
            assert (words(left), words(right)) == (["left"], ["right"])

    def test_is_dropped_with_its_connections(self, server: Server) -> None:
        with fresh_database(server) as dsn:
            connection = psycopg.connect(dsn)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
        found = "SELECT count(*) FROM pg_database WHERE datname LIKE 'test\\_%'"
        assert one(server.dsn(), found) == 0

    def test_may_be_a_copy_of_a_prepared_one(self, server: Server) -> None:
        with fresh_database(server) as prepared:
            write_and_commit(prepared, "prepared")
            with fresh_database(server, template=prepared.rpartition("/")[2]) as copy:
                write_and_commit(copy, "written")
                assert words(copy) == ["prepared", "written"]
            assert words(prepared) == ["prepared"]


class TestBinaries:
    @pytest.fixture(autouse=True)
    def _found_anew(self) -> Iterator[None]:
        postgres.binaries.cache_clear()
        yield
        postgres.binaries.cache_clear()

    def test_a_folder_without_them_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(postgres.FORCED_BINARIES, str(tmp_path))
        with pytest.raises(RuntimeError, match="no initdb, pg_ctl, postgres there"):
            postgres.binaries()

    def test_those_of_the_wheel_serve_where_none_are_installed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(postgres.FORCED_BINARIES, raising=False)
        monkeypatch.setattr(postgres, "INSTALLED", ())
        monkeypatch.setattr("shutil.which", lambda _name: None)
        assert postgres.WHEEL in postgres.binaries().parts
        with temporary_server() as server:
            version = one(server.dsn(), "SHOW server_version_num")
            assert int(str(version)) >= postgres.VERSION_MIN * 10_000

    def test_without_any_the_message_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(postgres.FORCED_BINARIES, raising=False)
        monkeypatch.setattr(postgres, "_candidates", lambda: iter(()))
        with pytest.raises(RuntimeError, match=postgres.FORCED_BINARIES):
            postgres.binaries()


class Run:
    """A run of pytest of its own, with tests that share a server."""

    def __init__(
        self, folder: Path, ending: str, *options: str, selected: str = "server or ending"
    ) -> None:
        self.folder = folder
        (folder / "conftest.py").write_text('pytest_plugins = ["tests.servers.postgres"]\n')
        (folder / "test_run.py").write_text(RUN.replace("ENDING", ending))
        own = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-k",
                selected,
                *options,
            ],
            cwd=folder,
            env={**own, "PYTHONPATH": os.pathsep.join([str(ROOT), own.get("PYTHONPATH", "")])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finished(self) -> str:
        return self.process.communicate(timeout=PATIENCE_SECONDS)[0]

    def ending_is_reached(self) -> bool:
        return (self.folder / "reached").exists()

    def servers(self) -> list[tuple[int, Path]]:
        """The port and the data folder that each process of the run was given."""
        told = [path.read_text().split() for path in self.folder.glob("server-*")]
        return [(int(port), Path(data)) for port, data in told]

    def leaves_nothing(self) -> bool:
        servers = self.servers()
        assert servers, "no test was run"
        return not any(listens(port) or data.parent.exists() for port, data in servers)


class TestSharedServer:
    def test_workers_share_one_that_ends_with_the_run(self, tmp_path: Path) -> None:
        run = Run(tmp_path, "raise ValueError", "-n", "2")
        assert "1 failed, 4 passed" in run.finished()
        assert len(run.servers()) == 2
        assert len(set(run.servers())) == 1
        assert run.leaves_nothing()

    def test_it_outlives_the_worker_that_started_it_and_no_more(self, tmp_path: Path) -> None:
        run = Run(tmp_path, "os._exit(1)", "-n", "1", "--max-worker-restart", "1")
        assert "crashed" in run.finished()
        assert run.leaves_nothing()

    @pytest.mark.parametrize(
        ("number", "options"),
        [(signal.SIGINT, []), (signal.SIGINT, ["-n", "2"]), (signal.SIGKILL, ["-n", "2"])],
    )
    def test_it_ends_when_the_run_is_stopped(
        self, tmp_path: Path, number: signal.Signals, options: list[str]
    ) -> None:
        run = Run(tmp_path, STOPPED, *options)
        wait_until(run.ending_is_reached)
        assert not run.leaves_nothing()
        run.process.send_signal(number)
        (tmp_path / "signalled").touch()
        run.finished()
        wait_until(run.leaves_nothing)

    def test_a_run_that_needs_none_starts_none(self, tmp_path: Path) -> None:
        run = Run(tmp_path, "pass", selected="plain")
        assert "1 passed" in run.finished()
