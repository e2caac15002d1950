"""What a view states of itself; the engine does all the rest and knows no view by name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

from domain.occurred import Occurred
from domain.rules import Rules
from ledger.store import Dialect

ALWAYS, NEVER = -(2**63), 2**63 - 1
"""Moments before and after all others, in microseconds since 1970."""


Kind = Literal["text", "integer", "amount", "time"]
"""What a column holds: a text, a number, a decimal string, or microseconds since 1970."""


class Column(NamedTuple):
    """A column that shows a field of the state. Its name is a word that SQL does not reserve."""

    name: str
    path: str
    kind: Kind = "text"


class Figure(NamedTuple):
    """A column that analysts see, reckoned in SQL from the document `folded.state`."""

    name: str
    kind: Kind
    sql: Callable[[Dialect], str]


class Momentary(NamedTuple):
    """A table beside a view's own, of what depends on the moment of asking; a replay writes it.

    `columns` come behind the key, each with its type in SQL; `rows` gives their values, any
    number of times, from a state and a moment (microseconds since 1970).
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    rows: Callable[[Any, int], Iterable[tuple[Any, ...]]]


@dataclass(frozen=True)
class View:
    """A table that is folded from touchpoints, one row a key.

    `version` grows with every change of the fold or of its state: a table that was built by
    another version is served, but not followed, until it is rebuilt.
    `reads` names the types that the fold looks at, each with the fields of `data` that it reads;
    others are not decoded.
    `key` gives the key of a touchpoint; without it the key is the person.
    `wanted` narrows `reads` to the types that matter under the rules, each with the moment from
    which it does (microseconds since 1970), for a view whose answer depends on rules. Such a view
    is restated when a rule is published for the past; of one for the future, what occurred before
    must not take notice, so `wanted` may give nothing an earlier moment than the rule has.
    `columns` are what lists can be narrowed by, and analysts see beside the key; these see
    `figures` as well. Both may change without a new version: they are not stored. Nor is what is
    `momentary`, which only a replay has.
    """

    name: str
    version: int
    reads: Mapping[str, tuple[str, ...]]
    state: type[msgspec.Struct]
    evolve: Callable[[Any, Occurred, Rules], Any]
    key: Callable[[Any], str] | None = None
    wanted: Callable[[Rules], Mapping[str, int]] | None = None
    columns: tuple[Column, ...] = ()
    figures: tuple[Figure, ...] = ()
    momentary: tuple[Momentary, ...] = ()

    @property
    def by_person(self) -> bool:
        return self.key is None

    def since(self, rules: Rules) -> Mapping[str, int]:
        """From which moment each type of touchpoint can change this view under these rules."""
        return self.wanted(rules) if self.wanted else dict.fromkeys(self.reads, ALWAYS)


def union_of_reads(views: "tuple[View, ...]") -> dict[str, frozenset[str]]:
    """The fields that at least one of the views reads, by type."""
    union: dict[str, frozenset[str]] = {}
    for view in views:
        for type_name, names in view.reads.items():
            union[type_name] = union.get(type_name, frozenset()) | frozenset(names)
    return union
