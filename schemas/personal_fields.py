"""Which fields of a touchpoint are personal and which name subjects, read from its annotations."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from schemas.fields import Personal
from schemas.subject import SubjectKind
from schemas.touchpoint import Part

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PersonalField:
    """Where in `data` a personal field is, and the kind it is searched by, if it is."""

    path: Path
    search: str | None


@cache
def personal_fields(cls: type[Part]) -> tuple[PersonalField, ...]:
    """Every field of the class that is encrypted, in the order of its fields."""
    return tuple(
        PersonalField(path, mark.search)
        for path, mark in _marks(cls, ())
        if isinstance(mark, Personal)
    )


@cache
def subject_fields(cls: type[Part]) -> tuple[Path, ...]:
    """The path of every field of the class whose value is a subject."""
    return tuple(path for path, mark in _marks(cls, ()) if isinstance(mark, SubjectKind))


def _marks(cls: type[Part], path: Path) -> Iterator[tuple[Path, object]]:
    """Everything that annotations say about a field of the class or of a Part within it."""
    hints = get_type_hints(cls, include_extras=True)
    for field in fields(cls):
        here = (*path, field.name)
        for alternative in _alternatives(hints[field.name]):
            for mark in getattr(alternative, "__metadata__", ()):
                yield here, mark
            if isinstance(alternative, type) and issubclass(alternative, Part):
                yield from _marks(alternative, here)


def _alternatives(hint: Any) -> Iterator[Any]:
    """The members of a union, or the one thing that it is. Tuples are not entered."""
    if get_origin(hint) in (Union, UnionType):
        for member in get_args(hint):
            yield from _alternatives(member)
    else:
        yield hint
