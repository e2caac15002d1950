"""Following: rows and position together, once each, whoever else follows at the same time."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from ledger.address import Address
from ledger.ledger import Ledger
from projections import follow as following
from projections import generations
from projections.follow import follow
from projections.follower import Follower, Overtaken
from projections.orders import ORDERS
from projections.query import standings, state_of
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from schemas.correction import TouchpointVoided
from tests.domain.loyalty_facts import occurred, order, per, published, refund
from tests.projections import oracle
from tests.projections.ledgers import dump, logged, opened, position_of, rows_of, tell

FOLLOWERS = 3


def orders(count: int, first: int = 0) -> list[Any]:
    """Orders, each of which occurred before the one recorded before it."""
    return [order(f"2026-01-{28 - n % 28:02}", f"A{n}", 100) for n in range(first, first + count)]


def tables(ledger: Ledger) -> dict[str, Any]:
    return {view.name: rows_of(ledger, view) for view in PROJECTIONS}


def fresh(ledger: Ledger) -> dict[str, Any]:
    facts = logged(ledger)
    return {view.name: oracle.rows(view, facts) for view in PROJECTIONS}


def phases_of(ledger: Ledger) -> set[str]:
    """What following to the head does, by the phases that it reports."""
    phases: set[str] = set()
    follow(ledger, PROJECTIONS, report=lambda phase, *_: phases.add(phase))
    return phases


@pytest.mark.parametrize("view_that_fails", range(len(PROJECTIONS)))
def test_a_page_that_fails_half_way_changes_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, view_that_fails: int
) -> None:
    tell(ledger, *orders(5))
    follow(ledger, PROJECTIONS)
    tell(ledger, *orders(5, first=5), refund("2026-02-01", "A1", 10))
    before = dump(ledger)
    advance = generations.advance
    calls: list[str] = []

    def fail_after_some(generation: Any, *arguments: Any) -> None:
        advance(generation, *arguments)
        calls.append(generation.view)
        if len(calls) > view_that_fails:
            raise OSError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(generations, "advance", fail_after_some)
        with pytest.raises(OSError, match="the disk is gone"):
            follow(ledger, PROJECTIONS)
    assert dump(ledger) == before
    follow(ledger, PROJECTIONS)
    assert tables(ledger) == fresh(ledger)


def test_a_follower_that_was_overtaken_drops_its_work(ledger: Ledger) -> None:
    tell(ledger, *orders(6))
    slow = Follower(ledger, PROJECTIONS, 3)
    seen = slow.positions()
    follow(ledger, PROJECTIONS, batch=2)
    before = dump(ledger)
    with pytest.raises(Overtaken):
        slow.advance(seen, 6)
    assert dump(ledger) == before


def test_followers_that_race_count_nothing_twice(address: Address) -> None:
    failed: list[BaseException] = []
    over = threading.Event()

    def keep_following(batch: int) -> None:
        try:
            with opened(address) as mine:
                while not over.is_set():
                    follow(mine, PROJECTIONS, batch=batch)
        except BaseException as error:  # noqa: BLE001 - told to the test below
            failed.append(error)

    with opened(address) as ledger:
        follow(ledger, PROJECTIONS)
        threads = [
            threading.Thread(target=keep_following, args=(batch,))
            for batch in range(1, FOLLOWERS + 1)
        ]
        for thread in threads:
            thread.start()
        for start in range(0, 80, 4):
            tell(ledger, *orders(4, first=start), refund(f"2026-02-{start % 28 + 1:02}", "A1", 1))
        over.set()
        for thread in threads:
            thread.join()
        follow(ledger, PROJECTIONS)
        assert failed == []
        assert tables(ledger) == fresh(ledger)


def test_views_at_different_positions_meet_at_the_head(ledger: Ledger) -> None:
    tell(ledger, *orders(5))
    follow(ledger, PROJECTIONS[:1])
    tell(ledger, *orders(5, first=5))
    follow(ledger, PROJECTIONS[1:3], batch=2)
    tell(ledger, *orders(5, first=10))
    follow(ledger, PROJECTIONS, batch=4)
    assert [position_of(ledger, view) for view in PROJECTIONS] == [15] * len(PROJECTIONS)
    assert tables(ledger) == fresh(ledger)


def test_following_again_changes_nothing(ledger: Ledger) -> None:
    tell(ledger, *orders(5))
    follow(ledger, PROJECTIONS)
    before = dump(ledger)
    follow(ledger, PROJECTIONS)
    assert dump(ledger) == before


def test_a_long_backlog_is_rebuilt_and_a_short_one_followed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "REBUILD_BACKLOG_MIN", 10)
    tell(ledger, *orders(9))
    assert "folding" not in phases_of(ledger), "too few to be worth a rebuild"
    tell(ledger, *orders(12, first=9))
    assert "folding" in phases_of(ledger), "more than half of the log is new"
    assert tables(ledger) == fresh(ledger)
    tell(ledger, *orders(11, first=21))
    assert "folding" not in phases_of(ledger), "most of the log is folded already"
    assert tables(ledger) == fresh(ledger)


def test_a_view_of_another_version_is_served_but_not_followed_until_rebuilt(
    ledger: Ledger,
) -> None:
    newer = replace(ORDERS, version=ORDERS.version + 1)
    tell(ledger, *orders(3))
    follow(ledger, PROJECTIONS)
    tell(ledger, *orders(3, first=3))
    follow(ledger, [newer])
    assert position_of(ledger, newer) == 3
    assert state_of(ledger, newer, "A2") is not None
    assert state_of(ledger, newer, "A4") is None
    assert [(s.state, s.version, s.lag) for s in standings(ledger, [newer])] == [("outdated", 1, 3)]
    rebuild(ledger, [newer])
    assert [(s.state, s.version, s.lag) for s in standings(ledger, [newer])] == [("live", 2, 0)]
    tell(ledger, *orders(3, first=6))
    follow(ledger, [newer])
    assert rows_of(ledger, newer) == oracle.rows(newer, logged(ledger))


def test_a_fact_that_was_voided_before_it_came_never_counts(ledger: Ledger) -> None:
    late = order("2026-01-05", "A1", 100)
    void = TouchpointVoided(voided_source=late.source, voided_id=late.id, reason="a test order")
    tell(ledger, occurred("2026-01-06", void))
    follow(ledger, PROJECTIONS)
    tell(ledger, late)
    follow(ledger, PROJECTIONS)
    assert state_of(ledger, ORDERS, "A1") is None
    assert tables(ledger) == fresh(ledger)


def test_a_voiding_that_is_voided_lets_the_fact_count_again(ledger: Ledger) -> None:
    known = order("2026-01-05", "A1", 100)
    void = occurred(
        "2026-01-06",
        TouchpointVoided(voided_source=known.source, voided_id=known.id, reason="a mistake"),
        "the void",
    )
    again = TouchpointVoided(voided_source=void.source, voided_id=void.id, reason="it was right")
    tell(ledger, known)
    follow(ledger, PROJECTIONS)
    before = tables(ledger)
    tell(ledger, void)
    follow(ledger, PROJECTIONS)
    assert tables(ledger)["orders"] == {}
    tell(ledger, occurred("2026-01-07", again))
    follow(ledger, PROJECTIONS)
    assert tables(ledger) == before


def test_only_the_views_that_depend_on_rules_are_rebuilt_for_a_rule_for_the_past(
    ledger: Ledger,
) -> None:
    tell(ledger, *orders(5))
    follow(ledger, PROJECTIONS)
    tell(ledger, published(1, "2026-01-01", per(1, 10)))
    follow(ledger, PROJECTIONS)
    with ledger.store.cursor() as cursor:
        found = [(view, generations.live(view.name, cursor)) for view in PROJECTIONS]
    rebuilt = [view for view, live in found if live is not None and live.number > 1]
    assert rebuilt == [view for view in PROJECTIONS if view.wanted]
    assert tables(ledger) == fresh(ledger)
