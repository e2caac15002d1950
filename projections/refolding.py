"""Refolding: rows of single keys, folded afresh from all that the log has of them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ledger.governance import Governance
from ledger.persons import ALONE, persons_of
from ledger.store import Cursor
from projections.fold import Failure, Row, by_key, fold, in_order, row_of, streams_of_touchpoints
from projections.reading import Reader
from projections.view import View

KEYS_AT_ONCE = 100
"""Keys whose touchpoints are read together: asking for each alone costs more than folding it."""


class Refolder:
    """Folds single keys from the log up to one position, in one transaction."""

    def __init__(self, reader: Reader, known: Governance, until: int, cursor: Cursor) -> None:
        self._reader = reader
        self._known = known
        self._until = until
        self._cursor = cursor

    def rows(
        self, view: View, wanted: Mapping[str, Iterable[str]]
    ) -> Iterator[tuple[str, Row | Failure | None]]:
        """Each key, of which all streams that reach it are given, with its row.

        A key that is a person needs none: they follow from who is one person with whom.

        It is None when nothing of the key counts, and a failure when its fold raises.
        """
        every = list(wanted)
        for start in range(0, len(every), KEYS_AT_ONCE):
            keys = every[start : start + KEYS_AT_ONCE]
            persons, reach = ALONE, set[str]()
            if view.by_person:
                persons = persons_of(keys, self._known, self._until, self._cursor)
            for key in keys:
                reach.update(persons.streams_of(key) if view.by_person else wanted[key])
            everything = self._reader.streams(reach, self._until, self._cursor)
            standing = self._known.standing(everything)
            found = by_key(view, standing, self._known.rules, persons)
            for key in keys:
                yield key, self._row(view, key, found.get(key, []), wanted[key])

    def _row(
        self, view: View, key: str, touchpoints: list[Any], streams: Iterable[str]
    ) -> Row | Failure | None:
        if not touchpoints:
            return None
        touchpoints = in_order(touchpoints)
        try:
            state = fold(view, touchpoints, self._known.rules)
            reached_by = streams_of_touchpoints(touchpoints)
            return row_of(view, key, touchpoints[-1], reached_by, state)
        except Exception as error:  # noqa: BLE001 - one key must not stop the others
            return Failure.of(key, streams, error)
