"""`touchstone schema`: the catalogue in words, and the documents made from it."""

import json
from typing import Any

import jsonschema
import pytest

from cli import catalogue
from schemas.door import parse
from schemas.publish import document, published
from schemas.registry import BY_TYPE, TOUCHPOINTS
from schemas.touchpoint import Touchpoint
from tests.cli.running import Shell


def test_list_names_every_type_with_its_fields(shell: Shell) -> None:
    listed = shell("schema", "list", "-o", "json").json
    assert [entry["type"] for entry in listed] == [cls.TYPE for cls in TOUCHPOINTS]
    refunded = next(entry for entry in listed if entry["type"] == "order.refunded.v1")
    assert refunded["channel"] == "purchase"
    assert refunded["description"] == "Part or all of an order's total was given back."
    assert refunded["fields"] == ["order_id", "amount", "extra?"]


def test_show_gives_the_json_schema_to_programs(shell: Shell) -> None:
    shown = shell("schema", "show", "order.completed.v1", "-o", "json").json
    assert shown == document(BY_TYPE["order.completed.v1"])


def test_show_gives_fields_and_an_example_to_people(shell: Shell) -> None:
    page = shell("schema", "show", "note.added.v1", "-o", "table").out
    rows = {line.split()[0]: line for line in page.splitlines() if line.strip()}
    assert "required" in rows["text"]
    assert "personal" in rows["text"]
    assert "up to 65,536 characters" in rows["text"]
    parse(page.splitlines()[-1].encode())


def test_a_type_that_does_not_exist_is_not_found_and_a_near_one_is_named(shell: Shell) -> None:
    ran = shell("schema", "show", "order.complete.v1")
    assert ran.code == 4
    assert "order.completed.v1" in ran.err


@pytest.mark.parametrize("cls", TOUCHPOINTS, ids=lambda cls: cls.TYPE)
def test_the_smallest_example_of_every_type_is_taken_by_the_doors(cls: type[Touchpoint]) -> None:
    example = catalogue.example(cls)
    assert parse(json.dumps(example).encode()).type == cls.TYPE
    jsonschema.validate(example, document(cls))


@pytest.mark.parametrize("cls", TOUCHPOINTS, ids=lambda cls: cls.TYPE)
def test_every_field_of_every_type_has_a_kind(cls: type[Touchpoint]) -> None:
    assert not [field for field in catalogue.fields(cls) if field["kind"] == "any"]


def test_fields_say_what_is_required_personal_and_limited() -> None:
    fields: dict[str, Any] = {
        field["field"]: field for field in catalogue.fields(BY_TYPE["loyalty.rules_published.v1"])
    }
    assert fields["earn[].rule_id"]["kind"] == "text, 1 to 200 characters"
    assert fields["earn[].once_per"]["kind"] == "customer, survey or referral"
    assert fields["valid_from"]["kind"] == "time with its offset"
    assert fields["expires_after_days"]["kind"] == "whole number, 1 to 36,500"
    assert (fields["version"]["required"], fields["point_value"]["required"]) == (True, False)
    assert fields["extra"]["personal"]


def test_publish_writes_a_document_for_each_type_and_one_for_the_topics(shell: Shell) -> None:
    folder = shell.folder / "published"
    ran = shell("schema", "publish", str(folder))
    assert (ran.code, ran.json["documents"]) == (0, len(TOUCHPOINTS) + 1)
    assert {path.name for path in folder.iterdir()} == set(published())


def test_publish_removes_nothing_unasked(shell: Shell) -> None:
    stale = shell.folder / "gone.away.v1.json"
    stale.write_text("{}")
    assert shell("schema", "publish", str(shell.folder)).code == 2
    assert stale.exists()
    assert shell("schema", "publish", str(shell.folder), "--yes").code == 0
    assert not stale.exists()
