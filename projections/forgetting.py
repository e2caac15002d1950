"""Forgetting: removing the tables that readers are not served from."""

from collections.abc import Iterable

from ledger.ledger import Ledger
from projections import generations
from projections.view import View


def forget_old_tables(ledger: Ledger, views: Iterable[View]) -> int:
    """Drop old generations, and what an interrupted rebuild has left; returns how many.

    There is nothing to roll back to afterwards. Raises Locked while a rebuild is under way.
    """
    with (
        ledger.store.exclusively("rebuild"),
        ledger.store.cursor(write=True, durable=False) as cursor,
    ):
        beside = generations.beside_live(views, cursor)
        for generation in beside:
            generations.discard(generation.view, generation.number, cursor)
    return len(beside)
