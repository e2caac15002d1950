"""The follower that never ends: on both stores, with others beside it, and when things go wrong."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from ledger.address import Address, parse_url
from ledger.errors import Locked, SchemaMismatch, Unreachable
from ledger.intake import Stop
from ledger.ledger import Ledger, create_ledger, open_ledger
from ledger.postgres.address import PostgresAddress
from ledger.progress import silent
from ledger.sqlite.address import SQLiteAddress
from projections import following
from projections.following import Following, Pace
from projections.orders import ORDERS
from projections.pulse import Health, Pulse
from projections.query import Lag, lags
from projections.rebuild import Interrupted
from projections.registry import PROJECTIONS
from tests.domain.loyalty_facts import order
from tests.places import Places, plain_connection
from tests.projections.ledgers import changed, position_of, tell
from tests.servers.postgres import temporary_server

PATIENCE_SECONDS = 30
POLL_SECONDS = 0.3


@pytest.fixture
def ledger(address: Address) -> Iterator[Ledger]:
    with open_ledger(address) as opened:
        yield opened


def one_more(ledger: Ledger, number: int) -> None:
    tell(ledger, changed(order("2026-01-05", f"A{number}", 1_000), id=f"{number}"))


def followed(ledger: Ledger, number: int) -> bool:
    return position_of(ledger, ORDERS) == number


def until(reached: Callable[[], bool], otherwise: str) -> float:
    """Wait for it; returns how many seconds that took."""
    started = time.monotonic()
    while not reached():
        assert time.monotonic() - started < PATIENCE_SECONDS, otherwise
        time.sleep(0.01)
    return time.monotonic() - started


@dataclass
class Running:
    """A follower in a thread, with what it has told of its health."""

    pulse: Pulse
    stop: Stop = field(default_factory=Stop)
    states: list[str] = field(default_factory=list)
    ended: list[BaseException] = field(default_factory=list)

    def looked(self) -> None:
        state = self.pulse.health().state
        if self.states[-1:] != [state]:
            self.states.append(state)


@contextmanager
def running(
    address: Address, views: Any = PROJECTIONS, poll: float = POLL_SECONDS
) -> Iterator[Running]:
    """A follower with connections of its own, stopped at the end."""
    shown = Running(Pulse(stuck_seconds=30))

    @contextmanager
    def progress() -> Iterator[Any]:
        yield silent

    def run() -> None:
        with open_ledger(address) as ledger:
            try:
                Following(
                    ledger,
                    views,
                    shown.pulse,
                    progress=progress,
                    looked=shown.looked,
                    pace=Pace(poll_seconds=poll),
                    stop=shown.stop,
                ).run()
            except BaseException as error:  # noqa: BLE001 - the test looks at how it ended
                shown.ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield shown
    finally:
        shown.stop.signal = 15
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "the follower does not stop"


def test_what_is_recorded_is_followed_at_once(address: Address, ledger: Ledger) -> None:
    with running(address, poll=20) as follower:
        for number in range(1, 4):
            one_more(ledger, number)
            waited = until(partial(followed, ledger, number), "it is not followed")
            assert waited < 15, "it was not told that the log had grown"
        follower.stop.signal = 15
        one_more(ledger, 4)  # wakes it, so that it sees that it is to stop


def test_a_lost_notification_costs_no_more_than_a_look(
    address: Address, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.postgres.recorder.CHANNEL", "nobody_listens")
    with running(address):
        one_more(ledger, 1)
        waited = until(lambda: position_of(ledger, ORDERS) == 1, "it is never followed")
        assert waited < POLL_SECONDS + 5


def test_a_stop_ends_it_in_order(address: Address, ledger: Ledger) -> None:
    with running(address) as follower:
        until(lambda: "caught_up" in follower.states, "it does not start")
    assert [type(error) for error in follower.ended] == [Interrupted]


def test_one_follows_and_the_other_stands_by_until_it_ends(
    address: Address, ledger: Ledger
) -> None:
    with running(address) as first:
        until(lambda: first.states[-1:] == ["caught_up"], "the first does not follow")
        with running(address) as second:
            until(lambda: second.states[-1:] == ["standby"], "the second does not stand by")
            one_more(ledger, 1)
            until(lambda: position_of(ledger, ORDERS) == 1, "the first does not go on")
            assert second.states == ["standby"]
            first.stop.signal = 15
            until(lambda: second.states[-1:] == ["caught_up"], "the second does not take over")
            one_more(ledger, 2)
            until(lambda: position_of(ledger, ORDERS) == 2, "the second does not follow")


def test_each_view_is_claimed_for_itself(address: Address, ledger: Ledger) -> None:
    with running(address, [ORDERS]) as first:
        until(lambda: first.states[-1:] == ["caught_up"], "the first does not follow")
        with running(address) as second:
            until(lambda: bool(second.pulse.health().views), "the second does not look")
            found = {view.name: view.state for view in second.pulse.health().views}
    assert found.pop("orders") == "standby"
    assert set(found.values()) == {"caught_up"}


def test_a_claim_excludes_who_would_do_the_same_alone_and_ends_with_its_session(
    ledger: Ledger,
) -> None:
    with ledger.store.listening() as first, ledger.store.listening() as second:
        assert first.claim(["a", "b"]) == {"a", "b"}
        assert second.claim(["b", "c"]) == {"c"}
        assert first.claim(["a"]) == {"a"}
        with pytest.raises(Locked), ledger.store.exclusively("a"):
            pass
    with ledger.store.listening() as third:
        assert third.claim(["a", "b", "c"]) == {"a", "b", "c"}


def test_a_session_waits_until_the_log_grows_and_hears_what_came_before(ledger: Ledger) -> None:
    with ledger.store.listening() as session:
        one_more(ledger, 1)
        started = time.monotonic()
        session.wait(20)
        assert time.monotonic() - started < 10
        session.wait(0.05)
        started = time.monotonic()
        session.wait(0.3)
        assert time.monotonic() - started >= 0.25


def test_other_ledgers_of_the_same_database_wake_nobody(postgres_places: Places) -> None:
    mine, other = postgres_places.taken(), postgres_places.taken()
    with (
        open_ledger(mine) as ledger,
        open_ledger(other) as neighbour,
        ledger.store.listening() as session,
        neighbour.store.listening() as there,
    ):
        one_more(neighbour, 1)
        there.wait(10)
        started = time.monotonic()
        session.wait(0.4)
        assert time.monotonic() - started >= 0.35
    for address in (mine, other):
        postgres_places.give_back(address)


def test_a_view_that_is_being_rebuilt_elsewhere_is_waited_for(
    address: Address, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.follow.REBUILD_BACKLOG_MIN", 1)
    one_more(ledger, 1)
    with ledger.store.exclusively("rebuild"), running(address) as follower:
        until(lambda: "under way" in str(follower.pulse.health().reason), "nothing is in its way")
        assert follower.pulse.health().state == "moving"
    with running(address) as follower:
        until(lambda: position_of(ledger, ORDERS) == 1, "it does not go on")
        until(lambda: follower.pulse.health().reason is None, "it still says what was in its way")


def test_a_ledger_of_a_later_schema_is_not_waited_for(address: Address, ledger: Ledger) -> None:
    with plain_connection(address) as connection:
        if isinstance(address, SQLiteAddress):
            connection.execute("PRAGMA user_version = 99")
        else:
            connection.execute("UPDATE schema_version SET version = 99")
    found = Following(ledger, PROJECTIONS, Pulse(30), progress=lambda: pytest.fail("no progress"))
    with pytest.raises(SchemaMismatch):
        found.run()


def test_a_restart_of_the_server_is_survived(tmp_path: Any) -> None:
    with temporary_server() as server:
        address = parse_url(server.created("business"), tmp_path / "keys")
        create_ledger(address)
        with open_ledger(address) as ledger, running(address) as follower:
            one_more(ledger, 1)
            until(lambda: position_of(ledger, ORDERS) == 1, "it does not follow")
            server.stop("immediate")
            until(lambda: follower.states[-1:] == ["disconnected"], "it does not notice")
            assert "cannot be reached" in str(follower.pulse.health().reason)
            time.sleep(0.5)
            server.start()
            until(lambda: follower.states[-1:] == ["caught_up"], "it does not come back")
        with open_ledger(address) as ledger, running(address):
            one_more(ledger, 2)
            until(lambda: position_of(ledger, ORDERS) == 2, "it does not go on")


def test_a_session_that_the_server_has_ended_is_known_to_be_lost(postgres_places: Places) -> None:
    address = postgres_places.taken()
    assert isinstance(address, PostgresAddress)
    with open_ledger(address) as ledger, ledger.store.listening() as session:
        session.claim(["a"])
        with plain_connection(address) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks "
                "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        with pytest.raises(Unreachable):
            session.claim(["a"])
        with pytest.raises(Unreachable):
            session.wait(0.1)
    postgres_places.give_back(address)


def test_followers_that_overtake_each_other_do_no_harm(
    address: Address, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(range(1_000))
    monkeypatch.setattr(following, "claim_of", lambda view: f"{view.name}-{next(names)}")
    with running(address, poll=0.05) as first, running(address, poll=0.05) as second:
        for number in range(1, 40):
            one_more(ledger, number)
        until(lambda: position_of(ledger, ORDERS) == 39, "they do not follow")
        until(lambda: first.states[-1:] == ["caught_up"], "the first fails")
        until(lambda: second.states[-1:] == ["caught_up"], "the second fails")
    assert [type(error) for error in [*first.ended, *second.ended]] == [Interrupted] * 2


def test_lag_is_counted_in_touchpoints_and_by_the_age_of_the_oldest(address: Address) -> None:
    now = 1_800_000_000_000_000
    with open_ledger(address, lambda: now) as ledger:
        one_more(ledger, 1)
    with open_ledger(address, lambda: now + 2_500_000) as ledger:
        one_more(ledger, 2)
        found = {lag.name: (lag.state, lag.lag, lag.lag_seconds) for lag in lags(ledger, [ORDERS])}
    assert found == {"orders": ("empty", 2, 2.5)}


@dataclass
class Ticks:
    """A clock that is set by hand, in seconds."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def lag(position: int, head: int, name: str = "orders", state: str = "behind") -> Lag:
    seconds = float(position < head)
    return Lag(
        name=name, version=1, state=state, position=position, head=head,
        lag=head - position, lag_seconds=seconds,
    )  # fmt: skip


ALL = frozenset({"orders", "tickets"})


class TestPulse:
    """What a follower shows of itself: behind but moving is well, stuck is not."""

    @pytest.fixture
    def ticks(self) -> Ticks:
        return Ticks()

    @pytest.fixture
    def pulse(self, ticks: Ticks) -> Pulse:
        return Pulse(30, ticks=ticks, clock=lambda: round(ticks() * 1_000_000))

    def told(self, pulse: Pulse) -> tuple[str, bool]:
        health: Health = pulse.health()
        return health.state, health.good

    def test_it_is_not_well_before_it_has_looked(self, pulse: Pulse) -> None:
        assert self.told(pulse) == ("disconnected", False)

    def test_who_is_behind_and_moves_is_well_however_long_it_takes(
        self, pulse: Pulse, ticks: Ticks
    ) -> None:
        for step in range(100):
            pulse.saw([lag(step, 1_000)], ALL)
            assert self.told(pulse) == ("moving", True)
            ticks.now += 20

    def test_who_is_behind_and_does_not_move_is_stuck_after_the_time(
        self, pulse: Pulse, ticks: Ticks
    ) -> None:
        for second in range(60):
            pulse.saw([lag(5, 10 + second)], ALL)
            assert self.told(pulse)[0] == ("moving" if second <= 30 else "stuck")
            ticks.now += 1
        assert self.told(pulse) == ("stuck", False)
        assert pulse.health().since == "1970-01-01T00:16:40Z"
        pulse.saw([lag(6, 100)], ALL)
        assert self.told(pulse) == ("moving", True)

    def test_a_rebuild_that_goes_on_is_movement_and_one_that_does_not_is_none(
        self, pulse: Pulse, ticks: Ticks
    ) -> None:
        pulse.saw([lag(0, 10)], ALL)
        for done in range(60):
            pulse.progressed("folding", done)
            ticks.now += 1
            assert self.told(pulse) == ("moving", True)
        for _ in range(40):
            pulse.progressed("folding", 59)
            ticks.now += 1
        assert self.told(pulse) == ("stuck", False)

    def test_a_follower_that_does_not_look_any_more_is_stuck(
        self, pulse: Pulse, ticks: Ticks
    ) -> None:
        pulse.saw([lag(10, 10, state="live")], ALL)
        ticks.now += 29
        assert self.told(pulse) == ("caught_up", True)
        ticks.now += 2
        assert self.told(pulse) == ("stuck", False)

    def test_the_worst_view_speaks_for_all(self, pulse: Pulse) -> None:
        pulse.saw([lag(10, 10), lag(9, 10, "tickets")], ALL)
        assert self.told(pulse) == ("moving", True)
        pulse.saw([lag(10, 10), lag(9, 10, "tickets")], frozenset({"orders"}))
        assert self.told(pulse) == ("caught_up", True)
        pulse.saw([lag(10, 10), lag(9, 10, "tickets")], frozenset())
        assert self.told(pulse) == ("standby", True)

    def test_an_outdated_view_is_not_followed_and_so_not_stuck(
        self, pulse: Pulse, ticks: Ticks
    ) -> None:
        for _ in range(100):
            pulse.saw([lag(5, 10, state="outdated"), lag(10, 10, "tickets", "live")], ALL)
            ticks.now += 1
        assert self.told(pulse) == ("caught_up", True)
        assert [view.state for view in pulse.health().views] == ["outdated", "caught_up"]

    def test_a_lost_ledger_is_said_with_its_first_moment_until_it_is_seen_again(
        self, pulse: Pulse, ticks: Ticks
    ) -> None:
        pulse.saw([lag(5, 10)], ALL)
        pulse.lost("gone")
        ticks.now += 5
        pulse.lost("still gone")
        health = pulse.health()
        assert (health.state, health.reason, health.since) == (
            "disconnected", "gone", "1970-01-01T00:16:40Z",
        )  # fmt: skip
        assert [view.lag_seconds for view in health.views] == [6.0]
        pulse.saw([lag(10, 10)], ALL)
        assert self.told(pulse) == ("caught_up", True)
