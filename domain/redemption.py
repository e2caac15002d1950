"""The decision on a request to redeem points: the fact to record, or a refusal in words."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import msgspec

from domain.lots import Account, balance
from domain.loyalty import Member, evolve
from domain.occurred import Occurred, order_of
from domain.rules import Rules
from schemas.envelope import Envelope
from schemas.fields import rfc3339
from schemas.loyalty import PointsRedeemed, PointsRedemptionCancelled

_NAMES_A_REDEMPTION = (PointsRedeemed.TYPE, PointsRedemptionCancelled.TYPE)


class RedemptionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to spend points; the other fields are those that its touchpoint would have."""

    programme: str
    redemption_id: str
    points: int
    source: str
    id: str
    subject: str
    sequence: int = 0
    reward: str | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a redemption was turned down.

    `code` is one of points_not_positive, unknown_programme, programme_closed, below_minimum,
    redemption_known, not_enough, negative_later. `active` are the points that could be spent.
    """

    code: str
    message: str
    asked: int
    active: int


def decide(
    touchpoints: Iterable[Occurred], rules: Rules, request: RedemptionRequest, now: int
) -> PointsRedeemed | Refusal:
    """Accept only if the points are active at `now` and the balance goes negative at no later
    moment.

    `touchpoints` are all that is recorded of the person, in any order, those that occur after
    `now` (microseconds) included. The redemption is judged at its own place among them.
    """
    ordered = sorted(touchpoints, key=order_of)
    proposed = _proposed(request, now)
    place = bisect_right(ordered, order_of(proposed), key=order_of)
    member = Member()
    for touchpoint in ordered[:place]:
        evolve(member, touchpoint, rules)
    account = member.programmes.get(request.programme)
    active = balance(account, now).active if account else 0
    refused = (
        _against_rules(rules, request, now, account)
        or _already_known(ordered, request)
        or _not_enough(request, active)
        or _negative_later(member, proposed, ordered[place:], rules)
    )
    if refused:
        code, message = refused
        return Refusal(code=code, message=message, asked=request.points, active=active)
    return proposed.data


def _proposed(request: RedemptionRequest, now: int) -> Envelope[PointsRedeemed]:
    return Envelope(
        type=PointsRedeemed.TYPE,
        at=now,
        sequence=request.sequence,
        source=request.source,
        id=request.id,
        subject=request.subject,
        data=PointsRedeemed(
            programme=request.programme,
            redemption_id=request.redemption_id,
            points=request.points,
            reward=request.reward,
        ),
    )


Reason = tuple[str, str]
"""The code of a refusal, and its message."""


def _against_rules(
    rules: Rules, request: RedemptionRequest, now: int, account: Account | None
) -> Reason | None:
    programme, points = request.programme, request.points
    if points <= 0:
        return "points_not_positive", f"{points} points cannot be redeemed: ask for at least 1"
    if account is None and programme not in rules.programmes:
        return "unknown_programme", f"there is no programme {programme}"
    last = rules.closed(programme)
    if last is not None and now > last:
        return "programme_closed", (
            f"programme {programme} is closed: points could be redeemed until {rfc3339(last)}"
        )
    version = rules.in_force(programme, now)
    minimum = version.minimum_redemption if version else None
    if minimum is not None and points < minimum:
        return "below_minimum", (
            f"asked for {points:,} points: programme {programme} redeems {minimum:,} or more"
        )
    return None


def _already_known(ordered: Sequence[Occurred], request: RedemptionRequest) -> Reason | None:
    """A second fact of the same name would have no effect, nor one that is already cancelled."""
    for known in ordered:
        if (
            known.type in _NAMES_A_REDEMPTION
            and known.data.programme == request.programme
            and known.data.redemption_id == request.redemption_id
        ):
            message = f"redemption {request.redemption_id} is already recorded"
            return "redemption_known", message
    return None


def _not_enough(request: RedemptionRequest, active: int) -> Reason | None:
    if active >= request.points:
        return None
    return "not_enough", f"asked for {request.points:,} points: {active:,} are active"


def _negative_later(
    member: Member, proposed: Envelope[PointsRedeemed], later: Sequence[Occurred], rules: Rules
) -> Reason | None:
    """Fold the redemption and all that occurs after it; the member is used up by this."""
    programme, asked = proposed.data.programme, proposed.data.points
    for touchpoint in (proposed, *later):
        evolve(member, touchpoint, rules)
        negative = member.programmes[programme].negative
        if negative:
            return "negative_later", (
                f"asked for {asked:,} points: the balance would be {negative:,} points below"
                f" zero at {rfc3339(touchpoint.at)}, by what is already recorded"
            )
    return None
