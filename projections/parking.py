"""Parked keys: a fold failed on one of their touchpoints, so they wait while all others go on."""

from collections.abc import Iterable

import msgspec

from ledger.store import Cursor
from projections.fold import Failure
from projections.generations import Generation

_PARK = """
INSERT INTO parked VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (view, generation, key) DO UPDATE SET
    position = excluded.position, error = excluded.error, streams = excluded.streams
"""


class Parked(msgspec.Struct, kw_only=True):
    """A key that waits for a fix, with what failed and where in the code."""

    view: str
    key: str
    position: int
    error: str
    parked_at: int


def park(
    generation: Generation, failures: Iterable[Failure], position: int, now: int,
    cursor: Cursor,
) -> None:  # fmt: skip
    """Park keys, or note that they failed again, or that further streams reach them."""
    failures = list(failures)
    if not failures:
        return
    cursor.lock_table("parked")
    there = parked(generation, cursor)
    for failure in failures:
        known = there.get(failure.key, failure)
        merged = there[failure.key] = failure.reached_by(known.reaching)
        cursor.execute(
            _PARK,
            (generation.view, generation.number, merged.key, merged.streams, position,
             merged.error, now),
        )  # fmt: skip


def unpark(generation: Generation, key: str, cursor: Cursor) -> None:
    cursor.execute(
        "DELETE FROM parked WHERE view = ? AND generation = ? AND key = ?",
        (generation.view, generation.number, key),
    )


def parked(generation: Generation, cursor: Cursor) -> dict[str, Failure]:
    """The parked keys of a generation, with why and by which streams they are reached."""
    rows = cursor.execute(
        "SELECT key, streams, error FROM parked WHERE view = ? AND generation = ?",
        (generation.view, generation.number),
    )
    return {row[0]: Failure(*row) for row in rows}


def all_parked(cursor: Cursor) -> list[Parked]:
    """The parked keys of all live generations."""
    rows = cursor.execute(
        "SELECT p.view, p.key, p.position, p.error, p.parked_at FROM parked AS p "
        "JOIN generations AS g USING (view, generation) WHERE g.state = 'live' "
        "ORDER BY p.view, p.key"
    )
    return [
        Parked(view=view, key=key, position=position, error=error, parked_at=at)
        for view, key, position, error, at in rows
    ]
