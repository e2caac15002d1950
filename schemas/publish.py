"""The published contract: a JSON Schema of the whole CloudEvent for each type, and AsyncAPI."""

import json
from inspect import getdoc
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from schemas import asyncapi
from schemas.fields import ID_CHARACTERS_MAX, INTEGER_MAX, INTEGER_MIN, SOURCE_CHARACTERS_MAX
from schemas.registry import TOUCHPOINTS
from schemas.subject import Subject
from schemas.touchpoint import Touchpoint

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED = Path(__file__).parent / "published"
EXTENSION_NAME = "^[a-z0-9]{1,20}$"
"""How CloudEvents wants attributes to be named; those of this catalogue keep to it as well."""

EXTENSION_CHARACTERS_MAX = 4_096

_NO_CONTROL = r"^[^\x00-\x1f\x7f]*$"
_INTEGER = {"type": "integer", "minimum": INTEGER_MIN, "maximum": INTEGER_MAX}
_EXTENSION = {
    "anyOf": [
        {"type": "string", "maxLength": EXTENSION_CHARACTERS_MAX, "pattern": r"^[^\x00]*$"},
        _INTEGER,
        {"type": ["boolean", "null"]},
    ]
}
_REQUIRED = ["data", "id", "source", "specversion", "subject", "time", "type"]


def documents() -> dict[str, dict[str, Any]]:
    """The document of each registered type, by the name of its file."""
    return {f"{cls.TYPE}.json": document(cls) for cls in TOUCHPOINTS}


def document(cls: type[Touchpoint]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a CloudEvent that carries this touchpoint.

    A personal field bears `x-personal`: true. The schema is that of the doors, where
    personal fields are still in clear.
    """
    data = TypeAdapter(cls).json_schema()
    definitions = data.pop("$defs", None)
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "$id": f"urn:touchstone:{cls.TYPE}",
        "title": cls.TYPE,
        "description": getdoc(cls),
        "type": "object",
        "required": _REQUIRED,
        "properties": {**_attributes(cls.TYPE), "data": data},
        "propertyNames": {"pattern": EXTENSION_NAME},
        "additionalProperties": _EXTENSION,
    }
    return schema | ({"$defs": definitions} if definitions else {})


def _attributes(type_name: str) -> dict[str, Any]:
    """The envelope, without its data: CloudEvents 1.0 as the catalogue narrows it."""
    return {
        "specversion": {"const": "1.0"},
        "id": _name(ID_CHARACTERS_MAX),
        "source": _name(SOURCE_CHARACTERS_MAX),
        "type": {"const": type_name},
        "subject": {
            **TypeAdapter(Subject).json_schema(),
            "description": "whom or what it is about, kind:value",
        },
        "time": {
            "type": "string",
            "format": "date-time",
            "description": "when it occurred, RFC 3339 with its offset",
        },
        "sequence": {
            "anyOf": [
                _INTEGER,
                {"type": "string", "pattern": "^-?[0-9]{1,18}$"},
                {"type": "null"},
            ],
            "description": "the order that a source gives its own events of the same instant",
        },
        "correlationid": _optional(_name(ID_CHARACTERS_MAX)),
        "causationid": _optional(_name(ID_CHARACTERS_MAX)),
        "traceparent": _optional(_name(ID_CHARACTERS_MAX)),
        "datacontenttype": {"enum": ["application/json", None]},
    }


def _name(characters_max: int) -> dict[str, Any]:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": characters_max,
        "pattern": _NO_CONTROL,
    }


def _optional(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def published() -> dict[str, dict[str, Any]]:
    """All that is published, by the name of its file: the schemas, and the AsyncAPI document."""
    schemas = documents()
    return {**schemas, asyncapi.FILE: asyncapi.document(schemas)}


def text_of(schema: dict[str, Any]) -> str:
    """The document as it stands in its file: keys sorted, so that it never changes by itself."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write(folder: Path = PUBLISHED) -> list[Path]:
    """Write every document into the folder, remove those of types that are gone; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {folder / name: text_of(schema) for name, schema in published().items()}
    for stale in set(folder.glob("*.v*.json")) - set(wanted):
        stale.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return sorted(wanted)
