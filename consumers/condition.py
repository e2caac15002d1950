"""The condition of a process between Kafka and the ledger: told by its thread, asked by others."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from ledger.log import system_clock
from schemas.fields import rfc3339

State = Literal["starting", "disconnected", "stuck", "moving", "caught_up", "standby"]
GOOD: tuple[State, ...] = ("moving", "caught_up", "standby")
"""Nobody needs to be woken."""
STUCK_SECONDS = 30.0
MICROSECONDS = 1_000_000
NOTHING_TAKEN = "it is behind, and nothing has moved since then"
NOT_SEEN = "it has not been seen at work since then"


class Judged(msgspec.Struct, kw_only=True):
    """A state, since when it has been so, and when that was asked (RFC 3339); `reason` is what is
    in the way."""

    state: State
    since: str
    at: str
    reason: str | None

    @property
    def good(self) -> bool:
        """Whether nobody needs to be woken."""
        return self.state in GOOD


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known, with moments of the monotonic clock. It is replaced, never changed.

    `settled` is the state without regard to time; it has been so since `since`.
    """

    settled: State
    since: float
    looked_at: float
    moved_at: float
    lost: str | None = None
    lost_at: float = 0.0
    missing: frozenset[str] = frozenset()


class Condition:
    """Tells who is behind but moves from who is stuck, and who hangs from who has nothing to do.

    Whatever is lost, it counts as found again when both sides have answered since.
    """

    def __init__(
        self,
        stuck_seconds: float = STUCK_SECONDS,
        *,
        ticks: Callable[[], float] = time.monotonic,
        clock: Callable[[], int] = system_clock,
    ) -> None:
        self._stuck_seconds = stuck_seconds
        self._ticks = ticks
        self._clock = clock
        now = ticks()
        self._origin = clock() - round(now * MICROSECONDS)
        self._seen = _Seen("starting", now, now, now)

    def settled(self, state: State) -> None:
        """It has looked, and this is how it is."""
        now, seen = self._ticks(), self._seen
        if seen.settled != state:
            moved_at = now if state == "moving" else seen.moved_at
            seen = replace(seen, settled=state, since=now, moved_at=moved_at)
        self._seen = replace(seen, looked_at=now)

    def moved(self) -> None:
        """Something was done."""
        self._seen = replace(self._seen, moved_at=self._ticks())

    def lost(self, reason: str, *sides: str) -> bool:
        """One of these sides does not answer; whether that is news."""
        seen = self._seen
        now = self._ticks()
        self._seen = replace(
            seen,
            looked_at=now,
            lost=reason if seen.lost is None else seen.lost,
            lost_at=now if seen.lost is None else seen.lost_at,
            missing=frozenset(sides),
        )
        return seen.lost is None

    def answered(self, *sides: str) -> bool:
        """These sides answer; whether with that all answer again."""
        seen = self._seen
        if seen.lost is None:
            return False
        missing = seen.missing.difference(sides)
        if missing:
            self._seen = replace(seen, missing=missing)
            return False
        now = self._ticks()
        self._seen = replace(seen, lost=None, missing=missing, since=now, moved_at=now)
        return True

    def judged(self) -> Judged:
        """How it is now."""
        seen = self._seen
        state, since, reason = self._state(seen, self._ticks())
        return Judged(
            state=state,
            since=rfc3339(self._origin + round(since * MICROSECONDS)),
            at=rfc3339(self._clock()),
            reason=reason,
        )

    def _state(self, seen: _Seen, now: float) -> tuple[State, float, str | None]:
        if seen.lost is not None:
            return "disconnected", seen.lost_at, seen.lost
        seen_at = max(seen.looked_at, seen.moved_at)
        if seen.settled != "starting" and now - seen_at > self._stuck_seconds:
            return "stuck", seen_at, NOT_SEEN
        if seen.settled == "moving" and now - seen.moved_at > self._stuck_seconds:
            return "stuck", seen.moved_at, NOTHING_TAKEN
        return seen.settled, seen.since, None
