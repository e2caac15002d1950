"""The OpenAPI document is whole and right, and a server keeps to it whatever it is sent."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from jsonschema import Draft202012Validator

from ledger.access import Right
from ledger.address import Address
from ledger.ledger import open_ledger
from schemas.registry import TOUCHPOINTS
from tests.ledger.test_canaries import Aviary, described_by_canaries
from tests.web.business import facts, tell
from tests.web.serving import Running, serving
from web.openapi import document
from web.registry import ENDPOINTS
from web.settings import Settings

DOCUMENT: dict[str, Any] = json.loads(json.dumps(document(ENDPOINTS)))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
FEW = 20
"""Of so many types one is sent: to make up events of all takes minutes, and shows no more."""
CASES_MIN = 500
CONFIGURATION = """
seed = 7
continue-on-failure = true
warnings = false
request-timeout = 20

[generation]
max-examples = 2
no-shrink = true
database = "none"

[phases]
examples.enabled = false
stateful.enabled = false

[checks]
negative_data_rejection.enabled = false
positive_data_acceptance.enabled = false
missing_required_header.enabled = false
unsupported_method.enabled = false
use_after_free.enabled = false
ensure_resource_availability.enabled = false
object_level_authorization.enabled = false
ignored_auth.enabled = false

[[operations]]
include-method = "GET"
phases = { fuzzing = { enabled = false } }

[[operations]]
include-method = ["POST", "OPTIONS"]
phases = { coverage = { enabled = false } }
"""


def refs_in(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from refs_in(each)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, place in DOCUMENT["paths"].items():
        for method, operation in place.items():
            yield path, method, operation


def test_it_is_openapi_3_1() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    assert DOCUMENT["openapi"] == "3.1.0"
    for ref in set(refs_in(DOCUMENT)):
        assert ref.removeprefix("#/components/schemas/") in SCHEMAS, ref


def test_every_endpoint_is_in_it_with_who_may_and_what_can_go_wrong() -> None:
    found = {(method.upper(), path) for path, method, _ in operations()}
    assert found == {(each.method, each.path) for each in ENDPOINTS}
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    for path, _, operation in operations():
        assert operation["summary"].endswith("."), path
        statuses = {int(status) for status in operation["responses"]}
        assert {500, 503} <= statuses
        assert bool(operation["security"]) == ("x-rights" in operation)
        if operation["security"]:
            assert {401, 403, 429} <= statuses, path
            assert {Right[name.upper()] for name in operation["x-rights"]}
        if "requestBody" in operation:
            assert {400, 408, 413, 415, 507} <= statuses, path
        for name in ("name", "subject", "id", "type"):
            stated = [p["required"] for p in operation.get("parameters", ()) if p["name"] == name]
            assert f"{{{name}}}" not in path or stated == [True]


def test_an_event_of_each_type_is_what_the_document_says() -> None:
    checks = {
        cls.TYPE: Draft202012Validator({**SCHEMAS[cls.TYPE], "components": {"schemas": SCHEMAS}})
        for cls in TOUCHPOINTS
    }
    events = list(described_by_canaries(Aviary()))
    assert {event["type"] for event in events} == set(checks)
    for event in events:
        found = [error.json_path for error in checks[event["type"]].iter_errors(event)]
        assert not found, (event["type"], found)
        assert not checks[event["type"]].is_valid({**event, "data": None})
        assert not checks[event["type"]].is_valid({**event, "NoSuchName": 1})


@pytest.fixture
def running(on_postgres: Address) -> Iterator[Running]:
    """A server with something to tell, on the store that refuses more of what is sent."""
    settings = Settings(requests_per_second=0, public_url="https://touchpoints.example.com")
    with open_ledger(on_postgres) as ledger, serving(ledger, settings) as running:
        tell(ledger, *facts())
        yield running


def test_a_server_keeps_to_it_whatever_it_is_sent(running: Running, tmp_path: Path) -> None:
    """It has no fault of its own, and answers with documented statuses, types and shapes."""
    with running.client(None) as anybody:
        given = anybody.get("/openapi.json").json()
    assert given == DOCUMENT | {"servers": [{"url": "https://touchpoints.example.com"}]}
    (tmp_path / "openapi.json").write_text(json.dumps(reduced(given)))
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    token = f"Authorization: Bearer {running.secret('operator', '*')}"
    ran = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run", "openapi.json",
            "--no-color", "--url", running.url, "--header", token,
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-5_000:] + ran.stderr
    made = re.search(r"(\d+) generated, \1 passed", ran.stdout)
    assert made
    assert int(made[1]) > CASES_MIN, "no case was made for some operations"


def reduced(given: dict[str, Any]) -> dict[str, Any]:
    """The document with one path of those that take and give the same, and few types."""
    seen: set[str] = set()
    paths: dict[str, Any] = {}
    for path, place in given["paths"].items():
        own = ("operationId", "summary")
        said = [
            {name: part for name, part in operation.items() if name not in own}
            for operation in place.values()
        ]
        if (text := json.dumps(said)) not in seen:
            seen.add(text)
            paths[path] = place
    schemas = given["components"]["schemas"]
    event = {"oneOf": schemas["Event"]["oneOf"][::FEW]}
    components = {**given["components"], "schemas": {**schemas, "Event": event}}
    return {**given, "paths": paths, "components": components}
