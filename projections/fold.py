"""Folds touchpoints into rows. Pure: the same touchpoints and rules give the same bytes."""

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from domain.occurred import Occurred, Order, order_of
from domain.rules import Rules
from ledger.persons import ALONE, Persons
from projections.view import NEVER, View
from schemas.subject import stream_of

NOBODY: Mapping[str, list[Any]] = {}
_encode = msgspec.json.Encoder().encode


class Row(NamedTuple):
    """One row of a view's table, as it is stored.

    `last` is the order of the last touchpoint folded (JSON), `streams` the streams that reach
    the key (JSON; None where the key is the person), `state` the folded state (JSON).
    """

    key: str
    last: str
    streams: str | None
    state: str


class Failure(NamedTuple):
    """A fold that raised: the key is parked with where it happened, never with the values."""

    key: str
    streams: str
    error: str

    @classmethod
    def of(cls, key: str, streams: Iterable[str], error: Exception) -> "Failure":
        return cls(key, _encode(sorted(streams)).decode(), where(error))

    @property
    def reaching(self) -> list[str]:
        """The streams that are known to reach the key."""
        return msgspec.json.decode(self.streams, type=list[str])

    def reached_by(self, streams: Iterable[str]) -> "Failure":
        """The same failure of a key that further streams reach as well."""
        return self._replace(streams=_encode(sorted({*self.reaching, *streams})).decode())


def in_order(touchpoints: list[Any]) -> list[Any]:
    """The touchpoints by (time, sequence, source, id).

    They mostly come in order already, and then time alone shows it; only ties need the rest.
    """
    last = None
    for touchpoint in touchpoints:
        at = touchpoint.at
        if last is not None and at <= last:
            return sorted(touchpoints, key=order_of)
        last = at
    return touchpoints


def fold(view: View, touchpoints: Iterable[Occurred], rules: Rules, state: Any = None) -> Any:
    """The state after these touchpoints, which must be in order and of the view's types."""
    evolve = view.evolve
    state = view.state() if state is None else state
    for touchpoint in touchpoints:
        evolve(state, touchpoint, rules)
    return state


def row_of(view: View, key: str, last: Occurred, streams: Iterable[str], state: Any) -> Row:
    """The row to be stored for a key whose last folded touchpoint is `last`."""
    return Row(
        key,
        _encode(order_of(last)).decode(),
        None if view.by_person else _encode(sorted(streams)).decode(),
        _encode(state).decode(),
    )


def order_in(row: Row) -> Order:
    """The order of the last touchpoint that was folded into a row."""
    order: Order = msgspec.json.decode(row.last, type=Order)
    return order


def streams_in(row: Row) -> list[str]:
    """The streams that reach a row's key."""
    return msgspec.json.decode(row.streams or "[]", type=list[str])


def key_in(view: View, persons: Persons) -> Callable[[Any], str]:
    """What gives the key of a touchpoint in a view."""
    return view.key or (lambda touchpoint: persons.person_of(touchpoint.subject))


def by_key(
    view: View, touchpoints: Iterable[Any], rules: Rules, persons: Persons = ALONE
) -> dict[str, list[Any]]:
    """The touchpoints that matter to a view, by the key that they belong to."""
    since = view.since(rules).get
    key_of = key_in(view, persons)
    found: dict[str, list[Any]] = {}
    for touchpoint in touchpoints:
        if touchpoint.at >= since(touchpoint.type, NEVER):
            found.setdefault(key_of(touchpoint), []).append(touchpoint)
    return found


def streams_of_touchpoints(touchpoints: Iterable[Occurred]) -> set[str]:
    """The streams in which these touchpoints stand."""
    return {stream_of(subject) for subject in {t.subject for t in touchpoints}}


def fold_streams(
    touchpoints: Sequence[Any],
    views: Sequence[View],
    rules: Rules,
    persons: Persons = ALONE,
    people: Mapping[str, list[Any]] = NOBODY,
) -> dict[str, tuple[list[Row], list[Failure]]]:
    """Fold whole streams, given in any order, into the rows of all the views.

    `people` are persons of several subjects with all that is told of them; who is one of those in
    `persons` and is not among them is folded elsewhere.
    A key that other streams reach as well comes out once for each; the rebuild then folds it
    again from all of them.
    """
    rows: dict[str, tuple[list[Row], list[Failure]]] = {view.name: ([], []) for view in views}
    by_person = [(view, view.since(rules).get) for view in views if view.by_person]
    keyed = [view for view in views if not view.by_person]
    streams: dict[str, list[Any]] = {}
    for touchpoint in touchpoints:
        streams.setdefault(touchpoint.subject, []).append(touchpoint)

    def fold_person(person: str, told: list[Any]) -> None:
        for view, since in by_person:
            wanted = [t for t in told if t.at >= since(t.type, NEVER)]
            if wanted:
                _fold_into(rows[view.name], view, person, wanted, rules)

    for subject, stream in streams.items():
        stream = in_order(stream)
        if subject not in persons.named:
            fold_person(subject, stream)
        for view in keyed:
            for key, wanted in by_key(view, stream, rules).items():
                _fold_into(rows[view.name], view, key, wanted, rules)
    for person, told in people.items():
        fold_person(person, in_order(told))
    return rows


def _fold_into(
    into: tuple[list[Row], list[Failure]],
    view: View,
    key: str,
    touchpoints: list[Any],
    rules: Rules,
) -> None:
    streams = () if view.by_person else streams_of_touchpoints(touchpoints)
    try:
        state = fold(view, touchpoints, rules)
        into[0].append(row_of(view, key, touchpoints[-1], streams, state))
    except Exception as error:  # noqa: BLE001 - one key must not stop the others
        into[1].append(Failure.of(key, streams_of_touchpoints(touchpoints), error))


def where(error: Exception) -> str:
    """What failed and where in the code. The message is left out: it may quote a value."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = last.filename.rpartition("/")[2]
    return f"{type(error).__name__} in {last.name} ({place}:{last.lineno})"
