"""Masks: whoever has not asked sees no personal field of any type, and no ciphertext either."""

from typing import Any

import msgspec
import pytest

from ledger.ledger import Ledger
from ledger.masking import MASK, masked, personal_parts, without_personal_data
from schemas.encoding import plain
from schemas.envelope import Envelope
from schemas.personal_fields import personal_fields, subject_fields
from schemas.registry import BY_TYPE, TOUCHPOINTS
from schemas.replay import decode
from schemas.touchpoint import Touchpoint
from tests.ledger.sending import order, send
from tests.ledger.test_canaries import Aviary, filled


def at(data: dict[str, Any], path: tuple[str, ...]) -> Any:
    here: Any = data
    for name in path:
        here = (here or {}).get(name)
    return here


@pytest.fixture(scope="module")
def aviary() -> Aviary:
    return Aviary()


def stored(ledger: Ledger) -> list[Envelope[Touchpoint]]:
    return [decode(each.topic, each.state) for each in ledger.log.page(0, 1_000)]


def test_every_personal_field_of_every_type_is_masked_and_left_out(
    ledger: Ledger, aviary: Aviary
) -> None:
    send(ledger, *(filled(cls, number, aviary) for number, cls in enumerate(TOUCHPOINTS)))
    for envelope in stored(ledger):
        cls = BY_TYPE[envelope.type]
        covered, bare = masked(envelope), without_personal_data(envelope)
        for field in personal_fields(cls):
            assert at(plain(covered.data), field.path) == MASK
            assert at(plain(bare.data), field.path) is None
        assert "~" not in covered.data.summary()
        assert b'"~' not in msgspec.json.encode([covered.data, bare.data, bare.extensions])
        assert (covered.values, bare.values) == (None, None)


def test_each_personal_part_is_told_with_the_subject_whose_it_is(
    ledger: Ledger, aviary: Aviary
) -> None:
    send(ledger, *(filled(cls, number, aviary) for number, cls in enumerate(TOUCHPOINTS)))
    for envelope in stored(ledger):
        cls, data = BY_TYPE[envelope.type], plain(envelope.data)
        own = {(envelope.subject, ".".join(f.path)) for f in personal_fields(cls)}
        others = {(at(data, path), ".".join(path)) for path in subject_fields(cls)}
        assert set(personal_parts(envelope)) == own | others


def test_extensions_and_personal_subjects_are_personal_too(ledger: Ledger) -> None:
    send(ledger, order(subject="email:ana@example.com", tenant="it"))
    (envelope,) = stored(ledger)
    assert set(personal_parts(envelope)) == {
        (envelope.subject, "subject"), (envelope.subject, "extensions"),
    }  # fmt: skip
    covered = masked(envelope)
    assert (covered.subject, covered.extensions) == (envelope.subject, MASK)
    assert without_personal_data(envelope).extensions is None


def test_what_holds_nothing_personal_is_left_as_it_is(ledger: Ledger) -> None:
    send(ledger, order())
    (envelope,) = stored(ledger)
    assert masked(envelope) is envelope
