"""Whatever operators do to the views, in whatever order: each equals a fresh fold."""

from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.errors import LedgerError
from ledger.record import Record
from projections import generations, parking, ranges
from projections.follow import follow
from projections.follower import Follower, RestateNeeded, retry_parked
from projections.rebuild import rebuild, rollback
from projections.registry import PROJECTIONS
from projections.verify import verify
from projections.view import View
from tests.projections import oracle
from tests.projections.fussy import FUSSY
from tests.projections.ledgers import Workshop, logged, position_of, record, rows_of
from tests.projections.lives import ABOUT_ORDERS, lives

VIEWS = (*PROJECTIONS, FUSSY)
some_views = st.lists(st.sampled_from(VIEWS), min_size=1, unique_by=lambda view: view.name)
pages = st.integers(1, 7)


class Operation(RuleBasedStateMachine):
    """A ledger to which facts come while its views are followed, rebuilt and put back."""

    def __init__(self, workshop: Workshop) -> None:
        super().__init__()
        self.workshop = workshop
        self.stack = ExitStack()
        self.ledger = self.stack.enter_context(workshop.ledger())
        self.coming: list[Record] = []

    def teardown(self) -> None:
        self.stack.close()

    @initialize(life=lives(max_size=24) | lives(ABOUT_ORDERS, max_size=24))
    def live(self, life: oracle.Known) -> None:
        self.coming = self.workshop.records(life)

    @precondition(lambda self: self.coming)
    @rule(number=st.integers(1, 12), from_the_end=st.booleans())
    def append(self, number: int, from_the_end: bool) -> None:
        group = self.coming[-number:] if from_the_end else self.coming[:number]
        record(self.ledger, group)
        left = self.coming[:-number] if from_the_end else self.coming[number:]
        self.coming = left

    @rule(views=some_views, batch=pages)
    def follow_one_page(self, views: list[View], batch: int) -> None:
        follower = Follower(self.ledger, views, batch)
        head = self.ledger.log.head().position
        for generation in follower.positions():
            try:
                follower.advance([generation], head)
            except RestateNeeded:
                self.follow(views, batch)
                return

    @rule(views=some_views, batch=pages)
    def follow(self, views: list[View], batch: int) -> None:
        follow(self.ledger, views, batch=batch)
        head = self.ledger.log.head().position
        assert [position_of(self.ledger, view) for view in views] == [head] * len(views)

    @rule(views=some_views)
    def rebuild(self, views: Sequence[View]) -> None:
        rebuild(self.ledger, views)
        for view in views:
            self.nothing_waits_in_vain(view)

    @rule(view=st.sampled_from(VIEWS))
    def put_back(self, view: View) -> None:
        before = position_of(self.ledger, view)
        try:
            rollback(self.ledger, view)
        except LedgerError as refused:
            assert "earlier generation" in str(refused)  # noqa: PT017
        assert position_of(self.ledger, view) >= before

    @rule()
    def retry(self) -> None:
        retry_parked(self.ledger, VIEWS)
        for view in VIEWS:
            self.nothing_waits_in_vain(view)

    @rule(view=st.sampled_from(VIEWS))
    def verify(self, view: View) -> None:
        assert verify(self.ledger, view).keys == []

    @invariant()
    def every_view_equals_a_fresh_fold(self) -> None:
        for view in VIEWS:
            facts = logged(self.ledger, position_of(self.ledger, view))
            waiting = self.parked(view)
            expected = oracle.rows(view, facts)
            assert rows_of(self.ledger, view) == {
                key: row for key, row in expected.items() if key not in waiting
            }

    def nothing_waits_in_vain(self, view: View) -> None:
        facts = logged(self.ledger, position_of(self.ledger, view))
        failing = oracle.grouped(view, facts).keys() - oracle.rows(view, facts).keys()
        assert self.parked(view) == failing

    def parked(self, view: View) -> set[str]:
        with self.ledger.store.cursor() as cursor:
            live = generations.live(view.name, cursor)
            return set(parking.parked(live, cursor)) if live else set()


def test_every_view_equals_a_fresh_fold_whatever_operators_do(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE_TOUCHPOINTS", 3)
    run_state_machine_as_test(
        lambda: Operation(workshop),  # type: ignore[arg-type]
        settings=settings(workshop.examples(60), stateful_step_count=14),
    )
