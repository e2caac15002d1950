"""Identity: who a customer is, and which subjects are one person."""

from dataclasses import fields
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.fields import (
    Id,
    Moment,
    PersonalEmail,
    PersonalPhone,
    PersonalStrings,
    PersonalText,
    PersonalYear,
    Positive,
    RequiredPersonalText,
    Text,
)
from schemas.subject import Subject
from schemas.touchpoint import Part, Touchpoint, fact
from schemas.wording import shown, shown_subject, trailing

LINK_KINDS_MAX = 100
BLOCKED_VALUES_MAX = 10_000


@fact
class Traits(Part):
    """What is known of a person; an absent trait leaves alone what was known before."""

    name: PersonalText = None
    email: PersonalEmail = None
    phone: PersonalPhone = None
    company: Text | None = None
    language: Id | None = None
    country: Id | None = None
    birth_year: PersonalYear = None
    segment: Id | None = None
    custom: PersonalStrings = None


TRAIT_NAMES = tuple(field.name for field in fields(Traits))


@fact
class CustomerDescribed(Touchpoint):
    """The customer is so called, reached and classed from now on.

    The traits may also stand beside each other in `data`, without `traits` around them.
    """

    TYPE = "customer.described.v1"
    CHANNEL = "profile"

    traits: Traits

    @model_validator(mode="before")
    @classmethod
    def _gather_traits(cls, data: Any) -> Any:
        """Put traits that lie flat in `data` where they belong; leave a mixture to be refused."""
        if not isinstance(data, dict) or "traits" in data:
            return data
        flat = {name: value for name, value in data.items() if name in TRAIT_NAMES}
        rest = {name: value for name, value in data.items() if name not in TRAIT_NAMES}
        return {**rest, "traits": flat}

    def summary(self) -> str:
        told = [name for name in TRAIT_NAMES if getattr(self.traits, name) is not None]
        what = ", ".join(name.replace("_", " ") for name in told) or "nothing"
        return f"was described by {what}" + trailing(": ", shown(self.traits.name))


@fact
class CustomerLinked(Touchpoint):
    """The subject and the other one are the same person, as a source knows for itself."""

    TYPE = "customer.linked.v1"
    CHANNEL = None

    other: Subject

    def summary(self) -> str:
        return f"was linked to {shown_subject(self.other)}"


@fact
class CustomerMerged(Touchpoint):
    """Somebody decided that the subject and the other one are the same person."""

    TYPE = "customer.merged.v1"
    CHANNEL = None

    other: Subject
    reason: RequiredPersonalText

    def summary(self) -> str:
        return f"was merged with {shown_subject(self.other)}" + trailing(": ", shown(self.reason))


@fact
class CustomerUnmerged(Touchpoint):
    """The merge (merge_source, merge_id) was a mistake, and holds no longer."""

    TYPE = "customer.unmerged.v1"
    CHANNEL = None

    other: Subject
    reason: RequiredPersonalText
    merge_id: Id
    merge_source: Id

    def summary(self) -> str:
        why = trailing(": ", shown(self.reason))
        return f"was parted from {shown_subject(self.other)}{why}"


def _distinct(kinds: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(kinds)) != len(kinds):
        raise PydanticCustomError("distinct", "a kind is named twice")
    return kinds


Kind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
"""The kind of a subject: what stands before its colon."""

Kinds = Annotated[
    tuple[Kind, ...],
    Field(max_length=LINK_KINDS_MAX, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]


@fact
class IdentityRulesPublished(Touchpoint):
    """A version of the rules by which subjects become one person.

    Subjects link by an equal value only if their kind is among `link_kinds`, never by one of the
    `blocked_values`, and a person has `at_most` so many subjects of a kind.
    """

    TYPE = "identity.rules_published.v1"
    CHANNEL = None

    version: Positive
    valid_from: Moment
    link_kinds: Kinds
    blocked_values: Annotated[tuple[Text, ...], Field(max_length=BLOCKED_VALUES_MAX)]
    at_most: Annotated[dict[Kind, Positive], Field(max_length=LINK_KINDS_MAX)]

    def summary(self) -> str:
        since = self.valid_from.date().isoformat()
        return f"identity rules, version {self.version}, were published (from {since})"
