"""Questions to the views: of now from the tables, of any other moment from the log itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from domain.rules import Rules
from ledger.ledger import Ledger
from ledger.log import Stored, governing
from projections import generations, parking, tables
from projections.fold import by_key, fold, in_order, streams_in
from projections.persons import streams_of
from projections.reading import RULE_TYPES, Reader
from projections.view import View
from schemas.envelope import Envelope
from schemas.replay import decode
from schemas.touchpoint import Touchpoint


@dataclass(frozen=True, slots=True)
class Cut:
    """What of the log is to be seen: what occurred by `as_of`, as far as known at `known_at`.

    Both are inclusive, in microseconds since 1970; None means no limit.
    """

    as_of: int | None = None
    known_at: int | None = None

    @property
    def now(self) -> bool:
        return self.as_of is None and self.known_at is None

    def shows(self, at: int) -> bool:
        return self.as_of is None or at <= self.as_of


NOW = Cut()


@dataclass(frozen=True, slots=True)
class Told:
    """A touchpoint of a timeline, with its place in the log."""

    position: int
    recorded_at: int
    envelope: Envelope[Touchpoint]


def until(ledger: Ledger, cut: Cut) -> int:
    """The last position that a cut shows."""
    if cut.known_at is None:
        return ledger.log.head().position
    return ledger.log.known_until(cut.known_at)


def rules(ledger: Ledger, cut: Cut = NOW) -> Rules:
    """The rules that a cut shows."""
    with ledger.store.cursor() as cursor:
        facts = governing(cursor, RULE_TYPES, until(ledger, cut))
    envelopes = (decode(topic, state) for topic, state in facts)
    return Rules.of(e for e in envelopes if cut.shows(e.at))


def state_of(ledger: Ledger, view: View, key: str, cut: Cut = NOW) -> Any | None:
    """The state of one key, or None when nothing is known of it."""
    with ledger.store.cursor() as cursor:
        live = generations.live(view.name, cursor)
        row = tables.rows_of(live.table, [key], cursor).get(key) if live else None
        if cut.now:
            return msgspec.json.decode(row.state, type=view.state) if row else None
        streams = streams_of(key) if view.by_person else tuple(streams_in(row)) if row else ()
        everything = Reader([view]).streams(streams, until(ledger, cut), cursor)
    known = rules(ledger, cut)
    shown = [t for t in everything if cut.shows(t.at)]
    touchpoints = by_key(view, shown, known).get(key)
    return fold(view, in_order(touchpoints), known) if touchpoints else None


def listing(
    ledger: Ledger,
    view: View,
    where: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> list[tuple[str, Any]]:
    """(key, state) of the rows whose columns have these values, by key.

    Raises KeyError for a column that the view does not state.
    """
    paths = dict(view.columns)
    terms = [f"json_extract(state, '$.{paths[name]}') = ?" for name in where or ()]
    condition = f"WHERE {' AND '.join(terms)}" if terms else ""
    with ledger.store.cursor() as cursor:
        live = generations.live(view.name, cursor)
        if live is None:
            return []
        rows = cursor.execute(
            f"SELECT key, state FROM {live.table} {condition} ORDER BY key LIMIT ?",
            (*(where or {}).values(), -1 if limit is None else limit),
        )
        return [(key, msgspec.json.decode(state, type=view.state)) for key, state in rows]


def timeline(ledger: Ledger, person: str, cut: Cut = NOW) -> list[Told]:
    """All touchpoints of a person that a cut shows, in the order in which they occurred."""
    return told(ledger.log.streams(streams_of(person), until(ledger, cut)), cut)


def told(stored: Iterable[Stored], cut: Cut = NOW) -> list[Told]:
    """Stored events as touchpoints in the order of occurrence; still encrypted."""
    found = [Told(s.position, s.recorded_at, decode(s.topic, s.state)) for s in stored]
    return sorted((t for t in found if cut.shows(t.envelope.at)), key=lambda t: t.envelope.order)


class Standing(msgspec.Struct, kw_only=True):
    """How a view stands: the table that is served, and how far it is behind the log."""

    name: str
    version: int
    state: str
    position: int
    head: int
    lag: int
    rows: int
    parked: int


def standings(ledger: Ledger, views: Iterable[View]) -> list[Standing]:
    """How each view stands: `live`, `behind`, `outdated` (built by other code), `empty`."""
    with ledger.store.cursor() as cursor:
        head = cursor.execute("SELECT position FROM head").fetchone()[0]
        parked = [p.view for p in parking.all_parked(cursor)]
        found = []
        for view in views:
            live = generations.live(view.name, cursor)
            position = live.position if live else 0
            count = f"SELECT COUNT(*) FROM {live.table}" if live else "SELECT 0"
            found.append(
                Standing(
                    name=view.name,
                    version=live.version if live else view.version,
                    state=_state(live, view, head),
                    position=position,
                    head=head,
                    lag=head - position,
                    rows=cursor.execute(count).fetchone()[0],
                    parked=parked.count(view.name),
                )
            )
    return found


def _state(live: generations.Generation | None, view: View, head: int) -> str:
    if live is None:
        return "empty"
    if live.version != view.version:
        return "outdated"
    return "live" if live.position == head else "behind"
