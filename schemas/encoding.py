"""Two ways to write a touchpoint down: as it is stored, and as its content is compared."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

_encode = msgspec.json.Encoder(order="sorted").encode
_SIMPLE = frozenset((str, int, bool, NoneType))
"""Most values are of these, and stay as they are: a call for each would take most of the time."""


class _Fields(NamedTuple):
    """The names of a dataclass's fields, and which of them hold more than what is simple."""

    names: tuple[str, ...]
    rich: frozenset[str]


@cache
def _fields(cls: type) -> _Fields | None:
    """What is known of a dataclass before there is a value of it; None of any other class."""
    if not is_dataclass(cls):
        return None
    names = tuple(field.name for field in fields(cls))
    hints = get_type_hints(cls, include_extras=True)
    return _Fields(names, frozenset(name for name in names if not _is_simple(hints[name])))


def _is_simple(hint: Any) -> bool:
    """Whether values that are annotated so are simple, all of them."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _is_simple(get_args(hint)[0])
    if origin in (Union, UnionType):
        return all(map(_is_simple, get_args(hint)))
    return origin is Literal or hint in _SIMPLE


def plain(value: Any) -> Any:
    """Dataclasses as dicts, tuples as lists, and fields that are None left out."""
    known = _fields(value.__class__)
    if known:
        names, rich = known
        found = {}
        for name in names:
            inner = getattr(value, name)
            if inner is not None:
                found[name] = plain(inner) if name in rich else inner
        return found
    if value.__class__ is tuple:
        return [plain(inner) for inner in value]
    return value


def canonical(attributes: Sequence[str | int | None], data: dict[str, Any], cls: type) -> bytes:
    """Content as bytes that equal content shares, however it was written: attributes of the
    envelope, and plain data of this class.

    Absent and null are the same, 1.0 is 1, times are in UTC, the amounts of money lose their
    trailing zeros, and the order of names does not matter.
    """
    known = _fields(cls)
    if known and not known.rich.isdisjoint(data):  # elsewhere nothing could be changed
        data = data | {name: _canonical(data[name]) for name in known.rich if name in data}
    return _encode((*attributes, data))


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
