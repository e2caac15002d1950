"""Times, money and subjects: the kinds of field that every touchpoint is made of."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.fields import EPOCH, Moment, microseconds, moment, rfc3339
from schemas.money import Money, format_amount, minor_digits
from schemas.subject import (
    Subject,
    is_personal,
    is_token,
    kind_of,
    normalise,
    normalise_email,
    stream_of,
)
from schemas.zone import zone_names
from tests.schemas.checking import adapter


def test_a_moment_is_told_on_the_clock_that_it_came_from() -> None:
    at = microseconds(datetime.fromisoformat("2026-01-05T10:00:00.000001+05:30"))
    assert rfc3339(at, 330) == "2026-01-05T10:00:00.000001+05:30"
    assert rfc3339(at) == "2026-01-05T04:30:00.000001Z"


@given(
    st.timedeltas(timedelta(days=-98_000), timedelta(days=120_000)).map(lambda t: EPOCH + t),
    st.integers(-14 * 60, 14 * 60),
)
def test_a_moment_comes_back_from_its_microseconds(when: datetime, offset: int) -> None:
    back = moment(microseconds(when), offset)
    assert back == when
    assert back.utcoffset() == timedelta(minutes=offset)
    read: datetime = adapter(Moment).validate_json(f'"{rfc3339(microseconds(when), offset)}"')
    assert (read, read.utcoffset()) == (back, back.utcoffset())


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05T10:00:00",
        "2026-01-05 10:00Z",
        "2026-13-05T10:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-01-05T24:30:00Z",
        "0001-01-01T00:00:00Z",
        "9999-01-01T00:00:00Z",
        "1767607200",
        "",
    ],
)
def test_what_is_not_a_moment_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        adapter(Moment).validate_json(f'"{text}"')


def test_a_currency_has_its_own_decimals() -> None:
    assert [minor_digits(code) for code in ("JPY", "EUR", "KWD")] == [0, 2, 3]
    with pytest.raises(ValueError, match="EURO"):
        minor_digits("EURO")


def test_an_amount_is_written_with_the_decimals_of_its_currency_or_with_more() -> None:
    assert format_amount(Decimal("1234.5"), "EUR") == "1,234.50 EUR"
    assert format_amount(Decimal("0.123"), "EUR") == "0.123 EUR"
    assert format_amount(Decimal("1000"), "JPY") == "1,000 JPY"
    assert str(Money(amount="0", currency="KWD")) == "0.000 KWD"


@pytest.mark.parametrize("subject", ["customer:42", "email:a@b.example", "x9_y:a:b c", "a:é"])
def test_a_subject_is_a_kind_and_a_value(subject: str) -> None:
    assert adapter(Subject).validate_python(subject) == subject
    assert kind_of(subject) == subject.split(":")[0]


@pytest.mark.parametrize(
    "subject", ["", "42", ":42", "customer:", "Customer:1", "9a:1", "a:\n", "a:" + "x" * 201]
)
def test_what_is_not_a_subject_is_refused(subject: str) -> None:
    with pytest.raises(ValidationError, match="expected a subject such as customer:42"):
        adapter(Subject).validate_python(subject)


def test_only_email_and_phone_are_personal_and_only_they_have_tokens() -> None:
    token = "~" + "A" * 22
    assert [is_personal(f"{kind}:1") for kind in ("email", "phone", "customer")] == [1, 1, 0]
    assert is_token(f"email:{token}")
    assert not is_token(f"customer:{token}")
    assert not is_token("email:~short")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("email:Ana@Example.COM", "email:ana@example.com"),
        ("phone:+39 333 123 4567", "phone:+393331234567"),
        ("customer:Ana", "customer:Ana"),
    ],
)
def test_equal_addresses_share_one_form(written: str, meant: str) -> None:
    assert normalise(written) == meant
    assert normalise(meant) == meant


@pytest.mark.parametrize("subject", ["email:nobody", "phone:12", "phone:abc"])
def test_an_impossible_address_is_refused_without_being_quoted(subject: str) -> None:
    with pytest.raises(ValueError, match="not a") as refusal:
        normalise(subject)
    assert subject.split(":")[1] not in str(refusal.value)


_pieces = st.text("abAZ09_+-.'!é", min_size=1, max_size=12)
_labels = st.text("abZ09-", min_size=1, max_size=40) | st.sampled_from(("xn--p1ai", "example"))
_tops = st.sampled_from(("com", "Org", "it", "local", "test", "museum", "xn--p1ai", "c1", "KK"))
_addresses = st.builds(
    lambda local, labels, top, blank: f"{local}@{'.'.join(labels)}.{top}{blank}",
    _pieces, st.lists(_labels, min_size=1, max_size=3), _tops, st.sampled_from(("", "\n")),
)  # fmt: skip


@given(written=_addresses)
def test_an_address_of_the_usual_form_is_read_as_any_other(written: str) -> None:
    try:
        checked = validate_email(written.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        with pytest.raises(ValueError, match="not an email address"):
            normalise_email(written)
    else:
        assert normalise_email(written) == checked.normalized.lower()


def test_a_national_number_needs_its_region() -> None:
    assert normalise("phone:333 123 4567", "IT") == "phone:+393331234567"


def test_the_stream_of_a_subject_never_changes() -> None:
    assert stream_of("customer:42") == "b10b331d5a59546d9ef9c9ceb14a2f10"


def test_zones_are_those_of_the_iana_database() -> None:
    assert {"Europe/Rome", "Africa/Johannesburg", "UTC"} <= zone_names()
    assert not {"Europe", "localtime", "Rome", ""} & zone_names()
