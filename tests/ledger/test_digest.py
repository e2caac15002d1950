"""The digest: the same content is a duplicate however it is written, other content a conflict."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.ledger import Ledger, create_ledger, open_ledger
from ledger.log import Outcome, Quarantined
from ledger.personal import Protected
from ledger.record import Duplicate, Recorded
from schemas.door import parse
from tests.ledger.sending import Event, line, order, send
from tests.places import Places
from tests.schemas.strategies import events

EUR = {"amount": "12.50", "currency": "EUR"}
DETAILED: Event = order(
    data={
        "order_id": "A1",
        "total": EUR,
        "lines": [{"product_id": "P1", "quantity": 2, "price": EUR}],
        "extra": {"weight": 1.0, "gift": True, "note": None, "sizes": [1, 2.5]},
    },
    correlationid="c1",
)


def changed(event: Event, path: str, value: Any) -> Event:
    """A copy in which what is at the path is something else."""
    copy: Event = json.loads(json.dumps(event))
    here = copy
    *parents, last = path.split(".")
    for name in parents:
        here = here[name]
    here[last] = value
    return copy


def second(ledger: Ledger, first: Event, again: Event | bytes) -> Outcome:
    """What becomes of `again` after `first` was recorded."""
    (recorded,) = send(ledger, first)[1]
    assert recorded == Recorded(1)
    (outcome,) = send(ledger, again)[1]
    return outcome


def digest(ledger: Ledger, event: Event) -> bytes:
    (protected,) = ledger.vault.protect([parse(line(event))])
    assert isinstance(protected, Protected)
    return protected.digest


SPELLINGS = {
    "the amount without its last zero": changed(DETAILED, "data.total.amount", "12.5"),
    "the amount with more zeros": changed(DETAILED, "data.total.amount", "12.5000"),
    "a null for what is absent": changed(DETAILED, "data.coupon", None),
    "a null in the envelope": changed(DETAILED, "causationid", None),
    "a null in a map": changed(DETAILED, "data.extra.colour", None),
    "no null in a map": changed(DETAILED, "data.extra", {"weight": 1, "gift": True,
                                                          "sizes": [1, 2.5]}),
    "1 for 1.0": changed(DETAILED, "data.extra.weight", 1),
    "1.0 for 1 in a list": changed(DETAILED, "data.extra.sizes", [1.0, 2.50]),
    "the same instant on another clock": changed(DETAILED, "time", "2026-01-05T12:30:00+02:30"),
    "a fraction of zero seconds": changed(DETAILED, "time", "2026-01-05T10:00:00.000Z"),
    "sequence 0, said": changed(DETAILED, "sequence", 0),
    "sequence 0 as digits": changed(DETAILED, "sequence", "0"),
    "the content type, said": changed(DETAILED, "datacontenttype", "application/json"),
    "the trace of a retry": changed(DETAILED, "traceparent", "00-1-2-03"),
    "an extension": changed(DETAILED, "sentat", "2026-01-05T10:00:03Z"),
    "a time put right, with the one that was told": DETAILED | {
        "time": "2026-01-05T10:17:31Z", "originaltimestamp": "2026-01-05T11:00:00+01:00"},
}  # fmt: skip

OTHERS = {
    "another amount": changed(DETAILED, "data.total.amount", "12.51"),
    "another quantity": changed(DETAILED, "data.lines", [
        {"product_id": "P1", "quantity": 3, "price": EUR}]),
    "another currency": changed(DETAILED, "data.total.currency", "USD"),
    "another subject": changed(DETAILED, "subject", "customer:43"),
    "another instant": changed(DETAILED, "time", "2026-01-05T10:00:00.000001Z"),
    "another instant that was told": changed(
        DETAILED, "originaltimestamp", "2026-01-05T10:00:00.000001Z"),
    "a told time that is none": changed(DETAILED, "originaltimestamp", "2026-01-05T10:00:00"),
    "another sequence": changed(DETAILED, "sequence", 1),
    "another correlation": changed(DETAILED, "correlationid", "c2"),
    "one field more": changed(DETAILED, "data.coupon", "SPRING"),
    "another order of lines": changed(DETAILED, "data.extra.sizes", [2.5, 1]),
    "false for true": changed(DETAILED, "data.extra.gift", False),
    "1 for true": changed(DETAILED, "data.extra.gift", 1),
    "a text for a number": changed(DETAILED, "data.extra.weight", "1"),
    "another type": order(type="checkout.started.v1", data={"checkout_id": "A1", "total": EUR}),
}  # fmt: skip


@pytest.mark.parametrize("again", SPELLINGS.values(), ids=SPELLINGS)
def test_the_same_content_in_another_spelling_is_a_duplicate(ledger: Ledger, again: Event) -> None:
    assert second(ledger, DETAILED, again) == Duplicate(1)


@pytest.mark.parametrize("again", OTHERS.values(), ids=OTHERS)
def test_other_content_is_a_conflict(ledger: Ledger, again: Event) -> None:
    outcome = second(ledger, DETAILED, again)
    assert isinstance(outcome, Quarantined)
    assert outcome.refused.reason == "conflict"


@pytest.mark.parametrize("told", ["2026-01-05T10:00:00Z", "none"])
def test_a_time_that_is_put_right_anew_by_every_retry_is_the_same(
    ledger: Ledger, told: str
) -> None:
    first = DETAILED | {"time": "2026-01-05T10:17:31Z", "originaltimestamp": told}
    again = first | {"time": "2026-01-05T10:17:31.004Z"}
    assert second(ledger, first, again) == Duplicate(1)


def test_the_order_of_names_and_blanks_between_them_do_not_matter(ledger: Ledger) -> None:
    def backwards(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: backwards(inner) for name, inner in reversed(value.items())}
        return value

    again = json.dumps(backwards(DETAILED), indent=3).encode()
    assert second(ledger, DETAILED, again) == Duplicate(1)


def test_escapes_in_json_do_not_matter(ledger: Ledger) -> None:
    first = order(subject="customer:Chloé 🦊")
    again = json.dumps(first, ensure_ascii=False).encode()
    assert again != line(first)
    assert second(ledger, first, again) == Duplicate(1)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("email:ana@example.com", "email:Ana@EXAMPLE.com"),
        ("phone:+393331234567", "phone:+39 333 123-4567"),
    ],
)
def test_a_personal_subject_in_another_spelling_is_the_same(
    ledger: Ledger, first: str, again: str
) -> None:
    assert second(ledger, order(subject=first), order(subject=again)) == Duplicate(1)


def test_a_subject_named_inside_is_the_same_in_another_spelling(ledger: Ledger) -> None:
    def referral(referee: str) -> Event:
        data = {"referral_id": "R1", "programme": "main", "referee": referee}
        return order(type="referral.made.v1", data=data)

    first, again = referral("email:bob@example.org"), referral("email:BOB@example.org")
    assert second(ledger, first, again) == Duplicate(1)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(event=events())
def test_every_touchpoint_has_one_digest_that_is_its_own(ledger: Ledger, event: Event) -> None:
    assert digest(ledger, event) == digest(ledger, event)
    assert digest(ledger, event) != digest(ledger, event | {"time": "2027-01-01T00:00:00Z"})


FORMER = {
    "an order": (
        changed(DETAILED, "data.extra", None),
        "96ad661552edfd2e325581a0107986e2",
    ),
    "a length in whole seconds, told as a fraction": (
        order(type="call.ended.v1", data={"call_id": "C1", "direction": "inbound",
                                          "outcome": "answered", "duration_seconds": 12.0}),
        "dbd76d2f4f6b9e7b695f59e834be9433",
    ),
    "a moment on another clock": (
        order(type="visit.scheduled.v1", sequence=3,
              data={"visit_id": "V1", "at": "2026-01-09T09:00:00+02:00"}),
        "3349c09a89a7d3346d1c2b8c90c4ceda",
    ),
}  # fmt: skip
"""Touchpoints, with the digests that they have in ledgers of before. They are a storage format."""


@pytest.mark.parametrize(("event", "former"), FORMER.values(), ids=FORMER)
def test_a_digest_is_what_it_was_in_ledgers_of_before(
    ledger: Ledger, event: Event, former: str
) -> None:
    assert digest(ledger, event).hex() == former


def described(name: str) -> Event:
    return order(type="customer.described.v1", data={"traits": {"name": name}})


def test_a_changed_personal_field_is_a_conflict(ledger: Ledger) -> None:
    assert isinstance(second(ledger, described("Ana"), described("Anna")), Quarantined)


def test_the_same_personal_fields_are_a_duplicate_although_their_ciphertexts_differ(
    ledger: Ledger,
) -> None:
    assert second(ledger, described("Ana"), described("Ana")) == Duplicate(1)


def test_who_lacks_the_key_cannot_guess_personal_content_by_its_digest(
    ledger: Ledger, places: Places
) -> None:
    other = places.unmade()
    create_ledger(other)
    with open_ledger(other) as stranger:
        assert digest(ledger, described("Ana")) != digest(stranger, described("Ana"))
        assert digest(ledger, order()) == digest(stranger, order())


numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(st.characters(exclude_characters="\0",
                                                                codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(("a", "b", "amount", "currency")), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=json_values)
def test_whatever_json_a_map_holds_it_has_a_digest(ledger: Ledger, value: Any) -> None:
    event = changed(order(), "data.extra", {"value": value})
    assert digest(ledger, event) == digest(ledger, event)
