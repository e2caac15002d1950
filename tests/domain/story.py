"""Touchpoints at given minutes of one morning, and the folding of them in their order."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from domain.occurred import Occurred, order_of
from schemas.envelope import Envelope
from schemas.fields import microseconds
from schemas.money import Money
from schemas.replay import NarrowDecoder
from schemas.touchpoint import Touchpoint

S = TypeVar("S")
Evolve = Callable[[S, Occurred, object], S]

START = microseconds(datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
MINUTE = 60_000_000


def minute(number: float) -> int:
    """So many minutes after Monday 2026-01-05, 09:00 UTC, in microseconds since 1970."""
    return START + round(number * MINUTE)


def happened(
    number: float,
    data: Touchpoint,
    *,
    subject: str = "customer:42",
    source: str = "shop",
    id: str | None = None,  # noqa: A002
    sequence: int = 0,
) -> Envelope[Any]:
    """A touchpoint that occurred at that minute."""
    return Envelope(
        type=data.TYPE,
        at=minute(number),
        source=source,
        id=id or f"{data.TYPE}@{number}",
        subject=subject,
        sequence=sequence,
        data=data,
    )


def folded(evolve: Evolve[S], state: S, touchpoints: Iterable[Occurred]) -> S:
    """The state after all of them, folded by occurrence."""
    for touchpoint in sorted(touchpoints, key=order_of):
        state = evolve(state, touchpoint, None)
    return state


def narrowed(
    reads: dict[str, tuple[str, ...]], touchpoints: Iterable[Envelope[Any]]
) -> list[Occurred]:
    """The same touchpoints as a rebuild sees them: of the types read, the fields read."""
    stored = [msgspec.json.encode(t) for t in touchpoints if t.type in reads]
    page: list[Occurred] = NarrowDecoder(reads).page(stored)
    return page


def euro(amount: str) -> Money:
    return Money(amount=amount, currency="EUR")
