"""What holds for a loyalty account whatever happens to it."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.lots import Account, balance, expiring, has_expired, standings
from domain.loyalty import Member, evolve
from domain.occurred import Occurred, order_of
from domain.redemption import RedemptionRequest, Refusal, decide
from domain.rules import Rules
from domain.statement import statement
from schemas.envelope import Envelope
from schemas.fields import moment
from schemas.loyalty import (
    EarnRule,
    LoyaltyRulesPublished,
    PointsAdjusted,
    PointsRedeemed,
    PointsRedemptionCancelled,
)
from schemas.money import Money
from schemas.purchase import OrderCancelled, OrderCompleted, OrderRefunded
from schemas.survey import SurveyAnswered
from schemas.touchpoint import Touchpoint

UNTIMED = settings(deadline=None)
HOUR = 3_600_000_000
START = 20_500 * 24 * HOUR
DAYS = 30
HOURS = st.integers(min_value=0, max_value=DAYS * 24)
ORDERS = st.sampled_from(["A1", "A2", "A3", "A4"])
NAMES = st.sampled_from(["X1", "X2", "X3"])
PROGRAMMES = st.sampled_from(["main", "club"])
CURRENCIES = st.sampled_from(["ZAR", "ZAR", "ZAR", "EUR"])
CENTS = st.integers(min_value=0, max_value=60_000)
ORDER = OrderCompleted.TYPE
SURVEY = SurveyAnswered.TYPE


@st.composite
def money(draw: st.DrawFn) -> Money:
    return Money(amount=str(Decimal(draw(CENTS)).scaleb(-2)), currency=draw(CURRENCIES))


HUNDRED = Money(amount="100", currency="ZAR")
EARN_RULES = st.one_of(
    st.builds(EarnRule, rule_id=st.just("spend"), on=st.just(ORDER),
              points=st.integers(1, 4), per=st.just(HUNDRED)),
    st.builds(EarnRule, rule_id=st.just("bonus"), on=st.just(ORDER), points=st.just(7),
              minimum_total=st.sampled_from([None, HUNDRED]),
              once_per=st.sampled_from([None, "customer"]),
              weekdays=st.sampled_from([None, (1, 3, 5)])),
    st.builds(EarnRule, rule_id=st.just("survey"), on=st.just(SURVEY), points=st.just(5),
              once_per=st.sampled_from([None, "survey"])),
    st.builds(EarnRule, rule_id=st.just("back"), on=st.just("points.redeemed.v1"),
              points=st.just(1)),
)  # fmt: skip
TOUCHPOINTS = st.one_of(
    st.builds(OrderCompleted, order_id=ORDERS, total=money()),
    st.builds(OrderCompleted, order_id=ORDERS, total=money()),
    st.builds(OrderRefunded, order_id=ORDERS, amount=money()),
    st.builds(OrderCancelled, order_id=ORDERS),
    st.builds(SurveyAnswered, survey_id=NAMES, kind=st.just("csat"), score=st.just(4)),
    st.builds(PointsRedeemed, programme=PROGRAMMES, redemption_id=NAMES,
              points=st.integers(1, 30)),
    st.builds(PointsRedemptionCancelled, programme=PROGRAMMES, redemption_id=NAMES),
    st.builds(PointsAdjusted, programme=PROGRAMMES, adjustment_id=NAMES, reason=st.just("why"),
              points=st.integers(-20, 20).filter(bool)),
)  # fmt: skip


@st.composite
def rule_facts(draw: st.DrawFn) -> LoyaltyRulesPublished:
    return LoyaltyRulesPublished(
        programme=draw(PROGRAMMES),
        version=draw(st.integers(1, 4)),
        valid_from=moment(START + draw(HOURS) * HOUR - DAYS * 12 * HOUR),
        earn=tuple(draw(st.lists(EARN_RULES, max_size=3, unique_by=lambda rule: rule.rule_id))),
        pending_days=draw(st.sampled_from([None, 0, 3, 10])),
        expires_after_days=draw(st.sampled_from([None, 2, 7, 20])),
    )


def told(number: int, at: int, data: Touchpoint) -> Occurred:
    return Envelope(
        type=type(data).TYPE, at=at, source="any", id=f"{number:03}", subject="customer:42",
        data=data,
    )  # fmt: skip


@st.composite
def rules_known(draw: st.DrawFn) -> Rules:
    published = draw(st.lists(rule_facts(), min_size=1, max_size=5))
    return Rules.of(told(number, START, data) for number, data in enumerate(published))


@st.composite
def lives(draw: st.DrawFn) -> list[Occurred]:
    """Touchpoints in the order in which they occurred."""
    least = draw(st.sampled_from([0, 8, 20]))
    facts = draw(st.lists(st.tuples(HOURS, TOUCHPOINTS), min_size=least, max_size=40))
    made = (told(number, START + hour * HOUR, data) for number, (hour, data) in enumerate(facts))
    return sorted(made, key=order_of)


def steps(life: list[Occurred], rules: Rules) -> Iterator[tuple[int, Account]]:
    """Each account after each touchpoint, with moments that are due then."""
    member = Member()
    ends = [touchpoint.at for touchpoint in life[1:]] + [START + 2 * DAYS * 24 * HOUR]
    for touchpoint, end in zip(life, ends, strict=False):
        evolve(member, touchpoint, rules)
        for account in member.programmes.values():
            lots = account.lots
            turns = {lot.available_at for lot in lots} | {lot.expires_at or 0 for lot in lots}
            for at in (touchpoint.at, *sorted(turns), end):
                if touchpoint.at <= at <= end:
                    yield at, account


@UNTIMED
@given(lives(), rules_known())
def test_the_parts_of_the_balance_always_make_up_what_was_earned(
    life: list[Occurred], rules: Rules
) -> None:
    for at, account in steps(life, rules):
        now = balance(account, at)
        assert now.earned == now.active + now.pending + now.spent + now.expired - now.negative
        assert min(now.active, now.pending, now.spent, now.expired, now.negative) >= 0


@UNTIMED
@given(lives(), rules_known())
def test_no_lot_pays_more_than_it_earned_and_every_point_paid_serves_a_claim(
    life: list[Occurred], rules: Rules
) -> None:
    for _, account in steps(life, rules):
        served = [0] * len(account.lots)
        for claim in account.claims:
            for place, points in claim.allocations:
                assert points > 0
                served[place] += points
            paid = sum(points for _, points in claim.allocations)
            assert claim.unpaid + paid == (0 if claim.cancelled else claim.points)
        assert served == [lot.used for lot in account.lots]
        assert all(0 <= lot.used <= lot.earned for lot in account.lots)
        assert account.negative == sum(claim.unpaid for claim in account.claims)


@UNTIMED
@given(lives(), rules_known())
def test_a_limit_is_used_up_only_by_what_has_earned(life: list[Occurred], rules: Rules) -> None:
    for _, account in steps(life, rules):
        assert all(account.lots[place].earned for place in account.once.values())


@UNTIMED
@given(lives(), rules_known())
def test_what_has_expired_is_never_spent(life: list[Occurred], rules: Rules) -> None:
    member = Member()
    for touchpoint in life:
        used = {
            (programme, place): lot.used
            for programme, account in member.programmes.items()
            for place, lot in enumerate(account.lots)
        }
        evolve(member, touchpoint, rules)
        for (programme, place), before in used.items():
            lot = member.programmes[programme].lots[place]
            assert not has_expired(lot, touchpoint.at) or lot.used <= before


@UNTIMED
@given(lives(), rules_known())
def test_whoever_is_in_debt_has_nothing_left(life: list[Occurred], rules: Rules) -> None:
    for at, account in steps(life, rules):
        now = balance(account, at)
        assert not now.negative or now.active == now.pending == 0


@UNTIMED
@given(lives(), rules_known())
def test_lots_and_schedule_agree_with_the_balance(life: list[Occurred], rules: Rules) -> None:
    for at, account in steps(life, rules):
        now = balance(account, at)
        left: dict[str, int] = {}
        for known in standings(account, at):
            left[known.state] = left.get(known.state, 0) + known.left
        assert left.get("active", 0) == now.active
        assert left.get("pending", 0) == now.pending
        schedule = expiring(account, at)
        assert sum(points for _, points in schedule) <= now.active + now.pending
        assert all(earlier < later for (earlier, _), (later, _) in pairwise(schedule))


@UNTIMED
@given(lives(), rules_known())
def test_a_fold_that_is_stored_and_read_back_goes_on_as_if_nothing_had_been(
    life: list[Occurred], rules: Rules
) -> None:
    whole, stored = Member(), msgspec.json.encode(Member())
    for touchpoint in life:
        evolve(whole, touchpoint, rules)
        resumed = msgspec.json.decode(stored, type=Member)
        stored = msgspec.json.encode(evolve(resumed, touchpoint, rules))
        assert stored == msgspec.json.encode(whole)


@UNTIMED
@given(lives(), rules_known())
def test_a_statement_ends_at_the_balance(life: list[Occurred], rules: Rules) -> None:
    member = Member()
    for touchpoint in life:
        evolve(member, touchpoint, rules)
    until = START + 2 * DAYS * 24 * HOUR
    for programme in ("main", "club"):
        movements = statement(life, rules, programme, until)
        closing = balance(member.programmes.get(programme, Account()), until)
        assert sum(line.points for line in movements) == closing.outstanding
        assert all(line.points for line in movements)
        assert [line.at for line in movements] == sorted(line.at for line in movements)
        running = 0
        for line in movements:
            running += line.points
            assert line.balance == running


@UNTIMED
@given(lives(), rules_known(), HOURS)
def test_a_statement_is_the_beginning_of_every_longer_one(
    life: list[Occurred], rules: Rules, hour: int
) -> None:
    until = START + hour * HOUR
    longer = statement(life, rules, "main", START + 2 * DAYS * 24 * HOUR)
    shorter = statement(life, rules, "main", until)
    assert shorter == [line for line in longer if line.at <= until]


@UNTIMED
@given(lives(), rules_known(), st.lists(st.tuples(HOURS, st.integers(1, 12)), max_size=6))
def test_what_is_redeemed_on_request_never_makes_a_debt(
    life: list[Occurred], rules: Rules, requests: list[tuple[int, int]]
) -> None:
    for number, (hour, points) in enumerate(requests):
        now = START + hour * HOUR
        request = RedemptionRequest(
            programme="main", redemption_id=f"T{number}", points=points,
            source="till", id=str(number), subject="customer:42",
        )  # fmt: skip
        decision = decide(life, rules, request, now)
        if isinstance(decision, Refusal):
            continue
        redemption = Envelope(
            type=PointsRedeemed.TYPE, at=now, source="till", id=str(number),
            subject="customer:42", data=decision,
        )  # fmt: skip
        life = sorted([*life, redemption], key=order_of)
        member = Member()
        for touchpoint in life:
            evolve(member, touchpoint, rules)
            if order_of(touchpoint) >= order_of(redemption):
                assert member.programmes["main"].negative == 0


@UNTIMED
@given(lives(), rules_known())
def test_an_order_has_earned_what_the_rules_of_its_moment_give_for_what_is_left(
    life: list[Occurred], rules: Rules
) -> None:
    member = Member()
    for touchpoint in life:
        evolve(member, touchpoint, rules)
    for programme, account in member.programmes.items():
        for lot in account.lots:
            if lot.rule_id == "spend":
                assert lot.order_id is not None
                assert lot.id == first_told(life, lot.order_id)
                left = left_of(life, lot.order_id)
                version = rules.in_force(programme, lot.at)
                assert version is not None
                rate = next(r.points for r in version.facts.earn if r.rule_id == "spend")
                assert lot.earned == int(left / 100) * rate


def first_told(life: list[Occurred], order_id: str | None) -> str:
    """The id of the touchpoint that was the first to say that the order was completed."""
    return next(
        fact.id
        for fact in life
        if isinstance(fact.data, OrderCompleted) and fact.data.order_id == order_id
    )


def left_of(life: list[Occurred], order_id: str) -> Decimal:
    """What is left of an order, told from all facts at once and not by folding them."""
    about = [fact.data for fact in life if getattr(fact.data, "order_id", None) == order_id]
    total = next(data.total for data in about if isinstance(data, OrderCompleted))
    if any(isinstance(data, OrderCancelled) for data in about):
        return Decimal(0)
    refunds = [data.amount for data in about if isinstance(data, OrderRefunded)]
    same = [money.decimal for money in refunds if money.currency == total.currency]
    return max(total.decimal - sum(same, Decimal(0)), Decimal(0))
