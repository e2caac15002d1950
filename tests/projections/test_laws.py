"""What holds of every view, in whatever order and in whatever pieces the facts arrive."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ledger import Ledger
from projections import follow as following
from projections import ranges
from projections.follow import follow
from projections.rebuild import rebuild
from projections.refolding import Refolder
from projections.registry import PROJECTIONS
from projections.verify import verify
from schemas.correction import TouchpointVoided
from schemas.identity import CustomerUnmerged
from tests.projections import oracle
from tests.projections.ledgers import Workshop, logged, record, rows_of
from tests.projections.lives import Arrival, arrivals

INTERESTING = (
    "late",
    "spanning",
    "joined",
    "parted",
    "voided",
    "voided again",
    "restated",
    "duplicate",
)


def tables(ledger: Ledger) -> dict[str, Any]:
    return {view.name: rows_of(ledger, view) for view in PROJECTIONS}


def arrive(ledger: Ledger, arrival: Arrival, seen: Counter[str]) -> None:
    """Let the groups arrive one after another, following in between as the arrival says."""
    for number, (group, batch) in enumerate(zip(arrival.groups, arrival.batches, strict=True)):
        seen["duplicate"] += record(ledger, group).duplicate
        if batch:
            views = PROJECTIONS[number % 2 :] if number % 3 else PROJECTIONS
            follow(ledger, views, batch=batch)
    follow(ledger, PROJECTIONS, batch=arrival.batches[-1] or 1)


def note(ledger: Ledger, seen: Counter[str]) -> None:
    """Count what makes a history interesting."""
    facts = logged(ledger)
    voids = [fact.data for fact in facts if isinstance(fact.data, TouchpointVoided)]
    named = {(void.voided_source, void.voided_id) for void in voids}
    struck = [fact for fact in facts if (fact.source, fact.id) in named]
    seen["voided"] += any(not isinstance(fact.data, TouchpointVoided) for fact in struck)
    seen["voided again"] += any(isinstance(fact.data, TouchpointVoided) for fact in struck)
    seen["joined"] += bool(oracle.persons_in(facts))
    seen["parted"] += any(isinstance(fact.data, CustomerUnmerged) for fact in facts)
    seen["spanning"] += any(
        len({fact.subject for fact in told}) > 1
        for view in PROJECTIONS
        if view.key
        for told in oracle.grouped(view, facts).values()
    )


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts how often the engine went its less usual ways."""
    counts: Counter[str] = Counter()

    def counted(owner: Any, name: str, what: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def counting(*arguments: Any, **named: Any) -> Any:
            counts[what] += 1
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, counting)

    counted(Refolder, "_row", "late")
    counted(following, "rebuild", "restated")
    return counts


def test_a_view_is_the_same_however_its_facts_arrive(
    workshop: Workshop, seen: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE_TOUCHPOINTS", 3)

    @workshop.examples(100)
    @given(st.data())
    def law(data: st.DataObject) -> None:
        arrival = data.draw(arrivals(workshop))
        with workshop.ledger() as ledger, workshop.ledger() as orderly:
            arrive(ledger, arrival, seen)
            note(ledger, seen)
            live = tables(ledger)
            in_order = sorted(arrival.records, key=lambda r: (r.source, r.id))
            record(orderly, in_order)
            follow(orderly, PROJECTIONS)
            assert live == tables(orderly)
            facts = logged(ledger)
            assert live == {view.name: oracle.rows(view, facts) for view in PROJECTIONS}
            assert [verify(ledger, view).keys for view in PROJECTIONS] == [[]] * len(PROJECTIONS)
            rebuild(ledger, PROJECTIONS)
            assert live == tables(ledger)

    law()
    if workshop.is_quick:  # else there are too few examples for all of it
        assert all(seen[what] for what in INTERESTING), seen
