"""`touchstone follow` as a service manager runs it: processes, signals, crashes, health."""

import io
import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.demo_year import benchmark_lines
from cli.following import Telling
from ledger.address import Address
from ledger.intake import take
from ledger.ledger import Ledger, open_ledger
from ledger.lines import read_touchpoints
from ledger.postgres.address import PostgresAddress
from projections.orders import ORDERS
from projections.pulse import Health, State, ViewHealth
from tests.cli.running import Shell, order_line, program
from tests.domain.loyalty_facts import order
from tests.places import Places, plain_connection
from tests.projections.ledgers import changed, position_of, tell

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30
BACKLOG = 1_000
"""With so many touchpoints behind, a follower wants to rebuild, where a test says so."""


def one_more(ledger: Ledger, number: int) -> None:
    tell(ledger, changed(order("2026-01-05", f"A{number}", 1_000), id=f"{number}"))


def until(reached: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


class Process:
    """A follower of its own, whose health is read from its file."""

    def __init__(
        self, address: Address, file: Path, *arguments: str, tuned: Mapping[str, float]
    ) -> None:
        self.file = file
        url = address.url
        self.popen = subprocess.Popen(
            [*program(tuned), "--ledger", url, "--keys", str(address.keys),
             "follow", "--workers", "1", "--health", str(file), *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def health(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.file.read_text())
        except FileNotFoundError:
            return {"state": "not started"}
        return found

    def becomes(self, state: str) -> None:
        until(lambda: self.health()["state"] == state, f"it is {self.health()}, not {state}")

    def ended(self, number: signal.Signals) -> tuple[int, str]:
        """Signal it, and wait for its end: exit code and standard error."""
        self.popen.send_signal(number)
        _, err = self.popen.communicate(timeout=PATIENCE_SECONDS)
        return self.popen.returncode, err


@contextmanager
def process(address: Address, file: Path, *arguments: str, **tuned: float) -> Iterator[Process]:
    started = Process(address, file, *arguments, tuned=tuned)
    try:
        yield started
    finally:
        started.popen.kill()
        started.popen.communicate()


def test_the_standby_takes_over_when_the_follower_is_killed(
    address: Address, ledger: Ledger, tmp_path: Path
) -> None:
    with process(address, tmp_path / "a.json") as first:
        first.becomes("caught_up")
        with process(address, tmp_path / "b.json") as second:
            second.becomes("standby")
            one_more(ledger, 1)
            until(lambda: position_of(ledger, ORDERS) == 1, "nobody follows")
            code, _ = first.ended(signal.SIGKILL)
            assert code == -signal.SIGKILL
            killed = time.monotonic()
            one_more(ledger, 2)
            until(lambda: position_of(ledger, ORDERS) == 2, "nobody takes over")
            assert time.monotonic() - killed < 10
            second.becomes("caught_up")
            code, err = second.ended(signal.SIGTERM)
    assert code == 143
    assert (
        "another process follows customers, tickets, loyalty, orders, consents: standing by" in err
    )
    assert "customers, tickets, loyalty, orders, consents: up to date at position" in err
    assert "Traceback" not in err
    assert not second.file.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_at_once(
    address: Address, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with process(address, tmp_path / "health.json", "--poll", "10") as follower:
        follower.becomes("caught_up")
        time.sleep(0.3)
        started = time.monotonic()
        ended, err = follower.ended(number)
        assert time.monotonic() - started < 5
    assert ended == code
    assert "`follow` goes on with it" in err


def test_a_connection_that_the_server_ends_is_made_anew_and_said_once(
    postgres_places: Places, tmp_path: Path
) -> None:
    address = postgres_places.taken()
    assert isinstance(address, PostgresAddress)
    with open_ledger(address) as ledger, process(address, tmp_path / "h.json") as follower:
        follower.becomes("caught_up")
        with plain_connection(address) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' "
                "AND pid <> pg_backend_pid()"
            )
        one_more(ledger, 1)
        until(lambda: position_of(ledger, ORDERS) == 1, "it does not go on")
        follower.becomes("caught_up")
        code, err = follower.ended(signal.SIGTERM)
    assert code == 143
    assert err.count("cannot be reached") == 1
    assert "reached again after" in err
    postgres_places.give_back(address)


def fetched(port: int, path: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            told = refused.read()
            return refused.code, json.loads(told) if told.startswith(b"{") else {}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_health_is_answered_by_http_and_tells_stuck_from_well(
    address: Address, ledger: Ledger, tmp_path: Path
) -> None:
    lines = io.BytesIO(b"\n".join(benchmark_lines(50, BACKLOG)))
    take(ledger, read_touchpoints(lines, "test", "lines"))
    port = free_port()
    options = ("--health-port", str(port), "--stuck-after", "1", "--poll", "0.2")
    tuned = {"projections.follow.REBUILD_BACKLOG_MIN": BACKLOG}
    with process(address, tmp_path / "h.json", *options, **tuned) as follower:
        with ledger.store.exclusively("rebuild"):  # so long it cannot do what it needs to
            follower.becomes("stuck")
            code, told = fetched(port, "/healthz")
            assert (code, told["state"]) == (503, "stuck")
            assert "under way" in told["reason"]
        follower.becomes("caught_up")
        code, told = fetched(port, "/readyz")
        assert (code, told["state"], told["reason"]) == (200, "caught_up", None)
        assert [(view["name"], view["lag"]) for view in told["views"]] == [
            ("customers", 0), ("tickets", 0), ("loyalty", 0), ("orders", 0), ("consents", 0),
        ]  # fmt: skip
        assert fetched(port, "/else")[0] == 404
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            metrics = answer.read().decode().splitlines()
        assert {"touchstone_up 1.0", 'touchstone_view_lag{view="orders"} 0.0'} <= set(metrics)
        _, err = follower.ended(signal.SIGTERM)
    assert "held up: a rebuild of this ledger is under way" in err
    assert f"stuck, {BACKLOG:,} touchpoints" in err


def test_once_ends_at_the_end_of_the_log_and_shows_the_views(shell: Shell) -> None:
    assert shell("append", "--no-follow", stdin=b"\n".join(map(order_line, range(9)))).code == 0
    behind = {view["name"]: view for view in shell("projection", "list").json}["orders"]
    assert (behind["lag"], behind["lag_seconds"] > 0) == (9, True)
    ran = shell("follow", "--once", "orders", "customers")
    assert ran.code == 0
    assert {v["name"]: v["lag"] for v in ran.json} == {
        "customers": 0, "orders": 0, "tickets": 9, "loyalty": 9, "consents": 9,
    }  # fmt: skip
    assert shell("follow", "--once").code == 0
    assert [view["lag_seconds"] for view in shell("projection", "list").json] == [0] * 5


def test_once_waits_for_another_follower_to_come_to_the_end(
    address: Address, ledger: Ledger, tmp_path: Path
) -> None:
    with process(address, tmp_path / "a.json") as first:
        first.becomes("caught_up")
        one_more(ledger, 1)
        with process(address, tmp_path / "b.json", "--once") as second:
            out, err = second.popen.communicate(timeout=PATIENCE_SECONDS)
    assert (second.popen.returncode, len(out.splitlines())) == (0, 5), err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nothing",), 4, "there is no view nothing"),
        (("--poll", "0"), 2, "--poll"),
        (("--health-port", "70000"), 2, "--health-port"),
        (("--once", "--health", "no/such/folder/file"), 1, "No such file"),
    ],
)
def test_what_cannot_be_is_refused(
    shell: Shell, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ran = shell("follow", *arguments)
    assert (ran.code, words in ran.err) == (code, True), ran.err


def test_a_port_that_is_taken_is_an_error(shell: Shell) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ran = shell("follow", "--once", "--health-port", str(other.getsockname()[1]))
    assert (ran.code, "in use" in ran.err) == (1, True), ran.err


def health(state: State, lag: int = 0, seconds: float = 0.0, reason: str | None = None) -> Health:
    view = ViewHealth(
        name="orders", position=1_000 - lag, head=1_000, lag=lag, lag_seconds=seconds, state=state
    )
    return Health(state=state, since="", at="", reason=reason, views=[view])


class TestTelling:
    """People are told changes, each once; who is behind for a moment is not worth a line."""

    @pytest.fixture
    def said(self) -> list[str]:
        return []

    @pytest.fixture
    def telling(self, said: list[str]) -> Telling:
        return Telling(said.append)

    def test_the_same_is_said_once(self, telling: Telling, said: list[str]) -> None:
        for _ in range(9):
            telling(health("caught_up"))
            telling(health("moving", lag=10, seconds=0.2))
        assert said == ["orders: up to date at position 1,000"]

    def test_how_far_it_is_behind_is_said_again_with_rate_and_time_to_go(
        self, telling: Telling, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [100.0]
        monkeypatch.setattr("cli.following.time.monotonic", lambda: now[0])
        for lag in (900, 850, 300):
            telling(health("moving", lag=lag, seconds=60))
            now[0] += 20
        assert said == [
            "orders: 900 touchpoints (0:01:00) behind",
            "orders: 300 touchpoints (0:01:00) behind; 15/s, about 20.0 s to go",
        ]

    def test_a_lost_ledger_is_said_once_and_that_it_is_back(
        self, telling: Telling, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [100.0]
        monkeypatch.setattr("cli.following.time.monotonic", lambda: now[0])
        telling(health("caught_up"))
        for _ in range(5):
            now[0] += 1
            telling(health("disconnected", reason="it is away"))
        telling(health("caught_up"))
        assert said[1:] == [
            "it is away; it is tried again until it answers",
            "reached again after 4.0 s",
            "orders: up to date at position 1,000",
        ]

    def test_a_view_of_another_version_is_named_with_what_mends_it(
        self, telling: Telling, said: list[str]
    ) -> None:
        for _ in range(3):
            telling(health("outdated", lag=5, seconds=90))
        assert len(said) == 1
        assert "`touchstone projection rebuild orders`" in said[0]
