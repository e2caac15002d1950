"""What a follower tells: people a line a change, and now and then how far; metrics of its views."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from ledger.metrics import Gauge, single
from projections.pulse import Health, State, ViewHealth

AGAIN_SECONDS = 30.0
"""How often it says again that it is behind."""
BEHIND_SECONDS = 5.0
"""Who is less behind than this is as good as caught up: touchpoints come all the time."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What was told last, and when (seconds of the monotonic clock)."""

    state: State | None = None
    reason: str | None = None
    standby: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    at: float = 0.0
    lag: int = 0
    position: int = 0


class Telling:
    """Tells changes of a follower's health, each once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last = _Told()

    def __call__(self, health: Health) -> None:
        """Say what has changed, or, while it is behind, from time to time how far."""
        last, now = self._last, time.monotonic()
        furthest = max(health.views, key=lambda view: view.lag, default=None)
        told = _Told(
            state=_noteworthy(health),
            reason=health.reason,
            standby=_names(health, "standby"),
            outdated=_names(health, "outdated"),
            at=now,
            lag=furthest.lag if furthest else 0,
            position=furthest.position if furthest else 0,
        )
        lines = [*_changes(last, told, health)]
        due = told.state != last.state or now - last.at >= AGAIN_SECONDS
        if due and furthest and told.state in ("moving", "stuck"):
            lines.append(_behind(last, told, furthest))
        for line in lines:
            self._say(line)
        if not lines:  # what is behind is measured from line to line
            told = replace(told, at=last.at, lag=last.lag, position=last.position)
        self._last = told


def gauges(health: Health) -> Iterator[Gauge]:
    """A follower's health as metrics, view by view."""
    yield single("touchstone_up", "1 while the ledger answers, else 0.", _is_up(health))
    for name, says in (
        ("position", "The position up to which a view is folded."),
        ("lag", "Touchpoints that a view has not seen yet."),
        ("lag_seconds", "Age of the oldest touchpoint that a view has not seen yet."),
    ):
        values: dict[tuple[str, ...], float] = {
            (view.name,): getattr(view, name) for view in health.views
        }
        yield Gauge(f"touchstone_view_{name}", says, ("view",), values)


def _is_up(health: Health) -> int:
    return health.state != "disconnected"


def _noteworthy(health: Health) -> State:
    """The state, but that who is hardly behind counts as caught up."""
    behind = max((view.lag_seconds for view in health.views), default=0.0)
    if health.state == "moving" and behind < BEHIND_SECONDS:
        return "caught_up"
    return health.state


def _names(health: Health, state: State) -> tuple[str, ...]:
    return tuple(view.name for view in health.views if view.state == state)


def _changes(last: _Told, told: _Told, health: Health) -> Iterator[str]:
    if told.state == "disconnected":
        if last.state != "disconnected":
            yield f"{told.reason}; it is tried again until it answers"
        return
    if last.state == "disconnected":
        yield f"reached again after {_length(told.at - last.at)}"
    elif told.reason not in (None, last.reason):
        yield f"held up: {told.reason}; it is tried again"
    if told.outdated and told.outdated != last.outdated:
        names = " ".join(told.outdated)
        yield (
            f"not followed, because another version built it: {names}; "
            f"`touchstone projection rebuild {names}` mends that"
        )
    if told.standby and told.standby != last.standby:
        yield f"another process follows {', '.join(told.standby)}: standing by"
    if told.state == "caught_up" and last.state != "caught_up":
        names = ", ".join(
            view.name for view in health.views if view.state in ("caught_up", "moving")
        )
        yield f"{names}: up to date at position {min(v.head for v in health.views):,}"


def _behind(last: _Told, told: _Told, view: ViewHealth) -> str:
    """How far the view that is furthest behind is, and, once it is known, how fast it goes."""
    word = "stuck, " if told.state == "stuck" else ""
    far = f"{view.name}: {word}{view.lag:,} touchpoints ({_length(view.lag_seconds)}) behind"
    seconds = told.at - last.at
    if last.state != told.state or told.position <= last.position:
        return far
    rate = f"{far}; {(told.position - last.position) / seconds:,.0f}/s"
    closing = (last.lag - told.lag) / seconds
    return f"{rate}, about {_length(told.lag / closing)} to go" if closing > 0 else rate


def _length(seconds: float) -> str:
    """3.2 s, or 1:02:03 if it is long."""
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))
