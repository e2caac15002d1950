"""Fields: a state or a record as paths with values, and where two of them differ."""

from collections.abc import Mapping
from typing import Any

import msgspec

STATED = frozenset(("value", "time", "source", "id", "subject"))
"""The names of a value that comes with the touchpoint that stated it: together one field."""


def fields_of(record: Any) -> dict[str, Any]:
    """The fields of a record, or of a state, by their paths, such as `orders.count`.

    A list is one field, and so is a value with the touchpoint that stated it.
    """
    found: dict[str, Any] = {}
    if not isinstance(record, Mapping):
        record = msgspec.to_builtins(record) if record is not None else {}
    _gather(record, "", found)
    return found


def _gather(record: Mapping[str, Any], prefix: str, found: dict[str, Any]) -> None:
    for name, value in record.items():
        if isinstance(value, Mapping) and value and value.keys() != STATED:
            _gather(value, f"{prefix}{name}.", found)
        elif not isinstance(value, Mapping) or value:
            found[f"{prefix}{name}"] = value


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The names of the fields in which two differ, in order; one that is missing is None."""
    names = dict.fromkeys((*one, *other))
    return [name for name in names if one.get(name) != other.get(name)]


def is_within(name: str, wanted: str) -> bool:
    """Whether a field is the one that is wanted, or a part of it."""
    return name == wanted or name.startswith(f"{wanted}.")
