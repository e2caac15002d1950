"""Reads the log for folds: pages by position, and streams by range."""

from collections.abc import Iterable, Sequence
from typing import Any

from ledger.store import Cursor
from projections.view import View, union_of_reads
from schemas.replay import NarrowDecoder

STREAM_BITS = 128
_PAGE = """
SELECT notification_id, state FROM stored_events
WHERE notification_id > ? AND notification_id <= ? ORDER BY notification_id LIMIT ?
"""


class Reader:
    """Decodes what some views read of the log, and nothing else of it."""

    def __init__(self, views: Sequence[View]) -> None:
        self._decoder = NarrowDecoder(union_of_reads(tuple(views)))

    def page(self, after: int, until: int, limit: int, cursor: Cursor) -> tuple[int, list[Any]]:
        """Up to `limit` touchpoints behind a position, and the position that they reach."""
        rows = cursor.execute(_PAGE, (after, until, limit)).fetchall()
        if not rows:
            return after, []
        return rows[-1][0], self._decoder.page([state for _, state in rows])

    def range(self, number: int, ranges: int, until: int, cursor: Cursor) -> list[Any]:
        """All touchpoints of one of `ranges` equal shares of the streams, in no order."""
        first, last = range_bounds(number, ranges)
        states = cursor.states_in_range(first, last, until)
        return self._decoder.page(states) if states else []

    def streams(self, streams: Iterable[str], until: int, cursor: Cursor) -> list[Any]:
        """All touchpoints of these streams, in no order."""
        states = cursor.states_of_streams(streams, until)
        return self._decoder.page(states) if states else []

    def at(self, positions: Sequence[int], cursor: Cursor) -> list[Any]:
        """The touchpoints at these positions."""
        rows = cursor.execute(
            f"SELECT state FROM stored_events WHERE notification_id {cursor.AMONG}",
            (cursor.listed(positions),),
        ).fetchall()
        return self._decoder.page([state for (state,) in rows]) if rows else []

    def identified(
        self, identities: Iterable[tuple[str, str]], until: int, cursor: Cursor
    ) -> list[Any]:
        """The touchpoints with these (source, id), as far as they are recorded."""
        rows = cursor.execute(
            f"SELECT e.state FROM {cursor.IDENTIFIED} WHERE e.notification_id <= ?",
            (cursor.identities(sorted(identities)), until),
        ).fetchall()
        return self._decoder.page([state for (state,) in rows]) if rows else []


def range_bounds(number: int, ranges: int) -> tuple[str, str]:
    """The first and the last stream id of a range; ids are uniform numbers of 128 bits."""
    low = (number << STREAM_BITS) // ranges
    behind = ((number + 1) << STREAM_BITS) // ranges
    return f"{low:032x}", f"{behind - 1:032x}"
