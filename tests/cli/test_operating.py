"""The operators' commands: init, projection, quarantine, doctor and demo."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.sqlite.address import SQLiteAddress
from tests.cli.facts import IN_CLEAR
from tests.cli.running import Shell, order_line
from tests.places import Places, plain_connection


@pytest.fixture
def shell(tmp_path: Path, places: Places) -> Iterator[Shell]:
    """A ledger that `init` has made, with twenty orders in it."""
    address = places.unmade()
    shell = Shell(tmp_path, address)
    assert shell("init").json["created"] is True
    assert shell("append", stdin=b"\n".join(order_line(n) for n in range(20))).code == 0
    yield shell
    places.give_back(address)


def test_init_makes_keys_that_only_the_owner_can_read_and_may_be_repeated(shell: Shell) -> None:
    for path in shell.address.secret_files:
        assert path.stat().st_mode & 0o777 == 0o600
    again = shell("init")
    assert (again.code, again.json["created"]) == (0, False)


def test_init_goes_on_where_another_was_interrupted(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "touchstone.db").touch()
    assert shell("init").json["created"] is True
    for name in ("touchstone.db", "touchstone.db-wal", "touchstone.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    assert shell("init").json["created"] is True
    assert shell("append", stdin=order_line(1)).code == 0


def test_init_leaves_files_of_others_alone(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("touchstone.db", b"this is a text, and a long one at that\n" * 9)
    assert (shell("init").code, shell("append").code) == (10, 10)
    (tmp_path / "touchstone.db").unlink()
    with closing(sqlite3.connect(tmp_path / "touchstone.db")) as connection:
        connection.execute("CREATE TABLE mine (x)")
    ran = shell("init")
    assert ran.code == 10
    assert "something else" in ran.err
    assert not (tmp_path / "touchstone.db.keys").exists()
    with closing(sqlite3.connect(tmp_path / "touchstone.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


def test_a_ledger_of_a_later_schema_is_refused_by_every_command(shell: Shell) -> None:
    with plain_connection(shell.address) as connection:
        connection.execute(
            "PRAGMA user_version = 99"
            if isinstance(shell.address, SQLiteAddress)
            else "UPDATE schema_version SET version = 99"
        )
    assert (shell("init").code, shell("projection", "list").code) == (11, 11)


def test_several_that_create_one_ledger_make_one(tmp_path: Path, places: Places) -> None:
    shell = Shell(tmp_path, places.unmade())
    command = [sys.executable, "-m", "cli.main", *shell.place, "init"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in started]
    assert sorted(answer["created"] for answer in answers) == [False, False, False, True]
    assert shell("append", stdin=order_line(1)).code == 0


def test_a_key_file_that_cannot_be_read_is_told_in_one_line(file_shell: Shell) -> None:
    file_shell.address.keys.unlink()
    file_shell.address.keys.mkdir()
    ran = file_shell("projection", "list")
    assert ran.code == 9
    assert "cannot be read" in ran.err


def test_without_its_keys_a_ledger_is_denied(shell: Shell) -> None:
    kept = shell.address.keys.rename(shell.folder / "elsewhere")
    ran = shell("projection", "list")
    assert ran.code == 9
    assert "key file" in ran.err
    assert shell("--keys", str(kept), "projection", "list").code == 0


def test_rebuild_verify_and_rollback(shell: Shell) -> None:
    ran = shell("projection", "rebuild", "--all", "-o", "json")
    assert [(view["name"], view["touchpoints"]) for view in ran.json] == [
        ("customers", 20), ("tickets", 20), ("loyalty", 20), ("orders", 20),
        ("consents", 20),
    ]  # fmt: skip
    verified = shell("projection", "verify", "--all", "-o", "json")
    assert (verified.code, {view["differences"] for view in verified.json}) == (0, {0})
    assert shell("projection", "rollback", "orders", "--dry-run").out == ""
    assert shell("projection", "rollback", "orders").code == 2
    assert shell("projection", "rollback", "orders", "--yes").code == 0
    assert shell("projection", "parked").out == ""


def test_views_that_do_not_exist_are_not_found(shell: Shell) -> None:
    assert shell("projection", "rebuild", "nonsense").code == 4
    assert shell("projection", "rebuild").code == 2
    assert shell("projection", "rebuild", "orders", "--all").code == 2


def test_quarantine_is_listed_shown_and_discarded_with_a_reason(shell: Shell) -> None:
    shell("append", stdin=b'{"broken": \n')
    (entry,) = shell("quarantine", "list", "-o", "json").json
    assert (entry["door"], entry["context"]["line"], entry["times"]) == ("append", 1, 1)
    assert shell("quarantine", "show", "1", "--bytes", *IN_CLEAR).out == '{"broken":\n'
    assert shell("quarantine", "show", "9").code == 4
    assert shell("quarantine", "discard", "1").code == 2
    assert shell("quarantine", "discard", "1", "--reason", "a test").code == 2
    assert shell("quarantine", "discard", "1", "--reason", "a test", "--dry-run").code == 0
    assert shell("quarantine", "discard", "1", "--reason", "a test", "--yes").code == 0
    assert shell("quarantine", "list", "-o", "json").json == []
    (settled,) = shell("quarantine", "list", "--status", "discarded", "-o", "json").json
    assert settled["note"] == "a test"
    assert shell("quarantine", "retry", "1").code == 4


def test_doctor_finds_everything_in_order_and_says_what_is_not(shell: Shell) -> None:
    well = shell("doctor", "-o", "json")
    assert (well.code, {check["ok"] for check in well.json}) == (0, {True})
    shell.address.keys.chmod(0o644)
    shell("append", "--no-follow", stdin=order_line(99) + b"\n{")
    unwell = shell("doctor", "-o", "json")
    assert unwell.code == 1
    off = {check["check"]: check["detail"] for check in unwell.json if not check["ok"]}
    assert set(off) == {"keys", "views", "quarantine"}
    assert "chmod 600" in off["keys"]


def test_the_demo_tells_a_year_and_takes_a_tour(tmp_path: Path, places: Places) -> None:
    shell = Shell(tmp_path, places.unmade())
    ran = shell("demo", "--customers", "150", "-o", "table")
    assert ran.code == 0
    for title in ("One customer", "The ticket board", "A loyalty account", "What to try next"):
        assert title in ran.out
    assert shell("projection", "verify", "--all").code == 0
    assert len(shell("quarantine", "list", "-o", "json").json) == 9
    again = shell("demo")
    assert again.code == 2
    assert "fresh ledger" in again.err
