"""Voiding: what was recorded in error counts no more, unless that was an error itself."""

from domain.occurred import Occurred
from domain.voiding import voided_by
from schemas.correction import TouchpointVoided
from tests.domain.loyalty_facts import occurred


def void(when: str, ident: str, of: str) -> Occurred:
    data = TouchpointVoided(voided_source="shop", voided_id=of, reason="a slip")
    return occurred(when, data, ident)


def test_what_is_voided_is_struck_out_whenever_the_voiding_occurred() -> None:
    assert voided_by([void("2025-01-01", "v1", of="A1")]) == {("shop", "A1")}


def test_a_voiding_is_undone_by_one_that_occurred_later() -> None:
    voids = [void("2026-01-01", "v1", of="A1"), void("2026-01-02", "v2", of="v1")]
    assert voided_by(voids) == voided_by(voids[::-1]) == {("shop", "v1")}
    third = void("2026-01-03", "v3", of="v2")
    assert ("shop", "A1") in voided_by([*voids, third])


def test_a_voiding_is_not_undone_by_one_that_occurred_earlier() -> None:
    voids = [void("2026-01-02", "v1", of="A1"), void("2026-01-01", "v2", of="v1")]
    assert ("shop", "A1") in voided_by(voids)
