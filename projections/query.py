"""Questions to the views: of now from the tables, of any other moment from the log itself."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from domain.rules import Rules
from ledger.governance import Governance, governance
from ledger.ledger import Ledger
from ledger.log import Stored
from projections import generations, parking, tables
from projections.fold import by_key, fold, in_order, streams_in, streams_of_touchpoints
from projections.persons import person_of, streams_of
from projections.reading import Reader
from projections.view import View
from schemas.envelope import Envelope
from schemas.replay import decode
from schemas.subject import stream_of
from schemas.touchpoint import Touchpoint

PAGE_ROWS = 500


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


def governing(ledger: Ledger, cut: Cut = NOW) -> Governance:
    """The rules and the voided facts that a cut shows."""
    last = until(ledger, cut)
    with ledger.store.cursor() as cursor:
        return governance(last, cursor, cut.shows)


def rules(ledger: Ledger, cut: Cut = NOW) -> Rules:
    """The rules that a cut shows."""
    return governing(ledger, cut).rules


def subjects_of(person: str) -> tuple[str, ...]:
    """The (stored) subjects that are this person; see projections/persons.py."""
    return (person,)


def state_of(ledger: Ledger, view: View, key: str, cut: Cut = NOW) -> Any | None:
    """The state of one key, or None when nothing is known of it."""
    return states_of(ledger, view, [key], cut).get(key)


def states_of(ledger: Ledger, view: View, keys: Sequence[str], cut: Cut = NOW) -> dict[str, Any]:
    """The states of those keys of which something is known."""
    with ledger.store.cursor() as cursor:
        if cut.now:
            live = generations.live(view.name, cursor)
            rows = tables.rows_of(live.table, keys, cursor) if live else {}
            return {key: _decoded(view, row.state) for key, row in rows.items()}
        last = until(ledger, cut)
        known = governance(last, cursor, cut.shows)
        reach = _streams_reaching(view, keys, cursor)
        everything = Reader([view]).streams(reach, last, cursor)
    shown = known.standing([t for t in everything if cut.shows(t.at)])
    found = by_key(view, shown, known.rules)
    return {key: fold(view, in_order(found[key]), known.rules) for key in keys if key in found}


def _streams_reaching(view: View, keys: Sequence[str], cursor: sqlite3.Cursor) -> set[str]:
    """The streams that reach these keys, or did before what they say of them was voided."""
    if view.by_person:
        return {stream for key in keys for stream in streams_of(key)}
    live = generations.live(view.name, cursor)
    if live is None:
        return set()
    rows = tables.rows_of(live.table, keys, cursor)
    streams = {stream for row in rows.values() for stream in streams_in(row)}
    for key, failure in parking.parked(live, cursor).items():
        streams.update(failure.reaching if key in keys else ())
    known = governance(live.position, cursor)
    struck = Reader([view]).identified(known.voided, live.position, cursor)
    for key, voided in by_key(view, struck, known.rules).items():
        streams.update(streams_of_touchpoints(voided) if key in keys else ())
    return streams


def _decoded(view: View, state: str) -> Any:
    return msgspec.json.decode(state, type=view.state)


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
    terms = [f"{_column(view, paths[name])} IS ?" for name in where or ()]
    condition = f"WHERE {' AND '.join(terms)}" if terms else ""
    with ledger.store.cursor() as cursor:
        live = generations.live(view.name, cursor)
        if live is None:
            return []
        rows = cursor.execute(
            f"SELECT key, state FROM {live.table} {condition} ORDER BY key LIMIT ?",
            (*(where or {}).values(), -1 if limit is None else limit),
        )
        return [(key, _decoded(view, state)) for key, state in rows]


def _column(view: View, path: str) -> str:
    """The SQL of a column. A state leaves its defaults out of the row, so they are put back."""
    value = f"json_extract(state, '$.{path}')"
    default = {field.name: field.default for field in msgspec.structs.fields(view.state)}.get(path)
    return f"coalesce({value}, '{default}')" if isinstance(default, str) else value


def walk(ledger: Ledger, view: View) -> Iterator[tuple[str, Any]]:
    """(key, state) of every row, by key; read page by page, so that any number will do."""
    after: str | None = None
    while page := _rows_behind(ledger, view, after):
        yield from ((key, _decoded(view, state)) for key, state in page)
        after = page[-1][0]


def _rows_behind(ledger: Ledger, view: View, after: str | None) -> list[tuple[str, str]]:
    with ledger.store.cursor() as cursor:
        live = generations.live(view.name, cursor)
        if live is None:
            return []
        behind = "" if after is None else "WHERE key > ?"
        return cursor.execute(
            f"SELECT key, state FROM {live.table} {behind} ORDER BY key LIMIT ?",
            (*(() if after is None else (after,)), PAGE_ROWS),
        ).fetchall()


def first_touchpoints(ledger: Ledger, subjects: Iterable[str]) -> list[Envelope[Touchpoint]]:
    """The first recorded touchpoint of each (stored) subject that has any; still encrypted."""
    streams = [stream_of(subject).hex for subject in subjects]
    with ledger.store.cursor() as cursor:
        rows = cursor.execute(
            "SELECT topic, state FROM stored_events WHERE originator_version = 1 "
            "AND originator_id IN (SELECT value FROM json_each(?))",
            (msgspec.json.encode(streams).decode(),),
        )
        return [decode(topic, state) for topic, state in rows]


def timeline(ledger: Ledger, person: str, cut: Cut = NOW) -> list[Told]:
    """All touchpoints of a person that a cut shows, in the order in which they occurred."""
    return told(ledger.log.streams(streams_of(person), until(ledger, cut)), cut)


def history(ledger: Ledger, view: View, key: str, cut: Cut = NOW) -> list[Told]:
    """All touchpoints that a view reads for one key, whoever they are about, by occurrence."""
    with ledger.store.cursor() as cursor:
        streams = _streams_reaching(view, [key], cursor)
    everything = told(ledger.log.streams(streams, until(ledger, cut)), cut)
    key_of = view.key or (lambda envelope: person_of(envelope.subject))
    return [t for t in everything if t.envelope.type in view.reads and key_of(t.envelope) == key]


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
