"""Masking: touchpoints as those see them who have not asked for personal data. It needs no key."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from schemas.encoding import plain
from schemas.envelope import Envelope
from schemas.personal_fields import personal_fields
from schemas.registry import BY_TYPE

MASK = "[personal]"
"""What stands in place of a personal field that was not asked for."""

EXTENSIONS = "extensions"


def masked(envelope: Envelope[Any]) -> Envelope[Any]:
    """A stored touchpoint with a mask in place of each personal field; subjects stay tokens."""

    def mask(parent: dict[str, Any], name: str) -> None:
        parent[name] = MASK

    if not _holds_personal_data(envelope):
        return envelope
    cls = BY_TYPE[envelope.type]
    return msgspec.structs.replace(
        envelope,
        extensions=MASK if envelope.extensions else None,
        values=None,
        data=msgspec.convert(_changed(envelope, mask), cls),
    )


def without_personal_data(envelope: Envelope[Any]) -> Envelope[Any]:
    """A stored touchpoint without all that is encrypted in it; personal subjects stay tokens.

    Its data are a plain dict, in which also such fields may be missing as doors insist on.
    """
    data = _changed(envelope, lambda parent, name: parent.pop(name))
    return msgspec.structs.replace(envelope, extensions=None, values=None, data=data)


def personal_parts(envelope: Envelope[Any]) -> Iterator[tuple[str, str]]:
    """(stored subject, field) of all that is encrypted in a stored touchpoint.

    A field is named by its path in `data`. A personal subject is its own: whoever sees the
    address of a referee has looked at the referee.
    """
    data = envelope.data
    for field in personal_fields(BY_TYPE[envelope.type]):
        if _at(data, field.path) is not None:
            yield envelope.subject, ".".join(field.path)
    if envelope.extensions:
        yield envelope.subject, EXTENSIONS
    for path in envelope.values or ():
        field_path = path.removeprefix("data.")
        in_data = field_path != path
        stored = _at(data, tuple(field_path.split("."))) if in_data else envelope.subject
        yield stored, field_path


def _holds_personal_data(envelope: Envelope[Any]) -> bool:
    return next(personal_parts(envelope), None) is not None


def _at(data: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        data = getattr(data, name, None)
    return data


def _changed(
    envelope: Envelope[Any], change: Callable[[dict[str, Any], str], Any]
) -> dict[str, Any]:
    """The data as a dict, with something done to each personal field that is there."""
    data: dict[str, Any] = plain(envelope.data)
    for field in personal_fields(BY_TYPE[envelope.type]):
        parent, name = data, field.path[-1]
        for step in field.path[:-1]:
            parent = parent.get(step, {})
        if name in parent:
            change(parent, name)
    return data
