"""Processes that are killed while they load: nothing acknowledged is lost, nothing is doubled."""

import random
import signal
import time
from pathlib import Path

import pytest

from ledger.address import parse_url
from ledger.ledger import create_ledger, open_ledger
from ledger.receipt import Receipt
from ledger.sqlite.address import SQLiteAddress
from projections.registry import PROJECTIONS
from projections.verify import verify
from tests.crash.launching import Child, Launcher, wait_until
from tests.crash.loading import LINES, Load, head_of, identities, made_up, opening
from tests.crash.oracle import names_in
from tests.ledger.sending import adds_up, positions, versions, waiting
from tests.places import plain_connection

SEED = int(time.time())
KILLS = 50
WINDOW_LINES = 2_000
BUDGET_SECONDS = 15.0
"""How long the killing may take; on a slow machine the delays are shortened to fit."""

INTERRUPTED_LINES = 6_000


@pytest.fixture
def load() -> Load:
    return made_up(SEED)


@pytest.fixture
def address(tmp_path: Path) -> SQLiteAddress:
    address = parse_url(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert isinstance(address, SQLiteAddress)
    create_ledger(address)
    return address


def written(load: Load, folder: Path) -> Path:
    path = folder / "load.ndjson"
    path.write_bytes(b"\n".join(load.lines))
    return path


def started(children: Launcher, address: SQLiteAddress, *arguments: str) -> Child:
    """A process of the command line."""
    return children.start("command", *opening(address), "-q", *arguments)


def finished(child: Child) -> tuple[int, dict[str, int]]:
    """Wait for its end: the exit code, and the receipt that it printed."""
    code = child.wait()
    assert child.lines(), f"no receipt; exit code {code}: {child.err.read_text()}"
    (receipt,) = child.lines()
    return code, receipt


class Killing:
    """Loads window after window of the lines, and kills each process at a random moment."""

    def __init__(
        self, address: SQLiteAddress, children: Launcher, load: Load, folder: Path
    ) -> None:
        self._address = address
        self._children = children
        self._load = load
        self._folder = folder
        self._chance = random.Random(SEED)
        self._began = time.monotonic()
        self.kills = 0
        self.seen: list[list[str]] = []

    def _started(self, attempt: int, *options: str) -> Child:
        start = attempt * (LINES - WINDOW_LINES) // KILLS % (LINES - WINDOW_LINES)
        path = self._folder / "window.ndjson"
        path.write_bytes(b"\n".join(self._load.lines[start : start + WINDOW_LINES]))
        return started(self._children, self._address, "append", str(path), *options)

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
            child = self._started(attempt, *options)
            self.kills += child.killed_after(self._chance.uniform(0.0, 1.0) * longest)
            assert child.code in (-signal.SIGKILL, 0, 3), child.err.read_text()
            self.seen.append(identities(self._address))


def test_fifty_kills_lose_nothing_and_double_nothing(
    address: SQLiteAddress, children: Launcher, load: Load, tmp_path: Path
) -> None:
    killing = Killing(address, children, load, tmp_path)
    killing.run()
    whole = written(load, tmp_path)
    code, receipt = finished(started(children, address, "append", str(whole)))
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
    """`import` of a CSV file with INTERRUPTED_LINES rows."""
    rows = (f"{n},{n % 99},2026-01-05T10:00:00Z,{n}.50\n" for n in range(INTERRUPTED_LINES))
    (tmp_path / "rows.csv").write_text("number,customer,when,total\n" + "".join(rows))
    (tmp_path / "map.toml").write_text(MAPPING)
    return ["import", str(tmp_path / "rows.csv"), "--mapping", str(tmp_path / "map.toml")]


def _finishes_what_was_interrupted(
    address: SQLiteAddress,
    children: Launcher,
    arguments: list[str],
    number: signal.Signals,
    recordable: int,
) -> None:
    """Send a signal as soon as the first group is in the log; then let it run again."""
    child = started(children, address, *arguments)
    wait_until(lambda: head_of(address) > 0)
    child.signal(number)
    code, fields = finished(child)
    receipt = Receipt(**fields)
    assert code == 128 + number
    assert adds_up(receipt)
    assert 0 < receipt.recorded == receipt.head == head_of(address) < recordable
    code, fields = finished(started(children, address, *arguments))
    assert code in (0, 3)
    assert fields["duplicate"] == receipt.recorded
    assert fields["recorded"] == recordable - receipt.recorded
    assert len(identities(address)) == recordable


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_append_after_the_group_in_hand_and_again_goes_on(
    address: SQLiteAddress, children: Launcher, tmp_path: Path, number: signal.Signals
) -> None:
    load = made_up(SEED, INTERRUPTED_LINES)
    arguments = ["append", str(written(load, tmp_path))]
    _finishes_what_was_interrupted(address, children, arguments, number, len(load.ids))


def test_a_signal_ends_an_import_after_the_group_in_hand_and_again_goes_on(
    address: SQLiteAddress, children: Launcher, import_arguments: list[str]
) -> None:
    _finishes_what_was_interrupted(
        address, children, import_arguments, signal.SIGTERM, INTERRUPTED_LINES
    )
