"""The kinds of field that touchpoints are made of, and the limits they are held to.

Each alias is read by two engines: pydantic, which checks foreign bytes at the doors, and
msgspec, which decodes trusted bytes on replay. A personal field is clear text at the door
and a ciphertext string in the log, so its static type admits both, while pydantic is told
(by `Personal`) to accept the clear form only.
"""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
)
from pydantic_core import CoreSchema, PydanticCustomError

ID_CHARACTERS_MAX = 200
TEXT_CHARACTERS_MAX = 65_536
SOURCE_CHARACTERS_MAX = 200
MAP_DEPTH_MAX = 16
MAP_VALUES_MAX = 2_000
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1

CIPHERTEXT_PREFIX = "~"
"""What a personal field begins with once it is in the log."""

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_NO_CONTROL = r"^[^\x00-\x1f\x7f]*$"
_NO_NUL = r"^[^\x00]*$"

Id = Annotated[str, Field(min_length=1, max_length=ID_CHARACTERS_MAX, pattern=_NO_CONTROL)]
"""The name of something in the outside world: 1 to 200 characters, none of them a control."""

Text = Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX, pattern=_NO_NUL)]
"""Free text of up to 64 KiB characters, without NUL."""

Positive = Annotated[int, Field(gt=0, le=INTEGER_MAX)]


def _seconds(value: object) -> int | float:
    """A number as it was written. One check, where a union would name two paths in its errors."""
    if isinstance(value, int | float) and type(value) is not bool and 0 <= value <= INTEGER_MAX:
        return value
    raise PydanticCustomError("seconds", "expected a number of seconds, 0 or more")


Seconds = Annotated[
    int | float,
    PlainValidator(_seconds, json_schema_input_type=Annotated[float, Field(ge=0, le=INTEGER_MAX)]),
]
"""A length of time in seconds, whole or not."""

Author = Literal["customer", "agent", "bot"]
"""Who wrote a message or a comment."""

SendingPurpose = Literal["service", "marketing"]
"""What a message to a customer was sent for."""


def _expect_rfc3339(value: object) -> object:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        return value
    raise PydanticCustomError(
        "time_form",
        "expected an RFC 3339 time with its offset, such as 2026-01-05T10:00:00Z",
    )


def _plain_offset(value: datetime) -> datetime:
    """Give the time the standard library's own zone, and refuse what UTC cannot hold."""
    offset = value.utcoffset()
    if offset is None:
        raise PydanticCustomError("time_naive", "the time has no offset; add Z or +hh:mm")
    if not 2 <= value.year <= 9998:
        raise PydanticCustomError("time_range", "the year is outside 0002 to 9998")
    return value.replace(tzinfo=UTC if not offset else timezone(offset))


Moment = Annotated[
    datetime,
    Field(strict=False),  # a text that has passed the first check is read as a time
    BeforeValidator(_expect_rfc3339),
    AfterValidator(_plain_offset),
]
"""An aware time; kept to the microsecond together with the offset that it came with."""


def _check_json(value: object, depth: int = 0, seen: list[int] | None = None) -> object:
    """Refuse what JSON cannot carry back: NaN, huge integers, NUL, bottomless nesting."""
    seen = [0] if seen is None else seen
    seen[0] += 1
    if depth > MAP_DEPTH_MAX:
        raise PydanticCustomError("map_depth", f"nested deeper than {MAP_DEPTH_MAX} levels")
    if seen[0] > MAP_VALUES_MAX:
        raise PydanticCustomError("map_size", f"more than {MAP_VALUES_MAX} values")
    match value:
        case str():
            if "\x00" in value:
                raise PydanticCustomError("nul", "contains a NUL character")
        case bool() | None:
            pass
        case int():
            if not INTEGER_MIN <= value <= INTEGER_MAX:
                raise PydanticCustomError("integer_range", "an integer beyond 64 bits")
        case float():
            if not math.isfinite(value):
                raise PydanticCustomError("finite", "a number that is not finite")
        case dict():
            for key, inner in value.items():
                _check_json(key, depth + 1, seen)
                _check_json(inner, depth + 1, seen)
        case list():
            for inner in value:
                _check_json(inner, depth + 1, seen)
    return value


def _check_map(value: dict[str, Any]) -> dict[str, Any]:
    _check_json(value)
    return value


JsonMap = Annotated[dict[str, Any], AfterValidator(_check_map)]


class Personal:
    """Marks a field as personal data: encrypted under its subject's key before it is stored.

    `clear` is the type that the doors accept; `search` names the token table's kind
    (`email` or `phone`) when the field can be searched for.
    """

    def __init__(self, clear: Any, search: str | None = None) -> None:
        self.clear = clear
        self.search = search

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return handler.generate_schema(self.clear)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "x-personal": True}


PersonalText = Annotated[str | None, Personal(Text | None)]
RequiredPersonalText = Annotated[str, Personal(Text)]
PersonalEmail = Annotated[str | None, Personal(Text | None, search="email")]
PersonalPhone = Annotated[str | None, Personal(Text | None, search="phone")]
PersonalMap = Annotated[dict[str, Any] | str | None, Personal(JsonMap | None)]
PersonalStrings = Annotated[
    dict[str, str] | str | None,
    Personal(Annotated[dict[Id, Text], Field(max_length=MAP_VALUES_MAX)] | None),
]
PersonalYear = Annotated[int | str | None, Personal(Annotated[int, Field(ge=1850, le=2200)] | None)]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """The instant as whole microseconds since 1970-01-01T00:00:00Z."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(at: int, offset: int = 0) -> datetime:
    """The time `at` (microseconds since 1970, UTC) on a clock `offset` minutes ahead of UTC."""
    zone = timezone(timedelta(minutes=offset)) if offset else UTC
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone)


def rfc3339(at: int, offset: int = 0) -> str:
    """The time `at` in the form of RFC 3339, with `Z` for UTC."""
    return moment(at, offset).isoformat().replace("+00:00", "Z")
