"""Two ways to write a touchpoint down: as it is stored, and as its content is compared."""

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec

_encode = msgspec.json.Encoder(order="sorted").encode
_SIMPLE = frozenset((str, int, bool, type(None)))
"""Most values are of these, and stay as they are: a call for each would take most of the time."""


@cache
def _field_names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls)) if is_dataclass(cls) else ()


def plain(value: Any) -> Any:
    """Dataclasses as dicts, tuples as lists, and fields that are None left out."""
    names = _field_names(value.__class__)
    if names:
        return {
            name: inner if inner.__class__ in _SIMPLE else plain(inner)
            for name in names
            if (inner := getattr(value, name)) is not None
        }
    if value.__class__ is tuple:
        return [plain(inner) for inner in value]
    return value


def canonical(value: Any) -> bytes:
    """The content as bytes that equal content shares, however it was written.

    Absent and null are the same, 1.0 is 1, times are in UTC, the amounts of money lose their
    trailing zeros, and the order of names does not matter.
    """
    return _encode(_canonical(value))


def _canonical(value: Any) -> Any:
    kind = value.__class__
    if kind is dict:
        if len(value) == 2 and "amount" in value and "currency" in value:
            return [_shortest(value["amount"]), value["currency"]]
        return {
            name: v if v.__class__ in _SIMPLE else _canonical(v)
            for name, v in value.items()
            if v is not None
        }
    if kind is list:
        return [v if v.__class__ in _SIMPLE else _canonical(v) for v in value]
    if kind is float:
        return int(value) if value.is_integer() else value
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return value


def _shortest(amount: Any) -> Any:
    """`12.50` as `12.5`; what is not a decimal string stays as it is."""
    if isinstance(amount, str) and "." in amount:
        return amount.rstrip("0").rstrip(".")
    return amount
