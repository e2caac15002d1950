"""The strategies that property tests draw from give nothing that the doors refuse."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.encoding import plain
from schemas.envelope import Envelope
from schemas.registry import TOUCHPOINTS
from schemas.replay import decode
from schemas.touchpoint import Touchpoint
from tests.schemas.checking import refusals
from tests.schemas.strategies import (
    ORDER_IDS,
    Event,
    data_of,
    envelope_of,
    events,
    histories,
    touchpoints,
)


@pytest.mark.parametrize("cls", TOUCHPOINTS, ids=lambda cls: cls.TYPE)
@settings(max_examples=15)
@given(data=st.data())
def test_generated_data_is_valid(cls: type[Touchpoint], data: st.DataObject) -> None:
    drawn = data.draw(data_of(cls))
    assert refusals(cls.TYPE, drawn) == {}


@settings(max_examples=200)
@given(event=events())
def test_a_generated_event_passes_the_door_and_reads_back_the_same_from_the_log(
    event: Event,
) -> None:
    envelope = envelope_of(event)
    data: Any = plain(envelope.data)
    stored = msgspec.json.encode(msgspec.structs.replace(envelope, data=data))
    assert decode(envelope.type, stored) == envelope


@given(history=histories(max_size=8))
def test_a_history_names_no_touchpoint_twice(history: list[Event]) -> None:
    names = [(event["source"], event["id"]) for event in history]
    assert len(set(names)) == len(names)


@given(folded=touchpoints(max_size=8))
def test_touchpoints_come_in_the_order_of_a_fold(folded: list[Envelope[Touchpoint]]) -> None:
    assert [t.order for t in folded] == sorted(t.order for t in folded)


@given(event=events([cls for cls in TOUCHPOINTS if cls.TYPE.startswith("order.")], ["customer:9"]))
def test_classes_and_subjects_can_be_chosen(event: Event) -> None:
    assert event["type"].startswith("order.")
    assert event["subject"] == "customer:9"
    assert event["data"]["order_id"] in ORDER_IDS
