"""Decoding only what is read: the same folds, and the same upcasts, as decoding all."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from domain.occurred import order_of
from domain.rules import Rules
from ledger.governance import RULE_TYPES
from projections.registry import PROJECTIONS
from projections.view import View, union_of_reads
from schemas import replay
from schemas.envelope import Envelope
from schemas.fields import Id
from schemas.note import NoteAdded
from schemas.purchase import OrderCompleted
from schemas.registry import BY_TYPE
from schemas.replay import NarrowDecoder, decode
from schemas.touchpoint import Touchpoint, fact
from tests.schemas.strategies import touchpoints

BY_EVERY_VIEW = pytest.mark.parametrize("view", PROJECTIONS, ids=lambda view: view.name)
DECODERS = {view.name: NarrowDecoder(view.reads) for view in PROJECTIONS}
TOGETHER = NarrowDecoder(union_of_reads(PROJECTIONS))


def written(history: list[Envelope[Touchpoint]]) -> list[bytes]:
    return [msgspec.json.encode(envelope) for envelope in history]


def folded(view: View, told: list[Any], rules: Rules) -> dict[str, bytes]:
    """The state of every key of a view, as it is stored."""
    states: dict[str, Any] = {}
    for touchpoint in told:
        if touchpoint.type in view.since(rules):
            key = view.key(touchpoint) if view.key else touchpoint.subject
            view.evolve(states.setdefault(key, view.state()), touchpoint, rules)
    return {key: msgspec.json.encode(state) for key, state in states.items()}


@BY_EVERY_VIEW
@settings(deadline=None, max_examples=60)
@given(history=touchpoints())
def test_a_narrow_touchpoint_folds_to_the_same_state_as_a_whole_one(
    view: View, history: list[Envelope[Touchpoint]]
) -> None:
    whole = [decode(e.type, state) for e, state in zip(history, written(history), strict=True)]
    rules = Rules.of(e for e in whole if e.type in RULE_TYPES)
    expected = folded(view, whole, rules)
    assert folded(view, DECODERS[view.name].page(written(history)), rules) == expected
    assert folded(view, TOGETHER.page(written(history)), rules) == expected


@settings(deadline=None, max_examples=60)
@given(history=touchpoints())
def test_a_narrow_touchpoint_has_the_same_place_type_and_subject(
    history: list[Envelope[Touchpoint]],
) -> None:
    narrow = TOGETHER.page(written(history))
    assert [(order_of(n), n.type, n.subject) for n in narrow] == [
        (order_of(e), e.type, e.subject) for e in history
    ]


def test_a_field_that_a_type_does_not_have_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="OrderCompleted has no field colour"):
        NarrowDecoder({OrderCompleted.TYPE: ("order_id", "colour")})


@fact
class NoteLeft(Touchpoint):
    """What a note was called before it said who may see it."""

    TYPE = "note.left.v1"
    CHANNEL = None

    note: Id
    words: str
    agent: Id

    def summary(self) -> str:
        return f"{self.agent} left a note"

    def upcast(self) -> NoteAdded:
        return NoteAdded(note_id=self.note, text=self.words, agent=self.agent, internal=True)


@pytest.fixture
def superseded(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """An old note as it stands in the log, with its class registered beside the newest."""
    monkeypatch.setitem(BY_TYPE, NoteLeft.TYPE, NoteLeft)
    monkeypatch.setattr(replay, "_decoder", replay._decoder.__wrapped__)
    monkeypatch.setattr(replay, "_narrow", replay._narrow.__wrapped__)
    left: Envelope[NoteLeft] = Envelope(
        type=NoteLeft.TYPE, at=17, source="helpdesk", id="n1", subject="customer:42", sequence=3,
        data=NoteLeft(note="N1", words="calls back on Monday", agent="ana"),
    )  # fmt: skip
    return msgspec.json.encode(left)


def test_a_superseded_touchpoint_is_decoded_whole_into_the_newest_class(
    superseded: bytes,
) -> None:
    newest = decode(NoteLeft.TYPE, superseded)
    assert newest.type == NoteAdded.TYPE
    assert newest.data == NoteAdded(
        note_id="N1", text="calls back on Monday", agent="ana", internal=True
    )
    assert (newest.order, newest.subject) == ((17, 3, "helpdesk", "n1"), "customer:42")


def test_a_superseded_touchpoint_is_decoded_narrowly_into_the_newest_form(
    superseded: bytes,
) -> None:
    (narrow,) = NarrowDecoder({NoteAdded.TYPE: ("note_id", "internal")}).page([superseded])
    assert narrow.type == NoteAdded.TYPE
    assert (narrow.data.note_id, narrow.data.internal) == ("N1", True)
    assert not hasattr(narrow.data, "text")
    assert (order_of(narrow), narrow.subject) == ((17, 3, "helpdesk", "n1"), "customer:42")


def test_a_superseded_touchpoint_of_which_nothing_is_read_still_has_its_place(
    superseded: bytes,
) -> None:
    (narrow,) = NarrowDecoder({}).page([superseded])
    assert narrow.type == NoteAdded.TYPE
    assert order_of(narrow) == (17, 3, "helpdesk", "n1")


@BY_EVERY_VIEW
def test_a_view_folds_a_superseded_touchpoint_as_the_newest(view: View, superseded: bytes) -> None:
    rules = Rules.of(())
    newest = msgspec.json.encode(decode(NoteLeft.TYPE, superseded))
    decoder = NarrowDecoder(view.reads)
    assert folded(view, decoder.page([superseded]), rules) == folded(
        view, decoder.page([newest]), rules
    )
