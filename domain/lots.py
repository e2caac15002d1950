"""The lots of one loyalty account: points earned, claims on them, and what is left of both."""

from itertools import groupby

import msgspec

CANCELLED_AHEAD = -1
"""In place of a claim: the redemption was cancelled before it occurred."""


class Lot(msgspec.Struct, array_like=True, gc=False):
    """Points that one touchpoint earned by one rule; `used` of them serve claims.

    `source` and `id` name the touchpoint. A lot of points that were given by hand has no
    `rule_id`. It can be spent while `available_at` ≤ t < `expires_at`.
    """

    source: str
    id: str
    rule_id: str | None
    version: int | None
    order_id: str | None
    earned: int
    used: int
    at: int
    available_at: int
    expires_at: int | None

    @property
    def left(self) -> int:
        return self.earned - self.used


class Claim(msgspec.Struct, array_like=True):
    """Points taken out: a redemption, or an adjustment downwards.

    `allocations` are pairs (place of the lot, points); `unpaid` is what no lot could cover.
    """

    id: str
    adjustment: bool
    at: int
    points: int
    unpaid: int = 0
    cancelled: bool = False
    allocations: list[tuple[int, int]] = []


class Account(msgspec.Struct, omit_defaults=True):
    """One person's points in one programme.

    `redemptions` gives the place of each redemption's claim; `adjustments` the points of each
    adjustment; `once` the place of the lot that uses up an earn rule's limit. Lots before
    `first_open` have nothing left to spend. `negative` is the sum of what is unpaid.
    """

    lots: list[Lot] = []
    claims: list[Claim] = []
    redemptions: dict[str, int] = {}
    adjustments: dict[str, int] = {}
    once: dict[str, int] = {}
    first_open: int = 0
    negative: int = 0


class Balance(msgspec.Struct, frozen=True):
    """What an account comes to: earned = active + pending + spent + expired - negative."""

    earned: int = 0
    active: int = 0
    pending: int = 0
    spent: int = 0
    expired: int = 0
    negative: int = 0

    @property
    def outstanding(self) -> int:
        """What the business still owes its customer: active and pending points less the debt."""
        return self.active + self.pending - self.negative


class LotStanding(msgspec.Struct, frozen=True):
    """A lot as it stands at a moment.

    `state` is pending, active or expired while points are left, then spent or taken back.
    """

    lot: Lot
    state: str
    left: int


def balance(account: Account, at: int) -> Balance:
    """The account's balance at any moment from the last touchpoint folded into it."""
    earned = spent = 0
    left = {"active": 0, "pending": 0, "expired": 0}
    for lot in account.lots:
        earned += lot.earned
        left[_period(lot, at)] += lot.left
    for claim in account.claims:
        if claim.adjustment:
            earned -= claim.points
        elif not claim.cancelled:
            spent += claim.points
    return Balance(earned=earned, spent=spent, negative=account.negative, **left)


def standings(account: Account, at: int) -> list[LotStanding]:
    """Every lot as it stands at `at`, in the order in which the lots were earned."""
    return [
        LotStanding(lot, _period(lot, at) if lot.left else _end(lot), lot.left)
        for lot in account.lots
    ]


def expiring(account: Account, at: int) -> list[tuple[int, int]]:
    """The schedule of what will expire after `at`, if nothing is spent: (moment, points)."""
    ahead = sorted(
        (lot.expires_at, lot.left)
        for lot in account.lots
        if lot.left and lot.expires_at is not None and lot.expires_at > at
    )
    return [
        (moment, sum(points for _, points in lots))
        for moment, lots in groupby(ahead, key=lambda expiry: expiry[0])
    ]


def has_expired(lot: Lot, at: int) -> bool:
    return lot.expires_at is not None and lot.expires_at <= at


def _period(lot: Lot, at: int) -> str:
    if has_expired(lot, at):
        return "expired"
    return "pending" if lot.available_at > at else "active"


def _end(lot: Lot) -> str:
    return "spent" if lot.used else "taken back"


def add_lot(account: Account, lot: Lot) -> None:
    """Add points; a debt takes its part of them at once, even while they are pending."""
    account.lots.append(lot)
    if account.negative:
        settle(account, lot.at)


def open_claim(account: Account, claim: Claim) -> None:
    """Take the claim's points from the lots active at its moment; the rest is a debt."""
    account.claims.append(claim)
    account.negative += claim.points
    claim.unpaid = claim.points
    for place in _spendable(account, claim.at):
        if not claim.unpaid:
            return
        if account.lots[place].available_at <= claim.at:
            _pay(account, claim, place)
    settle(account, claim.at)


def cancel_claim(account: Account, claim: Claim, at: int) -> None:
    """Give the claim's points back to the very lots that they came from."""
    for place, points in claim.allocations:
        account.lots[place].used -= points
        account.first_open = min(account.first_open, place)
    account.negative -= claim.unpaid
    claim.unpaid = 0
    claim.allocations = []
    claim.cancelled = True
    settle(account, at)


def take_back(account: Account, place: int, earned: int, at: int) -> None:
    """Lower what a lot has earned; the latest claims on it lose what it no longer covers.

    A lot that is left with nothing uses up no limit any more. The next touchpoint to occur may
    have it; one that met the limit while it was used up stays without.
    """
    lot = account.lots[place]
    lot.earned = earned
    if not earned:
        account.once = {limit: used for limit, used in account.once.items() if used != place}
    for claim in reversed(account.claims):
        if lot.used <= earned:
            break
        _release(account, claim, place)
    settle(account, at)


def settle(account: Account, at: int) -> None:
    """Pay what is unpaid, oldest claim first, from the unexpired lots, pending ones too."""
    if not account.negative:
        return
    places = _spendable(account, at)
    owing = (claim for claim in account.claims if claim.unpaid)
    claim = next(owing, None)
    for place in places:
        while claim and account.lots[place].left:
            _pay(account, claim, place)
            if not claim.unpaid:
                claim = next(owing, None)


def _spendable(account: Account, at: int) -> list[int]:
    """The places of the unexpired lots with points left, in the order of spending.

    Soonest expiry first and lots without expiry last, then the earlier available, then the
    earlier earned. Touchpoints come in the order of time, so lots once expired stay so.
    """
    lots = account.lots
    first, end = account.first_open, len(lots)
    while first < end and (not lots[first].left or has_expired(lots[first], at)):
        first += 1
    account.first_open = first
    places = [
        place
        for place in range(first, end)
        if lots[place].left and not has_expired(lots[place], at)
    ]
    if len(places) > 1:
        places.sort(key=lambda place: _spending_order(lots[place]))
    return places


def _spending_order(lot: Lot) -> tuple[bool, int, int]:
    return (lot.expires_at is None, lot.expires_at or 0, lot.available_at)


def _pay(account: Account, claim: Claim, place: int) -> None:
    """Let the lot cover as much of the claim's unpaid part as it can."""
    lot = account.lots[place]
    points = min(claim.unpaid, lot.left)
    lot.used += points
    claim.unpaid -= points
    account.negative -= points
    claim.allocations.append((place, points))


def _release(account: Account, claim: Claim, place: int) -> None:
    """Undo the claim's allocations on the lot, as far as the lot is used beyond its points."""
    lot = account.lots[place]
    kept = []
    for where, points in reversed(claim.allocations):
        released = min(points, lot.used - lot.earned) if where == place else 0
        lot.used -= released
        claim.unpaid += released
        account.negative += released
        if points > released:
            kept.append((where, points - released))
    claim.allocations = kept[::-1]
