"""Loyalty: what one person has earned, spent and owes in every programme."""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from domain.lots import (
    CANCELLED_AHEAD,
    Account,
    Claim,
    Lot,
    add_lot,
    cancel_claim,
    open_claim,
    take_back,
)
from domain.occurred import Occurred
from domain.rules import EarnTerms, Rules
from schemas.loyalty import PointsAdjusted, PointsRedeemed, PointsRedemptionCancelled
from schemas.purchase import OrderCancelled, OrderCompleted, OrderRefunded
from schemas.referral import ReferralAdvanced, ReferralConverted, ReferralMade
from schemas.survey import SurveyAnswered

READS: dict[str, tuple[str, ...]] = {
    OrderCompleted.TYPE: ("order_id", "total"),
    OrderRefunded.TYPE: ("order_id", "amount"),
    OrderCancelled.TYPE: ("order_id",),
    PointsRedeemed.TYPE: ("programme", "redemption_id", "points"),
    PointsRedemptionCancelled.TYPE: ("programme", "redemption_id"),
    PointsAdjusted.TYPE: ("programme", "adjustment_id", "points"),
}
"""The fields that the fold reads of the types that concern it under any rules."""

ONCE_READS: dict[str, tuple[str, ...]] = {
    SurveyAnswered.TYPE: ("survey_id",),
    ReferralMade.TYPE: ("referral_id",),
    ReferralAdvanced.TYPE: ("referral_id",),
    ReferralConverted.TYPE: ("referral_id",),
}
"""The field that tells one survey or referral from another, for the types that have it."""


class OrderBasis(msgspec.Struct, array_like=True):
    """What an order's points are counted from, and which lots it earned.

    `lots` are triples (programme, place of the lot, place of the rule in its version).
    """

    at: int
    total: Decimal
    currency: str
    refunded: Decimal = Decimal(0)
    cancelled: bool = False
    lots: list[tuple[str, int, int]] = []


class Ahead(msgspec.Struct, array_like=True):
    """Refunds (amount, currency) and a cancellation that occurred before their order."""

    refunds: list[tuple[Decimal, str]] = []
    cancelled: bool = False


class Member(msgspec.Struct, omit_defaults=True):
    """One person's loyalty: an account per programme, and the orders that were completed.

    An order for which no rule gave points when it was first told has no basis: told again, it
    earns nothing either. `ahead` keeps, by order, what cannot be placed before the order comes.
    `anomalies` counts the facts that contradict others and therefore have no effect.
    """

    programmes: dict[str, Account] = {}
    orders: dict[str, OrderBasis | None] = {}
    ahead: dict[str, Ahead] = {}
    anomalies: int = 0


def concerns(type_name: str, rules: Rules) -> bool:
    """Whether touchpoints of the type can change a member under these rules."""
    return type_name in _HANDLERS or type_name in rules.types


def reads(rules: Rules) -> dict[str, tuple[str, ...]]:
    """The fields that the fold reads, by type, under these rules."""
    earning = {name: ONCE_READS.get(name, ()) for name in sorted(rules.earning_types())}
    return {**earning, **READS}


def evolve(member: Member, touchpoint: Occurred, rules: Rules) -> Member:
    """Fold the next touchpoint into the member, who is changed and returned.

    Touchpoints come in the order (time, sequence, source, id), each of them once.
    """
    handle = _HANDLERS.get(touchpoint.type)
    if handle is None:
        if touchpoint.type in rules.types:
            _earn(member, touchpoint, rules)
    elif handle(member, touchpoint, rules) and touchpoint.type in rules.types:
        _earn(member, touchpoint, rules)
    return member


def _earn(member: Member, touchpoint: Occurred, rules: Rules) -> None:
    """Give the fixed points of the rules for touchpoints that are not orders."""
    for terms in rules.earning(touchpoint.type, touchpoint.at):
        if terms.holds_on(touchpoint.at):
            _grant(member, touchpoint, terms, terms.points, None)


def _order_completed(member: Member, touchpoint: Occurred, rules: Rules) -> bool:
    order_id = touchpoint.data.order_id
    if order_id in member.orders:
        member.anomalies += 1
        return False
    ahead = member.ahead.pop(order_id, None)
    earning = rules.earning(OrderCompleted.TYPE, touchpoint.at)
    if not earning:
        member.orders[order_id] = None
        return False
    total = touchpoint.data.total
    basis = OrderBasis(touchpoint.at, Decimal(total.amount), total.currency)
    member.orders[order_id] = basis
    if ahead is not None:
        basis.cancelled = ahead.cancelled
        for amount, currency in ahead.refunds:
            _refund(member, basis, amount, currency)
    for terms in earning:
        _earn_by_order(member, touchpoint, terms, basis)
    return False


def _earn_by_order(
    member: Member, touchpoint: Occurred, terms: EarnTerms, basis: OrderBasis
) -> None:
    points = _order_points(terms, basis) if terms.holds_on(touchpoint.at) else 0
    if not points:
        return
    place = _grant(member, touchpoint, terms, points, touchpoint.data.order_id)
    if place is not None:
        basis.lots.append((terms.programme, place, terms.place))


def _order_points(terms: EarnTerms, basis: OrderBasis) -> int:
    """What the order earns by the rule for what is left of it after refunds."""
    if basis.cancelled:
        return 0
    if not basis.refunded:
        return terms.points_for(basis.total, basis.currency)
    left = basis.total - basis.refunded
    return terms.points_for(left, basis.currency) if left > 0 else 0


def _order_refunded(member: Member, touchpoint: Occurred, rules: Rules) -> bool:
    data = touchpoint.data
    amount, currency = Decimal(data.amount.amount), data.amount.currency
    if data.order_id not in member.orders:
        _ahead_of(member, data.order_id).refunds.append((amount, currency))
    elif (basis := member.orders[data.order_id]) is not None:
        _refund(member, basis, amount, currency)
        _reassess(member, basis, rules, touchpoint.at)
    return True


def _order_cancelled(member: Member, touchpoint: Occurred, rules: Rules) -> bool:
    order_id = touchpoint.data.order_id
    if order_id not in member.orders:
        _ahead_of(member, order_id).cancelled = True
    elif (basis := member.orders[order_id]) is not None:
        basis.cancelled = True
        _reassess(member, basis, rules, touchpoint.at)
    return True


def _refund(member: Member, basis: OrderBasis, amount: Decimal, currency: str) -> None:
    if currency == basis.currency:
        basis.refunded += amount
    else:
        member.anomalies += 1


def _reassess(member: Member, basis: OrderBasis, rules: Rules, at: int) -> None:
    """Take back what the order no longer earns by the rules in force when it occurred."""
    for programme, place, rule in basis.lots:
        version = rules.in_force(programme, basis.at)
        if version is None:
            raise LookupError(f"the rules that {programme} had for an order are gone")
        account = member.programmes[programme]
        earned = _order_points(version.earn[rule][1], basis)
        if earned < account.lots[place].earned:
            take_back(account, place, earned, at)


def _points_redeemed(member: Member, touchpoint: Occurred, rules: Rules) -> bool:
    data = touchpoint.data
    account = _account(member, data.programme)
    known = account.redemptions.get(data.redemption_id)
    if known is not None and known != CANCELLED_AHEAD:
        member.anomalies += 1
        return False
    account.redemptions[data.redemption_id] = len(account.claims)
    claim = Claim(data.redemption_id, False, touchpoint.at, data.points)
    if known == CANCELLED_AHEAD:
        claim.cancelled = True
        account.claims.append(claim)
        return False
    open_claim(account, claim)
    return True


def _redemption_cancelled(member: Member, touchpoint: Occurred, rules: Rules) -> bool:
    data = touchpoint.data
    account = _account(member, data.programme)
    place = account.redemptions.get(data.redemption_id)
    if place is None:
        account.redemptions[data.redemption_id] = CANCELLED_AHEAD
        return True
    if place == CANCELLED_AHEAD or account.claims[place].cancelled:
        member.anomalies += 1
        return False
    cancel_claim(account, account.claims[place], touchpoint.at)
    return True


def _points_adjusted(member: Member, touchpoint: Occurred, rules: Rules) -> bool:
    data = touchpoint.data
    account = _account(member, data.programme)
    if data.adjustment_id in account.adjustments:
        member.anomalies += 1
        return False
    account.adjustments[data.adjustment_id] = data.points
    if data.points < 0:
        open_claim(account, Claim(data.adjustment_id, True, touchpoint.at, -data.points))
        return True
    version = rules.in_force(data.programme, touchpoint.at)
    number = version.version if version else None
    length = version.expires_after if version else None
    add_lot(account, _lot(touchpoint, None, number, None, data.points, 0, length))
    return True


def _grant(
    member: Member,
    touchpoint: Occurred,
    terms: EarnTerms,
    points: int,
    order_id: str | None,
) -> int | None:
    """Add the lot and return its place, or None when the rule's limit is used up.

    A lot uses the limit up for as long as it is worth any points: see `take_back`.
    """
    account = _account(member, terms.programme)
    place = len(account.lots)
    if terms.once_per is not None:
        limit = _limit(terms, touchpoint)
        if limit is None or limit in account.once:
            return None
        account.once[limit] = place
    lot = _lot(
        touchpoint,
        terms.rule_id,
        terms.version,
        order_id,
        points,
        terms.pending,
        terms.expires_after,
    )
    add_lot(account, lot)
    return place


def _limit(terms: EarnTerms, touchpoint: Occurred) -> str | None:
    """What the rule pays for only once; None where the touchpoint does not say what it is.

    Ids hold no control characters, so no two limits are written alike.
    """
    if terms.once_per == "customer":
        return f"customer\n{terms.rule_id}"
    about = getattr(touchpoint.data, f"{terms.once_per}_id", None)
    return None if about is None else f"{terms.once_per}\n{terms.rule_id}\n{about}"


def _lot(
    touchpoint: Occurred,
    rule_id: str | None,
    version: int | None,
    order_id: str | None,
    points: int,
    pending: int,
    expires_after: int | None,
) -> Lot:
    at = touchpoint.at
    return Lot(
        touchpoint.source,
        touchpoint.id,
        rule_id,
        version,
        order_id,
        points,
        0,
        at,
        at + pending,
        None if expires_after is None else at + expires_after,
    )


def _account(member: Member, programme: str) -> Account:
    account = member.programmes.get(programme)
    if account is None:
        account = member.programmes[programme] = Account()
    return account


def _ahead_of(member: Member, order_id: str) -> Ahead:
    ahead = member.ahead.get(order_id)
    if ahead is None:
        ahead = member.ahead[order_id] = Ahead()
    return ahead


_HANDLERS: dict[str, Callable[[Member, Occurred, Rules], bool]] = {
    OrderCompleted.TYPE: _order_completed,
    OrderRefunded.TYPE: _order_refunded,
    OrderCancelled.TYPE: _order_cancelled,
    PointsRedeemed.TYPE: _points_redeemed,
    PointsRedemptionCancelled.TYPE: _redemption_cancelled,
    PointsAdjusted.TYPE: _points_adjusted,
}
"""What each type does. A handler says whether its touchpoint may earn points by itself."""
