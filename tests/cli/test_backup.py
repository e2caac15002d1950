"""`backup` and `restore`: moving house by two commands, and what they refuse."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.facts import IN_CLEAR, described, order, record
from tests.cli.running import Ran, Shell, order_line

TOUCHPOINTS = 12_000
NAME = "Ana Konda"


@dataclass(frozen=True)
class House:
    """A place for a ledger, and the key file where it is not beside it."""

    shell: Shell
    keys: str | None

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Ran:
        named = [] if self.keys is None else ["--keys", self.keys]
        return self.shell(*named, *arguments, stdin=stdin)


def house_at(folder: Path, dsn: str | None = None) -> House:
    folder.mkdir()
    shell = Shell(folder)
    shell.url = dsn or f"sqlite:///{folder / 'touchstone.db'}"
    return House(shell, str(folder / "touchstone.keys") if dsn else None)


@pytest.fixture
def old(tmp_path: Path) -> House:
    """A ledger with a customer who has a name and an order, and a line in quarantine."""
    house = house_at(tmp_path / "old")
    assert house("init").code == 0
    record(house.shell, described(name=NAME), order("A1", "12.50", "2026-01-05T10:00:00Z"))
    assert house("append", stdin=b"broken").code == 3
    return house


@pytest.fixture
def new(tmp_path: Path) -> House:
    return house_at(tmp_path / "new")


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Where the backup goes, and where its keys go."""
    return str(tmp_path / "a.backup"), str(tmp_path / "a.keys")


def shown(house: House) -> object:
    """A customer as the command shows it."""
    return house("customer", "show", "customer:42", "-o", "json").json


def test_a_customer_moves_from_sqlite_to_postgres_and_back(
    old: House, files: tuple[str, str], postgres_database: str, tmp_path: Path
) -> None:
    backup, keys = files
    ran = old("backup", backup, "--keys", keys, "-o", "json")
    assert (ran.code, ran.json) == (0, {"touchpoints": 2, "head": 2})
    server = house_at(tmp_path / "server", postgres_database)
    ran = server("restore", backup, "--keys", keys, "-o", "json")
    assert (ran.code, ran.json) == (0, {"touchpoints": 2, "head": 2}), ran.err
    back = house_at(tmp_path / "back")
    assert server("backup", backup, "--keys", keys, "--yes").code == 0
    assert back("restore", backup, "--keys", keys).code == 0
    for house in (server, back):
        assert shown(house) == shown(old)
        assert house("log", "list", "-o", "json").json == old("log", "list", "-o", "json").json
        assert house("quarantine", "show", "1", "--bytes", *IN_CLEAR).out == "broken\n"
        assert NAME in house("customer", "show", "customer:42", *IN_CLEAR).out
        checks = {c["check"]: c["ok"] for c in house("doctor", "-o", "json").json}
        assert checks == {c["check"]: c["ok"] for c in old("doctor", "-o", "json").json}


def test_without_keys_a_backup_says_that_it_holds_none_and_wants_them_at_the_place(
    old: House, new: House, files: tuple[str, str]
) -> None:
    backup, _ = files
    ran = old("backup", backup)
    assert (ran.code, "holds no key" in ran.err) == (0, True)
    ran = new("restore", backup)
    assert (ran.code, "--keys FILE" in ran.err) == (9, True)
    for name in ("keys", "keyring"):
        there = old.shell.folder / f"touchstone.db.{name}"
        (new.shell.folder / there.name).write_bytes(there.read_bytes())
    assert new("restore", backup).code == 0
    assert shown(new) == shown(old)


def test_the_option_before_the_command_names_the_ledgers_own_key_file(
    old: House, new: House, files: tuple[str, str], tmp_path: Path
) -> None:
    backup, carried = files
    own = str(tmp_path / "own.keys")
    assert old("backup", backup, "--keys", carried).code == 0
    assert new("--keys", own, "restore", backup, "--keys", carried).code == 0
    assert new("customer", "list").code == 9
    assert new("--keys", own, "customer", "list").code == 0


def test_a_place_with_a_ledger_is_refused_and_left_as_it_is(
    old: House, new: House, files: tuple[str, str]
) -> None:
    backup, keys = files
    old("backup", backup, "--keys", keys)
    for house in (old, new):
        house("init")
        house("append", stdin=order_line(1))
        before = house("log", "list").out
        ran = house("restore", backup, "--keys", keys)
        assert (ran.code, "none is yet" in ran.err) == (6, True)
        assert house("log", "list").out == before


def test_a_damaged_file_is_refused_before_anything_is_made(
    old: House, new: House, files: tuple[str, str]
) -> None:
    backup, keys = files
    old("backup", backup, "--keys", keys)
    whole = Path(backup).read_bytes()
    Path(backup).write_bytes(whole[:-50])
    ran = new("restore", backup, "--keys", keys)
    assert (ran.code, "take another copy" in ran.err) == (5, True)
    assert not any(new.shell.folder.iterdir())


def test_an_earlier_backup_is_replaced_with_yes_and_any_other_file_never(
    old: House, files: tuple[str, str]
) -> None:
    backup, keys = files
    old("backup", backup, "--keys", keys)
    ran = old("backup", backup)
    assert (ran.code, "--yes" in ran.err) == (2, True)
    assert old("backup", backup, "--yes").code == 0
    for place in (str(old.shell.folder / "touchstone.db"), keys):
        before = Path(place).read_bytes()
        ran = old("backup", place, "--yes")
        assert (ran.code, "left as it is" in ran.err) == (1, True)
        assert Path(place).read_bytes() == before


def test_wrong_use_is_told(old: House, new: House, files: tuple[str, str]) -> None:
    backup, keys = files
    assert old("backup", backup, "--keys", backup).code == 2
    assert new("backup", backup).code == 10
    assert new("restore", backup).code == 2
    old("backup", backup)
    assert new("restore", backup, "--keys", keys).code == 2
    assert new("restore", keys).code == 2


@contextmanager
def interrupted_once_there_is(path: Path) -> Iterator[None]:
    """Send this process SIGINT, as Ctrl-C does, as soon as a file appears."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.001):
            if path.exists():
                os.kill(os.getpid(), signal.SIGINT)
                return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def test_interrupted_they_leave_nothing_half_done_and_can_be_repeated(
    old: House, new: House, files: tuple[str, str]
) -> None:
    lines = (order_line(n, f"customer:{n}") for n in range(TOUCHPOINTS))
    assert old("append", "-q", "--no-follow", stdin=b"\n".join(lines)).code == 0
    backup, keys = files
    with interrupted_once_there_is(Path(backup + ".partial")):
        ran = old("backup", backup, "--keys", keys)
    assert (ran.code, "no backup was written" in ran.err) == (130, True)
    assert {p.name for p in Path(backup).parent.iterdir()} == {"old", "new"}
    assert old("backup", backup, "--keys", keys).code == 0
    with interrupted_once_there_is(new.shell.folder / "touchstone.db-wal"):
        ran = new("restore", backup, "--keys", keys, "--no-follow")
    assert (ran.code, "nothing was restored" in ran.err) == (130, True)
    assert new("log", "list").json == []
    ran = new("restore", backup, "--keys", keys, "--no-follow", "-o", "json")
    assert ran.json == {"touchpoints": TOUCHPOINTS + 2, "head": TOUCHPOINTS + 2}
