"""Personal data: closed on its way into the log, opened by a window, and nowhere in clear."""

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.keyring import derived
from ledger.ledger import Ledger, create_ledger, open_ledger
from ledger.personal import ERASED, Protected
from schemas.door import Refused, parse
from schemas.encoding import plain
from schemas.envelope import Envelope
from schemas.registry import TOUCHPOINTS
from schemas.replay import decode
from schemas.touchpoint import Touchpoint
from tests.ledger.sending import Event, line, order, send
from tests.places import Places
from tests.schemas.strategies import events

TRAITS = {"name": "Ana Ruiz", "company": "Ana Ruiz", "email": "ana@example.com"}
DESCRIBED = order(type="customer.described.v1", data={"traits": TRAITS})


def protected(ledger: Ledger, event: Event) -> Protected:
    (made,) = ledger.vault.protect([parse(line(event))])
    assert isinstance(made, Protected)
    return made


def stored(ledger: Ledger, event: Event) -> Envelope[Any]:
    """The touchpoint as replay reads it from the log."""
    made = protected(ledger, event)
    return decode(made.envelope.type, msgspec.json.encode(made.envelope))


def revealed(ledger: Ledger, envelope: Envelope[Any]) -> Envelope[Any]:
    (opened,) = ledger.vault.reveal([envelope])
    return opened


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(event=events())
def test_what_was_closed_is_opened_again_as_it_was(ledger: Ledger, event: Event) -> None:
    assert revealed(ledger, stored(ledger, event)) == parse(line(event))


@pytest.mark.parametrize("cls", TOUCHPOINTS, ids=lambda cls: cls.TYPE)
def test_each_type_is_opened_again_as_it_was(ledger: Ledger, cls: type[Touchpoint]) -> None:
    @settings(max_examples=5, deadline=None, database=None)
    @given(event=events(cls))
    def holds(event: Event) -> None:
        assert revealed(ledger, stored(ledger, event)) == parse(line(event))

    holds()


def test_what_is_not_personal_stands_in_clear(ledger: Ledger) -> None:
    data = stored(ledger, DESCRIBED).data
    assert data.traits.company == "Ana Ruiz"
    assert data.traits.name.startswith("~")


def test_the_same_value_twice_gives_ciphertexts_that_have_nothing_in_common(ledger: Ledger) -> None:
    first, second = stored(ledger, DESCRIBED), stored(ledger, DESCRIBED | {"id": "2"})
    assert first.data.traits.name != second.data.traits.name
    assert first.data.traits.name != stored(ledger, DESCRIBED).data.traits.name


def with_traits(envelope: Envelope[Any], **traits: str) -> Envelope[Any]:
    data = plain(envelope.data)
    changed = {"traits": {**data["traits"], **traits}}
    return msgspec.structs.replace(envelope, data=msgspec.convert(changed, type(envelope.data)))


def test_a_ciphertext_moved_to_another_field_does_not_open(ledger: Ledger) -> None:
    envelope = stored(ledger, DESCRIBED)
    traits = envelope.data.traits
    swapped = with_traits(envelope, name=traits.email, email=traits.name)
    opened = revealed(ledger, swapped).data.traits
    assert (opened.name, opened.email) == (ERASED, ERASED)


@pytest.mark.parametrize(
    "other", [{"id": "2"}, {"source": "till"}, {"subject": "customer:43"}], ids=str
)
def test_a_ciphertext_moved_to_another_touchpoint_does_not_open(
    ledger: Ledger, other: dict[str, str]
) -> None:
    envelope, elsewhere = stored(ledger, DESCRIBED), stored(ledger, DESCRIBED | other)
    swapped = with_traits(elsewhere, name=envelope.data.traits.name)
    assert revealed(ledger, swapped).data.traits.name == ERASED
    assert revealed(ledger, swapped).data.traits.email == "ana@example.com"


def test_where_the_key_is_gone_a_window_shows_that_it_was_erased(
    ledger: Ledger, places: Places
) -> None:
    envelope = stored(ledger, DESCRIBED | {"subject": "email:ana@example.com", "tenant": "north"})
    other = places.unmade()
    create_ledger(other)
    with open_ledger(other) as stranger:
        opened = revealed(stranger, envelope)
    assert opened.data.traits.name == ERASED
    assert opened.data.traits.company == "Ana Ruiz"
    assert (opened.subject, opened.extensions) == (envelope.subject, None)


def test_one_field_of_a_view_is_opened_alone(ledger: Ledger) -> None:
    name = stored(ledger, DESCRIBED).data.traits.name
    vault = ledger.vault
    assert vault.reveal_value(name, "customer:42", "shop", "1", "data.traits.name") == "Ana Ruiz"
    assert vault.reveal_value(name, "customer:43", "shop", "1", "data.traits.name") == ERASED
    assert vault.reveal_value(name, "customer:42", "shop", "1", "data.traits.email") == ERASED


def test_an_address_has_one_token_in_a_ledger_however_it_is_written(ledger: Ledger) -> None:
    tokens = {
        ledger.vault.stored_subject(subject)
        for subject in ("email:ana@example.com", "email: Ana@Example.COM ", "email:ANA@example.com")
    }
    assert len(tokens) == 1
    (token,) = tokens
    assert token.startswith("email:~")
    assert ledger.vault.stored_subject(token) == token
    assert ledger.vault.stored_subject("email:bob@example.com") not in tokens


def test_tokens_outlive_the_process_and_differ_between_ledgers(
    ledger: Ledger, places: Places
) -> None:
    token = ledger.vault.stored_subject("phone:+393331234567")
    with open_ledger(ledger.address) as again:
        assert again.vault.stored_subject("phone:+39 333 1234567") == token
    other = places.unmade()
    create_ledger(other)
    with open_ledger(other) as stranger:
        assert stranger.vault.stored_subject("phone:+393331234567") != token


def test_a_subject_that_is_not_personal_keeps_its_name(ledger: Ledger) -> None:
    assert ledger.vault.stored_subject("customer:42") == "customer:42"


@pytest.mark.parametrize("subject", ["email:not-an-address", "phone:12", "phone:abc"])
def test_an_address_that_cannot_be_one_is_refused_without_being_quoted(
    ledger: Ledger, subject: str
) -> None:
    with pytest.raises(Refused) as caught:
        ledger.vault.stored_subject(subject)
    assert (caught.value.reason, caught.value.path) == ("subject", "subject")
    assert subject.partition(":")[2] not in str(caught.value)


def test_a_described_address_is_found_by_its_token(ledger: Ledger) -> None:
    send(ledger, DESCRIBED, order("2"))
    token = ledger.vault.stored_subject("email:ANA@example.com")
    assert ledger.log.subjects_with(token) == ["customer:42"]
    assert ledger.log.subjects_with(ledger.vault.stored_subject("email:bob@example.com")) == []


@given(key=st.binary(min_size=32, max_size=32), info=st.binary(max_size=300))
def test_keys_are_derived_as_rfc_5869_says(key: bytes, info: bytes) -> None:
    assert derived(key, info) == HKDFExpand(SHA256(), 32, info).derive(key)
