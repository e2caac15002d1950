"""Filling a generation that is being built: a range's rows, noted in the same transaction."""

from collections.abc import Mapping, Sequence

from ledger.store import Cursor
from projections import generations, parking, tables
from projections.fold import Failure, Row
from projections.generations import Generation


def write_range(
    group: Sequence[Generation],
    number: int,
    rows: Mapping[str, tuple[list[Row], list[Failure]]],
    latest_at: int | None,
    now: int,
    cursor: Cursor,
) -> None:
    """Write what a range gave, by view, and that it is done.

    Locks are taken in the same order by all who fill at the same time: first parked, then the
    generations.
    """
    for generation in group:
        tables.add_rows(generation.table, rows[generation.view][0], cursor)
    for generation in group:
        parking.park(generation, rows[generation.view][1], generation.until, now, cursor)
    for generation in group:
        cursor.execute(
            "INSERT INTO rebuilt_ranges VALUES (?, ?, ?)",
            (generation.view, generation.number, number),
        )
        generations.note_latest(generation, latest_at, cursor)


def done_ranges(generation: Generation, cursor: Cursor) -> frozenset[int]:
    """The ranges that a generation has been filled with."""
    rows = cursor.execute(
        "SELECT number FROM rebuilt_ranges WHERE view = ? AND generation = ?",
        (generation.view, generation.number),
    )
    return frozenset(number for (number,) in rows)
