"""The pulse of a follower: what its own thread sees of the views, told to whoever asks.

It tells a view that is behind but moves from one that is stuck, and so does not depend on the
follower's thread, which may hang, for anything but what it saw last.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from ledger.log import system_clock
from projections.query import Lag
from schemas.fields import rfc3339

State = Literal["disconnected", "stuck", "moving", "standby", "caught_up", "outdated"]
WORST_FIRST: tuple[State, ...] = (
    "disconnected", "stuck", "moving", "caught_up", "standby", "outdated",
)  # fmt: skip
"""The state of the whole is that of the first of these in which a view is."""
MICROSECONDS = 1_000_000
NOT_YET = "the follower has not looked at the ledger yet"


class ViewHealth(msgspec.Struct, kw_only=True):
    """How one view is doing. `lag_seconds` is the age of the oldest touchpoint it has not seen."""

    name: str
    position: int
    head: int
    lag: int
    lag_seconds: float
    state: State


class Health(msgspec.Struct, kw_only=True):
    """How a follower is doing, and since when (RFC 3339); `reason` is what holds it up."""

    state: State
    since: str
    at: str
    reason: str | None
    views: list[ViewHealth]

    @property
    def good(self) -> bool:
        """Whether nobody needs to be woken."""
        return self.state not in ("disconnected", "stuck")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A view as it was last looked at, with moments of the monotonic clock.

    `settled` is the state without regard to time; it has been so since `since`.
    """

    lag: Lag
    settled: State
    since: float
    moved_at: float


class Pulse:
    """Written by the follower's thread, read by any: what is kept is replaced, never changed."""

    def __init__(
        self,
        stuck_seconds: float,
        *,
        ticks: Callable[[], float] = time.monotonic,
        clock: Callable[[], int] = system_clock,
    ) -> None:
        self._stuck_seconds = stuck_seconds
        self._ticks = ticks
        self._clock = clock
        self._origin = clock() - round(ticks() * MICROSECONDS)
        self._seen: dict[str, _Seen] = {}
        self._looked_at = self._progressed_at = ticks()
        self._progress: tuple[str, int] = ("", 0)
        self._lost: tuple[float, str] | None = (self._looked_at, NOT_YET)
        self._held_up: str | None = None

    def saw(self, lags: Sequence[Lag], held: frozenset[str]) -> None:
        """How far the views are, and which of them this process follows."""
        now = self._ticks()
        self._seen = {lag.name: self._compared(lag, lag.name in held, now) for lag in lags}
        self._looked_at, self._lost = now, None

    def _compared(self, lag: Lag, held: bool, now: float) -> _Seen:
        before = self._seen.get(lag.name)
        settled: State = (
            "outdated" if lag.state == "outdated"
            else "standby" if not held
            else "moving" if lag.lag
            else "caught_up"
        )  # fmt: skip
        if before is None or before.settled != settled:
            return _Seen(lag, settled, now, now)
        moved = lag.position != before.lag.position or not lag.lag
        return _Seen(lag, settled, before.since, now if moved else before.moved_at)

    def progressed(self, phase: str, done: int) -> None:
        """How far work has come that does not show in the positions of the views."""
        if (phase, done) != self._progress:
            self._progress, self._progressed_at = (phase, done), self._ticks()

    def lost(self, reason: str) -> None:
        """The ledger cannot be reached."""
        if self._lost is None or self._lost[1] == NOT_YET:
            self._lost = (self._ticks(), reason)

    def held_up(self, reason: str | None) -> None:
        """What keeps the views from being followed, or None when nothing does any more."""
        self._held_up = reason

    def health(self) -> Health:
        """How the follower is doing now."""
        now = self._ticks()
        lost, held_up = self._lost, self._held_up
        looks = now - max(self._looked_at, self._progressed_at) <= self._stuck_seconds
        found: list[tuple[ViewHealth, float]] = []
        for seen in self._seen.values():
            state, since = self._judged(seen, looks, now)
            found.append((self._told(seen.lag, "disconnected" if lost else state, now), since))
        worst: tuple[State, float] = ("disconnected", lost[0]) if lost else _worst(found)
        return Health(
            state=worst[0],
            since=rfc3339(self._origin + round(worst[1] * MICROSECONDS)),
            at=rfc3339(self._clock()),
            reason=lost[1] if lost else held_up,
            views=[view for view, _ in found],
        )

    def _judged(self, seen: _Seen, looks: bool, now: float) -> tuple[State, float]:
        if seen.settled in ("standby", "outdated"):
            return seen.settled, seen.since
        if not looks:
            return "stuck", self._looked_at
        moved_at = max(seen.moved_at, self._progressed_at)
        if seen.settled == "moving" and now - moved_at > self._stuck_seconds:
            return "stuck", moved_at
        return seen.settled, seen.since

    def _told(self, lag: Lag, state: State, now: float) -> ViewHealth:
        older = now - self._looked_at if lag.lag else 0.0
        return ViewHealth(
            name=lag.name,
            position=lag.position,
            head=lag.head,
            lag=lag.lag,
            lag_seconds=round(lag.lag_seconds + older, 3),
            state=state,
        )


def _worst(views: Sequence[tuple[ViewHealth, float]]) -> tuple[State, float]:
    """The state of the whole, and the moment since which there is a view in it."""
    state = min((view.state for view, _ in views), key=WORST_FIRST.index)
    return state, min(since for view, since in views if view.state == state)
