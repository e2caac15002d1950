"""Refolding: one key's row, folded afresh from all that the log has of it."""

import sqlite3
from collections.abc import Iterable

from ledger.governance import Governance
from projections.fold import Row, by_key, fold, in_order, row_of, streams_of_touchpoints
from projections.persons import streams_of
from projections.reading import Reader
from projections.view import View


class Refolder:
    """Folds single keys from the log up to one position, in one transaction."""

    def __init__(
        self, reader: Reader, known: Governance, until: int, cursor: sqlite3.Cursor
    ) -> None:
        self._reader = reader
        self._known = known
        self._until = until
        self._cursor = cursor

    def row(self, view: View, key: str, streams: Iterable[str]) -> Row | None:
        """The row of a key that these streams reach, or None when nothing of it counts."""
        reach = streams_of(key) if view.by_person else streams
        everything = self._reader.streams(reach, self._until, self._cursor)
        standing = self._known.standing(everything)
        touchpoints = by_key(view, standing, self._known.rules).get(key)
        if not touchpoints:
            return None
        touchpoints = in_order(touchpoints)
        state = fold(view, touchpoints, self._known.rules)
        return row_of(view, key, touchpoints[-1], streams_of_touchpoints(touchpoints), state)
