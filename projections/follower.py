"""The follower: folds the log into views page by page, rows and position in one transaction.

A touchpoint that occurred before the last one folded into its key makes that key be folded
again from the log, so a view never depends on the order of arrival.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from domain.occurred import order_of
from ledger.governance import (
    GOVERNING_TYPES,
    JOINING_TYPES,
    Governance,
    governance,
    identity_restated_from,
    restated_from,
)
from ledger.ledger import Ledger
from ledger.store import Cursor
from projections import generations, parking, tables
from projections.fold import (
    Failure,
    Row,
    by_key,
    fold,
    in_order,
    order_in,
    row_of,
    streams_in,
    streams_of_touchpoints,
)
from projections.generations import Generation
from projections.people import People, Turn, people_of
from projections.reading import Reader
from projections.refolding import Refolder
from projections.view import View

PAGE_TOUCHPOINTS = 1_000


class Overtaken(Exception):
    """Another follower moved the view on meanwhile; its work stands and ours is dropped."""


class RestateNeeded(Exception):
    """A rule was published for a time that some views have already folded: `views`, by name."""

    def __init__(self, views: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(views)))
        self.views = views


@dataclass(slots=True)
class Update:
    """What one page changes in one generation."""

    generation: Generation
    rows: list[Row]
    gone: list[str]
    failures: list[Failure]
    unparked: list[str]
    latest_at: int

    def add(self, key: str, became: Row | Failure | None) -> None:
        """Note what folding a key came to."""
        if became is None:
            self.gone.append(key)
        elif isinstance(became, Failure):
            self.failures.append(became)
        else:
            self.rows.append(became)


class Follower:
    """Folds the log into views, page by page."""

    def __init__(
        self, ledger: Ledger, views: Sequence[View], batch: int = PAGE_TOUCHPOINTS
    ) -> None:
        self.ledger = ledger
        self._batch = batch
        self.views = {view.name: view for view in views}
        self._reader = Reader(views)
        self._recorder = ledger.store.recorder()
        self._known: tuple[int, Governance | None] = (0, None)

    def positions(self) -> list[Generation]:
        """The live generations that this code can follow; views without one begin now."""
        with self.ledger.store.cursor() as cursor:
            found = {name: generations.live(name, cursor) for name in self.views}
        if None in found.values():
            with self.ledger.store.cursor(write=True) as cursor:
                for name, view in self.views.items():
                    found[name] = generations.live(name, cursor) or generations.begin(
                        view, generations.LIVE, 0, self.ledger.log.clock(), cursor
                    )
        return [
            g for g in found.values() if g is not None and g.version == self.views[g.view].version
        ]

    def advance(self, group: Sequence[Generation], until: int) -> int:
        """Fold one page into generations that stand at the same position; returns the new one.

        Raises RestateNeeded before anything is written when the page brings a rule for the past.
        """
        after = group[0].position
        with self.ledger.store.cursor() as cursor:
            reached, page = self._reader.page(after, until, self._batch, cursor)
            if reached == after:
                return after
            known = before = self._governance(after, cursor)
            struck, parted = list[Any](), list[Any]()
            types = {touchpoint.type for touchpoint in page}
            if not types.isdisjoint(GOVERNING_TYPES):
                known = governance(reached, cursor)
                self._check_restating(group, before, known)
                struck = self._reader.identified(before.voided ^ known.voided, reached, cursor)
                parted = self._reader.identified(before.undone ^ known.undone, reached, cursor)
            elif not types.isdisjoint(JOINING_TYPES):
                known = replace(known, joins=True)
            self._known = (reached, known)
            turn = Turn(before, known, after, reached)
            people = people_of(turn, [*page, *struck, *parted], cursor)
            folding = _Folding(self._reader, known, people, reached, cursor)
            updates = [folding.update(self.views[g.view], g, page, struck) for g in group]
        self._write(updates, after, reached)
        return reached

    def _governance(self, position: int, cursor: Cursor) -> Governance:
        """What governs at a position; pages mostly bring nothing new, so the last is kept."""
        there, known = self._known
        return known if known is not None and there == position else governance(position, cursor)

    def _check_restating(
        self, group: Sequence[Generation], before: Governance, known: Governance
    ) -> None:
        earned, joined = restated_from(before, known), identity_restated_from(before, known)
        restated = frozenset(
            g.view
            for g in group
            for moment, depends in (
                (earned, self.views[g.view].wanted is not None),
                (joined, self.views[g.view].by_person),
            )
            if depends and moment is not None and moment <= g.latest_at
        )
        if restated:
            raise RestateNeeded(restated)

    def _write(self, updates: list[Update], after: int, reached: int) -> None:
        now = self.ledger.log.clock()
        with self.ledger.store.cursor(write=True, durable=False) as cursor:
            generations.hold([update.generation for update in updates], cursor)
            for update in updates:
                generation = update.generation
                if generations.position_of(generation, cursor) != after:
                    raise Overtaken
                tables.write_rows(generation.table, update.rows, cursor)
                tables.remove_rows(generation.table, update.gone, cursor)
                parking.park(generation, update.failures, reached, now, cursor)
                for key in update.unparked:
                    parking.unpark(generation, key, cursor)
                generations.advance(generation, reached, update.latest_at, self._recorder, cursor)


class _Folding:
    """Folds one page into the rows that are there."""

    def __init__(
        self, reader: Reader, known: Governance, people: People, reached: int, cursor: Cursor
    ) -> None:
        self._refolder = Refolder(reader, known, reached, cursor)
        self._known = known
        self._people = people
        self._cursor = cursor

    def update(
        self, view: View, generation: Generation, page: list[Any], struck: list[Any]
    ) -> Update:
        """What the page changes in a generation; `struck` were voided by it, or count again."""
        latest = max((t.at for t in page), default=generations.BEGINNING_OF_TIME)
        update = Update(generation, [], [], [], [], max(latest, generation.latest_at))
        rules, persons = self._known.rules, self._people.persons
        found = by_key(view, self._known.standing(page), rules, persons)
        again = by_key(view, struck, rules, persons)
        moved = self._people.moved if view.by_person else frozenset()
        keys = list({**found, **again, **dict.fromkeys(moved)})
        parked = parking.parked(generation, self._cursor)
        there = tables.rows_of(generation.table, keys, self._cursor)
        late: dict[str, set[str]] = {}
        for key in keys:
            touchpoints, row = found.get(key, []), there.get(key)
            streams = streams_of_touchpoints([*touchpoints, *again.get(key, [])])
            if key in moved:
                if key in parked:
                    update.unparked.append(key)
            elif key in parked:
                update.failures.append(parked[key].reached_by(streams))
                continue
            streams.update(streams_in(row) if row else ())
            if key in moved and persons.person_of(key) != key:
                update.gone.append(key)
            elif key in moved or key in again or _late(touchpoints, row):
                late[key] = streams
            else:
                update.add(key, self._folded_on(view, key, touchpoints, row, streams))
        for key, refolded in self._refolder.rows(view, late):
            update.add(key, refolded)
        return update

    def _folded_on(
        self, view: View, key: str, touchpoints: list[Any], row: Row | None, streams: set[str]
    ) -> Row | Failure:
        touchpoints = in_order(touchpoints)
        try:
            state = msgspec.json.decode(row.state, type=view.state) if row else None
            state = fold(view, touchpoints, self._known.rules, state)
            return row_of(view, key, touchpoints[-1], streams, state)
        except Exception as error:  # noqa: BLE001 - one key must not stop the others
            return Failure.of(key, streams, error)


def _late(touchpoints: list[Any], row: Row | None) -> bool:
    """Whether one of these occurred before the last one that is folded into the row."""
    return row is not None and min(map(order_of, touchpoints)) < order_in(row)


def retry_parked(ledger: Ledger, views: Sequence[View]) -> tuple[int, int]:
    """Fold parked keys again, after a fix; returns how many came back and how many still wait."""
    follower = Follower(ledger, views)
    back = waiting = 0
    for generation in follower.positions():
        view = follower.views[generation.view]
        with ledger.store.cursor(write=True, durable=False) as cursor:
            generations.hold([generation], cursor)  # nobody follows it further meanwhile
            position = generations.position_of(generation, cursor)
            known = governance(position, cursor)
            rows: list[Row] = []
            refolder = Refolder(follower._reader, known, position, cursor)
            reach = {
                key: failure.reaching for key, failure in parking.parked(generation, cursor).items()
            }
            for key, row in refolder.rows(view, reach):
                if isinstance(row, Failure):
                    parking.park(generation, [row], position, ledger.log.clock(), cursor)
                    waiting += 1
                    continue
                tables.remove_rows(generation.table, [key], cursor)
                rows += [row] if row else []
                parking.unpark(generation, key, cursor)
                back += 1
            tables.write_rows(generation.table, rows, cursor)
    return back, waiting
