"""Replay: trusted bytes of the log become touchpoints again, whole or only what is read.

`decode` gives the same classes that the doors give. `NarrowDecoder` gives generated twins with
nothing but the fields that some view reads: decoding is a large part of a rebuild, and a field
that is skipped costs next to nothing.
"""

import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from schemas.encoding import plain
from schemas.envelope import Envelope
from schemas.registry import BY_TYPE
from schemas.touchpoint import Touchpoint


@cache
def _decoder(topic: str) -> msgspec.json.Decoder[Any]:
    form: Any = Envelope
    return msgspec.json.Decoder(form[BY_TYPE[topic]])


def decode_as_written(topic: str, state: bytes) -> Envelope[Touchpoint]:
    """The touchpoint of a stored event, in the version in which it was written."""
    envelope: Envelope[Touchpoint] = _decoder(topic).decode(state)
    return envelope


def decode(topic: str, state: bytes) -> Envelope[Touchpoint]:
    """The touchpoint of a stored event, in the newest version of its type."""
    envelope = decode_as_written(topic, state)
    upcast = getattr(envelope.data, "upcast", None)
    if upcast is None:
        return envelope
    data = upcast()
    return msgspec.structs.replace(envelope, type=data.TYPE, data=data)


class Narrow(msgspec.Struct, gc=False, kw_only=True, tag_field="type"):
    """The envelope of a touchpoint as folds read it. Its subclasses add `data` and `type`."""

    at: int
    source: str
    id: str
    subject: str
    sequence: int = 0


class NarrowDecoder:
    """Decodes pages of stored states into narrow touchpoints, in one call a page.

    `reads` names, for each type, the fields of `data` that are wanted.
    """

    def __init__(self, reads: Mapping[str, Iterable[str]]) -> None:
        self._forms = {name: _narrow(name, tuple(sorted(reads.get(name, ())))) for name in BY_TYPE}
        every: Any = list[Union[tuple(self._forms.values())]]  # type: ignore[misc]
        self._decode = msgspec.json.Decoder(every).decode
        self._superseded = {name for name, cls in BY_TYPE.items() if hasattr(cls, "upcast")}

    def page(self, states: Iterable[bytes]) -> list[Any]:
        """The touchpoints of many states, in their order, in the newest version of each type."""
        found: list[Any] = self._decode(b"[" + b",".join(states) + b"]")
        if self._superseded:
            return [self._upcast(t) if t.type in self._superseded else t for t in found]
        return found

    def _upcast(self, old: Any) -> Any:
        data = old.data.upcast()
        form = self._forms[data.TYPE]
        envelope = {name: getattr(old, name) for name in Narrow.__struct_fields__}
        return msgspec.convert({**envelope, "type": data.TYPE, "data": plain(data)}, form)


@cache
def _narrow(type_name: str, wanted: tuple[str, ...]) -> type[Narrow]:
    cls = BY_TYPE[type_name]
    namespace: dict[str, Any] = {"type": type_name}
    members: list[Any] = []
    if hasattr(cls, "upcast"):
        members.append(("data", cls))
    elif wanted:
        members.append(("data", _twin(cls, wanted)))
    else:
        namespace["data"] = None
    form: Any = msgspec.defstruct(
        cls.__name__,
        members,
        bases=(Narrow,),
        tag=type_name,
        tag_field="type",
        gc=False,
        kw_only=True,
        namespace=namespace,
    )
    return form  # type: ignore[no-any-return]


@cache
def _twin(cls: type, wanted: tuple[str, ...] | None = None) -> type:
    """A struct with the wanted fields (or all) of a dataclass, without garbage collection."""
    hints = get_type_hints(cls)
    members: list[Any] = []
    for field in fields(cls):
        if wanted is not None and field.name not in wanted:
            continue
        kind = _twin_type(hints[field.name])
        members.append(
            (field.name, kind) if field.default is MISSING else (field.name, kind, field.default)
        )
    unknown = set(wanted or ()) - {name for name, *_ in members}
    if unknown:
        raise ValueError(f"{cls.__name__} has no field {', '.join(sorted(unknown))}")
    return msgspec.defstruct(f"Narrow{cls.__name__}", members, gc=False, kw_only=True)


def _twin_type(hint: Any) -> Any:
    """The same type with every dataclass in it replaced by its twin."""
    if isinstance(hint, type) and is_dataclass(hint):
        return _twin(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is None or (origin is not tuple and not _is_union(origin)):
        return hint
    if origin is tuple:
        return tuple[tuple(_twin_type(inner) for inner in arguments)]  # type: ignore[misc]
    return Union[tuple(_twin_type(inner) for inner in arguments)]


def _is_union(origin: Any) -> bool:
    return origin is Union or origin is types.UnionType
