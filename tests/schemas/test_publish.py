"""The published documents are fresh, are JSON Schema 2020-12, and judge as the doors do."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from schemas.personal_fields import personal_fields
from schemas.publish import PUBLISHED, document, documents, published, text_of, write
from schemas.registry import BY_TYPE, TOUCHPOINTS
from tests.schemas.checking import MINIMAL, event
from tests.schemas.strategies import Event, events

DOCUMENTS = documents()
EVERY_TYPE = pytest.mark.parametrize("type_name", BY_TYPE)


def _faults(subject: dict[str, Any]) -> list[str]:
    """The paths of what the event's own document has against it."""
    validator = Draft202012Validator(DOCUMENTS[f"{subject['type']}.json"])
    return [error.json_path for error in validator.iter_errors(subject)]


def test_what_is_committed_is_what_the_classes_say() -> None:
    committed = {path.name: path.read_text("utf-8") for path in PUBLISHED.glob("*.json")}
    fresh = {name: text_of(schema) for name, schema in published().items()}
    assert committed.keys() == fresh.keys()
    stale = [name for name in fresh if committed[name] != fresh[name]]
    assert not stale, f"write them anew with `touchstone schema publish`: {stale}"


@EVERY_TYPE
def test_a_document_is_a_schema_and_lets_the_smallest_event_through(type_name: str) -> None:
    schema = DOCUMENTS[f"{type_name}.json"]
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == type_name
    assert schema["description"]
    assert _faults(event(type_name)) == []


@EVERY_TYPE
def test_an_unknown_field_is_refused_in_the_data_and_in_the_envelope(type_name: str) -> None:
    data = MINIMAL[type_name] | {"colour": "blue"}
    assert _faults(event(type_name, data=data)) == ["$.data"]
    assert _faults(event(type_name, Colour="blue")) == ["$"]


@EVERY_TYPE
def test_an_event_without_what_it_requires_is_refused(type_name: str) -> None:
    for name in ("specversion", "id", "source", "subject", "time", "data"):
        lacking = {key: value for key, value in event(type_name).items() if key != name}
        assert _faults(lacking) == ["$"]
    if type_name != "customer.described.v1":
        assert _faults(event(type_name, data={}))


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("specversion", "0.3"),
        ("id", ""),
        ("source", "s" * 201),
        ("subject", "no kind"),
        ("type", "order.completed.v1"),
        ("sequence", 1.5),
        ("datacontenttype", "text/plain"),
        ("tenant", ["not", "a", "scalar"]),
        ("data", "text"),
    ],
)
def test_a_broken_attribute_is_refused(attribute: str, value: object) -> None:
    broken = event("order.cancelled.v1", **{attribute: value})
    validator = Draft202012Validator(DOCUMENTS["order.cancelled.v1.json"])
    assert not validator.is_valid(broken)


@pytest.mark.parametrize(
    ("type_name", "changes"),
    [
        ("survey.answered.v1", {"kind": "csat", "score": 6}),
        ("survey.answered.v1", {"kind": "ces", "score": 0}),
        ("order.completed.v1", {"total": {"amount": "-1", "currency": "EUR"}}),
        ("order.completed.v1", {"total": {"amount": 12.5, "currency": "EUR"}}),
        ("order.completed.v1", {"total": {"amount": "1", "currency": "euro"}}),
        ("points.adjusted.v1", {"points": 0}),
        ("ticket.status_changed.v1", {"status": "lost"}),
        ("customer.linked.v1", {"other": "nobody"}),
        ("loyalty.rules_published.v1", {"earn": [{"rule_id": "r", "on": "x", "points": 1}]}),
    ],
)
def test_the_documents_know_the_finer_rules_too(type_name: str, changes: dict[str, Any]) -> None:
    assert _faults(event(type_name, data=MINIMAL[type_name] | changes))


@pytest.mark.parametrize("name", ["per", "minimum_total"])
def test_a_rule_on_surveys_that_looks_at_a_total_is_refused(name: str) -> None:
    euro = {"amount": "1", "currency": "EUR"}
    rule = {"rule_id": "r", "on": "survey.answered.v1", "points": 1, name: euro}
    data = MINIMAL["loyalty.rules_published.v1"]
    assert _faults(event("loyalty.rules_published.v1", data=data | {"earn": [rule]}))
    rule["on"] = "order.completed.v1"
    assert _faults(event("loyalty.rules_published.v1", data=data | {"earn": [rule]})) == []


@settings(max_examples=200)
@given(event=events())
def test_every_event_that_a_door_accepts_is_valid_by_its_document(event: Event) -> None:
    assert _faults(event) == []


def test_the_text_is_the_same_each_time() -> None:
    once, again = ({name: text_of(d) for name, d in published().items()} for _ in range(2))
    assert once == again


@pytest.mark.parametrize("cls", TOUCHPOINTS, ids=lambda cls: cls.TYPE)
def test_personal_fields_are_marked_and_no_others(cls: Any) -> None:
    schema = document(cls)
    personal = {field.path for field in personal_fields(cls)}
    assert _marked(schema, schema["properties"]["data"], ()) == personal


def _marked(
    schema: dict[str, Any], part: dict[str, Any], path: tuple[str, ...]
) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for name, field in part.get("properties", {}).items():
        if field.get("x-personal"):
            found.add((*path, name))
        if "$ref" in field:
            inner = schema["$defs"][field["$ref"].rpartition("/")[2]]
            found |= _marked(schema, inner, (*path, name))
    return found


def test_writing_leaves_the_documents_of_the_registry_and_what_is_not_of_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "gone.forgotten.v1.json").write_text("{}")
    (tmp_path / "notes.json").write_text("{}")
    written = write(tmp_path)
    assert {path.name for path in written} == {*DOCUMENTS, "asyncapi.json"}
    assert {path.name for path in tmp_path.iterdir()} == {*DOCUMENTS, "asyncapi.json", "notes.json"}
    text = (tmp_path / "order.completed.v1.json").read_text("utf-8")
    assert text.endswith("}\n")
    assert json.loads(text) == DOCUMENTS["order.completed.v1.json"]
