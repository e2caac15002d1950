"""The AsyncAPI 3 document: the topics of Kafka, in and out, and what stands on them."""

import json
from collections.abc import Mapping
from inspect import getdoc
from typing import Any

from schemas.registry import TOUCHPOINTS
from schemas.touchpoint import Touchpoint

FILE = "asyncapi.json"
SPECIFICATION = "3.0.0"
VERSION = "1.0.0"
"""Of channels and headers. What stands in a message has its version in the name of its type."""

BINDING_VERSION = "0.5.0"
SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
STRUCTURED, DATA = "application/cloudevents+json", "application/json"
TOUCHPOINTS_TOPIC, RECORDED_TOPIC = "touchpoints", "touchpoints.recorded"
POSITION_HEADER, RECORDED_AT_HEADER = "touchstone_position", "touchstone_recorded_at"
REQUIRED_ATTRIBUTES = ("id", "source", "specversion", "subject", "time", "type")
OPTIONAL_ATTRIBUTES = ("sequence", "correlationid", "causationid", "traceparent")

Schema = dict[str, Any]


def document(schemas: Mapping[str, Schema]) -> Schema:
    """The AsyncAPI document, given the JSON Schema of each type by the name of its file.

    Payloads refer to those files, which stand in the same folder. A message of the way in is
    there twice: in structured mode and, as `TYPE.binary`, in binary mode.
    """
    return {
        "asyncapi": SPECIFICATION,
        "info": _INFO,
        "defaultContentType": STRUCTURED,
        "servers": {"kafka": _SERVER},
        "channels": {"touchpoints": _channel_in(), "recorded": _channel_out()},
        "operations": {
            "consume": _operation("receive", "touchpoints", "`touchstone consume`"),
            "relay": _operation("send", "recorded", "`touchstone relay`"),
        },
        "components": {"messages": _messages(schemas), "schemas": _headers(schemas)},
    }


_INFO = {
    "title": "Touchstone",
    "version": VERSION,
    "description": (
        "A ledger of what passes between a business and its customers. Services put touchpoints "
        "on a topic, which `touchstone consume` brings into the ledger, each once; what is "
        "recorded goes out again by `touchstone relay`. Every touchpoint is a CloudEvent 1.0, "
        "and `(source, id)` is its identity for ever: the same one sent again changes nothing."
    ),
    "license": {"name": "Apache-2.0"},
}
_SERVER = {
    "host": "{host}:{port}",
    "protocol": "kafka",
    "description": "The brokers of whoever runs it; TLS and SASL as they are set up there.",
    "variables": {
        "host": {"default": "localhost", "description": "a broker"},
        "port": {"default": "9092", "description": "the port on which it listens"},
    },
}


def _channel_in() -> Schema:
    names = [name for cls in TOUCHPOINTS for name in (cls.TYPE, _binary_name(cls))]
    return _channel(
        TOUCHPOINTS_TOPIC,
        "Touchpoints in: what services have seen, for the ledger to record.",
        "The topic has any name that `touchstone consume --topic` is given. The ledger takes "
        "structured mode, binary mode, and the JSON of structured mode without any header. A "
        "record without a value is skipped. One that cannot be recorded is kept in quarantine, "
        "and goes to the dead-letter topic where there is one, and the partition moves on.",
        names,
    )


def _channel_out() -> Schema:
    return _channel(
        RECORDED_TOPIC,
        "Touchpoints out: what the ledger has recorded, in the order of its positions.",
        "The topic has any name that `touchstone relay --topic` is given. A record may come "
        "twice, with the same position. Subjects that are addresses or telephone numbers are "
        "tokens, and fields marked `x-personal` are left out, unless the relay was asked for "
        "them.",
        [_recorded_name(cls) for cls in TOUCHPOINTS],
    )


def _channel(topic: str, summary: str, description: str, messages: list[str]) -> Schema:
    return {
        "address": topic,
        "summary": summary,
        "description": description,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": _bindings(
            topic=topic,
            # On a compacted topic the last touchpoint of a subject would be all that is left.
            topicConfiguration={"cleanup.policy": ["delete"]},
        ),
    }


def _operation(action: str, channel: str, command: str) -> Schema:
    group = {"groupId": {"type": "string", "default": "touchstone"}} if action == "receive" else {}
    client = {"clientId": {"type": "string", "default": "touchstone"}}
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": f"What {command} does.",
        "bindings": _bindings(**group, **client),
    }


def _bindings(**kafka: Any) -> Schema:
    return {"kafka": {**kafka, "bindingVersion": BINDING_VERSION}}


def _binary_name(cls: type[Touchpoint]) -> str:
    return f"{cls.TYPE}.binary"


def _recorded_name(cls: type[Touchpoint]) -> str:
    return f"{cls.TYPE}.recorded"


def _messages(schemas: Mapping[str, Schema]) -> Schema:
    messages: Schema = {}
    for cls in TOUCHPOINTS:
        schema = schemas[f"{cls.TYPE}.json"]
        messages[cls.TYPE] = _structured(cls)
        messages[_binary_name(cls)] = _binary(cls)
        messages[_recorded_name(cls)] = _recorded(cls, schema)
    return messages


def _structured(cls: type[Touchpoint]) -> Schema:
    headers = {"$ref": "#/components/schemas/structuredHeaders"}
    return _message(cls, STRUCTURED, headers, {"$ref": _file(cls)})


def _binary(cls: type[Touchpoint]) -> Schema:
    headers = {
        "type": "object",
        "allOf": [{"$ref": "#/components/schemas/binaryHeaders"}],
        "properties": {"ce_type": {"const": cls.TYPE}},
    }
    return _message(cls, DATA, headers, {"$ref": f"{_file(cls)}#/properties/data"})


def _recorded(cls: type[Touchpoint], schema: Schema) -> Schema:
    """Of the published schema, but where it requires a personal field, which may be left out."""
    headers = {"$ref": "#/components/schemas/recordedHeaders"}
    relaxed = _without_required_personal(schema)
    if relaxed == schema:
        return _message(cls, STRUCTURED, headers, {"$ref": _file(cls)})
    place = f"#/components/messages/{_recorded_name(cls)}/payload/schema/$defs/"
    text = json.dumps({name: part for name, part in relaxed.items() if name != "$id"})
    return _message(cls, STRUCTURED, headers, json.loads(text.replace("#/$defs/", place)))


def _file(cls: type[Touchpoint]) -> str:
    return f"./{cls.TYPE}.json"


def _message(cls: type[Touchpoint], content: str, headers: Schema, payload: Schema) -> Schema:
    key = {"type": "string", "description": "the subject, so that its touchpoints keep their order"}
    return {
        "name": cls.TYPE,
        "summary": " ".join((getdoc(cls) or "").split()),
        "contentType": content,
        "headers": headers,
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": payload},
        "bindings": _bindings(key=key),
    }


def _without_required_personal(part: Any) -> Any:
    if isinstance(part, list):
        return [_without_required_personal(item) for item in part]
    if not isinstance(part, dict):
        return part
    made = {name: _without_required_personal(item) for name, item in part.items()}
    fields = part.get("properties")
    if isinstance(fields, dict) and isinstance(part.get("required"), list):
        made["required"] = [name for name in part["required"] if not _personal(fields.get(name))]
    return made


def _personal(field: object) -> bool:
    return isinstance(field, dict) and bool(field.get("x-personal"))


def _headers(schemas: Mapping[str, Schema]) -> Schema:
    """The headers of each form. Values are text in UTF-8; other headers are let be."""
    attributes = schemas[f"{TOUCHPOINTS[0].TYPE}.json"]["properties"]
    structured = {"content-type": _CONTENT_TYPE_STRUCTURED}
    recorded = {**structured, POSITION_HEADER: _POSITION, RECORDED_AT_HEADER: _RECORDED_AT}
    named = {name: attributes[name] for name in REQUIRED_ATTRIBUTES if name != "type"}
    named |= {"type": {"type": "string", "description": "a type of the catalogue"}}
    named |= {name: _text_of(attributes[name]) for name in OPTIONAL_ATTRIBUTES}
    binary = {f"ce_{name}": schema for name, schema in named.items()}
    return {
        "structuredHeaders": _object(structured, ()),
        "binaryHeaders": {
            **_object(
                {"content-type": _CONTENT_TYPE_DATA, **binary},
                [f"ce_{name}" for name in REQUIRED_ATTRIBUTES],
            ),
            "patternProperties": {"^ce_[a-z0-9]{1,20}$": {"type": "string"}},
        },
        "recordedHeaders": _object(recorded, recorded),
    }


def _object(properties: Schema, required: Any) -> Schema:
    made = {"type": "object", "properties": properties}
    return made | ({"required": sorted(required)} if required else {})


def _text_of(schema: Schema) -> Schema:
    """What of an attribute's schema is for text: a header has no numbers and no null."""
    (text,) = (form for form in schema["anyOf"] if form["type"] == "string")
    return {**text, **({"description": d} if (d := schema.get("description")) else {})}


_CONTENT_TYPE_STRUCTURED = {
    "type": "string",
    "pattern": r"^application/cloudevents\+json *(;.*)?$",
    "description": "marks structured mode; without it the record is read as plain JSON",
}
_CONTENT_TYPE_DATA = {
    "type": "string",
    "pattern": r"^[^;]*[/+]json *(;.*)?$",
    "description": "of the value, which is the event's data",
}
_POSITION = {
    "type": "string",
    "pattern": "^[1-9][0-9]{0,18}$",
    "description": "the position in the ledger: dense, starting at 1, never used twice",
}
_RECORDED_AT = {
    "type": "string",
    "format": "date-time",
    "description": "when the ledger recorded it, RFC 3339",
}
