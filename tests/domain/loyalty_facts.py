"""Short ways to state the facts of a loyal customer's life."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from domain.lots import Account, Balance, balance
from domain.loyalty import Member, evolve
from domain.occurred import Occurred, order_of
from domain.rules import Rules
from schemas.envelope import Envelope
from schemas.fields import microseconds
from schemas.loyalty import (
    EarnRule,
    LoyaltyProgrammeClosed,
    LoyaltyRulesPublished,
    PointsAdjusted,
    PointsRedeemed,
    PointsRedemptionCancelled,
)
from schemas.money import Money
from schemas.purchase import OrderCancelled, OrderCompleted, OrderRefunded
from schemas.referral import ReferralConverted
from schemas.statement import StatementDeliveryChosen
from schemas.survey import SurveyAnswered
from schemas.touchpoint import Touchpoint

ORDER = OrderCompleted.TYPE


def moment(when: str) -> datetime:
    """A date, or a date with a time, in UTC unless it has its own offset."""
    parsed = datetime.fromisoformat(when)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def at(when: str) -> int:
    return microseconds(moment(when))


def occurred(when: str, data: Touchpoint, ident: str | None = None) -> Occurred:
    name = ident or f"{type(data).TYPE}@{when}"
    return Envelope(
        type=type(data).TYPE, at=at(when), source="shop", id=name, subject="customer:42", data=data
    )


def money(amount: str | int, currency: str = "ZAR") -> Money:
    return Money(amount=str(amount), currency=currency)


def order(
    when: str, order_id: str, total: str | int, currency: str = "ZAR", ident: str | None = None
) -> Occurred:
    data = OrderCompleted(order_id=order_id, total=money(total, currency))
    return occurred(when, data, ident or f"order {order_id}")


def refund(when: str, order_id: str, amount: str | int, currency: str = "ZAR") -> Occurred:
    return occurred(when, OrderRefunded(order_id=order_id, amount=money(amount, currency)))


def cancel_order(when: str, order_id: str) -> Occurred:
    return occurred(when, OrderCancelled(order_id=order_id))


def redeem(when: str, redemption_id: str, points: int, ident: str | None = None) -> Occurred:
    data = PointsRedeemed(programme="main", redemption_id=redemption_id, points=points)
    return occurred(when, data, ident or f"redemption {redemption_id}")


def cancel_redemption(when: str, redemption_id: str) -> Occurred:
    return occurred(when, PointsRedemptionCancelled(programme="main", redemption_id=redemption_id))


def adjust(when: str, adjustment_id: str, points: int, ident: str | None = None) -> Occurred:
    data = PointsAdjusted(
        programme="main", adjustment_id=adjustment_id, points=points, reason="goodwill"
    )
    return occurred(when, data, ident or f"adjustment {adjustment_id}")


def survey(when: str, survey_id: str) -> Occurred:
    return occurred(when, SurveyAnswered(survey_id=survey_id, kind="csat", score=5))


def converted(when: str, referral_id: str) -> Occurred:
    return occurred(when, ReferralConverted(referral_id=referral_id))


def chose_electronic(when: str) -> Occurred:
    return occurred(when, StatementDeliveryChosen(delivery="electronic"))


def per(points: int, amount: str | int, currency: str = "ZAR", **limits: Any) -> EarnRule:
    """So many points for each full amount of an order."""
    rule_id = limits.pop("rule_id", "spend")
    return EarnRule(rule_id=rule_id, on=ORDER, points=points, per=money(amount, currency), **limits)


def fixed(points: int, on: str = ORDER, rule_id: str = "fixed", **limits: Any) -> EarnRule:
    return EarnRule(rule_id=rule_id, on=on, points=points, **limits)


def published(
    version: int,
    valid_from: str,
    *earn: EarnRule,
    programme: str = "main",
    when: str | None = None,
    **settings: Any,
) -> Occurred:
    """Rules, published at `when` or else at the moment from which they hold."""
    data = LoyaltyRulesPublished(
        programme=programme,
        version=version,
        valid_from=moment(valid_from),
        earn=earn,
        **settings,
    )
    return occurred(when or valid_from, data)


def closed(when: str, last_redemption: str) -> Occurred:
    data = LoyaltyProgrammeClosed(programme="main", last_redemption_at=moment(last_redemption))
    return occurred(when, data)


def fold(facts: Iterable[Occurred], rules: Rules) -> Member:
    """The member that these facts make, whatever the order in which they are given."""
    member = Member()
    for touchpoint in sorted(facts, key=order_of):
        evolve(member, touchpoint, rules)
    return member


def account_of(facts: Iterable[Occurred], rules: Rules, programme: str = "main") -> Account:
    return fold(facts, rules).programmes[programme]


def balance_of(facts: Iterable[Occurred], rules: Rules, when: str) -> Balance:
    """The balance of the programme `main` at `when`, by all facts that occur until then."""
    known = [touchpoint for touchpoint in facts if touchpoint.at <= at(when)]
    return balance(fold(known, rules).programmes.get("main", Account()), at(when))
