"""The made-up year: lifelike, valid to the last field, and the same for the same seed."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate, chain
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.demo_year import YEAR_END, benchmark_lines, made_up_year
from cli.year.business import Year
from cli.year.clocks import Clock, when_office_opens, written_in_utc
from cli.year.journal import Journal
from cli.year.loyalty import redeem, save
from cli.year.mishaps import BROKEN_LINES, contradicted
from cli.year.people import people, phone_reserved_for_fiction
from cli.year.vocabulary import AMERICA, BRITAIN, FRANCE
from domain import tickets
from domain.lots import balance
from domain.loyalty import Member, evolve
from domain.rules import Rules
from schemas.door import Refused, parse
from schemas.envelope import Envelope
from schemas.fields import microseconds
from schemas.registry import BY_TYPE
from schemas.subject import normalise_email, normalise_phone
from schemas.touchpoint import Touchpoint

Told = Envelope[Touchpoint]

CUSTOMERS = 1_500
HOUR = 3_600_000_000
DAY = 24 * HOUR
START = YEAR_END - timedelta(days=365)

NEVER_IN_A_BUSINESS_YEAR = {
    "identity.rules_published.v1",
    "loyalty.programme_closed.v1",
    "person.erased.v1",
    "personal_data.viewed.v1",
}
RARE = {
    "customer.unmerged.v1",
    "points.redemption_cancelled.v1",
    "sms.replied.v1",
    "touchpoint.voided.v1",
}


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return list(made_up_year(CUSTOMERS, seed=3))


@pytest.fixture(scope="module")
def told(lines: list[bytes]) -> list[Told]:
    """What a ledger records of the year, in the order of arrival."""
    recorded: dict[tuple[str, str], Told] = {}
    for line in lines:
        if line not in BROKEN_LINES:
            touchpoint = parse(line)
            recorded.setdefault((touchpoint.source, touchpoint.id), touchpoint)
    return list(recorded.values())


def in_order(touchpoints: list[Told]) -> list[Told]:
    return sorted(touchpoints, key=lambda touchpoint: touchpoint.order)


def test_the_same_arguments_give_the_same_bytes(lines: list[bytes]) -> None:
    assert list(made_up_year(CUSTOMERS, seed=3)) == lines


def test_another_seed_gives_another_year(lines: list[bytes]) -> None:
    others = set(made_up_year(CUSTOMERS, seed=4))
    assert len(others.intersection(lines)) < len(lines) // 100


def test_all_lines_are_valid_but_exactly_the_seven_broken_ones(lines: list[bytes]) -> None:
    refused = [line for line in lines if refusal(line) is not None]
    assert refused == list(BROKEN_LINES)


def test_each_broken_line_is_broken_in_its_own_way() -> None:
    assert [refusal(line) for line in BROKEN_LINES] == [
        "json_invalid",
        "unknown_type",
        "missing",
        "string_type",
        "time_form",
        "unknown_field",
        "json_invalid",
    ]
    assert [is_text(line) for line in BROKEN_LINES] == [True] * 6 + [False]


def refusal(line: bytes) -> str | None:
    try:
        parse(line)
    except Refused as error:
        return error.reason
    return None


def is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("customers", [100, 800, 2_000])
def test_about_twenty_touchpoints_for_each_customer(customers: int) -> None:
    count = sum(1 for _ in made_up_year(customers, seed=2))
    assert customers * 20 * 0.85 <= count <= customers * 20 * 1.15


@pytest.mark.parametrize("touchpoints", [6_000, 60_000])
def test_about_as_many_touchpoints_as_asked_for(touchpoints: int) -> None:
    count = sum(1 for _ in made_up_year(1_000, seed=2, touchpoints=touchpoints))
    assert touchpoints * 0.85 <= count <= touchpoints * 1.15


def test_every_customer_turns_up(told: list[Told]) -> None:
    subjects = {touchpoint.subject for touchpoint in told}
    assert {f"customer:{number}" for number in range(1, CUSTOMERS + 1)} <= subjects


def test_every_kind_of_touchpoint_happens(told: list[Told]) -> None:
    kinds = {touchpoint.type for touchpoint in told}
    assert set(BY_TYPE) - kinds - RARE == NEVER_IN_A_BUSINESS_YEAR


def test_rare_kinds_happen_in_the_year_of_the_demonstration() -> None:
    year = b"\n".join(made_up_year())
    assert [kind for kind in sorted(RARE) if f'"{kind}"'.encode() not in year] == []


def test_services_report_their_own_kinds(told: list[Told]) -> None:
    assert {touchpoint.source for touchpoint in told} == {
        "shop", "telephony", "mailer", "helpdesk", "chat", "app", "loyalty", "crm",
    }  # fmt: skip


def test_repeated_ids_are_exact_repetitions_but_for_two_conflicts(lines: list[bytes]) -> None:
    times = Counter(lines)
    by_id: dict[tuple[str, str], set[bytes]] = {}
    for line in times:
        if line not in BROKEN_LINES:
            touchpoint = parse(line)
            by_id.setdefault((touchpoint.source, touchpoint.id), set()).add(line)
    assert sorted(len(versions) for versions in by_id.values())[-3:] == [1, 2, 2]
    repeated = sum(times.values()) - len(times)
    assert 0.003 <= repeated / len(lines) <= 0.007


def test_a_conflict_is_the_same_order_with_another_total(lines: list[bytes]) -> None:
    order = next(line for line in lines if b'"type":"order.completed.v1"' in line)
    first, second = parse(order), parse(contradicted(order))
    assert (first.source, first.id) == (second.source, second.id)
    assert first.data != second.data


def test_everything_but_the_first_rules_occurs_within_the_year(told: list[Told]) -> None:
    before = [touchpoint for touchpoint in told if touchpoint.at < microseconds(START)]
    assert [touchpoint.type for touchpoint in before] == ["loyalty.rules_published.v1"]
    assert told[0] == before[0]
    assert max(touchpoint.at for touchpoint in told) < microseconds(YEAR_END)


def test_december_is_the_peak_and_august_the_dip(told: list[Told]) -> None:
    months = Counter(touchpoint.time[:7] for touchpoint in told)
    assert months["2024-12"] > 1.5 * months["2025-02"]
    assert months["2024-08"] < months["2024-10"]
    assert max(months, key=months.__getitem__) == "2024-12"


def test_more_is_bought_in_the_sale_week_than_in_the_week_before(told: list[Told]) -> None:
    orders = Counter(
        touchpoint.time[:10] for touchpoint in told if touchpoint.type == "order.completed.v1"
    )
    sale = sum(orders[f"2024-11-{day}"] for day in range(22, 29))
    before = sum(orders[f"2024-11-{day}"] for day in range(15, 22))
    assert sale > 1.5 * before


def test_shops_are_busy_when_people_are_awake(told: list[Told]) -> None:
    hours = Counter(touchpoint.time[11:13] for touchpoint in told if touchpoint.source == "shop")
    assert sum(hours[f"{hour:02d}"] for hour in range(2, 6)) < hours["20"]


def test_one_in_a_hundred_arrives_days_late(told: list[Told]) -> None:
    newest = accumulate((touchpoint.at for touchpoint in told), max)
    late = sum(
        1 for at, touchpoint in zip(newest, told, strict=True) if at - touchpoint.at > 12 * HOUR
    )
    assert 0.005 <= late / len(told) <= 0.02


def test_what_is_not_late_arrives_nearly_in_order(told: list[Told]) -> None:
    newest = accumulate((touchpoint.at for touchpoint in told), max)
    prompt = sum(
        1 for at, touchpoint in zip(newest, told, strict=True) if at - touchpoint.at < 5 * HOUR
    )
    assert prompt / len(told) > 0.98


def test_some_refunds_and_cancellations_arrive_before_their_order(told: list[Told]) -> None:
    ordered: set[str] = set()
    early = 0
    for touchpoint in told:
        match touchpoint.type:
            case "order.completed.v1":
                ordered.add(order_id(touchpoint))
            case "order.refunded.v1" | "order.cancelled.v1":
                early += order_id(touchpoint) not in ordered
    assert early > 0


def test_refunds_occur_after_their_order_and_under_its_subject(told: list[Told]) -> None:
    orders = {order_id(each): each for each in told if each.type == "order.completed.v1"}
    refunds = [each for each in told if each.type == "order.refunded.v1"]
    assert refunds
    for refund in refunds:
        order = orders[order_id(refund)]
        assert order.at < refund.at
        assert order.subject == refund.subject


def field(touchpoint: Told, name: str) -> object:
    return getattr(touchpoint.data, name)


def order_id(touchpoint: Told) -> str:
    return str(field(touchpoint, "order_id"))


def test_tickets_lead_real_lives(told: list[Told]) -> None:
    lives: dict[str, tickets.Ticket] = {}
    for touchpoint in in_order(told):
        if touchpoint.type.startswith("ticket."):
            ticket_id = str(field(touchpoint, "ticket_id"))
            life = lives.setdefault(ticket_id, tickets.Ticket())
            lives[ticket_id] = tickets.evolve(life, touchpoint, None)
    states = Counter(life.status for life in lives.values())
    assert states["closed"] > len(lives) // 2
    assert len(states) >= 4
    assert sum(life.reopens for life in lives.values()) > 0
    assert 0 < sum(life.anomalies for life in lives.values()) < len(lives) // 20


def test_redemptions_are_almost_always_affordable(told: list[Told]) -> None:
    touchpoints = in_order(told)
    rules = Rules.of(each for each in touchpoints if each.type.startswith("loyalty."))
    members: dict[str, Member] = {}
    for touchpoint in touchpoints:
        if touchpoint.subject.startswith("customer:"):
            member = members.setdefault(touchpoint.subject, Member())
            members[touchpoint.subject] = evolve(member, touchpoint, rules)
    accounts = chain.from_iterable(member.programmes.values() for member in members.values())
    balances = [balance(account, microseconds(YEAR_END)) for account in accounts]
    assert sum(each.spent > 0 for each in balances) > CUSTOMERS // 20
    assert sum(each.negative > 0 for each in balances) < CUSTOMERS // 50


def test_the_second_rules_halve_what_is_earned_from_the_middle_of_the_year(
    told: list[Told],
) -> None:
    subject = "programme:main"
    first, second = (each for each in told if each.subject == subject)
    facts = Rules.of([first, second])
    cut = microseconds(datetime(2025, 1, 1, tzinfo=UTC))
    assert facts.in_force("main", cut - 1) != facts.in_force("main", cut)
    assert facts.in_force("main", microseconds(START)) == facts.in_force("main", cut - 1)


def test_marketing_goes_mostly_but_not_only_to_those_who_allow_it(told: list[Told]) -> None:
    allowed: dict[str, bool] = {}
    sent = without = 0
    for touchpoint in in_order(told):
        match touchpoint.type:
            case "consent.granted.v1" | "consent.withdrawn.v1":
                if field(touchpoint, "channel") in ("email", "any"):
                    granted = touchpoint.type == "consent.granted.v1"
                    allowed[touchpoint.subject] = granted
            case "email.sent.v1" if field(touchpoint, "purpose") == "marketing":
                sent += 1
                without += not allowed.get(touchpoint.subject, False)
    assert 0 < without < sent // 10


def test_nothing_goes_wrong_in_a_year_of_few_customers() -> None:
    lines = list(made_up_year(50, seed=1))
    keys = {(each.source, each.id) for each in map(parse, lines)}
    assert len(keys) == len(lines)


def test_the_year_may_end_at_any_time() -> None:
    end = datetime(2023, 3, 15, 18, 30, tzinfo=UTC)
    told = [parse(line) for line in made_up_year(60, seed=1, end=end)]
    assert max(each.at for each in told) < microseconds(end)
    assert sorted(each.at for each in told)[1] >= microseconds(end - timedelta(days=365))


@pytest.mark.parametrize(
    ("customers", "touchpoints", "end"),
    [(0, None, YEAR_END), (5, 0, YEAR_END), (5, 100, YEAR_END.replace(tzinfo=None))],
)
def test_a_year_that_cannot_be_is_refused(
    customers: int, touchpoints: int | None, end: datetime
) -> None:
    with pytest.raises(ValueError, match="year"):
        made_up_year(customers, 1, touchpoints, end)


@pytest.mark.parametrize(("customers", "touchpoints"), [(1, 10), (30, 60), (500, 10_000)])
def test_a_benchmark_has_exactly_the_touchpoints_asked_for(
    customers: int, touchpoints: int
) -> None:
    assert sum(1 for _ in benchmark_lines(customers, touchpoints, seed=1)) == touchpoints


def test_a_benchmark_has_no_broken_repeated_or_contradicted_line() -> None:
    told = [parse(line) for line in benchmark_lines(500, 10_000, seed=1)]
    assert len({(each.source, each.id) for each in told}) == 10_000


def test_a_benchmark_reaches_into_the_last_month() -> None:
    newest = max(parse(line).at for line in benchmark_lines(500, 10_000, seed=1))
    assert microseconds(YEAR_END) - newest < 30 * DAY


@given(seed=st.integers(0, 2**32), customers=st.integers(1, 12), each=st.integers(1, 60))
@settings(max_examples=15, deadline=None)
def test_any_small_year_is_valid_and_repeatable(seed: int, customers: int, each: int) -> None:
    def lines() -> Iterator[bytes]:
        return made_up_year(customers, seed, customers * each)

    first = list(lines())
    assert list(lines()) == first
    assert [refusal(line) for line in first] == [None] * len(first)


def test_addresses_and_numbers_belong_to_nobody_and_to_one_customer() -> None:
    crowd = people(3_000, Random(1))
    assert len({customer.email for customer in crowd}) == len(crowd)
    phones = [customer.phone for customer in crowd if customer.phone is not None]
    assert len(set(phones)) == len(phones)
    assert all(normalise_email(each.email) == each.email for each in crowd[:300])
    assert all(normalise_phone(phone) == phone for phone in phones[:300])


def test_numbers_come_from_ranges_reserved_for_fiction() -> None:
    assert phone_reserved_for_fiction(42, FRANCE) == "+33639980042"
    assert phone_reserved_for_fiction(42, BRITAIN) == "+447700900042"
    assert phone_reserved_for_fiction(42, AMERICA) == "+12015550142"
    assert phone_reserved_for_fiction(20_042, FRANCE).endswith("5550142")


def test_clocks_follow_summer_time() -> None:
    rome = Clock("Europe/Rome")
    assert rome.written(microseconds(datetime(2025, 1, 5, 23, 30, tzinfo=UTC))) == (
        "2025-01-06T00:30:00.000+01:00"
    )
    assert rome.written(microseconds(datetime(2025, 7, 5, 9, 0, 1, 500_000, tzinfo=UTC))) == (
        "2025-07-05T11:00:01.500+02:00"
    )


@pytest.mark.parametrize(
    ("asked", "opens"),
    [
        (datetime(2025, 1, 3, 9, 20, tzinfo=UTC), "2025-01-03T09:20:00Z"),
        (datetime(2025, 1, 3, 5, 20, tzinfo=UTC), "2025-01-03T08:20:00Z"),
        (datetime(2025, 1, 3, 18, 20, tzinfo=UTC), "2025-01-06T08:20:00Z"),
        (datetime(2025, 1, 5, 12, 0, tzinfo=UTC), "2025-01-06T08:00:00Z"),
    ],
)
def test_offices_open_on_workdays_from_eight_to_six(asked: datetime, opens: str) -> None:
    assert written_in_utc(when_office_opens(microseconds(asked))) == opens


@pytest.fixture
def year() -> Year:
    rng = Random(1)
    start, end = microseconds(START), microseconds(YEAR_END)
    return Year(start, end, 1.0, rng, Journal(start, end, rng), people(1, rng))


@pytest.mark.parametrize(("days_later", "spent"), [(13, False), (14, True), (181, False)])
def test_points_are_spent_once_available_and_before_they_expire(
    year: Year, days_later: int, spent: bool
) -> None:
    customer = year.customers[0]
    save(customer, year.start, 40)
    redeem(year, customer, year.start + days_later * DAY)
    redeemed = [line for line in year.journal.take_rest() if b'"points.redeemed.v1"' in line]
    assert bool(redeemed) is spent


def test_points_that_are_still_pending_are_left_alone(year: Year) -> None:
    customer = year.customers[0]
    pending = (year.start + 100 * DAY, year.start + 20 * DAY, 50)
    customer.lots = [pending, (year.start + 170 * DAY, year.start, 50)]
    redeem(year, customer, year.start + 10 * DAY)
    assert pending in customer.lots
    assert sum(points for _, _, points in customer.lots) < 100
