"""The AsyncAPI document holds up before its own parser, and says what the topics really bear."""

import copy
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from schemas.asyncapi import (
    FILE,
    POSITION_HEADER,
    RECORDED_AT_HEADER,
    SCHEMA_FORMAT,
    document,
)
from schemas.personal_fields import personal_fields
from schemas.publish import PUBLISHED, documents, text_of
from schemas.registry import BY_TYPE, TOUCHPOINTS
from tests.schemas.checking import event
from tests.servers.npm import node_packages, run_node

Document = dict[str, Any]
Verdicts = dict[str, tuple[list[str], int]]
PARSER = "@asyncapi/parser@3.6.3"
REFERRED = "order.completed.v1.json"
JUDGE = Path(__file__).with_name("asyncapi.mjs")
SCHEMAS = documents()
DOCUMENT = document(SCHEMAS)
MESSAGES = DOCUMENT["components"]["messages"]
HEADERS = DOCUMENT["components"]["schemas"]
EVERY_TYPE = pytest.mark.parametrize("type_name", BY_TYPE)


def _lead_astray(changed: Document) -> None:
    changed["operations"]["consume"]["channel"]["$ref"] = "#/channels/elsewhere"


def _misspell(changed: Document) -> None:
    changed["operations"]["relay"]["action"] = "publish"


def _lose_a_partition(changed: Document) -> None:
    changed["channels"]["touchpoints"]["bindings"]["kafka"]["partitions"] = 0


SPOILT: dict[Callable[[Document], None], str] = {
    _lead_astray: "operations/consume/channel",
    _misspell: "operations/relay/action",
    _lose_a_partition: "bindings/kafka/partitions",
}
"""What breaks the document, and where the parser finds it."""
LOST, WRONG = "a schema that is lost", "a schema that is wrong"
BLAMED = {
    **{spoil.__name__: blamed for spoil, blamed in SPOILT.items()},
    LOST: "no such file",
    WRONG: "draft-2020-12 at ",
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """By name, the errors of each document and how many messages it has; "" is the published.

    The parser takes its time to start, so it judges all of them at once.
    """
    folder = tmp_path_factory.mktemp("asyncapi")
    files = {"": PUBLISHED / FILE}
    for name in BLAMED:
        files[name] = Path(shutil.copytree(PUBLISHED, folder / name)) / FILE
    for spoil in SPOILT:
        changed = copy.deepcopy(DOCUMENT)
        spoil(changed)
        files[spoil.__name__].write_text(text_of(changed))
    files[LOST].with_name(REFERRED).unlink()
    files[WRONG].with_name(REFERRED).write_text('{"properties": {"data": {"type": "objekt"}}}')
    parser = node_packages("asyncapi", PARSER)
    told = json.loads(run_node(JUDGE, str(parser), *map(str, files.values())))
    return {
        name: (verdict["errors"], verdict["messages"])
        for name, verdict in zip(files, told, strict=True)
    }


def test_its_parser_finds_no_error_in_what_is_published(verdicts: Verdicts) -> None:
    assert verdicts[""] == ([], 3 * len(TOUCHPOINTS))


@pytest.mark.parametrize(("spoilt", "blamed"), BLAMED.items())
def test_its_parser_finds_what_is_broken(verdicts: Verdicts, spoilt: str, blamed: str) -> None:
    """In the document, and in the schemas that payloads refer to."""
    errors, _ = verdicts[spoilt]
    assert any(blamed in error for error in errors), errors


@EVERY_TYPE
def test_a_type_has_a_message_for_each_form_and_each_refers_to_its_schema(type_name: str) -> None:
    file = f"./{type_name}.json"
    for name, reference in ((type_name, file), (f"{type_name}.binary", f"{file}#/properties/data")):
        assert MESSAGES[name]["payload"]["schemaFormat"] == SCHEMA_FORMAT
        assert MESSAGES[name]["payload"]["schema"] == {"$ref": reference}
        assert name in DOCUMENT["channels"]["touchpoints"]["messages"]
    assert f"{type_name}.recorded" in DOCUMENT["channels"]["recorded"]["messages"]


@EVERY_TYPE
def test_a_recorded_touchpoint_is_valid_without_its_personal_fields(type_name: str) -> None:
    relayed = event(type_name)
    for field in personal_fields(BY_TYPE[type_name]):
        relayed["data"] = _without(relayed["data"], field.path)
    schema = MESSAGES[f"{type_name}.recorded"]["payload"]["schema"]
    if schema == {"$ref": f"./{type_name}.json"}:
        schema = SCHEMAS[f"{type_name}.json"]
    assert Draft202012Validator(schema).is_valid(relayed)
    assert not Draft202012Validator(schema).is_valid(relayed | {"type": "order.vanished.v1"})


def _without(data: Document, path: tuple[str, ...]) -> Document:
    name, *rest = path
    if not rest or name not in data:
        return {key: value for key, value in data.items() if key != name}
    return data | {name: _without(data[name], tuple(rest))}


@EVERY_TYPE
def test_the_attributes_of_an_event_are_its_headers_in_binary_mode(type_name: str) -> None:
    own = MESSAGES[f"{type_name}.binary"]["headers"]["properties"]
    judge = Draft7Validator({"allOf": [HEADERS["binaryHeaders"], {"properties": own}]})
    attributes = {k: v for k, v in event(type_name, sequence="7").items() if k != "data"}
    headers = {f"ce_{name}": value for name, value in attributes.items()}
    assert judge.is_valid(headers | {"content-type": "application/json; charset=utf-8", "x": ""})
    assert not judge.is_valid(headers | {"ce_type": "order.vanished.v1"})
    assert not judge.is_valid(headers | {"content-type": "text/plain"})
    for name in ("specversion", "id", "source", "type", "subject", "time"):
        lacking = {key: value for key, value in headers.items() if key != f"ce_{name}"}
        assert not judge.is_valid(lacking)


def test_what_goes_out_bears_its_position_and_when_it_was_recorded() -> None:
    judge = Draft7Validator(HEADERS["recordedHeaders"])
    headers = {
        "content-type": "application/cloudevents+json",
        POSITION_HEADER: "17",
        RECORDED_AT_HEADER: "2026-01-05T10:00:00.123456Z",
    }
    assert judge.is_valid(headers)
    for name in headers:
        assert not judge.is_valid({k: v for k, v in headers.items() if k != name})
    assert not judge.is_valid(headers | {POSITION_HEADER: "0"})


def test_the_address_of_the_server_is_made_of_variables_that_have_a_default() -> None:
    server = DOCUMENT["servers"]["kafka"]
    assert set(re.findall(r"{(\w+)}", server["host"])) == set(server["variables"])
    assert all(variable["default"] for variable in server["variables"].values())


def test_every_message_names_the_subject_as_its_key() -> None:
    for message in MESSAGES.values():
        assert "subject" in message["bindings"]["kafka"]["key"]["description"]
