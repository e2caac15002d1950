"""Questions to the views: of now from the tables, of any other moment from the log itself."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any

import msgspec

from domain.rules import Rules
from ledger.governance import Governance, governance
from ledger.ledger import Ledger
from ledger.log import Stored
from ledger.persons import ALONE, Persons, persons_of
from ledger.store import Cursor
from projections import generations, parking, tables
from projections.fold import (
    Row,
    by_key,
    fold,
    in_order,
    key_in,
    order_in,
    streams_in,
    streams_of_touchpoints,
)
from projections.reading import Reader
from projections.view import View
from schemas.envelope import Envelope
from schemas.replay import decode
from schemas.subject import stream_of
from schemas.touchpoint import Touchpoint

PAGE_ROWS = 500
SECOND = 1_000_000
"""In microseconds."""
PAGE_TOUCHPOINTS = 5_000


@dataclass(frozen=True, slots=True)
class Cut:
    """What of the log is to be seen: what occurred by `as_of`, as far as known at `known_at`.

    Both are inclusive, in microseconds since 1970. None is the present: for `known_at` all that
    is recorded; for `as_of` what a state says at this moment, and for rules and for lists of
    what is recorded no limit.
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


def persons_at(ledger: Ledger, subjects: Iterable[str], cut: Cut = NOW) -> Persons:
    """The persons that these (stored) subjects are, as far as a cut shows it."""
    last = until(ledger, cut)
    with ledger.store.cursor() as cursor:
        known = governance(last, cursor, cut.shows)
        return persons_of(subjects, known, last, cursor, cut.shows)


def subjects_of(ledger: Ledger, person: str, cut: Cut = NOW) -> tuple[str, ...]:
    """The (stored) subjects that are this person, as far as a cut shows it."""
    return persons_at(ledger, [person], cut).subjects_of(person)


def state_of(ledger: Ledger, view: View, key: str, cut: Cut = NOW) -> Any | None:
    """The state of one key, or None when nothing is known of it."""
    return states_of(ledger, view, [key], cut).get(key)


def states_of(ledger: Ledger, view: View, keys: Sequence[str], cut: Cut = NOW) -> dict[str, Any]:
    """The states of those keys of which something is known.

    Without `as_of` it is the present moment that is asked for: what the log has of the future
    (sources' clocks may be ahead) counts when its time has come.
    """
    moment = ledger.log.clock() if cut.as_of is None else cut.as_of
    if not cut.now:
        last = until(ledger, cut)
        with ledger.store.cursor() as cursor:
            span = _Span(governance(last, cursor, cut.shows), last, moment, cut.shows)
            return _folded(view, keys, span, cursor)
    with ledger.store.cursor() as cursor:
        live = generations.live(view.name, cursor)
        if live is None:
            return {}
        rows = tables.rows_of(live.table, keys, cursor)
        return _at_present(view, live, list(rows.values()), moment, cursor)


@dataclass(frozen=True, slots=True)
class _Span:
    """What is folded: up to a position what occurred up to a moment, and what governs it."""

    known: Governance
    until: int
    moment: int
    shows: Callable[[int], bool] = lambda at: True


def state_if(ledger: Ledger, view: View, person: str, persons: Persons) -> Any | None:
    """The state that a person would have now if these were the persons; for views by person."""
    last = ledger.log.head().position
    with ledger.store.cursor() as cursor:
        span = _Span(governance(last, cursor), last, ledger.log.clock())
        return _folded(view, [person], span, cursor, persons).get(person)


def state_under(
    view: View, key: str, known: Governance, last: int, moment: int, cursor: Cursor
) -> Any:
    """The state of a key by the log up to a position, if this were what governs it."""
    return _folded(view, [key], _Span(known, last, moment), cursor).get(key)


def _folded(
    view: View, keys: Sequence[str], span: _Span, cursor: Cursor, persons: Persons | None = None
) -> dict[str, Any]:
    """The states of keys, folded on the spot from the log."""
    if view.by_person:
        if persons is None:
            persons = persons_of(keys, span.known, span.until, cursor, span.shows)
        reach = {stream for key in keys for stream in persons.streams_of(key)}
    else:
        reach = _streams_reaching(view, keys, span.until, cursor)
    everything = Reader([view]).streams(reach, span.until, cursor)
    shown = span.known.standing([t for t in everything if t.at <= span.moment])
    rules = span.known.rules
    found = by_key(view, shown, rules, persons or ALONE)
    return {key: fold(view, in_order(found[key]), rules) for key in keys if key in found}


def _at_present(
    view: View,
    live: generations.Generation,
    rows: Sequence[Row],
    moment: int,
    cursor: Cursor,
) -> dict[str, Any]:
    """The states in rows, in their order; those that know of the future are folded without it.

    A parked key is served as it was last folded.
    """
    ahead = [row.key for row in rows if order_in(row)[0] > moment]
    if not ahead:
        return {row.key: decoded(view, row.state) for row in rows}
    waiting = parking.parked(live, cursor)
    again = [key for key in ahead if key not in waiting]
    span = _Span(governance(live.position, cursor), live.position, moment)
    refolded = _folded(view, again, span, cursor)
    without = set(again) - refolded.keys()
    return {
        row.key: refolded[row.key] if row.key in refolded else decoded(view, row.state)
        for row in rows
        if row.key not in without
    }


def _streams_reaching(view: View, keys: Sequence[str], last: int, cursor: Cursor) -> set[str]:
    """The streams that reach these keys up to a position, or did before something was voided.

    The keys are not persons, whose streams follow from who is one person with whom.
    """
    live = generations.live(view.name, cursor)
    if live is None:
        return _streams_behind(view, keys, 0, last, cursor)
    streams = _streams_behind(view, keys, live.position, last, cursor)
    rows = tables.rows_of(live.table, keys, cursor)
    streams.update(stream for row in rows.values() for stream in streams_in(row))
    for key, failure in parking.parked(live, cursor).items():
        streams.update(failure.reaching if key in keys else ())
    known = governance(live.position, cursor)
    struck = Reader([view]).identified(known.voided, live.position, cursor)
    for key, voided in by_key(view, struck, known.rules).items():
        streams.update(streams_of_touchpoints(voided) if key in keys else ())
    return streams


def _streams_behind(
    view: View, keys: Sequence[str], after: int, last: int, cursor: Cursor
) -> set[str]:
    """The streams that reach these keys by what the live view has not folded yet."""
    reader, wanted, streams = Reader([view]), frozenset(keys), set[str]()
    key_of = key_in(view, ALONE)
    while after < last:
        after, page = reader.page(after, last, PAGE_TOUCHPOINTS, cursor)
        if not page:
            break
        told = [t for t in page if t.type in view.reads and key_of(t) in wanted]
        streams |= streams_of_touchpoints(told)
    return streams


def decoded(view: View, state: str) -> Any:
    """The state in a row."""
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
    paths = {column.name: column.path for column in view.columns}
    wanted = [(attrgetter(paths[name]), value) for name, value in (where or {}).items()]
    found = (
        (key, state)
        for key, state in walk(ledger, view)
        if all(column(state) == value for column, value in wanted)
    )
    return list(islice(found, limit))


def walk(ledger: Ledger, view: View, after: str | None = None) -> Iterator[tuple[str, Any]]:
    """(key, state) of every row, or of those behind a key, by key.

    They are read page by page, so that any number will do.
    """
    while True:
        with ledger.store.cursor() as cursor:
            live = generations.live(view.name, cursor)
            rows = tables.rows_behind(live.table, after, PAGE_ROWS, cursor) if live else []
            if live is None or not rows:
                return
            states = _at_present(view, live, rows, ledger.log.clock(), cursor)
        yield from states.items()
        after = rows[-1].key


def first_touchpoints(ledger: Ledger, subjects: Iterable[str]) -> list[Envelope[Touchpoint]]:
    """The first recorded touchpoint of each (stored) subject that has any; still encrypted."""
    streams = [stream_of(subject) for subject in subjects]
    with ledger.store.cursor() as cursor:
        rows = cursor.execute(
            f"SELECT topic, state FROM {cursor.OF_STREAMS} WHERE originator_version = 1",
            (cursor.listed(streams),),
        )
        return [decode(topic, state) for topic, state in rows]


def timeline(ledger: Ledger, person: str, cut: Cut = NOW) -> list[Told]:
    """All touchpoints of a person that a cut shows, in the order in which they occurred."""
    streams = persons_at(ledger, [person], cut).streams_of(person)
    return told(ledger.log.streams(streams, until(ledger, cut)), cut)


def history(ledger: Ledger, view: View, key: str, cut: Cut = NOW) -> list[Told]:
    """All touchpoints that a view reads for one key, whoever they are about, by occurrence."""
    if view.by_person:
        return [t for t in timeline(ledger, key, cut) if t.envelope.type in view.reads]
    last = until(ledger, cut)
    with ledger.store.cursor() as cursor:
        streams = _streams_reaching(view, [key], last, cursor)
    everything = told(ledger.log.streams(streams, last), cut)
    key_of = key_in(view, ALONE)
    return [t for t in everything if t.envelope.type in view.reads and key_of(t.envelope) == key]


def told(stored: Iterable[Stored], cut: Cut = NOW) -> list[Told]:
    """Stored events as touchpoints in the order of occurrence; still encrypted."""
    found = [Told(s.position, s.recorded_at, decode(s.topic, s.state)) for s in stored]
    return sorted((t for t in found if cut.shows(t.envelope.at)), key=lambda t: t.envelope.order)


class Lag(msgspec.Struct, kw_only=True):
    """How far a view is behind the log: in touchpoints, and by when the oldest was recorded."""

    name: str
    version: int
    state: str
    position: int
    head: int
    lag: int
    lag_seconds: float


class Standing(Lag, kw_only=True):
    """How a view stands: the table that is served, and how far it is behind the log."""

    rows: int
    parked: int


def lags(ledger: Ledger, views: Iterable[View]) -> list[Lag]:
    """How far each view is: `live`, `behind`, `outdated` (built by other code), `empty`."""
    with ledger.store.cursor() as cursor:
        return [lag for lag, _ in _lags(ledger, views, cursor)]


def standings(ledger: Ledger, views: Iterable[View]) -> list[Standing]:
    """How each view stands. It counts their rows, which takes time where there are many."""
    with ledger.store.cursor() as cursor:
        parked = [p.view for p in parking.all_parked(cursor)]
        return [
            Standing(
                **msgspec.structs.asdict(lag),
                rows=_count(live, cursor) if live else 0,
                parked=parked.count(lag.name),
            )
            for lag, live in _lags(ledger, views, cursor)
        ]


def _count(live: generations.Generation, cursor: Cursor) -> int:
    return int(cursor.execute(f"SELECT COUNT(*) FROM {live.table}").fetchone()[0])


def _lags(
    ledger: Ledger, views: Iterable[View], cursor: Cursor
) -> list[tuple[Lag, generations.Generation | None]]:
    head = cursor.execute("SELECT position FROM head").fetchone()[0]
    found = []
    for view in views:
        live = generations.live(view.name, cursor)
        position = live.position if live else 0
        lag = Lag(
            name=view.name,
            version=live.version if live else view.version,
            state=_state(live, view, head),
            position=position,
            head=head,
            lag=head - position,
            lag_seconds=_waiting(ledger, position, cursor) if position < head else 0.0,
        )
        found.append((lag, live))
    return found


def _waiting(ledger: Ledger, position: int, cursor: Cursor) -> float:
    """For how many seconds the touchpoint behind a position has been in the log."""
    (recorded_at,) = cursor.execute(
        "SELECT recorded_at FROM stored_events WHERE notification_id = ?", (position + 1,)
    ).fetchone()
    return float(max(0, ledger.log.clock() - recorded_at) / SECOND)


def _state(live: generations.Generation | None, view: View, head: int) -> str:
    if live is None:
        return "empty"
    if live.version != view.version:
        return "outdated"
    return "live" if live.position == head else "behind"
