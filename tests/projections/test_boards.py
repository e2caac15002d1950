"""Whole tables of another moment: the same that each key is asked for one by one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ledger import Ledger
from projections import ranges
from projections.aside import Labour
from projections.boards import boards_at
from projections.follow import follow
from projections.query import Cut, states_of
from projections.registry import PROJECTIONS
from tests.projections.ledgers import Clock, Workshop, record
from tests.projections.lives import arrivals
from tests.projections.test_query import DAY, every_key, moments, what_a_ledger_would_say


def tables(ledger: Ledger, cut: Cut) -> dict[str, dict[str, Any]]:
    with boards_at(ledger, PROJECTIONS, cut, Labour()) as boards:
        return {view.name: dict(boards.walk(view)) for view in PROJECTIONS}


def test_any_table_is_that_of_a_ledger_that_stopped_then(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE_TOUCHPOINTS", 5)

    @workshop.examples(20)
    @given(data=st.data(), as_of=moments)
    def law(data: st.DataObject, as_of: int | None) -> None:
        arrival = data.draw(arrivals(workshop))
        clock = Clock()
        with workshop.ledger(clock) as ledger:
            recorded = [clock.now]
            for group in arrival.groups:
                record(ledger, group)
                recorded.append(clock.now)
                clock.now += DAY
            follow(ledger, PROJECTIONS)
            cut = Cut(as_of, data.draw(st.none() | st.sampled_from(recorded)))
            found = tables(ledger, cut)
            for view in PROJECTIONS:
                assert found[view.name] == what_a_ledger_would_say(ledger, view, cut)
                keys = sorted({*found[view.name], *every_key(view, ledger)})
                assert states_of(ledger, view, keys, cut) == found[view.name]

    law()
