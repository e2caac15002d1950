"""Reads the log for windows: page by page, chosen by filters."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from cli.asking import stored_subject
from ledger.ledger import Ledger
from ledger.log import Stored
from projections.query import Told
from projections.windows.sight import Sight, read_stored
from schemas.subject import stream_of

PAGE_TOUCHPOINTS = 1_000


class _When(msgspec.Struct):
    """All that is decoded of a touchpoint to see whether it occurred in time."""

    at: int


_when = msgspec.json.Decoder(_When).decode


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted of the log. Times are of occurrence, in microseconds since 1970, inclusive."""

    first: int = 1
    types: tuple[str, ...] = ()
    stream: str | None = None
    since: int | None = None
    until: int | None = None
    limit: int | None = None

    @classmethod
    def of(
        cls, ledger: Ledger, *, first: int | None, subject: str | None, **others: Any
    ) -> "Filter":
        """The filter that the options of a command state."""
        stream = None if subject is None else stream_of(stored_subject(ledger, subject))
        return cls(first=first or 1, stream=stream, **others)

    def passes(self, stored: Stored) -> bool:
        if self.types and stored.topic not in self.types:
            return False
        if self.since is None and self.until is None:
            return True
        at = _when(stored.state).at
        return (self.since is None or at >= self.since) and (self.until is None or at <= self.until)


def read(ledger: Ledger, chosen: Filter, sight: Sight) -> Iterator[list[Told]]:
    """Pages of the chosen touchpoints, in the order of positions, up to where the log ends now.

    They are still encrypted. To see them in clear, the look must be on record before the first
    is shown, and there may be more than memory holds: so they are read twice, up to the same
    position, which the recorded looks lie behind.
    """
    head = ledger.log.head().position
    if sight.in_clear:
        for page in _pages(ledger, chosen, head):
            sight.foresee(page)
        sight.on_record(())
    return _pages(ledger, chosen, head)


def shown(ledger: Ledger, chosen: Filter, sight: Sight) -> Iterator[Told]:
    """The chosen touchpoints as the reader may see them; the look is on record."""
    return (told for page in read(ledger, chosen, sight) for told in sight.told(page))


def _pages(ledger: Ledger, chosen: Filter, head: int) -> Iterator[list[Told]]:
    passing = (stored for stored in _stored(ledger, chosen, head) if chosen.passes(stored))
    rest = islice(passing, chosen.limit)
    while page := list(islice(rest, PAGE_TOUCHPOINTS)):
        yield read_stored(page)


def _stored(ledger: Ledger, chosen: Filter, head: int) -> Iterator[Stored]:
    if chosen.stream is not None:
        everything = ledger.log.streams([chosen.stream], head)
        yield from (stored for stored in everything if stored.position >= chosen.first)
        return
    after = chosen.first - 1
    while page := ledger.log.page(after, PAGE_TOUCHPOINTS, head):
        yield from page
        after = page[-1].position
