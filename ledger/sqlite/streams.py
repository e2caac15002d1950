"""The index of streams of an SQLite file: a chain of positions for each.

A chain goes from the last touchpoint of a stream to its first. A b-tree over (stream, version)
would have an entry for each touchpoint, in random order, so that almost every touchpoint of a
group changed another page of it, and each of those pages is written twice: to the WAL, and to the
file. Here one small row for each stream changes, and what grows with the touchpoints is written at
its end. Streams are known by a prefix: the few that share one share a chain, and are told apart by
the rows that it leads to.

That no version is used twice is for whoever writes to see to, under the write lock.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ledger.appending import Row

if TYPE_CHECKING:
    from ledger.sqlite.connections import SQLiteLedgerCursor

PREFIX_DIGITS = 12
"""Hexadecimal, of 32: small numbers make small rows. Part of the storage format."""

OF_STREAMS = """(
    WITH RECURSIVE chain (stream, at) AS (
        SELECT wanted.stream, ends.position
        FROM (SELECT DISTINCT value AS stream FROM json_each(?)) AS wanted
        JOIN stream_ends AS ends ON ends.prefix = stream_prefix(wanted.stream)
        UNION ALL
        SELECT chain.stream, links.previous
        FROM chain JOIN stream_links AS links ON links.position = chain.at
        WHERE links.previous > 0
    )
    SELECT e.* FROM chain CROSS JOIN stored_events AS e
    ON e.notification_id = chain.at AND e.originator_id = chain.stream
) AS e"""
"""What follows FROM: the stored events `e` of a list of streams."""

_IN_RANGE = """
WITH RECURSIVE chain (at) AS (
    SELECT position FROM stream_ends WHERE prefix BETWEEN stream_prefix(?1) AND stream_prefix(?2)
    UNION ALL
    SELECT links.previous FROM chain JOIN stream_links AS links ON links.position = chain.at
    WHERE links.previous > 0
)
SELECT {} FROM (SELECT at FROM chain WHERE at <= ?3 ORDER BY at)
CROSS JOIN stored_events ON notification_id = at WHERE originator_id BETWEEN ?1 AND ?2
"""
STATES_IN_RANGE = _IN_RANGE.format("state")
STATES_JOINED = _IN_RANGE.format("CAST(group_concat(state, ',') AS blob)")
"""All of them in one piece: other threads run meanwhile, and the interpreter is taken back once."""

LAST_VERSIONS = """
WITH RECURSIVE last (stream, at) AS (
    SELECT wanted.value, ends.position
    FROM json_each(?) AS wanted JOIN stream_ends AS ends
    ON ends.prefix = stream_prefix(wanted.value)
    UNION ALL
    SELECT last.stream, links.previous
    FROM last JOIN stored_events AS e ON e.notification_id = last.at
    JOIN stream_links AS links ON links.position = last.at
    WHERE e.originator_id <> last.stream AND links.previous > 0
)
SELECT last.stream, e.originator_version
FROM last CROSS JOIN stored_events AS e
ON e.notification_id = last.at AND e.originator_id = last.stream
"""
"""The end of a chain is the last of its stream, unless another stream has the same prefix."""

_ENDS = """
SELECT prefix, position FROM stream_ends WHERE prefix IN (SELECT value FROM json_each(?))
"""
_BROKEN = """
WITH links (position, previous) AS (
    SELECT notification_id, LAG(notification_id, 1, 0) OVER (
        PARTITION BY stream_prefix(originator_id) ORDER BY notification_id
    ) FROM stored_events
), ends (prefix, position) AS (
    SELECT stream_prefix(originator_id), MAX(notification_id) FROM stored_events GROUP BY 1
)
SELECT EXISTS (
    SELECT 1 FROM links LEFT JOIN stream_links AS there ON there.position = links.position
    WHERE there.previous IS NOT links.previous
) OR EXISTS (
    SELECT 1 FROM ends LEFT JOIN stream_ends AS there ON there.prefix = ends.prefix
    WHERE there.position IS NOT ends.position
)
"""


def prefix_of(stream: str) -> int:
    """The number that a stream (32 hexadecimal digits) is known by; it keeps their order."""
    return int(stream[:PREFIX_DIGITS], 16)


def teach_prefixes(connection: sqlite3.Connection) -> None:
    """Let the SQL of this connection say `stream_prefix(stream)`."""
    connection.create_function("stream_prefix", 1, prefix_of, deterministic=True)


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether every stored event is where the index leads to. Reads the whole log."""
    teach_prefixes(connection)
    (broken,) = connection.execute(_BROKEN).fetchone()
    return not broken


class StreamIndex:
    """Adds to the chains; remembers where they end for as long as nobody else writes."""

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}

    def forget(self) -> None:
        """To be called when another has written, or what was added is rolled back."""
        self._ends.clear()

    def add(self, rows: Sequence[Row], cursor: "SQLiteLedgerCursor") -> None:
        """Put these rows, which are in the order of their positions, at the ends of the chains."""
        prefixes = [prefix_of(row[1]) for row in rows]
        ends = self._known_ends(prefixes, cursor)
        links, moved = [], {}
        for row, prefix in zip(rows, prefixes, strict=True):
            position = row[0]
            links.append((position, ends.get(prefix, 0)))
            ends[prefix] = moved[prefix] = position
        cursor.insert_rows("stream_links", links)
        cursor.upsert_rows("stream_ends", ("prefix", "position"), sorted(moved.items()))

    def _known_ends(self, prefixes: Iterable[int], cursor: "SQLiteLedgerCursor") -> dict[int, int]:
        missing = {prefix for prefix in prefixes if prefix not in self._ends}
        if missing:
            self._ends.update(cursor.execute(_ENDS, (cursor.listed(missing),)))
        return self._ends
