"""Subjects: whom or what a touchpoint is about, written `kind:value`.

The kinds `email` and `phone` are personal: they are normalised here, and the ledger stores a
keyed token in place of the value (`email:~TOKEN`, see ledger/personal.py).
"""

import re
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID, uuid5

from pydantic import AfterValidator, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError

PERSONAL_KINDS = ("email", "phone")
RESERVED_KINDS = ("ledger",)
"""The ledger's own keys are kept under such names: no touchpoint is about one of these."""
VALUE_CHARACTERS_MAX = 200
STREAMS = UUID("5d1f3c52-9a3e-5b0e-8f0e-6b0f2f0a7c11")
"""The UUIDv5 namespace of streams. Part of the storage format: never change it."""

_SUBJECT = re.compile(rf"([a-z][a-z0-9_]{{0,49}}):([^\x00-\x1f\x7f]{{1,{VALUE_CHARACTERS_MAX}}})")
_TOKEN = re.compile(r"~[A-Za-z0-9_-]{22}")
_ATOM, _LABEL = "[A-Za-z0-9_+-]+", "[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"
_USUAL_EMAIL = re.compile(
    rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?:[A-Za-z]{{2}}|(?i:com|info|net|org))"
)
_USUAL_EMAIL_CHARACTERS_MAX = 63
"""Within the limits of an address and of each part of it."""


class SubjectKind:
    """Marks a field whose value is a subject, so that the ledger can put a token in its place."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^{_SUBJECT.pattern}$"}


def _valid(subject: str) -> str:
    if not _SUBJECT.fullmatch(subject) or kind_of(subject) in RESERVED_KINDS:
        raise PydanticCustomError(
            "subject", "expected a subject such as customer:42 (a kind, a colon, a value)"
        )
    return subject


Subject = Annotated[str, AfterValidator(_valid), SubjectKind()]


def kind_of(subject: str) -> str:
    """`customer` for `customer:42`."""
    return subject.partition(":")[0]


def is_personal(subject: str) -> bool:
    """Whether the subject's value is itself personal data."""
    return kind_of(subject) in PERSONAL_KINDS


def is_token(subject: str) -> bool:
    """Whether the subject already is in its stored form, such as `email:~TOKEN`."""
    return is_personal(subject) and _TOKEN.fullmatch(subject.partition(":")[2]) is not None


@lru_cache(maxsize=65_536)
def stream_of(subject: str) -> str:
    """The stream that holds the touchpoints of a (stored) subject: a UUIDv5 of it, as the log has
    it (32 hexadecimal digits)."""
    return uuid5(STREAMS, subject).hex


def normalise(subject: str, region: str | None = None) -> str:
    """Bring an email or phone subject into the one form that equal addresses share.

    `region` is the ISO 3166 country of phone numbers written without a country code.
    Raises ValueError, in words for people and without the value, when it is neither.
    """
    kind, _, value = subject.partition(":")
    if kind == "email":
        return f"email:{normalise_email(value)}"
    if kind == "phone":
        return f"phone:{normalise_phone(value, region)}"
    return subject


def normalise_email(value: str) -> str:
    """Lower-case and Unicode-normalise an address without asking DNS. Raises ValueError."""
    value = value.strip()
    if len(value) <= _USUAL_EMAIL_CHARACTERS_MAX and _USUAL_EMAIL.fullmatch(value):
        return value.lower()  # what follows would say the same of it, in ten times the time
    from email_validator import EmailNotValidError, validate_email

    try:
        checked = validate_email(value, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise ValueError("not an email address") from None
    return checked.normalized.lower()


def normalise_phone(value: str, region: str | None = None) -> str:
    """The number in E.164 (`+393331234567`). Raises ValueError when it cannot be one."""
    import phonenumbers

    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        raise ValueError("not a phone number with its country code") from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError("not a possible phone number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
