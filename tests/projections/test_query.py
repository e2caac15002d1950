"""Asking: of now, of any day, of what was known on any day, and how the views stand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ledger import Ledger
from projections import query
from projections.follow import follow
from projections.loyalty import LOYALTY
from projections.orders import ORDERS
from projections.query import (
    Cut,
    history,
    listing,
    rules,
    standings,
    state_of,
    states_of,
    timeline,
    walk,
)
from projections.registry import PROJECTIONS
from projections.view import View
from schemas.correction import TouchpointVoided
from tests.domain.loyalty_facts import at, occurred, order, per, published, refund, survey
from tests.projections import oracle
from tests.projections.ledgers import (
    SECOND,
    Clock,
    Workshop,
    changed,
    logged,
    record,
    rows_of,
    tell,
)
from tests.projections.lives import arrivals

DAY = 24 * 3_600 * SECOND
START = at("2026-01-01")
moments = st.none() | st.integers(-1, 95).map(lambda day: START + day * DAY)


def what_a_ledger_would_say(ledger: Ledger, view: View, cut: Cut) -> dict[str, Any]:
    """The states in a ledger that stopped then and had heard of nothing that came after.

    What it knows to have been recorded in error counts at no moment, whenever it was voided.
    """
    until = None if cut.known_at is None else ledger.log.known_until(cut.known_at)
    facts = oracle.standing(logged(ledger, until)) if until != 0 else []
    return oracle.states(view, [f for f in facts if cut.as_of is None or f.at <= cut.as_of])


def test_any_cut_is_answered_as_by_a_ledger_that_stopped_then(workshop: Workshop) -> None:
    @workshop.examples(60)
    @given(data=st.data(), as_of=moments)
    def law(data: st.DataObject, as_of: int | None) -> None:
        _is_answered_as_then(workshop, data, as_of)

    law()


def _is_answered_as_then(workshop: Workshop, data: st.DataObject, as_of: int | None) -> None:
    arrival = data.draw(arrivals(workshop))
    clock = Clock()
    with workshop.ledger(clock) as ledger:
        recorded = [clock.now]
        for group in arrival.groups:
            record(ledger, group)
            recorded.append(clock.now)
            clock.now += DAY
        follow(ledger, PROJECTIONS)
        known_at = data.draw(st.none() | st.sampled_from(recorded))
        for view in PROJECTIONS:
            everything = oracle.grouped(view, logged(ledger))
            keys = [*everything, *every_key(view, ledger), "nobody:knows"]
            cut = Cut(as_of, known_at)
            expected = what_a_ledger_would_say(ledger, view, cut)
            assert states_of(ledger, view, keys, cut) == expected


def every_key(view: View, ledger: Ledger) -> set[str]:
    """All keys that were ever spoken of, whether or not it counts."""
    facts = [fact for fact in logged(ledger) if fact.type in view.reads]
    return {view.key(fact) if view.key else fact.subject for fact in facts}


def test_the_past_is_asked_for_by_occurrence_and_by_knowledge(ledger: Ledger, clock: Clock) -> None:
    tell(ledger, order("2026-01-05", "A1", 100))
    monday = clock.now
    clock.now += DAY
    tell(ledger, refund("2026-01-04", "A1", 30), refund("2026-01-08", "A1", 20))
    follow(ledger, PROJECTIONS)
    assert refunded(ledger, Cut()) == 50
    assert refunded(ledger, Cut(as_of=at("2026-01-07"))) == 30
    assert refunded(ledger, Cut(known_at=monday)) == 0
    assert refunded(ledger, Cut(as_of=at("2026-01-09"), known_at=monday)) == 0
    assert state_of(ledger, ORDERS, "A1", Cut(as_of=at("2026-01-03"))) is None
    assert state_of(ledger, ORDERS, "A1", Cut(known_at=monday - DAY)) is None


def refunded(ledger: Ledger, cut: Cut) -> int:
    """The refunds that the state of order A1 holds, in whole units."""
    state = state_of(ledger, ORDERS, "A1", cut)
    assert state is not None
    return sum(int(refund.amount) for refund in state.refunds)


@pytest.mark.parametrize("view", PROJECTIONS, ids=lambda view: view.name)
def test_what_was_voided_since_still_counts_in_what_was_known_before(
    ledger: Ledger, view: View
) -> None:
    told = order("2026-01-05", "A1", 100)
    tell(ledger, told)
    before = ledger.log.head().recorded_at
    follow(ledger, PROJECTIONS)
    known = {key: state_of(ledger, view, key) for key in rows_of(ledger, view)}
    void = TouchpointVoided(voided_source=told.source, voided_id=told.id, reason="a test order")
    tell(ledger, occurred("2026-01-06", void))
    follow(ledger, PROJECTIONS)
    for key, state in known.items():
        assert state_of(ledger, view, key) is None
        assert state_of(ledger, view, key, Cut(as_of=at("2026-01-07"))) is None
        assert state_of(ledger, view, key, Cut(as_of=at("2026-01-05"))) is None
        assert state_of(ledger, view, key, Cut(known_at=before)) == state


def test_a_rule_that_was_voided_since_holds_at_no_moment_before_its_voiding(
    ledger: Ledger,
) -> None:
    mistaken = published(1, "2026-01-01", per(3, 100))
    tell(ledger, mistaken, order("2026-01-05", "A1", 100))
    void = TouchpointVoided(voided_source=mistaken.source, voided_id=mistaken.id, reason="a slip")
    tell(ledger, occurred("2026-02-01", void))
    follow(ledger, PROJECTIONS)
    member = state_of(ledger, LOYALTY, "customer:42", Cut(as_of=at("2026-01-06")))
    assert member is not None
    assert member.programmes == {}
    assert rules(ledger, Cut(as_of=at("2026-01-06"))).programmes == ()


def test_what_lies_ahead_counts_when_its_time_has_come(ledger: Ledger, clock: Clock) -> None:
    ahead = changed(refund("2026-01-06", "A1", 20), at=clock.now + DAY)
    tell(ledger, order("2026-01-05", "A1", 100), ahead)
    tell(ledger, changed(order("2026-01-06", "A2", 100), at=clock.now + DAY))
    follow(ledger, PROJECTIONS)
    assert refunded(ledger, Cut()) == 0
    assert refunded(ledger, Cut(known_at=clock.now)) == 0
    assert refunded(ledger, Cut(as_of=clock.now + 2 * DAY)) == 20
    assert state_of(ledger, ORDERS, "A2") is None
    shown = [("A1", state_of(ledger, ORDERS, "A1"))]
    assert list(walk(ledger, ORDERS)) == listing(ledger, ORDERS) == shown
    clock.now += 2 * DAY
    assert refunded(ledger, Cut()) == 20
    assert [key for key, _ in walk(ledger, ORDERS)] == ["A1", "A2"]


def test_walking_goes_on_behind_a_page_of_what_lies_ahead(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "PAGE_ROWS", 1)
    tell(ledger, changed(order("2026-01-06", "A1", 100), at=clock.now + DAY))
    tell(ledger, order("2026-01-05", "A2", 100), order("2026-01-05", "A3", 100))
    follow(ledger, PROJECTIONS)
    assert [key for key, _ in walk(ledger, ORDERS)] == ["A2", "A3"]
    assert [key for key, _ in listing(ledger, ORDERS, limit=1)] == ["A2"]


def test_a_listing_can_be_narrowed_by_the_columns_of_a_view(ledger: Ledger) -> None:
    foreign = changed(order("2026-01-05", "A2", 100), subject="customer:7")
    tell(ledger, order("2026-01-05", "A1", 100), foreign)
    follow(ledger, PROJECTIONS)
    assert [key for key, _ in listing(ledger, ORDERS, {"customer": "customer:7"})] == ["A2"]
    with pytest.raises(KeyError):
        listing(ledger, ORDERS, {"colour": "blue"})


@pytest.mark.parametrize("followed", [False, True], ids=["never followed", "behind"])
def test_the_log_knows_of_a_key_what_its_view_has_not_folded_yet(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch, followed: bool
) -> None:
    monkeypatch.setattr(query, "PAGE_TOUCHPOINTS", 2)
    tell(ledger, order("2026-01-05", "A0", 100), order("2026-01-05", "A1", 100))
    if followed:
        follow(ledger, PROJECTIONS)
    before = clock.now
    tell(ledger, survey("2026-01-07", "S1"), order("2026-01-07", "A2", 100))
    tell(ledger, changed(refund("2026-01-08", "A1", 30), subject="customer:7"))
    assert [t.position for t in history(ledger, ORDERS, "A1")] == [2, 5]
    assert [t.position for t in history(ledger, ORDERS, "A1", Cut(known_at=before))] == [2]
    assert refunded(ledger, Cut(as_of=at("2026-01-09"))) == 30
    assert refunded(ledger, Cut(known_at=before)) == 0
    assert state_of(ledger, ORDERS, "A2", Cut(as_of=at("2026-01-09"))) is not None


def test_a_timeline_is_told_by_occurrence_whatever_the_arrival(ledger: Ledger) -> None:
    tell(ledger, survey("2026-01-09", "S1"), order("2026-01-05", "A1", 100))
    tell(ledger, refund("2026-01-07", "A1", 10))
    told = timeline(ledger, "customer:42")
    assert [t.envelope.type for t in told] == [
        "order.completed.v1",
        "order.refunded.v1",
        "survey.answered.v1",
    ]
    assert [t.position for t in told] == [2, 3, 1]
    assert [t.position for t in timeline(ledger, "customer:42", Cut(as_of=at("2026-01-07")))] == [
        2,
        3,
    ]


def test_of_one_instant_the_sequence_the_source_and_the_id_decide(ledger: Ledger) -> None:
    same = [survey("2026-01-05", f"S{n}") for n in range(3)]
    first = changed(same[0], id="z", sequence=-1)
    second = changed(same[1], id="z", source="app")
    third = changed(same[2], id="a")
    tell(ledger, third, second, first)
    assert [t.position for t in timeline(ledger, "customer:42")] == [3, 2, 1]


def test_the_history_of_a_key_holds_what_every_subject_said_of_it(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 100), order("2026-01-05", "A2", 100))
    foreign = changed(refund("2026-01-04", "A1", 10), subject="customer:7")
    tell(ledger, foreign)
    follow(ledger, PROJECTIONS)
    assert [t.position for t in history(ledger, ORDERS, "A1")] == [3, 1]
    assert history(ledger, ORDERS, "A9") == []


def test_a_view_is_empty_then_live_then_behind(ledger: Ledger) -> None:
    def said() -> list[tuple[str, int, int, int, int]]:
        found = standings(ledger, [ORDERS])
        return [(s.state, s.position, s.head, s.lag, s.rows) for s in found]

    tell(ledger, order("2026-01-05", "A1", 100))
    assert said() == [("empty", 0, 1, 1, 0)]
    follow(ledger, [ORDERS])
    assert said() == [("live", 1, 1, 0, 1)]
    tell(ledger, order("2026-01-06", "A2", 100), order("2026-01-06", "A3", 100))
    assert said() == [("behind", 1, 3, 2, 1)]
    follow(ledger, [ORDERS])
    assert said() == [("live", 3, 3, 0, 3)]
