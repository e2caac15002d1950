"""Whole tables of views: of now from the live tables, of any other moment folded aside."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ledger.ledger import Ledger
from ledger.sqlite.connections import SQLiteLedgerCursor
from projections import query, tables
from projections.aside import Aside, Labour, fold_aside, plan_of, scratch_in, table_of
from projections.query import Cut
from projections.view import View


class Boards:
    """The tables of some views as a cut shows them."""

    def __init__(
        self, ledger: Ledger, scratch: SQLiteLedgerCursor | None = None, aside: Aside | None = None
    ) -> None:
        self._ledger = ledger
        self._scratch = scratch
        self._aside = aside or Aside()

    @property
    def failed(self) -> list[tuple[str, str]]:
        """(view, key) of what could not be folded, and is therefore missing."""
        found = self._aside.failures.items()
        return [(view, key) for view, failures in found for key in sorted(failures)]

    def walk(self, view: View, after: str | None = None) -> Iterator[tuple[str, Any]]:
        """(key, state) of every row, or of those behind a key, by key; read page by page."""
        if self._scratch is None:
            yield from query.walk(self._ledger, view, after)
            return
        for row in tables.walk(table_of(view), self._scratch, after):
            yield row.key, query.decoded(view, row.state)

    def states_of(self, view: View, keys: Sequence[str]) -> dict[str, Any]:
        """The states of those keys of which something is known."""
        if self._scratch is None:
            return query.states_of(self._ledger, view, keys)
        rows = tables.rows_of(table_of(view), keys, self._scratch)
        return {key: query.decoded(view, row.state) for key, row in rows.items()}


@contextmanager
def boards_at(ledger: Ledger, views: Sequence[View], cut: Cut, labour: Labour) -> Iterator[Boards]:
    """The tables of views at a cut, the same as `query.states_of` gives for every key.

    Another moment than now takes a fold of the whole log up to it: in ranges, so that memory does
    not grow with the log, and into a file that is gone afterwards. The ledger is only read.
    Raises Interrupted when a stop is requested meanwhile.
    """
    if cut.now:
        yield Boards(ledger)
        return
    with scratch_in() as scratch:
        aside = fold_aside(ledger, plan_of(ledger, views, cut), scratch, labour)
        yield Boards(ledger, scratch, aside)
