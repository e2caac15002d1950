"""The follower as a process: it follows views for as long as it lives, whatever happens.

It is told when the log grows and looks every second as well. Of several processes one follows a
view, the others stand by; which one is settled by a claim that goes with the process. What makes
two of them harmless, should a claim be lost unnoticed, is the engine: it drops overtaken work.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from ledger.errors import (
    Denied,
    KeysMissing,
    LedgerError,
    NotInitialised,
    SchemaMismatch,
    Unreachable,
)
from ledger.intake import Stop, StopRequested
from ledger.ledger import Ledger
from ledger.progress import FAR_TOUCHPOINTS, Report
from ledger.store import Listening
from ledger.waiting import delays, stand_by
from projections import generations
from projections.follow import follow
from projections.follower import PAGE_TOUCHPOINTS
from projections.pulse import Pulse
from projections.query import Lag, lags
from projections.rebuild import Interrupted
from projections.view import View

POLL_SECONDS = 1.0
STUCK_SECONDS = 30.0
LOOK_SECONDS = 1.0
"""How often the positions are looked at while there is much to follow."""
FINAL = (NotInitialised, SchemaMismatch, KeysMissing, Denied)
"""Errors that do not pass by waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Touchpoints in a transaction, processes of a rebuild, and how often to look (seconds)."""

    batch: int = PAGE_TOUCHPOINTS
    workers: int = 1
    poll_seconds: float = POLL_SECONDS


class Following:
    """Follows views until it is told to stop. `looked` is called after each look at them."""

    def __init__(
        self,
        ledger: Ledger,
        views: Sequence[View],
        pulse: Pulse,
        *,
        progress: Callable[[], AbstractContextManager[Report]],
        looked: Callable[[], None] = lambda: None,
        pace: Pace | None = None,
        stop: Stop | None = None,
    ) -> None:
        self._ledger = ledger
        self._views = {claim_of(view): view for view in views}
        self._pulse = pulse
        self._progress = progress
        self._looked = looked
        self._pace = pace or Pace()
        self._stop = stop or Stop()
        self._delays = delays()
        self._lags: list[Lag] = []
        self._held: frozenset[str] = frozenset()
        self._look_again_at = 0.0

    def run(self, until: int | None = None) -> None:
        """Follow for ever, or until all views have come to a position.

        A ledger that cannot be reached is waited for. Raises Interrupted when a stop is
        requested, and LedgerError where waiting is of no use.
        """
        while True:
            try:
                with self._ledger.store.listening() as session:
                    self._ledger.address.check()
                    generations.refresh_analyst_views(self._views.values(), self._ledger.store)
                    self._attend(session, until)
                return
            except Unreachable as error:
                self._pulse.lost(str(error))
                self._looked()
                with self._breakable():
                    time.sleep(next(self._delays))

    def _attend(self, session: Listening, until: int | None) -> None:
        """Follow and wait in turns, until the views have come to the position."""
        while True:
            well = self._turn(session)
            if until is not None and self._come_to(until):
                return
            with self._breakable():
                if not well:
                    time.sleep(next(self._delays))
                elif self._held:
                    session.wait(self._pace.poll_seconds)
                else:
                    stand_by(session)

    def _turn(self, session: Listening) -> bool:
        """Follow what this process has claimed to its end; False when something is in the way."""
        claimed = session.claim(self._views)
        self._held = frozenset(self._views[claim].name for claim in claimed)
        self._look()
        try:
            with ExitStack() as shown:
                follow(
                    self._ledger,
                    [view for claim, view in self._views.items() if claim in claimed],
                    workers=self._pace.workers,
                    batch=self._pace.batch,
                    report=self._reporting(shown),
                    stop=self._stop,
                )
        except (Unreachable, *FINAL):
            raise
        except LedgerError as error:
            self._pulse.held_up(str(error))
            self._look()
            return False
        self._delays = delays()
        self._pulse.held_up(None)
        self._look()
        return True

    def _look(self) -> None:
        self._lags = lags(self._ledger, tuple(self._views.values()))
        self._pulse.saw(self._lags, self._held)
        self._look_again_at = time.monotonic() + LOOK_SECONDS
        self._looked()

    def _come_to(self, position: int) -> bool:
        return all(lag.position >= position or lag.state == "outdated" for lag in self._lags)

    def _reporting(self, shown: ExitStack) -> Report:
        """Note that work goes on, and show it once it turns out to be much."""
        showing: list[Report] = []

        def report(phase: str, done: int, total: int) -> None:
            self._pulse.progressed(phase, done)
            if not showing and total - done >= FAR_TOUCHPOINTS:
                showing.append(shown.enter_context(self._progress()))
            for show in showing:
                show(phase, done, total)
            if time.monotonic() >= self._look_again_at:
                self._look()

        return report

    @contextmanager
    def _breakable(self) -> Iterator[None]:
        """Nothing is lost by breaking off here: a signal need not wait for the end."""
        try:
            with self._stop.breakable():
                yield
        except StopRequested:
            raise Interrupted("following was interrupted; `follow` goes on with it") from None


def claim_of(view: View) -> str:
    """What the process that follows a view has a claim to."""
    return f"follow-{view.name}"
