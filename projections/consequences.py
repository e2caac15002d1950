"""What a voiding would come to: the keys of the views that it changes, before it is recorded."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ledger.governance import Assumed, governance, identity_restated_from, restated_from
from ledger.ledger import Ledger
from projections.differing import differing, fields_of
from projections.fold import by_key, where
from projections.people import Turn, people_of
from projections.query import state_under
from projections.reading import Reader
from projections.view import View
from schemas.envelope import Envelope

CHANGED, GONE, NEW, FAILING = "changed", "gone", "new", "cannot be folded"


class Change(msgspec.Struct, kw_only=True):
    """What becomes of one key of a view, and which fields of its state change."""

    view: str
    key: str
    becomes: str
    fields: list[str]


class Restated(msgspec.Struct, kw_only=True):
    """A view of which every key may change by what occurred at or after `since` (microseconds)."""

    view: str
    since: int


class Consequences(msgspec.Struct, kw_only=True):
    """All that a fact changes in the views."""

    keys: list[Change]
    restated: list[Restated]


def consequences(ledger: Ledger, views: Sequence[View], void: Envelope[Any]) -> Consequences:
    """What would change in the views if this were recorded now. Nothing is recorded.

    Where it strikes out a rule, or brings one back, the view is named with the moment from which
    it is folded anew: which keys come out otherwise only that shows.
    """
    last, moment = ledger.log.head().position, ledger.log.clock()
    with ledger.store.cursor() as cursor:
        before = governance(last, cursor)
        after = governance(last, cursor, assumed=[Assumed(void)])
        reader = Reader(views)
        struck = reader.identified(before.voided ^ after.voided, last, cursor)
        parted = reader.identified(before.undone ^ after.undone, last, cursor)
        people = people_of(Turn(before, after, last, last), [*struck, *parted], cursor)
        found: list[Change] = []
        for view in views:
            keys = dict.fromkeys(by_key(view, struck, after.rules, people.persons))
            if view.by_person:
                keys |= dict.fromkeys(sorted(people.moved))
            for key in keys:
                try:
                    old, new = (
                        state_under(view, key, known, last, moment, cursor)
                        for known in (before, after)
                    )
                except Exception as error:  # noqa: BLE001 - one key must not hide the others
                    found.append(_change(view, key, FAILING, [where(error)]))
                    continue
                found.extend(_changes(view, key, old, new))
    earned, joined = restated_from(before, after), identity_restated_from(before, after)
    restated = [
        Restated(view=view.name, since=since)
        for view in views
        for since, depends in ((earned, view.wanted is not None), (joined, view.by_person))
        if depends and since is not None
    ]
    return Consequences(keys=found, restated=restated)


def _changes(view: View, key: str, old: Any, new: Any) -> list[Change]:
    names = differing(fields_of(old), fields_of(new))
    if not names:
        return []
    becomes = GONE if new is None else NEW if old is None else CHANGED
    return [_change(view, key, becomes, names)]


def _change(view: View, key: str, becomes: str, names: list[str]) -> Change:
    return Change(view=view.name, key=key, becomes=becomes, fields=names)
