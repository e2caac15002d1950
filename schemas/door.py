"""The door: foreign bytes become a checked envelope, or a refusal that says why and where."""

import difflib
import re
from functools import cache
from itertools import islice
from typing import Annotated, Any, Generic, Literal, Required, TypeVar

import msgspec
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from schemas.envelope import Envelope
from schemas.fields import INTEGER_MAX, INTEGER_MIN, SOURCE_CHARACTERS_MAX, Id, Moment
from schemas.fields import microseconds as to_microseconds
from schemas.personal_fields import personal_fields
from schemas.registry import BY_TYPE
from schemas.subject import Subject
from schemas.touchpoint import Touchpoint

TOUCHPOINT_BYTES_MAX = 1_048_576
"""The longest touchpoint that is read, in bytes of JSON."""

NAME_CHARACTERS_MAX, NAMES_MAX = 60, 40
"""How much of a path an error shows."""

D = TypeVar("D")
_EXTENSION_NAME = re.compile(r"[a-z0-9]{1,20}")
_EXTENSIONS_MAX = 32
_EXTENSION_CHARACTERS_MAX = 4_096


class Refused(ValueError):
    """Why a touchpoint cannot be recorded. Never quotes the value, which may be personal.

    `reason` is a stable code, `path` the field (`data.total.amount`) or empty, `message` what
    was expected.
    """

    def __init__(self, reason: str, path: str, message: str) -> None:
        self.path = _printable(path)  # the names in it may come from outside
        super().__init__(f"{self.path}: {message}" if path else message)
        self.reason = reason
        self.message = message


def _digits(value: object) -> object:
    if isinstance(value, str):
        if re.fullmatch(r"-?[0-9]{1,19}", value):
            return int(value)
        raise PydanticCustomError("sequence", "expected an integer or a string of digits")
    return value


Sequence = Annotated[int, Field(ge=INTEGER_MIN, le=INTEGER_MAX), BeforeValidator(_digits)]
Source = Annotated[
    str, Field(min_length=1, max_length=SOURCE_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")
]


@with_config(ConfigDict(extra="allow", strict=True))
class _Wire(TypedDict, Generic[D], total=False):
    """The attributes of a CloudEvent as they stand on the wire."""

    specversion: Required[Literal["1.0"]]
    id: Required[Id]
    source: Required[Source]
    type: Required[str]
    subject: Required[Subject]
    time: Required[Moment]
    data: Required[D]
    datacontenttype: Literal["application/json"] | None
    sequence: Sequence | None
    correlationid: Id | None
    causationid: Id | None
    traceparent: Id | None


class _Head(msgspec.Struct):
    type: str = ""


_read_head = msgspec.json.Decoder(_Head).decode
_NAMED = frozenset(_Wire.__annotations__)


@cache
def _adapter(type_name: str) -> TypeAdapter[Any]:
    form: Any = _Wire
    return TypeAdapter(form[BY_TYPE[type_name]])


def parse(raw: bytes) -> Envelope[Touchpoint]:
    """Read one CloudEvent (structured JSON) of the catalogue. Raises Refused."""
    if len(raw) > TOUCHPOINT_BYTES_MAX:
        raise Refused("too_large", "", f"longer than {TOUCHPOINT_BYTES_MAX:,} bytes")
    type_name = _type_of(raw)
    try:
        wire = _adapter(type_name).validate_json(raw)
    except ValidationError as error:
        raise _refusal(error, type_name) from None
    return _envelope(wire)


def _type_of(raw: bytes) -> str:
    """The type that the bytes claim, so that only its own fields are spoken of in errors."""
    try:
        name = _read_head(raw).type
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        name = _type_or_refusal(raw)
    if name in BY_TYPE:
        return name
    if not name:
        raise Refused("missing", "type", "the touchpoint has no type")
    raise Refused("unknown_type", "type", _unknown_type(name))


def _type_or_refusal(raw: bytes) -> str:
    """Let pydantic name what is wrong with bytes that msgspec cannot read."""
    try:
        _anything().validate_json(raw)
    except ValidationError as error:
        raise _refusal(error) from None
    raise Refused("invalid", "type", "expected an object whose `type` is a string")


@cache
def _anything() -> TypeAdapter[Any]:
    return TypeAdapter(dict[str, Any])


def _unknown_type(name: str) -> str:
    near = difflib.get_close_matches(name, BY_TYPE, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else "; `touchstone schema list` names them all"
    return f"not a type of the catalogue{hint}"


def _envelope(wire: dict[str, Any]) -> Envelope[Touchpoint]:
    time = wire["time"]
    offset = time.utcoffset()
    extensions = None if wire.keys() <= _NAMED else _extensions(wire)
    return Envelope(
        type=wire["type"],
        at=to_microseconds(time),
        offset=int(offset.total_seconds() // 60) if offset else 0,
        source=wire["source"],
        id=wire["id"],
        subject=wire["subject"],
        sequence=wire.get("sequence") or 0,
        correlationid=wire.get("correlationid"),
        causationid=wire.get("causationid"),
        traceparent=wire.get("traceparent"),
        extensions=extensions,
        data=wire["data"],
    )


def _extensions(wire: dict[str, Any]) -> dict[str, Any] | None:
    """The CloudEvents extension attributes, which are scalars with lower-case names."""
    found = {name: value for name, value in wire.items() if name not in _NAMED}
    found = {name: value for name, value in found.items() if value is not None}
    if len(found) > _EXTENSIONS_MAX:
        raise Refused("too_many", "", f"more than {_EXTENSIONS_MAX} extension attributes")
    for name, value in found.items():
        _check_extension(name, value)
    return found or None


def _check_extension(name: str, value: object) -> None:
    if not _EXTENSION_NAME.fullmatch(name):
        raise Refused("unknown_field", name, "not a field of the envelope")
    whole = isinstance(value, int) and INTEGER_MIN <= value <= INTEGER_MAX
    text = isinstance(value, str) and len(value) <= _EXTENSION_CHARACTERS_MAX and "\0" not in value
    if not (whole or text):
        raise Refused("extension", name, "an extension attribute is a short text or an integer")


_AMOUNT_EXPECTED = (
    'expected a decimal in text, such as "12.50", '
    "with at most 15 digits before the point and 9 after"
)
_SAID_OTHERWISE = {
    "unexpected_keyword_argument": ("unknown_field", "not a field of this type"),
    "extra_forbidden": ("unknown_field", "not a field of this type"),
    "missing": ("missing", "this field is required"),
    "missing_argument": ("missing", "this field is required"),
    "missing_keyword_only_argument": ("missing", "this field is required"),
    "dataclass_type": ("object_type", "expected an object"),
    "dict_type": ("object_type", "expected an object"),
    "string_pattern_mismatch": ("form", "not of the form that this field has"),
}


def _refusal(error: ValidationError, type_name: str | None = None) -> Refused:
    """Say the first error in our words: its code, the path of the field, what was expected."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    first = errors[0]
    path = ".".join(map(str, _public(first["loc"], type_name)))
    reason, message = _SAID_OTHERWISE.get(first["type"], (first["type"], first["msg"]))
    if reason == "form" and path.endswith(".amount"):
        message = _AMOUNT_EXPECTED
    if message.startswith("Input should"):
        message = "expected" + message.removeprefix("Input should").removeprefix(" be")
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Refused(reason, path, message + more)


def _public(loc: tuple[int | str, ...], type_name: str | None) -> tuple[int | str, ...]:
    """The path as far as it may be told: the names inside a personal map may be personal too."""
    for field in personal_fields(BY_TYPE[type_name]) if type_name else ():
        if loc[1 : 1 + len(field.path)] == field.path:
            return loc[: 1 + len(field.path)]
    return loc


def _printable(path: str) -> str:
    """A path as an error may show it: each name short, and free of control characters."""
    names = (_short("".join(c if c.isprintable() else "?" for c in n)) for n in path.split("."))
    return ".".join(islice(names, NAMES_MAX))


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS_MAX else f"{name[:NAME_CHARACTERS_MAX]}…"
