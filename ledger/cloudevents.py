"""CloudEvents as transports carry them: headers and bodies to structured JSON, and back out.

The rules are those of the protocol bindings of CloudEvents 1.0. In structured mode the body is
the event. In binary mode the attributes stand in headers, named `ce_…` on Kafka, and the body is
the event's data. What bears no mark of either is taken for a plain JSON touchpoint, with the same
names.
"""

from typing import Any

import msgspec

from ledger.personal import ERASED
from ledger.quarantine import Headers
from schemas.door import Refused
from schemas.encoding import plain
from schemas.envelope import Envelope
from schemas.personal_fields import personal_fields
from schemas.registry import BY_TYPE

CONTENT_TYPE = "content-type"
STRUCTURED = "application/cloudevents"
STRUCTURED_JSON = "application/cloudevents+json"
JSON_ENDINGS = ("/json", "+json")
PREFIX = "ce_"

_NAMED = ("sequence", "correlationid", "causationid", "traceparent")
_encode = msgspec.json.Encoder().encode
_raw_json = msgspec.json.Decoder(msgspec.Raw).decode


def structured(raw: bytes, headers: Headers) -> bytes:
    """The event as structured JSON, ready to be parsed. Raises Refused.

    The data of an event in binary mode are taken over byte by byte.
    """
    if not headers:
        return raw
    named = _marks(headers)
    content_type = _text(named.get(CONTENT_TYPE), CONTENT_TYPE)
    form = content_type.partition(";")[0].strip().lower()
    if form.startswith(STRUCTURED):
        if form != STRUCTURED_JSON:
            raise Refused("content_type", CONTENT_TYPE, f"of CloudEvents only {STRUCTURED_JSON}")
        return raw
    attributes = {
        name.removeprefix(PREFIX): _text(value, name)
        for name, value in named.items()
        if name.startswith(PREFIX)
    }
    return _from_binary(raw, attributes, form) if attributes else raw


def _marks(headers: Headers) -> dict[str, bytes | None]:
    """The headers that say what a record is; what else a transport brings is its own affair."""
    found: dict[str, bytes | None] = {}
    for given, value in headers:
        name = given.lower()
        if name != CONTENT_TYPE and not name.startswith(PREFIX):
            continue
        if name in found:
            raise Refused("repeated", name, "the header is there more than once")
        found[name] = value
    return found


def _from_binary(raw: bytes, attributes: dict[str, str], form: str) -> bytes:
    if "data" in attributes:
        raise Refused("unknown_field", "data", "the data are the body, not a header")
    if form and not form.endswith(JSON_ENDINGS):
        raise Refused("content_type", CONTENT_TYPE, "expected data in JSON")
    event: dict[str, Any] = dict(attributes)
    if raw:
        try:
            event["data"] = _raw_json(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused("json_invalid", "data", "the body is not JSON") from None
    return _encode(event)


def _text(value: bytes | None, name: str) -> str:
    try:
        return "" if value is None else value.decode()
    except UnicodeDecodeError:
        raise Refused("encoding", name, "the header is not UTF-8") from None


def cloud_event(envelope: Envelope[Any]) -> bytes:
    """A (clear) touchpoint as a CloudEvent in structured JSON, as it could come in by a door."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "subject": envelope.subject,
        "time": envelope.time,
    }
    event.update((name, value) for name in _NAMED if (value := getattr(envelope, name)))
    if isinstance(envelope.extensions, dict):
        event.update(envelope.extensions)
    return _encode(event | {"data": _data(envelope)})


def _data(envelope: Envelope[Any]) -> dict[str, Any]:
    """The fields of the touchpoint; optional ones that are erased are left out, as absent."""
    cls = BY_TYPE[envelope.type]
    data: dict[str, Any] = plain(envelope.data)
    for field in personal_fields(cls):
        parent: Any = data
        for name in field.path[:-1]:
            parent = parent.get(name, {})
        if parent.get(field.path[-1]) == ERASED and _may_be_absent(cls, field.path):
            del parent[field.path[-1]]
    return data


def _may_be_absent(cls: type[Any], path: tuple[str, ...]) -> bool:
    """Whether a field can be left out. Those inside a part of the touchpoint always can."""
    return len(path) > 1 or cls.__dataclass_fields__[path[0]].default is None
