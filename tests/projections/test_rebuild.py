"""Rebuilding beside the live table: unseen until it is whole, resumed, restarted, put back."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.address import Address
from ledger.errors import LedgerError, Locked
from ledger.intake import Stop
from ledger.ledger import Ledger
from ledger.log import system_clock
from projections import generations, ranges
from projections import rebuild as rebuilding
from projections.follow import follow
from projections.orders import ORDERS
from projections.ranges import Folded, RangeFolder
from projections.rebuild import Interrupted, rebuild, rollback
from projections.registry import PROJECTIONS
from projections.verify import verify
from tests.domain.loyalty_facts import order, per, published, refund
from tests.projections import oracle
from tests.projections.elsewhere import ROOT, command
from tests.projections.ledgers import (
    Clock,
    Workshop,
    changed,
    logged,
    opened,
    position_of,
    rows_of,
    state_in,
    table_names,
    tell,
)

PATIENCE_SECONDS = 30


def orders(count: int, first: int = 0) -> list[Any]:
    """Orders, each of a customer of its own, so that they spread over the ranges."""
    return [
        changed(order("2026-01-05", f"A{number}", 1_000), subject=f"customer:{number}")
        for number in range(first, first + count)
    ]


def tables(ledger: Ledger) -> dict[str, Any]:
    return {view.name: rows_of(ledger, view) for view in PROJECTIONS}


def fresh(ledger: Ledger) -> dict[str, Any]:
    facts = logged(ledger)
    return {view.name: oracle.rows(view, facts) for view in PROJECTIONS}


def states(ledger: Ledger) -> list[str]:
    """The states of all generations of the orders view, oldest first."""
    with ledger.store.cursor() as cursor:
        rows = cursor.execute(
            "SELECT state FROM generations WHERE view = 'orders' ORDER BY generation"
        ).fetchall()
    return [state for (state,) in rows]


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "RANGE_TOUCHPOINTS", 10)


class StopAfter(Stop):
    """Asks to stop once the folding has been reported so many times."""

    def __init__(self, reports: int) -> None:
        super().__init__()
        self.left = reports

    def heard(self, phase: str, done: int, total: int) -> None:
        self.left -= phase == "folding"
        if self.left <= 0:
            self.signal = 15


@contextmanager
def watched(address: Address) -> Iterator[list[str]]:
    """Polls the orders view all the while: each order is a row, whichever table serves it."""
    wrong: list[str] = []
    over = threading.Event()

    def poll() -> None:
        last = 0
        with opened(address) as ledger:
            while not over.is_set():
                with ledger.store.cursor() as cursor:
                    live = generations.live("orders", cursor)
                    if live is None:
                        continue
                    found = cursor.execute(
                        f"SELECT COUNT(*), COUNT(*) FILTER (WHERE key <> '') FROM {live.table}"
                    )
                    count, keys = found.fetchone()
                if count != live.position or keys != count or live.position < last:
                    wrong.append(f"{count} rows at {live.position} after {last}")
                last = live.position

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield wrong
    finally:
        over.set()
        thread.join()


def test_readers_see_whole_tables_while_others_append_and_rebuild(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The clock of these tests runs too fast for a minute to be one.
    monkeypatch.setattr(rebuilding, "LOOKED_UP_MICROSECONDS", 3_600_000_000)
    with opened(address, system_clock) as ledger:
        tell(ledger, *orders(50))
        follow(ledger, PROJECTIONS)
        appending = subprocess.Popen(command("append", address, 60), cwd=ROOT)
        with watched(address) as wrong:
            rebuilds = 0
            while appending.poll() is None or rebuilds < 3:
                rebuild(ledger, PROJECTIONS)
                follow(ledger, PROJECTIONS, batch=7)
                rebuilds += 1
        assert appending.returncode == 0
        follow(ledger, PROJECTIONS)
        assert wrong == []
        assert tables(ledger) == fresh(ledger)
        assert len(rows_of(ledger, ORDERS)) == 110


def test_the_switch_waits_for_a_live_view_that_was_followed_further_meanwhile(
    ledger: Ledger,
) -> None:
    tell(ledger, *orders(30))
    follow(ledger, PROJECTIONS)

    def append_and_follow(phase: str, done: int, total: int) -> None:
        if phase == "folding" and not done:
            tell(ledger, *orders(5, first=30))
            follow(ledger, PROJECTIONS)

    rebuild(ledger, PROJECTIONS, report=append_and_follow)
    assert [position_of(ledger, view) for view in PROJECTIONS] == [35] * len(PROJECTIONS)
    assert tables(ledger) == fresh(ledger)


def test_an_interrupted_rebuild_folds_no_range_again_that_was_written(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded: list[int] = []
    fold = RangeFolder._fold

    def noted(folder: RangeFolder, number: int) -> Folded:
        folded.append(number)
        return fold(folder, number)

    monkeypatch.setattr(RangeFolder, "_fold", noted)
    tell(ledger, *orders(55))
    stop = StopAfter(3)
    with pytest.raises(Interrupted):
        rebuild(ledger, PROJECTIONS, report=stop.heard, stop=stop)
    begun, written = len(folded), ranges_done(ledger)
    assert 0 < len(written) <= begun < 6
    assert position_of(ledger, ORDERS) == 0, "nothing of it is served yet"
    tell(ledger, *orders(5, first=55))
    rebuild(ledger, PROJECTIONS)
    assert sorted(folded[begun:]) == sorted(set(range(6)) - written)
    assert tables(ledger) == fresh(ledger)


def test_a_rebuild_that_another_version_left_begins_anew(ledger: Ledger) -> None:
    tell(ledger, *orders(25))
    stop = StopAfter(2)
    with pytest.raises(Interrupted):
        rebuild(ledger, [replace(ORDERS, version=7)], report=stop.heard, stop=stop)
    rebuild(ledger, [ORDERS])
    assert rows_of(ledger, ORDERS) == oracle.rows(ORDERS, logged(ledger))
    assert states(ledger) == ["live"]


def test_a_killed_rebuild_leaves_no_workers_and_is_resumed(address: Address) -> None:
    with opened(address) as ledger:
        tell(ledger, *orders(120))
        follow(ledger, PROJECTIONS)
        before = tables(ledger)
        running = subprocess.Popen(
            command("rebuild", address, 2, 0.1), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert running.stdout is not None
        with running.stdout as said:
            wait_for(lambda: int(said.readline().split()[1]) > 30)
            workers = offspring(running.pid)
            running.kill()
        assert running.wait() == -9
        assert len(workers) >= 2
        wait_for(lambda: not any(map(is_alive, workers)))
        assert tables(ledger) == before
        done = len(ranges_done(ledger))
        assert 0 < done < 12
        again = subprocess.run(
            command("rebuild", address, 2, 0), cwd=ROOT, capture_output=True, text=True, check=True
        )
        first = int(again.stdout.split()[1])
        assert first == 120 * done // 12, "it went on from the ranges that were done"
        assert tables(ledger) == fresh(ledger) == before
        assert states(ledger) == ["retired", "live"]


def wait_for(happened: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def offspring(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended may wait for its new parent to notice."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def ranges_done(ledger: Ledger) -> set[int]:
    """The ranges of the orders view that an unfinished rebuild has written."""
    with ledger.store.cursor() as cursor:
        query = "SELECT number FROM rebuilt_ranges WHERE view = 'orders'"
        return {number for (number,) in cursor.execute(query).fetchall()}


def test_more_workers_make_the_same_bytes(address: Address) -> None:
    with opened(address) as ledger:
        tell(ledger, published(1, "2026-01-01", per(1, 100)), *orders(60))
        tell(ledger, *(refund(f"2026-01-0{n}", f"A{n}", 100) for n in range(4, 9)))
        rebuild(ledger, PROJECTIONS, workers=1)
        alone = tables(ledger)
        subprocess.run(
            command("rebuild", address, 3, 0), cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
        assert tables(ledger) == alone == fresh(ledger)


def test_a_second_rebuild_at_the_same_time_is_refused(ledger: Ledger) -> None:
    tell(ledger, *orders(20))
    refused: list[Locked] = []

    def rebuild_as_well(phase: str, done: int, total: int) -> None:
        with pytest.raises(Locked) as caught:
            rebuild(ledger, [ORDERS])
        refused.append(caught.value)

    rebuild(ledger, PROJECTIONS, report=rebuild_as_well)
    assert refused
    assert tables(ledger) == fresh(ledger)


def test_the_generation_before_is_put_back_after_it_has_caught_up(ledger: Ledger) -> None:
    tell(ledger, *orders(20))
    follow(ledger, PROJECTIONS)
    rebuild(ledger, [ORDERS])
    tell(ledger, *orders(10, first=20))
    follow(ledger, PROJECTIONS)
    assert rollback(ledger, ORDERS).number == 1
    assert position_of(ledger, ORDERS) == 30
    assert rows_of(ledger, ORDERS) == oracle.rows(ORDERS, logged(ledger))
    assert rollback(ledger, ORDERS).number == 2, "and back again"


def test_only_the_generation_that_was_served_last_is_kept(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "LOOKED_UP_MICROSECONDS", 0)
    tell(ledger, *orders(5))
    follow(ledger, PROJECTIONS)
    for _ in range(3):
        rebuild(ledger, [ORDERS])
        assert states(ledger) == ["retired", "live"]
    served = rollback(ledger, ORDERS).number
    rebuild(ledger, [ORDERS])
    assert rollback(ledger, ORDERS).number == served
    assert len([name for name in table_names(ledger) if name.startswith("orders_")]) == 2


def test_without_an_earlier_generation_there_is_nothing_to_put_back(ledger: Ledger) -> None:
    follow(ledger, PROJECTIONS)
    with pytest.raises(LedgerError, match="no earlier generation"):
        rollback(ledger, ORDERS)


def test_a_generation_that_does_not_know_rules_for_the_past_is_not_put_back(
    ledger: Ledger,
) -> None:
    loyalty = next(view for view in PROJECTIONS if view.wanted)
    tell(ledger, published(1, "2026-01-01", per(1, 100)), *orders(3))
    follow(ledger, PROJECTIONS)
    rebuild(ledger, [loyalty])
    tell(ledger, published(2, "2026-01-02", per(1, 200)))
    follow(ledger, PROJECTIONS)
    with pytest.raises(LedgerError, match="rebuild it instead"):
        rollback(ledger, loyalty)
    assert rows_of(ledger, loyalty) == oracle.rows(loyalty, logged(ledger))


def test_rules_for_the_past_that_come_during_a_rebuild_are_in_its_result(ledger: Ledger) -> None:
    tell(ledger, published(1, "2026-01-01", per(1, 100)), *orders(30))
    follow(ledger, PROJECTIONS)
    told: list[int] = []

    def publish_once(phase: str, done: int, total: int) -> None:
        if phase == "folding" and done and not told:
            told.append(done)
            tell(ledger, published(2, "2026-01-02", per(1, 500)))

    rebuild(ledger, PROJECTIONS, report=publish_once)
    assert told
    assert tables(ledger) == fresh(ledger)
    loyalty = next(view for view in PROJECTIONS if view.wanted)
    member = state_in(rows_of(ledger, loyalty)["customer:7"], loyalty)
    assert member.programmes["main"].lots[0].earned == 2


def test_rules_for_the_past_without_end_make_a_rebuild_give_up(ledger: Ledger) -> None:
    tell(ledger, *orders(12))
    follow(ledger, PROJECTIONS)
    before = tables(ledger)
    versions = iter(range(1, 100))

    def publish(phase: str, done: int, total: int) -> None:
        if phase == "folding":
            version = next(versions)
            tell(ledger, published(version, f"2026-01-02T00:00:{version:02}", per(1, 500)))

    with pytest.raises(LedgerError, match="keep being published"):
        rebuild(ledger, PROJECTIONS, report=publish)
    assert tables(ledger)["loyalty"] == before["loyalty"], "the old table is served on"
    follow(ledger, PROJECTIONS)
    assert tables(ledger) == fresh(ledger)
    assert verify(ledger, ORDERS).differences == 0


def test_an_empty_ledger_is_rebuilt_into_empty_views(workshop: Workshop) -> None:
    with workshop.ledger(Clock()) as ledger:
        assert [done.rows for done in rebuild(ledger, PROJECTIONS)] == [0] * len(PROJECTIONS)
        assert tables(ledger) == fresh(ledger)
