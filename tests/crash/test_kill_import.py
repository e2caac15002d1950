"""Processes that are killed while they load: nothing acknowledged is lost, nothing is doubled."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ledger.address import parse_url
from ledger.ledger import create_ledger, open_ledger
from ledger.receipt import Receipt
from ledger.sqlite.address import SQLiteAddress
from projections.registry import PROJECTIONS
from projections.verify import verify
from tests.crash.loading import (
    LINES,
    PATIENCE_SECONDS,
    Load,
    command,
    finished,
    head_of,
    identities,
    made_up,
)
from tests.crash.oracle import names_in
from tests.ledger.sending import adds_up, positions, versions, waiting
from tests.places import plain_connection

SEED = int(time.time())
KILLS = 50
WINDOW_LINES = 4_000
BUDGET_SECONDS = 50.0
"""How long the killing may take; on a slow machine the delays are shortened to fit."""


@pytest.fixture(scope="module")
def load() -> Load:
    return made_up(SEED)


@pytest.fixture
def address(tmp_path: Path) -> SQLiteAddress:
    address = parse_url(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert isinstance(address, SQLiteAddress)
    create_ledger(address)
    return address


@pytest.fixture
def whole_file(load: Load, tmp_path: Path) -> Path:
    path = tmp_path / "load.ndjson"
    path.write_bytes(b"\n".join(load.lines))
    return path


def killed_after(process: "subprocess.Popen[str]", seconds: float) -> bool:
    """Kill the process and its workers after so long; False when it was done before."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode in (-signal.SIGKILL, 0, 3)
    return process.returncode == -signal.SIGKILL


class Killing:
    """Loads window after window of the lines, and kills each process at a random moment."""

    def __init__(
        self, address: SQLiteAddress, load: Load, folder: Path, chance: random.Random
    ) -> None:
        self._address = address
        self._load = load
        self._folder = folder
        self._chance = chance
        self._began = time.monotonic()
        self.kills = 0
        self.seen: list[list[str]] = []

    def _started(self, attempt: int, *options: str) -> "subprocess.Popen[str]":
        start = attempt * (LINES - WINDOW_LINES) // KILLS % (LINES - WINDOW_LINES)
        path = self._folder / "window.ndjson"
        path.write_bytes(b"\n".join(self._load.lines[start : start + WINDOW_LINES]))
        return command(self._address, "append", str(path), *options)

    def _undisturbed_seconds(self) -> float:
        began = time.monotonic()
        finished(self._started(0))
        return time.monotonic() - began

    def run(self) -> None:
        """Kill KILLS processes, and note after each what a reader finds in the log."""
        undisturbed = self._undisturbed_seconds()
        attempt = 0
        while self.kills < KILLS:
            attempt += 1
            left = BUDGET_SECONDS - (time.monotonic() - self._began)
            longest = max(0.05, min(undisturbed, 1.5 * left / (KILLS - self.kills)))
            options = self._chance.choice((["--no-follow"], []))
            process = self._started(attempt, *options)
            self.kills += killed_after(process, self._chance.uniform(0.25, 1.0) * longest)
            self.seen.append(identities(self._address))


def test_fifty_kills_lose_nothing_and_double_nothing(
    address: SQLiteAddress, load: Load, whole_file: Path, tmp_path: Path
) -> None:
    killing = Killing(address, load, tmp_path, random.Random(SEED))
    killing.run()
    code, receipt = finished(command(address, "append", str(whole_file)))
    assert (code, adds_up(Receipt(**receipt))) == (3, True)
    assert (receipt["received"], receipt["conflict"]) == (LINES, 0)
    assert receipt["quarantined"] == load.broken
    recorded = identities(address)
    assert sorted(recorded) == sorted(load.ids)
    for before in killing.seen:
        assert recorded[: len(before)] == before
    assert len({len(before) for before in killing.seen}) > 1, "no kill came while it was loading"
    _check(address, load)


def _check(address: SQLiteAddress, load: Load) -> None:
    """The ledger after all that: sound, readable, gap-free, with views as a fresh fold has them."""
    with plain_connection(address) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with open_ledger(address) as ledger:
        assert ledger.log.head().position == len(positions(ledger)) == len(load.ids)
        for inside in versions(ledger).values():
            assert inside == list(range(1, len(inside) + 1))
        assert len(waiting(ledger)) == load.broken
        assert names_in(ledger) == load.names
        for view in PROJECTIONS:
            result = verify(ledger, view)
            assert (result.name, result.differences) == (view.name, 0)
            assert result.position == len(load.ids)


MAPPING = """
source = "till"
[rows]
format = "csv"
[[touchpoint]]
type = "order.completed.v1"
id = "{number}"
subject = "customer:{customer}"
time = "{when}"
[touchpoint.data]
order_id = "{number}"
total = { amount = { column = "total", as = "decimal" }, currency = "EUR" }
"""


@pytest.fixture
def import_arguments(tmp_path: Path) -> list[str]:
    """`import` of a CSV file with as many rows as the load has lines."""
    rows = (f"{n},{n % 99},2026-01-05T10:00:00Z,{n}.50\n" for n in range(LINES))
    (tmp_path / "rows.csv").write_text("number,customer,when,total\n" + "".join(rows))
    (tmp_path / "map.toml").write_text(MAPPING)
    return ["import", str(tmp_path / "rows.csv"), "--mapping", str(tmp_path / "map.toml")]


def _interrupted(address: SQLiteAddress, arguments: list[str], number: int) -> tuple[int, Receipt]:
    """Send a signal as soon as the first group is in the log."""
    process = command(address, *arguments)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while head_of(address) == 0 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    code, receipt = finished(process)
    return code, Receipt(**receipt)


def _finishes_what_was_interrupted(
    address: SQLiteAddress, arguments: list[str], number: int, recordable: int
) -> None:
    code, receipt = _interrupted(address, arguments, number)
    assert code == 128 + number
    assert adds_up(receipt)
    assert 0 < receipt.recorded == receipt.head == head_of(address) < recordable
    code, fields = finished(command(address, *arguments))
    assert code in (0, 3)
    assert fields["duplicate"] == receipt.recorded
    assert fields["recorded"] == recordable - receipt.recorded
    assert len(identities(address)) == recordable


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_append_after_the_group_in_hand_and_again_goes_on(
    address: SQLiteAddress, whole_file: Path, load: Load, number: int
) -> None:
    arguments = ["append", str(whole_file)]
    _finishes_what_was_interrupted(address, arguments, number, len(load.ids))


def test_a_signal_ends_an_import_after_the_group_in_hand_and_again_goes_on(
    address: SQLiteAddress, import_arguments: list[str]
) -> None:
    _finishes_what_was_interrupted(address, import_arguments, signal.SIGTERM, LINES)
