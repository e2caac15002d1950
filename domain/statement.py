"""The statement of a loyalty account: every movement of its points, and what caused it."""

from collections.abc import Iterable, Iterator
from itertools import takewhile

import msgspec

from domain.lots import Account, Lot, expiring, has_expired
from domain.loyalty import Member, concerns, evolve
from domain.occurred import Occurred
from domain.rules import Rules


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One line: at `at` (microseconds) `points` came or went and left `balance`.

    `kind` is earned, taken back, spent, restored, adjusted or expired. `balance` is what was
    outstanding afterwards: active and pending points less the debt. The touchpoint that caused
    the line is named, unless it was the passing of time.
    """

    at: int
    kind: str
    points: int
    balance: int
    text: str
    type: str | None = None
    source: str | None = None
    id: str | None = None


Change = tuple[str, int, str]
"""A movement's kind, points and text."""


class _Before(msgspec.Struct, frozen=True):
    """What an account held before a touchpoint: each lot's (earned, worth), and its claims."""

    lots: tuple[tuple[int, int], ...]
    claims: int
    cancelled: frozenset[int]


def statement(
    touchpoints: Iterable[Occurred], rules: Rules, programme: str, until: int
) -> list[Movement]:
    """The movements from nothing to the balance at `until` (microseconds, inclusive).

    Touchpoints come in the order (time, sequence, source, id), each of them once. The points of
    all movements together are the outstanding balance at `until`.
    """
    movements: list[Movement] = []
    member, account, since = Member(), Account(), 0
    for touchpoint in takewhile(lambda known: known.at <= until, touchpoints):
        if not concerns(touchpoint.type, rules):
            continue
        _append_expiries(movements, account, since, touchpoint.at)
        since = touchpoint.at
        before = _before(account, since)
        evolve(member, touchpoint, rules)
        account = member.programmes.get(programme, account)
        _append_changes(movements, account, before, touchpoint)
    _append_expiries(movements, account, since, until)
    return movements


def _append_expiries(movements: list[Movement], account: Account, since: int, until: int) -> None:
    """A line for each moment after `since`, up to `until`, at which points expired."""
    for at, points in expiring(account, since):
        if at <= until:
            balance = _running(movements) - points
            text = "not spent in time"
            movements.append(
                Movement(at=at, kind="expired", points=-points, balance=balance, text=text)
            )


def _append_changes(
    movements: list[Movement], account: Account, before: _Before, touchpoint: Occurred
) -> None:
    for kind, points, text in _changes(account, before, touchpoint.at):
        if points:
            line = Movement(
                at=touchpoint.at,
                kind=kind,
                points=points,
                balance=_running(movements) + points,
                text=text,
                type=touchpoint.type,
                source=touchpoint.source,
                id=touchpoint.id,
            )
            movements.append(line)


def _running(movements: list[Movement]) -> int:
    return movements[-1].balance if movements else 0


def _before(account: Account, at: int) -> _Before:
    return _Before(
        tuple((lot.earned, _worth(lot, at)) for lot in account.lots),
        len(account.claims),
        _cancelled(account),
    )


def _cancelled(account: Account) -> frozenset[int]:
    return frozenset(place for place, claim in enumerate(account.claims) if claim.cancelled)


def _worth(lot: Lot, at: int) -> int:
    """What the lot adds to the balance and to what was spent: what has expired is lost."""
    return lot.used if has_expired(lot, at) else lot.earned


def _changes(account: Account, before: _Before, at: int) -> Iterator[Change]:
    """What the touchpoint did: first to the claims, then to the lots there were, then new."""
    yield from _claim_changes(account, before)
    for lot, (earned, worth) in zip(account.lots, before.lots, strict=False):
        kind = "taken back" if lot.earned < earned else "expired"
        text = f"order {lot.order_id}" if lot.earned < earned else "too late to be spent again"
        yield kind, _worth(lot, at) - worth, text
    for lot in account.lots[len(before.lots) :]:
        yield _addition(account, lot, at)


def _claim_changes(account: Account, before: _Before) -> Iterator[Change]:
    for place in sorted(_cancelled(account) - before.cancelled):
        if place < before.claims:
            claim = account.claims[place]
            yield "restored", claim.points, f"redemption {claim.id}"
    for claim in account.claims[before.claims :]:
        if claim.adjustment:
            yield "adjusted", -claim.points, f"adjustment {claim.id}"
        elif not claim.cancelled:
            yield "spent", -claim.points, f"redemption {claim.id}"


def _addition(account: Account, lot: Lot, at: int) -> Change:
    if lot.rule_id is None:
        newest = next(reversed(account.adjustments))
        return "adjusted", _worth(lot, at), f"adjustment {newest}"
    order = f", order {lot.order_id}" if lot.order_id is not None else ""
    return "earned", _worth(lot, at), f"rule {lot.rule_id}{order}"
