"""Reads the log for folds: pages by position, and streams by range."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from projections.view import View, union_of_reads
from schemas.replay import NarrowDecoder

STREAM_BITS = 32
_PAGE = """
SELECT notification_id, state FROM stored_events
WHERE notification_id > ? AND notification_id <= ? ORDER BY notification_id LIMIT ?
"""
_RANGE = """
SELECT state FROM stored_events INDEXED BY stored_events_stream
WHERE originator_id >= ? AND originator_id < ? AND notification_id <= ?
ORDER BY originator_id, originator_version
"""
_IDENTIFIED = """
SELECT e.state FROM json_each(?) AS wanted CROSS JOIN stored_events AS e
ON e.id = json_extract(wanted.value, '$[1]') AND e.source = json_extract(wanted.value, '$[0]')
WHERE e.notification_id <= ?
"""
_STREAMS = """
SELECT state FROM stored_events INDEXED BY stored_events_stream
WHERE originator_id IN (SELECT value FROM json_each(?)) AND notification_id <= ?
ORDER BY originator_id, originator_version
"""


class Reader:
    """Decodes what some views read of the log, and nothing else of it."""

    def __init__(self, views: Sequence[View]) -> None:
        self._decoder = NarrowDecoder(union_of_reads(tuple(views)))

    def page(
        self, after: int, until: int, limit: int, cursor: sqlite3.Cursor
    ) -> tuple[int, list[Any]]:
        """Up to `limit` touchpoints behind a position, and the position that they reach."""
        rows = cursor.execute(_PAGE, (after, until, limit)).fetchall()
        if not rows:
            return after, []
        return rows[-1][0], self._decoder.page([state for _, state in rows])

    def range(self, number: int, ranges: int, until: int, cursor: sqlite3.Cursor) -> list[Any]:
        """All touchpoints of one of `ranges` equal shares of the streams, stream by stream."""
        rows = cursor.execute(_RANGE, (*range_bounds(number, ranges), until)).fetchall()
        return self._decoder.page([state for (state,) in rows]) if rows else []

    def streams(self, streams: Iterable[str], until: int, cursor: sqlite3.Cursor) -> list[Any]:
        """All touchpoints of these streams, stream by stream."""
        wanted = msgspec.json.encode(sorted(streams)).decode()
        rows = cursor.execute(_STREAMS, (wanted, until)).fetchall()
        return self._decoder.page([state for (state,) in rows]) if rows else []

    def identified(
        self, identities: Iterable[tuple[str, str]], until: int, cursor: sqlite3.Cursor
    ) -> list[Any]:
        """The touchpoints with these (source, id), as far as they are recorded."""
        wanted = msgspec.json.encode(sorted(identities)).decode()
        rows = cursor.execute(_IDENTIFIED, (wanted, until)).fetchall()
        return self._decoder.page([state for (state,) in rows]) if rows else []


def range_bounds(number: int, ranges: int) -> tuple[str, str]:
    """The first stream id of a range and the first behind it; ids are uniform hexadecimals."""
    low = (number << STREAM_BITS) // ranges
    high = ((number + 1) << STREAM_BITS) // ranges
    return f"{low:08x}", f"{high:08x}" if number + 1 < ranges else "g"
