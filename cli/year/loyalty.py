"""Points: the rules and their cut, what was saved up, and what customers do with it."""

from cli.year.business import Year
from cli.year.clocks import DAY, HOUR, MINUTE, WEEK, date_of, when_office_opens, written_in_utc
from cli.year.journal import APP, CRM, LOYALTY, Data
from cli.year.people import COMPLAINER, LOYAL, Customer
from cli.year.vocabulary import BLAME, CURRENCIES, PRAISE, REWARDS

PROGRAMME = "main"
EXPIRES_AFTER_DAYS = 180
PENDING_DAYS = 14
MINIMUM_REDEMPTION = 30
SURVEY_POINTS = 25
STATEMENT_POINTS = 50
CUT = 2
"""By how much more a customer must spend for a point after the cut."""

_RULES_BEFORE_THE_YEAR = 30 * DAY
_CUT_ANNOUNCED_BEFORE = 2 * WEEK


def publish_rules(year: Year) -> None:
    """Version 1 from before the year's start, and the cut, announced two weeks ahead of it."""
    subject = f"programme:{PROGRAMME}"
    first = year.start - _RULES_BEFORE_THE_YEAR
    kind = "loyalty.rules_published.v1"
    year.journal.write_before(first, LOYALTY, kind, subject, _rules(1, first, 1))
    announced = year.rate_cut - _CUT_ANNOUNCED_BEFORE + 9 * HOUR
    year.journal.write(announced, LOYALTY, kind, subject, _rules(2, year.rate_cut, CUT))


def _rules(version: int, valid_from: int, slower: int) -> Data:
    earn: list[Data] = [
        {
            "rule_id": f"spend-{currency.lower()}",
            "on": "order.completed.v1",
            "points": 1,
            "per": {"amount": f"{step * slower}.00", "currency": currency},
        }
        for currency, _, step in CURRENCIES
    ]
    earn.append(_tuesday_bonus())
    earn.append(_fixed("survey", "survey.answered.v1", SURVEY_POINTS, "survey"))
    earn.append(_fixed("statement", "statement.delivery_chosen.v1", STATEMENT_POINTS, "customer"))
    return {
        "programme": PROGRAMME,
        "version": version,
        "valid_from": written_in_utc(valid_from),
        "earn": earn,
        "expires_after_days": EXPIRES_AFTER_DAYS,
        "pending_days": PENDING_DAYS,
        "point_value": {"amount": "0.20", "currency": "EUR"},
        "minimum_redemption": MINIMUM_REDEMPTION,
    }


def _fixed(rule_id: str, kind: str, points: int, once_per: str) -> Data:
    return {"rule_id": rule_id, "on": kind, "points": points, "once_per": once_per}


def _tuesday_bonus() -> Data:
    return {
        "rule_id": "tuesday",
        "on": "order.completed.v1",
        "points": 5,
        "weekdays": [2],
        "timezone": "Europe/Rome",
        "minimum_total": {"amount": "50.00", "currency": "EUR"},
    }


def save_for_order(year: Year, customer: Customer, at: int, cents: int) -> None:
    """Remember roughly what an order earns, so that later redemptions are affordable."""
    slower = CUT if at >= year.rate_cut else 1
    save(customer, at, cents // (100 * customer.country.step * slower))


def save_for_survey(customer: Customer, at: int, survey_id: str) -> None:
    if survey_id not in customer.surveys:
        customer.surveys.append(survey_id)
        save(customer, at, SURVEY_POINTS)


def save(customer: Customer, at: int, points: int, pending_days: int = PENDING_DAYS) -> None:
    if points > 0:
        expires_at = at + EXPIRES_AFTER_DAYS * DAY
        customer.lots.append((expires_at, at + pending_days * DAY, points))


def bring_points_along(year: Year, customer: Customer, at: int) -> None:
    """A customer of old brings the points of his paper card."""
    if year.chance(0.6 if customer.segment == LOYAL else 0.12):
        points = year.between(3, 15) * 10
        _adjust(year, customer, at, points, "carried over from the paper card")
        save(customer, at, points, pending_days=0)


def show_goodwill(year: Year, customer: Customer, at: int) -> None:
    """The helpdesk gives some points for trouble, and now and then takes some back."""
    points = year.between(1, 5) * 10
    _adjust(year, customer, at, points, "sorry for the trouble")
    if year.chance(0.1):
        undone = at + year.minutes(60, 6_000)
        _adjust(year, customer, undone, -points, "goodwill was booked on the wrong account")
    else:
        save(customer, at, points, pending_days=0)


def _adjust(year: Year, customer: Customer, at: int, points: int, reason: str) -> None:
    data: Data = {
        "programme": PROGRAMME,
        "adjustment_id": f"ADJ{year.number()}",
        "points": points,
        "reason": reason,
    }
    year.book(customer, at, LOYALTY, "points.adjusted.v1", data)


def redeem(year: Year, customer: Customer, at: int) -> None:
    """Spend points on a reward if there are enough; else only look at the balance."""
    data: Data = {"name": "points_viewed", "properties": {"screen": "wallet"}}
    year.tell(customer, at - MINUTE, APP, "event.tracked.v1", data)
    customer.lots = [lot for lot in customer.lots if lot[0] > at + DAY]
    affordable = sum(points for _, available_at, points in customer.lots if available_at <= at)
    steps = affordable // 10
    if affordable < MINIMUM_REDEMPTION:
        return
    points = 10 * year.between(MINIMUM_REDEMPTION // 10, min(steps, 20) + 1)
    _spend(customer, at, points)
    redemption_id = f"R{year.number()}"
    redeemed: Data = {
        "programme": PROGRAMME,
        "redemption_id": redemption_id,
        "points": points,
        "reward": year.pick(REWARDS),
    }
    year.tell(customer, at, LOYALTY, "points.redeemed.v1", redeemed)
    if year.chance(0.06):
        cancelled: Data = {"programme": PROGRAMME, "redemption_id": redemption_id}
        later = at + year.minutes(5, 3_000)
        year.book(customer, later, LOYALTY, "points.redemption_cancelled.v1", cancelled)


def _spend(customer: Customer, at: int, points: int) -> None:
    """Take points from the lots that expire soonest."""
    left: list[tuple[int, int, int]] = []
    for expires_at, available_at, in_lot in sorted(customer.lots):
        taken = min(points, in_lot) if available_at <= at else 0
        points -= taken
        if in_lot > taken:
            left.append((expires_at, available_at, in_lot - taken))
    customer.lots = left


def choose_statement(year: Year, customer: Customer, at: int) -> None:
    """Electronic statements, mostly; some go back to paper and return."""
    delivery = "electronic" if not customer.delivery_chosen or year.chance(0.5) else "paper"
    if delivery == "electronic" and not customer.delivery_chosen:
        customer.delivery_chosen = True
        save(customer, at, STATEMENT_POINTS)
    data: Data = {"delivery": delivery}
    year.tell(customer, at, LOYALTY, "statement.delivery_chosen.v1", data)


def answer_survey(year: Year, customer: Customer, at: int, kind: str, about: str) -> None:
    """Answer this month's survey of a kind (csat, nps, ces); a few think better of it later."""
    survey_id = f"{kind}-{date_of(at // DAY)[:7]}"
    save_for_survey(customer, at, survey_id)
    _answer(year, customer, at, survey_id, kind, about)
    if year.chance(0.03):
        _answer(year, customer, at + year.minutes(2, 600), survey_id, kind, about)
    if customer.segment == COMPLAINER and year.chance(0.25):
        show_goodwill(year, customer, when_office_opens(at + year.minutes(30, 300)))


def _answer(year: Year, customer: Customer, at: int, survey_id: str, kind: str, about: str) -> None:
    scores = (_UNHAPPY if customer.segment == COMPLAINER else _HAPPY)[kind]
    score = year.pick(scores)
    data: Data = {"survey_id": survey_id, "kind": kind, "score": score, "about": about}
    if year.chance(0.3):
        pleased = score >= scores[len(scores) // 2]
        data["comment"] = year.pick(PRAISE if pleased else BLAME)
    year.tell(customer, at, CRM, "survey.answered.v1", data)


_HAPPY = {
    "csat": (1, 2, 3, 4, 4, 4, 5, 5, 5, 5),
    "nps": (3, 5, 6, 7, 8, 8, 9, 9, 9, 10, 10),
    "ces": (2, 3, 4, 5, 5, 6, 6, 7, 7),
}
_UNHAPPY = {
    "csat": (1, 1, 1, 2, 2, 3, 3, 4, 5),
    "nps": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    "ces": (1, 1, 2, 2, 3, 3, 4, 5),
}
