"""Looks at personal data are facts: of whom, by whom, which fields, why; and nothing else."""

import pytest

from ledger.errors import LedgerError, NotEmpty
from ledger.ledger import Ledger
from ledger.looks import looks_at, record_looks
from projections.customers import CUSTOMERS
from projections.follow import follow
from projections.query import listing
from projections.registry import PROJECTIONS
from tests.ledger.sending import assert_dense, order, send

LOOKED = {"customer:42": {"title", "traits.name"}, "email:~AAAAAAAAAAAAAAAAAAAAAA": {"subject"}}


def test_each_look_is_found_with_those_at_the_same_person(ledger: Ledger) -> None:
    record_looks(ledger, "ana", "a complaint", LOOKED)
    record_looks(ledger, "ben", "an audit", {"customer:42": {"extra"}, "customer:43": {"extra"}})
    first, second = looks_at(ledger, ["customer:42"])
    assert (first.reader, first.fields, first.purpose) == (
        "ana", ("title", "traits.name"), "a complaint",
    )  # fmt: skip
    assert (second.reader, second.of, second.purpose) == ("ben", "customer:42", "an audit")
    assert first.position < second.position
    assert [look.of for look in looks_at(ledger, LOOKED)] == [*LOOKED, "customer:42"]
    assert list(looks_at(ledger, [])) == []


def test_more_looks_than_a_page_or_a_group_holds_are_all_found(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.looks.PAGE_LOOKS", 3)
    monkeypatch.setattr("ledger.looks.GROUP_LOOKS_MAX", 2)
    record_looks(ledger, "ana", "why", {f"customer:{n}": {"extra"} for n in range(7)})
    assert len(list(looks_at(ledger, [f"customer:{n}" for n in range(7)]))) == 7
    assert_dense(ledger)


def test_a_look_is_no_touchpoint_of_the_customer(ledger: Ledger) -> None:
    send(ledger, order())
    record_looks(ledger, "ana", "why", LOOKED)
    follow(ledger, PROJECTIONS)
    ((customer, state),) = listing(ledger, CUSTOMERS)
    assert (customer, state.touchpoints) == ("customer:42", 1)


def test_a_look_that_cannot_be_recorded_is_an_error(ledger: Ledger) -> None:
    def full(*_: object) -> None:
        raise NotEmpty("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger.log, "append", full)
        with pytest.raises(LedgerError):
            record_looks(ledger, "ana", "why", LOOKED)
    with pytest.raises(LedgerError, match="cannot be recorded"):
        record_looks(ledger, "ana", "why", {"email:no address": {"subject"}})
    assert list(looks_at(ledger, LOOKED)) == []


def test_what_another_source_says_of_looks_is_no_look(ledger: Ledger) -> None:
    record_looks(ledger, "ana", "why", {"customer:42": {"extra"}})
    forged = order(
        type="personal_data.viewed.v1", subject="reader:ben",
        data={"of": "customer:42", "fields": ["extra"], "purpose": "none"},
    )  # fmt: skip
    send(ledger, forged)
    assert [look.reader for look in looks_at(ledger, ["customer:42"])] == ["ana"]
