"""Loyalty programmes: their rules, and what customers do with their points.

Points that are earned are never recorded: they follow from the rules and from what customers do.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.fields import Id, Moment, Positive, Text
from schemas.money import Money, PaidMoney, StepMoney
from schemas.refusal import refused
from schemas.touchpoint import Part, Touchpoint, fact
from schemas.wording import counted, short, trailing
from schemas.zone import Zone

POINTS_MAX = 10**15
"""What one fact can give or take: thousands of them together still fit 64 bits."""
DAYS_MAX = 36_500
EARN_RULES_MAX = 1_000
ORDER = "order.completed.v1"
TYPE_NAME = r"^[a-z][a-z_]*\.[a-z][a-z_]*\.v[1-9][0-9]*$"


def _distinct(days: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(days)) != len(days):
        raise PydanticCustomError("distinct", "a weekday is named twice")
    return days


def _not_zero(points: int) -> int:
    if not points:
        raise PydanticCustomError("zero", "the points may not be 0")
    return points


TypeName = Annotated[Id, Field(pattern=TYPE_NAME)]
"""The name of a type of touchpoint, such as `survey.answered.v1`."""

PositivePoints = Annotated[int, Field(gt=0, le=POINTS_MAX)]
AdjustedPoints = Annotated[
    int,
    Field(ge=-POINTS_MAX, le=POINTS_MAX, json_schema_extra={"not": {"const": 0}}),
    AfterValidator(_not_zero),
]
Weekdays = Annotated[
    tuple[Annotated[int, Field(ge=1, le=7)], ...],
    Field(min_length=1, max_length=7, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]
"""Days of the week, 1 for Monday to 7 for Sunday, each at most once."""


def _only_with_orders(*names: str) -> dict[str, Any]:
    """In the words of JSON Schema: these fields are for rules on orders alone."""
    return {
        "if": {"properties": {"on": {"not": {"const": ORDER}}}},
        "then": {"properties": {name: {"type": "null"} for name in names}},
    }


@fact
class EarnRule(Part):
    """What gives points: so many for each touchpoint of type `on`, or `per` full amount of it.

    `weekdays` are judged by the clock of `timezone`, or by UTC where it is absent. `per` and
    `minimum_total` look at the total of an order, so they need `on` to be order.completed.v1.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={**_only_with_orders("per", "minimum_total")},
    )

    rule_id: Id
    on: TypeName
    points: PositivePoints
    per: StepMoney | None = None
    weekdays: Weekdays | None = None
    timezone: Zone | None = None
    minimum_total: PaidMoney | None = None
    once_per: Literal["customer", "survey", "referral"] | None = None

    @model_validator(mode="after")
    def _totals_are_of_orders(self) -> Self:
        of_total: tuple[tuple[str, Money | None], ...] = (
            ("per", self.per),
            ("minimum_total", self.minimum_total),
        )
        for name, money in of_total:
            if money is not None and self.on != ORDER:
                message = "only a rule on order.completed.v1 can look at a total"
                raise refused((name,), "total_of_order", message, self.on)
        return self


def _ids_are_distinct(rules: tuple[EarnRule, ...]) -> tuple[EarnRule, ...]:
    seen: set[str] = set()
    for place, rule in enumerate(rules):
        if rule.rule_id in seen:
            message = "another rule of this version has the same rule_id"
            raise refused((place, "rule_id"), "distinct", message, rule.rule_id)
        seen.add(rule.rule_id)
    return rules


@fact
class LoyaltyRulesPublished(Touchpoint):
    """A version of a programme's rules, which holds from `valid_from` until the next version's.

    In force at a moment is the highest version whose `valid_from` is not after it.
    """

    TYPE = "loyalty.rules_published.v1"
    CHANNEL = None

    programme: Id
    version: Positive
    valid_from: Moment
    earn: Annotated[
        tuple[EarnRule, ...], Field(max_length=EARN_RULES_MAX), AfterValidator(_ids_are_distinct)
    ]
    expires_after_days: Annotated[int, Field(gt=0, le=DAYS_MAX)] | None = None
    pending_days: Annotated[int, Field(ge=0, le=DAYS_MAX)] | None = None
    point_value: PaidMoney | None = None
    minimum_redemption: Annotated[int, Field(ge=0, le=POINTS_MAX)] | None = None

    def summary(self) -> str:
        since = self.valid_from.date().isoformat()
        what = f"rules of {self.programme}, version {self.version}"
        return f"{what}, were published ({counted(len(self.earn), 'earn rule')}, from {since})"


@fact
class LoyaltyProgrammeClosed(Touchpoint):
    """The programme ends: no redemption counts after `last_redemption_at`."""

    TYPE = "loyalty.programme_closed.v1"
    CHANNEL = None

    programme: Id
    last_redemption_at: Moment

    def summary(self) -> str:
        until = self.last_redemption_at.date().isoformat()
        return f"programme {self.programme} was closed, redemptions until {until}"


@fact
class PointsRedeemed(Touchpoint):
    """The customer spent points."""

    TYPE = "points.redeemed.v1"
    CHANNEL = "loyalty"

    programme: Id
    redemption_id: Id
    points: PositivePoints
    reward: Text | None = None

    def summary(self) -> str:
        what = trailing(" on ", short(self.reward or ""))
        return f"spent {counted(self.points, 'point')}{what} ({self.programme})"


@fact
class PointsRedemptionCancelled(Touchpoint):
    """The redemption counts no longer: its points go back to the lots they came from."""

    TYPE = "points.redemption_cancelled.v1"
    CHANNEL = "loyalty"

    programme: Id
    redemption_id: Id

    def summary(self) -> str:
        return f"got back the points of redemption {self.redemption_id} ({self.programme})"


@fact
class PointsAdjusted(Touchpoint):
    """Somebody gave points to the customer or took some away."""

    TYPE = "points.adjusted.v1"
    CHANNEL = "loyalty"

    programme: Id
    adjustment_id: Id
    points: AdjustedPoints
    reason: Text

    def summary(self) -> str:
        what = "was given" if self.points > 0 else "lost"
        why = trailing(": ", short(self.reason))
        return f"{what} {counted(abs(self.points), 'point')} ({self.programme}){why}"
