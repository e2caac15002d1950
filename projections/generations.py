"""Generations of a view's table: the live one, the one being built, the one before.

Which generation is live is looked up in the reader's own snapshot, so a switch is one row.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from ledger.log import tracked
from ledger.store import Cursor, Recorder, Store
from projections import analyst_views
from projections.tables import create_table, drop_table, index_table, table_of
from projections.view import View

BUILDING, LIVE, RETIRED = "building", "live", "retired"
BEGINNING_OF_TIME = -(2**63)


@dataclass(frozen=True, slots=True)
class Generation:
    """One table of a view, and how far it is folded.

    `position` is the last position folded; a rebuild reads up to `until`, in so many `ranges`;
    `latest_at` is the latest occurrence among what was folded (microseconds since 1970).
    """

    view: str
    number: int
    version: int
    state: str
    until: int
    ranges: int
    latest_at: int
    position: int

    @property
    def table(self) -> str:
        return table_of(self.view, self.number)

    @property
    def reader(self) -> str:
        """Its name in the tracking table."""
        return reader_name(self.view, self.number)


def reader_name(view: str, number: int) -> str:
    return f"view:{view}:{number}"


_COLUMNS = "view, generation, version, state, until, ranges, latest_at"


def find(view: str, state: str, cursor: Cursor) -> Generation | None:
    """The newest generation of a view in this state."""
    row = cursor.execute(
        f"SELECT {_COLUMNS} FROM generations WHERE view = ? AND state = ? "
        "ORDER BY generation DESC LIMIT 1",
        (view, state),
    ).fetchone()
    if row is None:
        return None
    return Generation(*(*row, tracked(reader_name(row[0], row[1]), cursor)))


def live(view: str, cursor: Cursor) -> Generation | None:
    """The generation that readers are served from; None before the first follow."""
    return find(view, LIVE, cursor)


def position_of(generation: Generation, cursor: Cursor) -> int:
    """The last position that is folded into a generation now."""
    return tracked(generation.reader, cursor)


def begin(
    view: View, state: str, until: int, now: int, cursor: Cursor, ranges: int = 0
) -> Generation:
    """A new, empty generation; one that is live from the start has its index at once."""
    (number,) = cursor.execute(
        "SELECT coalesce(MAX(generation), 0) + 1 FROM generations WHERE view = ?", (view.name,)
    ).fetchone()
    cursor.execute(
        "INSERT INTO generations VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (view.name, number, view.version, state, until, ranges, BEGINNING_OF_TIME, now),
    )
    generation = Generation(
        view.name, number, view.version, state, until, ranges, BEGINNING_OF_TIME, 0
    )
    create_table(generation.table, cursor)
    if state == LIVE:
        index_table(generation.table, cursor)
        analyst_views.point(view, generation.table, cursor)
    return generation


def advance(
    generation: Generation, position: int, latest_at: int, recorder: Recorder,
    cursor: Cursor,
) -> None:  # fmt: skip
    """Move a generation on, in the transaction that wrote its rows. It never goes back."""
    recorder.move_tracking(generation.reader, position, cursor)
    if latest_at > generation.latest_at:
        note_latest(generation, latest_at, cursor)


def note_latest(generation: Generation, latest_at: int | None, cursor: Cursor) -> None:
    """Note the latest occurrence (microseconds since 1970) among what is being folded in."""
    if latest_at is not None:
        cursor.execute(
            "UPDATE generations SET latest_at = ? "
            "WHERE view = ? AND generation = ? AND latest_at < ?",
            (latest_at, generation.view, generation.number, latest_at),
        )


def hold(group: Iterable[Generation], cursor: Cursor) -> None:
    """Keep other writers from these generations until the transaction ends."""
    for generation in sorted(group, key=lambda g: (g.view, g.number)):
        cursor.execute(
            f"SELECT state FROM generations WHERE view = ? AND generation = ? {cursor.FOR_UPDATE}",
            (generation.view, generation.number),
        ).fetchone()


def go_live(view: View, generation: Generation, now: int, cursor: Cursor) -> None:
    """Serve readers from this generation; the one served until now is kept for a rollback."""
    cursor.execute(
        "UPDATE generations SET state = 'retired' WHERE view = ? AND state = 'live'",
        (generation.view,),
    )
    cursor.execute(
        "UPDATE generations SET state = 'live', built_at = ? WHERE view = ? AND generation = ?",
        (now, generation.view, generation.number),
    )
    cursor.execute(
        "DELETE FROM rebuilt_ranges WHERE view = ? AND generation = ?",
        (generation.view, generation.number),
    )
    analyst_views.point(view, generation.table, cursor)


def refresh_analyst_views(views: Iterable[View], store: Store) -> None:
    """Make SQL views for analysts that are missing, or that have not the columns of this code.

    Those over a table that another version of the view's code built stay as they are.
    """
    with store.cursor() as cursor:
        if not _outmoded(views, cursor):
            return
    with store.cursor(write=True, durable=False) as cursor:
        cursor.be_impatient()
        for view, generation in _outmoded(views, cursor):
            analyst_views.point(view, generation.table, cursor)


def _outmoded(views: Iterable[View], cursor: Cursor) -> list[tuple[View, Generation]]:
    found = [(view, live(view.name, cursor)) for view in views]
    return [
        (view, there)
        for view, there in found
        if there is not None
        and there.version == view.version
        and not analyst_views.shows(view, there.table, cursor)
    ]


def superseded(view: str, until: int, cursor: Cursor) -> list[int]:
    """The retired generations that no rollback goes back to, and that were not served after
    `until` (microseconds since 1970)."""
    rows = cursor.execute(
        "SELECT generation, coalesce(built_at, started_at) AS live_at FROM generations "
        "WHERE view = ? AND state IN ('live', 'retired') "
        "ORDER BY state, live_at DESC, generation DESC",
        (view,),
    ).fetchall()
    return [number for (_, replaced_at), (number, _) in pairwise(rows[1:]) if replaced_at <= until]


def discard(view: str, number: int, cursor: Cursor) -> None:
    """Remove a generation and all that belongs to it."""
    drop_table(table_of(view, number), cursor)
    for table in ("generations", "rebuilt_ranges", "parked"):
        cursor.execute(f"DELETE FROM {table} WHERE view = ? AND generation = ?", (view, number))
    cursor.execute("DELETE FROM tracking WHERE application_name = ?", (reader_name(view, number),))


def beside_live(views: Iterable[View], cursor: Cursor) -> list[Generation]:
    """Every generation that readers are not served from: old ones, and such as are being built."""
    names = [view.name for view in views]
    rows = cursor.execute(
        f"SELECT {_COLUMNS} FROM generations WHERE state <> '{LIVE}' AND view {cursor.AMONG}",
        (cursor.listed(names),),
    ).fetchall()
    return [Generation(*(*row, tracked(reader_name(row[0], row[1]), cursor))) for row in rows]
