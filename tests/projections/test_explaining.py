"""Why: the touchpoints that made a field make it alone; and what changed between two moments."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ledger import Ledger
from projections.aside import Labour
from projections.boards import boards_at
from projections.customers import CUSTOMERS
from projections.differing import fields_of
from projections.diffing import TIME, differences
from projections.explaining import Facts, Unfoldable, explain, facts_of, folding
from projections.follow import follow
from projections.orders import ORDERS
from projections.query import Cut, state_of, states_of
from projections.registry import PROJECTIONS
from projections.tickets import TICKETS
from schemas.ticket import TicketOpened, TicketPriorityChanged, TicketStatusChanged
from tests.domain.loyalty_facts import at, occurred, order, refund
from tests.projections.fussy import FUSSY, POISON
from tests.projections.ledgers import Clock, Workshop, record, tell
from tests.projections.lives import arrivals
from tests.projections.test_query import DAY, every_key, moments


def every(name: str) -> bool:
    return True


def a_life(workshop: Workshop, data: st.DataObject, ledger: Ledger, clock: Clock) -> list[int]:
    """A life in a ledger, and when each group of it was recorded."""
    recorded = [clock.now]
    for group in data.draw(arrivals(workshop)).groups:
        record(ledger, group)
        recorded.append(clock.now)
        clock.now += DAY
    follow(ledger, PROJECTIONS)
    return recorded


def test_what_made_a_field_makes_it_alone(workshop: Workshop) -> None:
    @workshop.examples(40)
    @given(data=st.data(), as_of=moments)
    def law(data: st.DataObject, as_of: int | None) -> None:
        clock = Clock()
        with workshop.ledger(clock) as ledger:
            recorded = a_life(workshop, data, ledger, clock)
            cut = Cut(as_of, data.draw(st.none() | st.sampled_from(recorded)))
            for view in PROJECTIONS:
                keys = sorted(every_key(view, ledger))
                for key, state in states_of(ledger, view, keys, cut).items():
                    facts = facts_of(ledger, view, key, cut)
                    assert facts.state() == state
                    explained = explain(facts, fields_of, every)
                    assert {one.field: one.value for one in explained} == fields_of(state)
                    for one in explained:
                        alone = facts.state([maker.told for maker in one.makers])
                        if one.makers:
                            assert fields_of(alone).get(one.field) == one.value
                        else:
                            assert not one.value
                        orders = [maker.told.envelope.order for maker in one.makers]
                        assert orders == sorted(orders)

    law()


def test_what_changed_turns_the_earlier_into_the_later(workshop: Workshop) -> None:
    @workshop.examples(40)
    @given(data=st.data(), as_of=st.tuples(moments, moments))
    def law(data: st.DataObject, as_of: tuple[int | None, int | None]) -> None:
        clock = Clock()
        with workshop.ledger(clock) as ledger:
            recorded = st.none() | st.sampled_from(a_life(workshop, data, ledger, clock))
            cuts = [Cut(moment, data.draw(recorded)) for moment in as_of]
            for view in PROJECTIONS:
                for key in sorted(every_key(view, ledger)):
                    one, other = (facts_of(ledger, view, key, cut) for cut in cuts)
                    assert differences(one, one, fields_of, fields_of) == []
                    found = differences(one, other, fields_of, fields_of)
                    old, new = fields_of(one.state()), fields_of(other.state())
                    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
                    assert {each.field for each in found} == changed
                    for each in found:
                        turned = _turned(one, other, each)
                        assert fields_of(turned).get(each.field) == each.after

    law()


def _turned(one: Facts, other: Facts, each: Any) -> Any:
    gone = {told.position for told in each.removed}
    told = [*(t for t in one.told if t.position not in gone), *each.added]
    return other.state(sorted(told, key=lambda t: t.envelope.order))


def test_a_status_is_made_by_the_last_that_stated_it_and_a_count_by_all(ledger: Ledger) -> None:
    tell(
        ledger,
        occurred("2026-01-01", TicketOpened(ticket_id="T", priority="high"), "open"),
        occurred("2026-01-02", TicketStatusChanged(ticket_id="T", status="solved"), "solve"),
        occurred("2026-01-03", TicketStatusChanged(ticket_id="T", status="open"), "reopen"),
        occurred("2026-01-04", TicketPriorityChanged(ticket_id="T", priority="low"), "low"),
        occurred("2026-01-05", TicketPriorityChanged(ticket_id="T", priority="high"), "high"),
        occurred("2026-01-06", TicketPriorityChanged(ticket_id="T", priority="high"), "again"),
    )
    follow(ledger, PROJECTIONS)
    facts = facts_of(ledger, TICKETS, "T", Cut())
    made = {
        one.field: [maker.told.envelope.id for maker in one.makers]
        for one in explain(facts, fields_of, every)
    }
    assert made["priority"] == ["high"]
    assert made["status"] == ["reopen"]
    assert made["opened_at"] == ["open"]
    assert made["reopens"] == ["solve", "reopen"], "without having been solved it is no reopening"


def test_numbers_say_by_how_much(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 100), order("2026-01-06", "A2", 50))
    facts = facts_of(ledger, CUSTOMERS, "customer:42", Cut())
    (count,) = explain(facts, fields_of, lambda name: name == "touchpoints")
    assert [maker.change for maker in count.makers] == [1, 1]
    assert count.value == 2


def test_a_late_arrival_changes_the_past(ledger: Ledger, clock: Clock) -> None:
    tell(ledger, order("2026-01-05", "A1", 100))
    monday = clock.now
    late = refund("2026-01-06", "A1", 30)
    tell(ledger, late)
    january = at("2026-01-31")
    cuts = (Cut(january, monday), Cut(january))
    one, other = (facts_of(ledger, ORDERS, "A1", cut) for cut in cuts)
    (found,) = differences(one, other, fields_of, fields_of)
    assert (found.field, found.before, len(found.after)) == ("refunds", None, 1)
    assert [told.envelope.id for told in found.added] == [late.id]
    assert state_of(ledger, ORDERS, "A1", cuts[0]) == one.state()


def test_what_no_touchpoint_changed_is_said_to_be_time_or_rules(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 100))
    facts = facts_of(ledger, ORDERS, "A1", Cut())

    def face(moment: int) -> Any:
        return lambda state: {"age": moment - (state.at or 0)}

    (found,) = differences(facts, facts, face(1), face(2))
    assert (found.because, found.added, found.removed) == (TIME, (), ())


def test_what_cannot_be_folded_is_told_without_its_values(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 100), refund("2026-01-06", "A1", 20, POISON))
    facts = facts_of(ledger, FUSSY, "A1", Cut())
    with pytest.raises(Unfoldable) as raised, folding(FUSSY, "A1"):
        facts.state()
    assert "A1 of the view fussy cannot be folded: ValueError in" in str(raised.value)
    assert "20" not in str(raised.value)
    with boards_at(ledger, [FUSSY], Cut(as_of=at("2026-01-31")), Labour()) as boards:
        assert (boards.failed, list(boards.walk(FUSSY))) == ([("fussy", "A1")], [])
