"""The help-desk mapping, on made-up rows in the shape of the real log."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ledger.mapping import Mapping, MappingInvalid, RowRefused, load_mapping
from schemas.door import parse

FILE = Path(__file__).parents[2] / "examples" / "helpdesk.toml"
HEADER = (
    "Case ID,Activity,Resource,Complete Timestamp,Variant,Variant index,Variant,seriousness,"
    "customer,product,responsible_section,seriousness_2,service_level,service_type,"
    "support_section,workgroup\n"
)
ACTIVITIES = (
    *("Insert ticket", "Assign seriousness", "Take in charge ticket", "Wait", "Require upgrade"),
    *("Create SW anomaly", "Resolve SW anomaly", "Schedule intervention", "Resolve ticket"),
    *("Closed", "RESOLVED", "VERIFIED", "INVALID", "DUPLICATE"),
)


@pytest.fixture(scope="module")
def helpdesk() -> Mapping:
    return load_mapping(FILE)


def line(activity: str, *, case: str = "Case 7", seriousness: str = "Value 2") -> str:
    return (
        f"{case},{activity},Value 31,2011/05/02 07:30:00.000,Variant 1,1,Variant 1,Value 1,"
        f"Value 40,Value 3,Value 1,{seriousness},Value 2,Value 1,Value 1,Value 9\n"
    )


def touchpoints(mapping: Mapping, *lines: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for row in mapping.read(io.BytesIO((HEADER + "".join(lines)).encode())):
        assert row.values is not None
        made += mapping.touchpoints(row.values, row.number)
    return made


def test_every_activity_of_the_log_gives_a_touchpoint_of_its_ticket_and_customer(
    helpdesk: Mapping,
) -> None:
    for activity in ACTIVITIES:
        made = touchpoints(helpdesk, line(activity))
        assert made, activity
        assert {one["data"]["ticket_id"] for one in made} == {"Case 7"}
        assert {one["subject"] for one in made} == {"customer:Value 40"}
        assert {one["time"] for one in made} == {"2011-05-02T07:30:00Z"}


def test_statuses_follow_what_the_ticket_waits_for(helpdesk: Mapping) -> None:
    statuses = {
        activity: one["data"]["status"]
        for activity in ACTIVITIES
        for one in touchpoints(helpdesk, line(activity))
        if one["type"] == "ticket.status_changed.v1"
    }
    assert statuses == {
        "Take in charge ticket": "open",
        "Wait": "pending",
        "Require upgrade": "on_hold",
        "Create SW anomaly": "on_hold",
        "Resolve SW anomaly": "open",
        "Schedule intervention": "on_hold",
        "Resolve ticket": "solved",
        "Closed": "closed",
    }


def test_who_takes_a_ticket_in_charge_is_assigned_to_it_and_it_is_open(helpdesk: Mapping) -> None:
    assigned, opened = touchpoints(helpdesk, line("Take in charge ticket"))
    assert assigned["data"] == {"ticket_id": "Case 7", "assignee": "Value 31", "team": "Value 9"}
    assert opened["data"]["status"] == "open"
    assert assigned["id"] != opened["id"]


def test_only_insert_ticket_opens_a_ticket_so_that_none_is_opened_twice(
    helpdesk: Mapping,
) -> None:
    lines = [line(activity) for activity in ("Insert ticket", *["Assign seriousness"] * 3)]
    made = touchpoints(helpdesk, *lines)
    assert [one["type"] for one in made] == ["ticket.opened.v1"] + [
        "ticket.priority_changed.v1"
    ] * 3


def test_seriousness_becomes_a_priority_and_is_kept_as_it_was(helpdesk: Mapping) -> None:
    lines = [line("Assign seriousness", seriousness=f"Value {n}") for n in range(1, 5)]
    made = touchpoints(helpdesk, *lines)
    assert [one["data"]["priority"] for one in made] == ["normal", "high", "urgent", "low"]
    assert [one["data"]["extra"]["seriousness"] for one in made] == [
        f"Value {n}" for n in range(1, 5)
    ]


def test_events_of_the_same_second_keep_the_order_of_the_file(helpdesk: Mapping) -> None:
    made = touchpoints(helpdesk, line("Resolve ticket"), line("Closed"), line("Closed"))
    assert [one["sequence"] for one in made] == [1, 2, 3]
    assert len({one["id"] for one in made}) == 3


def test_an_activity_that_the_log_never_had_is_refused_and_not_lost(helpdesk: Mapping) -> None:
    with pytest.raises(RowRefused, match="takes this row"):
        touchpoints(helpdesk, line("Sneeze"))


def test_a_log_without_one_of_the_columns_is_refused_before_its_first_row(
    helpdesk: Mapping,
) -> None:
    with pytest.raises(MappingInvalid, match='no column "workgroup"'):
        helpdesk.read(io.BytesIO(HEADER.replace("workgroup", "group").encode()))


def test_the_door_takes_what_the_mapping_makes(helpdesk: Mapping) -> None:
    for activity in ACTIVITIES:
        for one in touchpoints(helpdesk, line(activity)):
            assert parse(json.dumps(one).encode()).source == "helpdesk"
