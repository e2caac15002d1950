"""Redaction: what comes for a person who was erased is recorded without anything personal."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from ledger.keyring import Keyring
from ledger.ledger import Ledger, open_ledger
from ledger.personal import ERASED, NOT_COMPARED, REDACTED, Protected, Vault
from ledger.record import Record, records_of
from ledger.redaction import redacted
from schemas.door import parse
from schemas.envelope import Envelope
from schemas.registry import TOUCHPOINTS
from schemas.replay import decode
from schemas.touchpoint import Touchpoint
from tests.ledger.sending import Event, line, order
from tests.places import SQLitePlaces, a_place
from tests.schemas.strategies import events

TRAITS = {"name": "Ana Konda", "company": "Konda AG", "email": "ana@example.com"}
DESCRIBED = order(type="customer.described.v1", data={"traits": TRAITS}, tenant="north")
REFERRED = order(
    type="referral.made.v1",
    data={"referral_id": "R1", "programme": "main", "referee": "email:bob@example.com"},
)


@pytest.fixture(scope="module")
def in_file(sqlite_places: SQLitePlaces) -> Iterator[Ledger]:
    """One ledger for all types: which store it is on makes no difference to them."""
    with a_place(sqlite_places) as address, open_ledger(address) as opened:
        yield opened


@pytest.fixture(scope="module")
def other(in_file: Ledger) -> Iterator[Vault]:
    """The vault of another process that has the same ledger open."""
    with closing(Keyring(in_file.address.key_store(), in_file.keys.masters)) as keyring:
        yield Vault(keyring, in_file.keys.token)


def protected(vault: Vault, event: Event) -> Protected:
    (made,) = vault.protect([parse(line(event))])
    assert isinstance(made, Protected)
    return made


def record_of(vault: Vault, event: Event) -> Record:
    (made,) = records_of([parse(line(event))], vault)
    assert isinstance(made, Record)
    return made


def shown(ledger: Ledger, record: Record) -> Envelope[Any]:
    """What a window shows of it."""
    (opened,) = ledger.vault.reveal([decode(record.topic, record.state)])
    return opened


def test_of_an_erased_subject_the_personal_fields_are_not_recorded(ledger: Ledger) -> None:
    ledger.keyring.destroy(["customer:42"])
    record = record_of(ledger.vault, DESCRIBED)
    state = msgspec.json.decode(record.state)
    assert state["data"]["traits"] == {
        "name": REDACTED, "company": "Konda AG", "email": REDACTED,
    }  # fmt: skip
    assert "extensions" not in state
    assert record.tokens == ()
    traits = shown(ledger, record).data.traits
    assert (traits.name, traits.email, traits.company) == (ERASED, ERASED, "Konda AG")


def test_nothing_can_be_told_from_its_digest(ledger: Ledger) -> None:
    before = record_of(ledger.vault, DESCRIBED)
    ledger.keyring.destroy(["customer:42"])
    assert before.digest != NOT_COMPARED
    assert record_of(ledger.vault, DESCRIBED).digest == NOT_COMPARED
    plain = order("2")
    assert record_of(ledger.vault, plain).digest != NOT_COMPARED


def test_of_an_erased_address_the_original_is_not_recorded_and_the_rest_is(ledger: Ledger) -> None:
    bob = ledger.vault.stored_subject("email:bob@example.com")
    ledger.keyring.destroy([bob])
    record = record_of(ledger.vault, REFERRED)
    assert "values" not in msgspec.json.decode(record.state)
    assert shown(ledger, record).data.referee == bob
    assert record.digest == record_of(ledger.vault, REFERRED).digest != NOT_COMPARED


def test_what_was_not_personal_is_recorded_as_ever(ledger: Ledger) -> None:
    before = record_of(ledger.vault, order())
    ledger.keyring.destroy(["customer:42"])
    assert record_of(ledger.vault, order()) == before


def test_who_has_nothing_to_do_with_it_is_left_alone(ledger: Ledger) -> None:
    record = record_of(ledger.vault, DESCRIBED)
    assert redacted(record, {"customer:43"}) is record


def test_whose_keys_were_used_is_told(ledger: Ledger) -> None:
    bob = ledger.vault.stored_subject("email:bob@example.com")
    assert protected(ledger.vault, DESCRIBED).keyed == ("customer:42",)
    assert protected(ledger.vault, REFERRED).keyed == (bob,)
    assert protected(ledger.vault, order()).keyed == ()


@pytest.mark.parametrize("cls", TOUCHPOINTS, ids=lambda cls: cls.TYPE)
def test_what_an_erasure_has_overtaken_becomes_as_if_it_had_come_later(
    in_file: Ledger, other: Vault, cls: type[Touchpoint]
) -> None:
    @settings(max_examples=5, deadline=None, database=None)
    @given(event=events(cls))
    def holds(event: Event) -> None:
        erased = protected(in_file.vault, event).keyed
        before = record_of(in_file.vault, event)
        other._keyring.forget(erased)
        later = record_of(other, event)
        assert redacted(before, erased) == later
        assert redacted(later, erased) == later
        shown(in_file, later)

    holds()
