"""What fails below the commands: files and stores that cannot be used, as one line and a code."""

import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from cli.exits import code_of
from ledger.errors import Locked
from tests.cli.running import Ran, Shell, order_line
from tests.servers.guarding import free_port
from tests.servers.postgres import Server

DAMAGED = b"Z"


def failed_in_one_line(ran: Ran) -> bool:
    return ran.code == 1 and ran.err.startswith("Error: ") and ran.err.count("\n") == 1


@pytest.fixture
def nowhere(tmp_path: Path) -> Shell:
    """No ledger, and no place for one: the folder that it names is a file."""
    shell = Shell(tmp_path)
    shell.url = f"sqlite:///{shell.write('file', b'')}/x.db"
    return shell


def test_a_ledger_cannot_be_made_in_a_folder_that_is_a_file(nowhere: Shell) -> None:
    for command in (["init"], ["demo", "--customers", "1"]):
        ran = nowhere(*command)
        assert failed_in_one_line(ran), ran.err
        assert str(nowhere.folder / "file") in ran.err
        assert "Errno" not in ran.err


def test_a_file_that_is_not_there_is_not_initialised(tmp_path: Path, nowhere: Shell) -> None:
    shell = Shell(tmp_path / "absent")
    for empty in (shell, nowhere):
        ran = empty("append", stdin=order_line(1))
        assert (ran.code, "touchstone init" in ran.err) == (10, True)
    assert not shell.folder.exists()


def test_a_damaged_file_is_told_in_one_line_and_by_the_doctor(file_shell: Shell) -> None:
    shell = file_shell
    shell("append", stdin=b"\n".join(order_line(n, f"customer:{n}") for n in range(2_000)))
    ledger = shell.folder / "touchstone.db"
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = ledger.read_bytes()
    kept = len(whole) // 2 // 4096 * 4096
    ledger.write_bytes(whole[:kept] + DAMAGED * (len(whole) - kept))
    for command in (["append"], ["customer", "list"], ["projection", "list"]):
        ran = shell(*command, stdin=order_line(9_000))
        assert failed_in_one_line(ran), ran.err
    checks = {check["check"]: check["ok"] for check in shell("doctor", "-o", "json").json}
    assert (checks["store"], checks["disk"]) == (False, True)


def test_a_server_that_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.url = f"postgresql://me:secret@127.0.0.1:{free_port()}/business"
    shell.keys = str(tmp_path / "keys")
    for command in (["init"], ["append"], ["customer", "list"], ["doctor"]):
        ran = shell(*command, stdin=order_line(1))
        assert (ran.code, ran.out, ran.err.count("\n")) == (7, "", 1), ran.err
        assert "127.0.0.1" in ran.err
        assert "secret" not in ran.err
    assert not Path(shell.keys).exists()


def test_a_database_that_is_not_there_is_named(tmp_path: Path, postgres_server: Server) -> None:
    shell = Shell(tmp_path)
    shell.url, shell.keys = postgres_server.dsn("nothing"), str(tmp_path / "keys")
    ran = shell("init")
    assert ran.code == 7
    assert 'database "nothing" does not exist' in ran.err


def test_a_server_that_refuses_the_user_denies(tmp_path: Path, postgres_database: str) -> None:
    shell = Shell(tmp_path)
    shell.keys = str(tmp_path / "keys")
    shell.url = postgres_database.replace("touchstone@", "stranger@")
    ran = shell("init")
    assert (ran.code, ran.out) == (9, "")
    assert 'role "stranger" does not exist' in ran.err


def test_who_may_not_make_a_schema_is_denied(tmp_path: Path, postgres_database: str) -> None:
    role = f"guest_{uuid4().hex}"
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        shell = Shell(tmp_path)
        shell.keys = str(tmp_path / "keys")
        shell.url = postgres_database.replace("touchstone@", f"{role}@")
        ran = shell("init")
        connection.execute(f"DROP ROLE {role}".encode())
    assert (ran.code, ran.out) == (9, "")
    assert "permission denied" in ran.err


def test_on_a_server_the_key_file_must_be_named(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.url = "postgresql://me:secret@127.0.0.1/business"
    ran = shell("customer", "list")
    assert ran.code == 2
    assert "--keys" in ran.err
    assert "secret" not in ran.err


def test_an_error_of_ours_keeps_its_code_whatever_caused_it() -> None:
    locked = Locked("another process holds the ledger")
    locked.__cause__ = sqlite3.OperationalError("database is locked")
    assert code_of(locked) == 8
    assert code_of(RuntimeError("a mistake of the program")) is None


def test_a_reader_that_has_seen_enough_is_no_error(shell: Shell) -> None:
    lines = b"\n".join(order_line(number) for number in range(3_000))
    assert shell("append", "-q", stdin=lines).code == 0
    listing = f"{sys.executable} -m cli.main {shlex.join(shell.place)} log list | head -n 1"
    ran = subprocess.run(
        ["bash", "-c", f"{listing}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr, len(ran.stdout.splitlines())) == (0, "", 1)


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(shell: Shell) -> None:
    ran = shell("custmer", "list")
    assert ran.code == 2
    assert "Did you mean 'customer'?" in ran.err
