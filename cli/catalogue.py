"""The catalogue in words: the fields of a type with their limits, and its smallest example."""

from collections.abc import Iterator
from inspect import getdoc
from typing import Any

from cli.output import Record
from schemas.fields import INTEGER_MAX, INTEGER_MIN
from schemas.loyalty import ORDER
from schemas.publish import document
from schemas.touchpoint import Touchpoint

Schema = dict[str, Any]

MONEY = "money: an amount as decimal string, and its currency"
EXAMPLE_TIME = "2026-01-05T10:00:00Z"
EXAMPLE_SUBJECTS = {
    "loyalty.rules_published.v1": "programme:main",
    "loyalty.programme_closed.v1": "programme:main",
    "identity.rules_published.v1": "rules:identity",
    "personal_data.viewed.v1": "reader:ana",
}
EXAMPLE_VALUES: dict[str, Any] = {
    "agent": "anna",
    "amount": "12.50",
    "blocked_values": ["none@example.com"],
    "currency": "EUR",
    "link_kinds": ["email"],
    "name": "tour finished",
    "on": ORDER,
    "other": "email:ana@example.com",
    "of": "customer:42",
    "programme": "main",
    "reason": "asked for by the customer",
    "referee": "email:ana@example.com",
    "score": 5,
    "url": "https://example.com/",
}
"""What fits fields of these names; other fields get something that fits their kind."""


def entry(cls: type[Touchpoint]) -> Record:
    """One type of the catalogue, as `schema list` prints it; `?` marks what may be absent."""
    data = _data_of(document(cls))
    required = data.get("required", [])
    return {
        "type": cls.TYPE,
        "channel": cls.CHANNEL,
        "description": (getdoc(cls) or "").split("\n")[0],
        "fields": [name if name in required else f"{name}?" for name in _names(data)],
    }


def fields(cls: type[Touchpoint]) -> list[Record]:
    """Every field of the type's data, those of nested objects by their path."""
    schema = document(cls)
    return list(_fields(_data_of(schema), schema.get("$defs", {}), ""))


def _names(data: Schema) -> list[str]:
    """The fields in their order; `extra`, which all types have, comes last."""
    return sorted(data.get("properties", {}), key=lambda name: name == "extra")


def _data_of(schema: Schema) -> Schema:
    data: Schema = schema["properties"]["data"]
    return data


def _fields(data: Schema, definitions: Schema, prefix: str) -> Iterator[Record]:
    required = data.get("required", ())
    for name in _names(data):
        given = data["properties"][name]
        form = _form(given, definitions)
        yield {
            "field": prefix + name,
            "required": name in required,
            "personal": bool(given.get("x-personal") or form.get("x-personal")),
            "kind": kind(form, definitions),
        }
        inner, mark = form, "."
        if form.get("type") == "array":
            inner, mark = _form(form["items"], definitions), "[]."
        if not _is_money(inner):
            yield from _fields(inner, definitions, f"{prefix}{name}{mark}")


def _form(given: Schema, definitions: Schema) -> Schema:
    """The schema itself: references followed, and the `null` of optional fields left aside."""
    form = given
    while True:
        alternatives = [a for a in form.get("anyOf", ()) if a.get("type") != "null"]
        if len(alternatives) == 1:
            (form,) = alternatives
        elif len(form.get("allOf", ())) == 1 and "$ref" in form["allOf"][0]:
            form = form["allOf"][0]
        elif "$ref" in form:
            form = definitions[form["$ref"].rpartition("/")[2]]
        else:
            return form


def kind(form: Schema, definitions: Schema) -> str:
    """The kind of a field with its limits: `text, 1 to 200 characters`, `low, normal or high`."""
    if "const" in form:
        return str(form["const"])
    if "enum" in form:
        *others, last = map(str, form["enum"])
        return f"{', '.join(others)} or {last}" if others else last
    match form.get("type"):
        case "string":
            return _text(form)
        case "integer" | "number":
            return _number(form)
        case "boolean":
            return "true or false"
        case "array":
            items = kind(_form(form["items"], definitions), definitions)
            return f"list of {items}" + _span(form, "minItems", "maxItems", "")
        case "object" if "properties" in form:
            return MONEY if _is_money(form) else "object"
        case "object":
            return "map"
    return "any"


def _is_money(form: Schema) -> bool:
    return set(form.get("properties", ())) == {"amount", "currency"}


def _text(form: Schema) -> str:
    if form.get("format") == "date-time":
        return "time with its offset"
    if form.get("pattern", "").startswith("^([a-z][a-z0-9_]{0,49}):"):
        return "subject, kind:value"
    return "text" + _span(form, "minLength", "maxLength", " characters")


def _number(form: Schema) -> str:
    lowest, highest = form.get("minimum", INTEGER_MIN), form.get("maximum", INTEGER_MAX)
    lowest = form["exclusiveMinimum"] + 1 if "exclusiveMinimum" in form else lowest
    name = "whole number" if form["type"] == "integer" else "number"
    if highest >= INTEGER_MAX:
        return name if lowest <= INTEGER_MIN else f"{name}, {lowest:,} or more"
    return f"{name}, {lowest:,} to {highest:,}"


def _span(form: Schema, lowest: str, highest: str, unit: str) -> str:
    if highest not in form:
        return ""
    least = form.get(lowest)
    return f", {f'{least:,} to' if least else 'up to'} {form[highest]:,}{unit}"


def example(cls: type[Touchpoint]) -> Record:
    """The smallest CloudEvent of the type that a door takes."""
    schema = document(cls)
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "shop",
        "type": cls.TYPE,
        "subject": EXAMPLE_SUBJECTS.get(cls.TYPE, "customer:42"),
        "time": EXAMPLE_TIME,
        "data": _object(_data_of(schema), schema.get("$defs", {})),
    }


def _object(form: Schema, definitions: Schema) -> Record:
    properties = form.get("properties", {})
    return {
        name: _value(name, _form(properties[name], definitions), definitions)
        for name in form.get("required", ())
    }


def _value(name: str, form: Schema, definitions: Schema) -> Any:
    if name in EXAMPLE_VALUES:
        return EXAMPLE_VALUES[name] if form.get("type") != "object" else _object(form, definitions)
    if "enum" in form:
        return form["enum"][0]
    match form.get("type"):
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "array":
            return [_value(name, _form(form["items"], definitions), definitions)]
        case "object":
            return _object(form, definitions)
    return EXAMPLE_TIME if form.get("format") == "date-time" else _word(name)


def _word(name: str) -> str:
    """`order-1` for order_id: something that a field of this name might hold."""
    return f"{name.removesuffix('_id').replace('_', '-')}-1"
