"""The rules of loyalty programmes: which version is in force when, and what it gives."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from domain.occurred import Occurred, Order, order_of
from schemas.fields import EPOCH, microseconds
from schemas.loyalty import (
    POINTS_MAX,
    EarnRule,
    LoyaltyProgrammeClosed,
    LoyaltyRulesPublished,
)

DAY_MICROSECONDS = 24 * 60 * 60 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EarnTerms:
    """What one earn rule of one version gives, ready to be applied.

    `place` is the rule's place among the rules of its version. `pending` and `expires_after`
    are lengths of time in microseconds.
    """

    programme: str
    version: int
    place: int
    rule_id: str
    points: int
    per: Decimal | None
    per_currency: str | None
    minimum: Decimal | None
    minimum_currency: str | None
    weekdays: frozenset[int] | None
    zone: ZoneInfo | None
    once_per: str | None
    pending: int
    expires_after: int | None

    def holds_on(self, at: int) -> bool:
        """Whether the moment falls on one of the rule's weekdays, in the rule's time zone."""
        return self.weekdays is None or weekday(at, self.zone) in self.weekdays

    def points_for(self, left: Decimal, currency: str) -> int:
        """The points for an order of whose total `left` is left, in the order's currency.

        At most POINTS_MAX: a slip in a rule must not overflow what stores the points.
        """
        if self.minimum is not None and (currency != self.minimum_currency or left < self.minimum):
            return 0
        if self.per is None:
            return self.points
        if currency != self.per_currency:
            return 0
        return min(int(left // self.per) * self.points, POINTS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One published version of a programme's rules; `facts` is the touchpoint's own data."""

    programme: str
    version: int
    valid_from: int
    published: Order
    pending: int
    expires_after: int | None
    minimum_redemption: int | None
    earn: tuple[tuple[str, EarnTerms], ...]
    facts: LoyaltyRulesPublished


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules that are known, arranged so that asking for a moment is one bisection.

    `starts` are the moments at which something changes; `spans` and `terms` say, for the span
    of time that begins at each, which version each programme has and what each type earns.
    """

    versions: Mapping[str, tuple[Version, ...]]
    starts: tuple[int, ...]
    spans: tuple[Mapping[str, Version], ...]
    terms: tuple[Mapping[str, tuple[EarnTerms, ...]], ...]
    types: frozenset[str]
    closings: Mapping[str, int]

    @classmethod
    def of(cls, facts: Iterable[Occurred]) -> "Rules":
        """The rules that these facts state; facts of other types are passed over."""
        ordered = sorted(facts, key=order_of)
        versions = [_version(fact) for fact in ordered if fact.type == LoyaltyRulesPublished.TYPE]
        starts = tuple(sorted({version.valid_from for version in versions}))
        spans = tuple(_versions_at(versions, start) for start in starts)
        return cls(
            versions=_by_programme(versions),
            starts=starts,
            spans=spans,
            terms=tuple(_terms_by_type(span) for span in spans),
            types=frozenset(on for version in versions for on, _ in version.earn),
            closings={
                fact.data.programme: microseconds(fact.data.last_redemption_at)
                for fact in ordered
                if fact.type == LoyaltyProgrammeClosed.TYPE
            },
        )

    @property
    def programmes(self) -> tuple[str, ...]:
        """The names of all programmes that have rules or were closed, in alphabetical order."""
        return tuple(sorted({*self.versions, *self.closings}))

    def earning_types(self) -> frozenset[str]:
        """Every type of touchpoint that some version, in force or not, gives points for."""
        return self.types

    def in_force(self, programme: str, at: int) -> Version | None:
        """The highest version with `valid_from` ≤ `at`; of equal versions, the last published."""
        span = bisect_right(self.starts, at) - 1
        return self.spans[span].get(programme) if span >= 0 else None

    def earning(self, type_name: str, at: int) -> tuple[EarnTerms, ...]:
        """What a touchpoint of the type earns at `at`: by programme, then as published."""
        span = bisect_right(self.starts, at) - 1
        return self.terms[span].get(type_name, ()) if span >= 0 else ()

    def closed(self, programme: str) -> int | None:
        """The last moment at which points can be redeemed, or None while it is open."""
        return self.closings.get(programme)


def weekday(at: int, zone: ZoneInfo | None) -> int:
    """The day of the week, 1 Monday to 7 Sunday, on the clocks of the zone (None: UTC)."""
    if zone is None:
        return (at // DAY_MICROSECONDS + 3) % 7 + 1  # 1970 began on a Thursday
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone).isoweekday()


def _version(fact: Occurred) -> Version:
    data: LoyaltyRulesPublished = fact.data
    days = data.expires_after_days
    expires_after = None if days is None else days * DAY_MICROSECONDS
    pending = (data.pending_days or 0) * DAY_MICROSECONDS
    return Version(
        programme=data.programme,
        version=data.version,
        valid_from=microseconds(data.valid_from),
        published=order_of(fact),
        pending=pending,
        expires_after=expires_after,
        minimum_redemption=data.minimum_redemption,
        earn=tuple(
            (rule.on, _terms(data, place, rule, pending, expires_after))
            for place, rule in enumerate(data.earn)
        ),
        facts=data,
    )


def _terms(
    data: LoyaltyRulesPublished,
    place: int,
    rule: EarnRule,
    pending: int,
    expires_after: int | None,
) -> EarnTerms:
    per, minimum = rule.per, rule.minimum_total
    return EarnTerms(
        programme=data.programme,
        version=data.version,
        place=place,
        rule_id=rule.rule_id,
        points=rule.points,
        per=Decimal(per.amount) if per else None,
        per_currency=per.currency if per else None,
        minimum=Decimal(minimum.amount) if minimum else None,
        minimum_currency=minimum.currency if minimum else None,
        weekdays=frozenset(rule.weekdays) if rule.weekdays else None,
        zone=ZoneInfo(rule.timezone) if rule.timezone else None,
        once_per=rule.once_per,
        pending=pending,
        expires_after=expires_after,
    )


def _by_programme(versions: list[Version]) -> dict[str, tuple[Version, ...]]:
    grouped: dict[str, list[Version]] = {}
    for version in sorted(versions, key=lambda known: (known.version, known.published)):
        grouped.setdefault(version.programme, []).append(version)
    return {programme: tuple(known) for programme, known in sorted(grouped.items())}


def _versions_at(versions: list[Version], at: int) -> dict[str, Version]:
    """The version in force of each programme, programmes in alphabetical order."""
    highest: dict[str, Version] = {}
    for version in versions:
        known = highest.get(version.programme)
        if version.valid_from <= at and (known is None or version.version >= known.version):
            highest[version.programme] = version
    return dict(sorted(highest.items()))


def _terms_by_type(span: Mapping[str, Version]) -> dict[str, tuple[EarnTerms, ...]]:
    by_type: dict[str, list[EarnTerms]] = {}
    for version in span.values():
        for on, terms in version.earn:
            by_type.setdefault(on, []).append(terms)
    return {on: tuple(terms) for on, terms in by_type.items()}
