"""The follower: folds the log into views page by page, rows and position in one transaction.

A touchpoint that occurred before the last one folded into its key makes that key be folded
again from the log, so a view never depends on the order of arrival.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from domain.occurred import order_of
from domain.rules import Rules
from ledger.ledger import Ledger
from ledger.log import governing
from ledger.sqlite import Recorder
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
from projections.persons import streams_of
from projections.reading import RULE_TYPES, Reader, rules_at
from projections.view import View
from schemas.fields import microseconds
from schemas.replay import decode

PAGE_TOUCHPOINTS = 1_000


class Overtaken(Exception):
    """Another follower moved the view on meanwhile; its work stands and ours is dropped."""


class RestateNeeded(Exception):
    """A rule was published for a time that the view has already folded."""


@dataclass(slots=True)
class Update:
    """What one page changes in one generation."""

    generation: Generation
    rows: list[Row]
    failures: list[Failure]
    latest_at: int


class Follower:
    """Folds the log into views, page by page."""

    def __init__(
        self, ledger: Ledger, views: Sequence[View], batch: int = PAGE_TOUCHPOINTS
    ) -> None:
        self.ledger = ledger
        self._batch = batch
        self.views = {view.name: view for view in views}
        self._reader = Reader(views)
        self._recorder = Recorder(ledger.store)

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
            rules = rules_at(reached, cursor)
            self._check_restating(group, after, reached, cursor)
            updates = [self._update(g, page, reached, rules, cursor) for g in group]
        self._write(updates, after, reached)
        return reached

    def _check_restating(
        self, group: Sequence[Generation], after: int, reached: int, cursor: sqlite3.Cursor
    ) -> None:
        depending = [g for g in group if self.views[g.view].wanted]
        if not depending:
            return
        moment = _earliest_new_rule(after, reached, cursor)
        if moment is not None and any(moment <= g.latest_at for g in depending):
            raise RestateNeeded

    def _update(
        self,
        generation: Generation,
        page: list[Any],
        reached: int,
        rules: Rules,
        cursor: sqlite3.Cursor,
    ) -> Update:
        view = self.views[generation.view]
        latest = max((t.at for t in page), default=generations.BEGINNING_OF_TIME)
        update = Update(generation, [], [], max(latest, generation.latest_at))
        found = by_key(view, page, rules)
        parked = parking.parked(generation, cursor)
        there = tables.rows_of(generation.table, list(found), cursor)
        for key, touchpoints in found.items():
            row, streams = there.get(key), streams_of_touchpoints(touchpoints)
            if key in parked:
                update.failures.append(parked[key].reached_by(streams))
                continue
            try:
                new = self._folded(view, key, touchpoints, row, reached, rules, cursor)
                update.rows.append(new)
            except Exception as error:  # noqa: BLE001 - one key must not stop the others
                reach = streams | set(streams_in(row) if row else ())
                update.failures.append(Failure.of(key, reach, error))
        return update

    def _folded(
        self,
        view: View,
        key: str,
        touchpoints: list[Any],
        there: Row | None,
        reached: int,
        rules: Rules,
        cursor: sqlite3.Cursor,
    ) -> Row:
        """The key's new row: folded on from the old one, or from the log when it is late."""
        touchpoints = in_order(touchpoints)
        streams = streams_of_touchpoints(touchpoints)
        if there is None:
            state = fold(view, touchpoints, rules)
            return row_of(view, key, touchpoints[-1], streams, state)
        streams.update(streams_in(there))
        if order_of(touchpoints[0]) < order_in(there):
            row = self.refolded(view, key, streams, reached, rules, cursor)
            return there if row is None else row
        state = msgspec.json.decode(there.state, type=view.state)
        fold(view, touchpoints, rules, state)
        return row_of(view, key, touchpoints[-1], streams, state)

    def refolded(
        self,
        view: View,
        key: str,
        streams: Iterable[str],
        until: int,
        rules: Rules,
        cursor: sqlite3.Cursor,
    ) -> Row | None:
        """A key's row, folded afresh from all that the log has of it up to a position."""
        reach = streams_of(key) if view.by_person else streams
        everything = self._reader.streams(reach, until, cursor)
        touchpoints = by_key(view, everything, rules).get(key)
        if not touchpoints:
            return None
        touchpoints = in_order(touchpoints)
        state = fold(view, touchpoints, rules)
        return row_of(view, key, touchpoints[-1], streams_of_touchpoints(touchpoints), state)

    def _write(self, updates: list[Update], after: int, reached: int) -> None:
        now = self.ledger.log.clock()
        with self.ledger.store.cursor(write=True, durable=False) as cursor:
            for update in updates:
                generation = update.generation
                if generations.position_of(generation, cursor) != after:
                    raise Overtaken
                tables.write_rows(generation.table, update.rows, cursor)
                parking.park(generation, update.failures, reached, now, cursor)
                generations.advance(generation, reached, update.latest_at, self._recorder, cursor)


def _earliest_new_rule(after: int, reached: int, cursor: sqlite3.Cursor) -> int | None:
    """The earliest `valid_from` among the rules that stand behind one position, up to another."""
    facts = governing(cursor, RULE_TYPES, reached, after)
    moments = [getattr(decode(topic, state).data, "valid_from", None) for topic, state in facts]
    return min((microseconds(m) for m in moments if m is not None), default=None)


def retry_parked(ledger: Ledger, views: Sequence[View]) -> tuple[int, int]:
    """Fold parked keys again, after a fix; returns how many came back and how many still wait."""
    follower = Follower(ledger, views)
    back = waiting = 0
    for generation in follower.positions():
        view = follower.views[generation.view]
        with ledger.store.cursor(write=True, durable=False) as cursor:
            position = generations.position_of(generation, cursor)
            rules = rules_at(position, cursor)
            for key, failure in parking.parked(generation, cursor).items():
                streams = msgspec.json.decode(failure.streams, type=list[str])
                try:
                    row = follower.refolded(view, key, streams, position, rules, cursor)
                except Exception as error:  # noqa: BLE001 - one key must not stop the others
                    again = Failure.of(key, streams, error)
                    now = ledger.log.clock()
                    parking.park(generation, [again], position, now, cursor)
                    waiting += 1
                    continue
                tables.write_rows(generation.table, [row] if row else [], cursor)
                parking.unpark(generation, key, cursor)
                back += 1
    return back, waiting
