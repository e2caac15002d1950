"""Touchpoints as records: what happened, in the order in which it occurred."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from operator import itemgetter
from typing import NamedTuple

import msgspec

from domain.voiding import Identity
from ledger.correcting import BY, voidings
from ledger.ledger import Ledger
from ledger.log import Stored
from projections.query import Cut, Told, persons_at, until
from projections.windows import Record
from projections.windows.sight import Sight, read_stored
from schemas.encoding import plain
from schemas.fields import rfc3339
from schemas.registry import BY_TYPE

OPTIONAL_ATTRIBUTES = ("sequence", "correlationid", "causationid", "traceparent", "extensions")
CHANNELS = tuple(sorted({cls.CHANNEL for cls in BY_TYPE.values() if cls.CHANNEL is not None}))


class Order(NamedTuple):
    """The place of a touchpoint among others. `at` is in microseconds since 1970."""

    at: int
    sequence: int
    source: str
    id: str


class _Place(msgspec.Struct):
    """All that is decoded of a touchpoint that is on another page."""

    at: int
    source: str
    id: str
    sequence: int = 0


_place = msgspec.json.Decoder(_Place).decode


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a timeline is wanted. Times are of occurrence, in microseconds since 1970."""

    channels: Collection[str] = ()
    types: Collection[str] = ()
    since: int | None = None
    until: int | None = None

    def passes(self, type_name: str, at: int) -> bool:
        """Whether a touchpoint of this type and time is among it."""
        return (
            (not self.channels or BY_TYPE[type_name].CHANNEL in self.channels)
            and (not self.types or type_name in self.types)
            and (self.since is None or at >= self.since)
            and (self.until is None or at <= self.until)
        )


def timeline_page(
    ledger: Ledger, person: str, cut: Cut, wanted: Wanted, limit: int, after: Order | None = None
) -> list[Told]:
    """The next touchpoints of a person behind a place, in the order in which they occurred.

    Whatever is recorded meanwhile, none comes twice, and none is missing that was there when
    the first page was asked for.
    """
    streams = persons_at(ledger, [person], cut).streams_of(person)
    placed = (_placed(stored) for stored in ledger.log.streams(streams, until(ledger, cut)))
    found = (
        (order, stored)
        for order, stored in placed
        if (after is None or order > after)
        and cut.shows(order.at)
        and wanted.passes(stored.topic, order.at)
    )
    return read_stored(stored for _, stored in nsmallest(limit, found, key=itemgetter(0)))


def _placed(stored: Stored) -> tuple[Order, Stored]:
    place = _place(stored.state)
    return Order(place.at, place.sequence, place.source, place.id), stored


def log_record(told: Told) -> Record:
    """A touchpoint as `log` prints it, in clear or masked; what it has not is left out."""
    envelope = told.envelope
    record = {
        "position": told.position,
        "recorded_at": rfc3339(told.recorded_at),
        "time": envelope.time,
        "type": envelope.type,
        "source": envelope.source,
        "id": envelope.id,
        "subject": envelope.subject,
    }
    for name in OPTIONAL_ATTRIBUTES:
        if value := getattr(envelope, name):
            record[name] = value
    return record | {"data": plain(envelope.data)}


def told_record(told: Told) -> Record:
    """What identifies a touchpoint, and the line that tells it."""
    envelope = told.envelope
    return {
        "position": told.position,
        "recorded_at": rfc3339(told.recorded_at),
        "time": envelope.time,
        "source": envelope.source,
        "id": envelope.id,
        "subject": envelope.subject,
        "type": envelope.type,
        "summary": envelope.data.summary(),
    }


def timeline_records(
    ledger: Ledger, told: Sequence[Told], cut: Cut, sight: Sight
) -> Iterable[Record]:
    """Touchpoints as timelines print them, with channel and summary; the look is on record.

    Those that were voided, as far as the cut shows, are marked, with what says so: they happened
    to be recorded, but count in no view.
    """
    struck = _struck(ledger, told, cut, sight)
    return sight.on_record(
        log_record(t)
        | {
            "channel": BY_TYPE[t.envelope.type].CHANNEL,
            "summary": t.envelope.data.summary(),
            "voided": (t.envelope.source, t.envelope.id) in struck,
            "voided_by": struck.get((t.envelope.source, t.envelope.id)),
        }
        for t in sight.told(told)
    )


def _struck(ledger: Ledger, told: Sequence[Told], cut: Cut, sight: Sight) -> dict[Identity, Record]:
    """Those of the touchpoints that were voided, each with when, by whom and why."""
    last = until(ledger, cut)
    with ledger.store.cursor() as cursor:
        known = voidings(last, cursor)
    named = [(t.envelope.source, t.envelope.id) for t in told]
    found = {identity: known[identity] for identity in named if identity in known}
    opened = sight.told([Told(v.position, v.recorded_at, v.fact) for v in found.values()])
    return {identity: _voiding(void) for identity, void in zip(found, opened, strict=True)}


def _voiding(void: Told) -> Record:
    envelope = void.envelope
    extra = envelope.data.extra
    return {
        "position": void.position,
        "recorded_at": rfc3339(void.recorded_at),
        "time": envelope.time,
        "source": envelope.source,
        "id": envelope.id,
        "by": extra.get(BY) if isinstance(extra, dict) else extra,
        "reason": envelope.data.reason,  # type: ignore[attr-defined]
    }
