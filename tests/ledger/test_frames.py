"""Frames: whatever goes over to another process is there what it was here."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.frames import read_answer, read_group, write_answer, write_group
from ledger.intake import read
from ledger.log import Outcome, Quarantined
from ledger.quarantine import Received
from ledger.receipt import Receipt
from ledger.record import Duplicate, Record, Recorded
from schemas.door import Refused, parse
from schemas.envelope import Envelope
from schemas.registry import TOUCHPOINTS
from schemas.touchpoint import Touchpoint
from tests.ledger.sending import NOW, Event, line, order
from tests.schemas.strategies import events, line_of

EVER = 2**62
"""A clock that is ahead of everything."""
WHY = Refused("time", "data.at", "expected a time: 12")


@pytest.mark.parametrize("cls", TOUCHPOINTS)
@settings(max_examples=20)
@given(data=st.data())
def test_a_touchpoint_of_each_type_is_the_same(cls: type[Touchpoint], data: Any) -> None:
    received = Received(line_of(data.draw(events(cls))), "door")
    group = read([(received, None)], EVER)
    assert read_group(write_group(group)) == group


@pytest.mark.parametrize(
    ("event", "form"),
    [
        (order(), Record),
        (order(subject="email:ana@example.com"), Envelope),
        (order(tenant="north"), Envelope),
        (order(data=order()["data"] | {"extra": {"gift": True}}), Envelope),
    ],
)
def test_what_has_nothing_to_hide_is_made_a_record_without_a_key(
    event: Event, form: type[Any]
) -> None:
    ((_, it),) = read([(Received(line(event), "door"), None)], NOW)
    assert isinstance(it, form)


def test_what_came_beside_the_bytes_and_why_they_are_refused_is_the_same() -> None:
    received = Received(b"\xff\0", "kafka", {"offset": 7}, (("ce_id", b"\0"), ("n", None)), b"key")
    ((again, why),) = read_group(write_group([(received, WHY)]))
    assert again == received
    assert _words(why) == _words(WHY)


@pytest.mark.parametrize("offset", ["+05:30", "-08:00", "Z"])
def test_a_time_keeps_the_clock_that_it_came_from(offset: str) -> None:
    envelope = parse(line(order(time=f"2026-01-05T10:00:00.000001{offset}", tenant="north")))
    ((_, it),) = read_group(write_group([(Received(b"", "door"), envelope)]))
    assert isinstance(it, Envelope)
    assert (it.time, it.at, it.offset) == (envelope.time, envelope.at, envelope.offset)


def test_what_became_of_a_group_is_the_same() -> None:
    receipt = Receipt(received=3, recorded=1, duplicate=1, quarantined=1, head=9)
    outcomes: list[Outcome] = [Recorded(2**40), Duplicate(1), Quarantined(5, WHY)]
    told, (recorded, duplicate, kept) = read_answer(write_answer(receipt, outcomes))
    assert (told, recorded, duplicate) == (receipt, Recorded(2**40), Duplicate(1))
    assert isinstance(kept, Quarantined)
    assert (kept.entry, _words(kept.refused)) == (5, _words(WHY))


def _words(refused: Any) -> tuple[str, str, str]:
    return (refused.reason, refused.path, refused.message)
