"""What a view states of itself; the engine does all the rest and knows no view by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from domain.occurred import Occurred
from domain.rules import Rules


@dataclass(frozen=True)
class View:
    """A table that is folded from touchpoints, one row a key.

    `version` grows with every change of the fold or of its state: a table that was built by
    another version is served, but not followed, until it is rebuilt.
    `reads` names the types that the fold looks at, each with the fields of `data` that it reads;
    others are not decoded.
    `key` gives the key of a touchpoint; without it the key is the person.
    `wanted` narrows `reads` to the types that matter under the rules, for a view whose answer
    depends on rules; such a view is restated when a rule is published for the past.
    `columns` are what lists and analysts see beside the key: a name and a path into the state.
    """

    name: str
    version: int
    reads: Mapping[str, tuple[str, ...]]
    state: type[msgspec.Struct]
    evolve: Callable[[Any, Occurred, Rules], Any]
    key: Callable[[Any], str] | None = None
    wanted: Callable[[Rules], frozenset[str]] | None = None
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def by_person(self) -> bool:
        return self.key is None

    def types(self, rules: Rules) -> frozenset[str]:
        """The types of touchpoint that can change this view under these rules."""
        return self.wanted(rules) if self.wanted else frozenset(self.reads)


def union_of_reads(views: "tuple[View, ...]") -> dict[str, frozenset[str]]:
    """The fields that at least one of the views reads, by type."""
    union: dict[str, frozenset[str]] = {}
    for view in views:
        for type_name, names in view.reads.items():
            union[type_name] = union.get(type_name, frozenset()) | frozenset(names)
    return union
