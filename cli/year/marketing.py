"""Campaigns once a month, and customers who recommend the shop to others."""

from typing import NamedTuple

from cli.year.business import Year
from cli.year.clocks import DAY, HOUR, MINUTE, SECOND, WEEK, month_and_day
from cli.year.identity import introduce, state_consent
from cli.year.journal import CRM, LOYALTY, MAILER, Data
from cli.year.people import Customer
from cli.year.purchases import place_order
from cli.year.vocabulary import amount

CAMPAIGNS_A_YEAR = 12
REACHED_SHARE = 0.22
"""How many of those who may be written to a campaign of the usual business reaches."""
WITHOUT_CONSENT_SHARE = 0.01
BY_SMS = (2, 5, 8, 11)
_THEMES = (
    "new-year", "warm-up", "spring", "garden", "terrace", "picnic",
    "summer", "back-home", "harvest", "cosy", "sale", "gifts",
)  # fmt: skip


class Campaign(NamedTuple):
    """One mailing to many."""

    name: str
    at: int
    by_sms: bool


def campaigns(year: Year) -> list[Campaign]:
    """One in each twelfth of the year, in the morning."""
    length = (year.end - year.start) // CAMPAIGNS_A_YEAR
    return [
        _campaign(index, year.start + index * length + 9 * DAY) for index in range(CAMPAIGNS_A_YEAR)
    ]


def _campaign(index: int, at: int) -> Campaign:
    at = at // DAY * DAY + 9 * HOUR
    month, _ = month_and_day(at // DAY)
    return Campaign(f"{_THEMES[month - 1]}-{index + 1}", at, index in BY_SMS)


def run_campaigns(year: Year, week: int) -> None:
    """What is mailed in a week of the year."""
    for campaign in campaigns(year):
        if (campaign.at - year.start) // WEEK == week:
            _run(year, campaign)


def _run(year: Year, campaign: Campaign) -> None:
    share = min(1.0, REACHED_SHARE * year.activity)
    reached = 0
    at = campaign.at
    for customer in year.customers:
        if not customer.known or not year.chance(share):
            continue
        if not _allowed(customer, campaign) and not year.chance(WITHOUT_CONSENT_SHARE):
            continue
        reached += 1
        at += 40_000
        (_text if campaign.by_sms else _mail)(year, customer, at, campaign)
    spent: Data = {
        "amount": {"amount": amount(5_000 + 4 * reached), "currency": "EUR"},
        "about": campaign.name,
        "channel": "sms" if campaign.by_sms else "email",
    }
    year.journal.write(campaign.at, CRM, "cost.recorded.v1", f"campaign:{campaign.name}", spent)


def _allowed(customer: Customer, campaign: Campaign) -> bool:
    if campaign.by_sms:
        return customer.sms_allowed and customer.phone is not None
    return customer.email_allowed


def _mail(year: Year, customer: Customer, at: int, campaign: Campaign) -> None:
    message_id = f"M{year.number()}"
    about: Data = {"message_id": message_id, "campaign": campaign.name}
    sent = {**about, "purpose": "marketing", "subject_line": f"For you: {campaign.name}"}
    year.book(customer, at, MAILER, "email.sent.v1", sent)
    at += year.between(SECOND, MINUTE)
    if year.chance(0.02):
        bounced = {**about, "reason": "mailbox full"}
        year.book(customer, at, MAILER, "email.bounced.v1", bounced)
        return
    year.book(customer, at, MAILER, "email.delivered.v1", about)
    if year.chance(0.38):
        _read(year, customer, at + year.minutes(1, 2_000), about)


def _read(year: Year, customer: Customer, at: int, about: Data) -> None:
    year.book(customer, at, MAILER, "email.opened.v1", about)
    if year.chance(0.25):
        clicked = {**about, "url": f"https://shop.example/offers?from={about['campaign']}"}
        year.book(customer, at + 20 * SECOND, MAILER, "email.clicked.v1", clicked)
    elif year.chance(0.02):
        year.book(customer, at + 30 * SECOND, MAILER, "email.unsubscribed.v1", about)
        if year.chance(0.9):
            customer.email_allowed = False
            state_consent(year, customer, at + 31 * SECOND, "withdrawn", "email")


def _text(year: Year, customer: Customer, at: int, campaign: Campaign) -> None:
    about: Data = {"message_id": f"M{year.number()}", "campaign": campaign.name}
    sent = {**about, "purpose": "marketing", "text": f"For you: {campaign.name}"}
    if customer.phone is not None:
        sent["phone"] = customer.phone
    year.book(customer, at, MAILER, "sms.sent.v1", sent)
    kind = "sms.delivered.v1" if year.chance(0.97) else "sms.failed.v1"
    year.book(customer, at + year.between(SECOND, MINUTE), MAILER, kind, about)
    if year.chance(0.01):
        replied = {**about, "text": "STOP"}
        later = at + year.minutes(2, 300)
        year.book(customer, later, MAILER, "sms.replied.v1", replied)
        customer.sms_allowed = False
        state_consent(year, customer, later + SECOND, "withdrawn", "sms")


def refer(year: Year, customer: Customer, at: int) -> None:
    """A customer recommends the shop; some whom he names come, and a few of them buy."""
    friend = year.customers[int(year.rng.random() * len(year.customers))]
    stranger = friend.known or friend is customer
    referral_id = f"F{year.number()}"
    made: Data = {
        "referral_id": referral_id,
        "programme": "friends",
        "referee": f"email:friend{referral_id}@example.org" if stranger else friend.subject,
    }
    year.tell(customer, at, LOYALTY, "referral.made.v1", made)
    for stage in ("clicked", "signed_up", "trial", "checkout"):
        at += year.minutes(30, 5_000)
        if not year.chance(0.6):
            return
        if stage == "trial" and year.chance(0.7):
            continue
        advanced: Data = {"referral_id": referral_id, "stage": stage}
        year.book(customer, at, LOYALTY, "referral.advanced.v1", advanced)
    _convert(year, customer, at + 5 * MINUTE, referral_id, None if stranger else friend)


def _convert(
    year: Year, customer: Customer, at: int, referral_id: str, friend: Customer | None
) -> None:
    converted: Data = {"referral_id": referral_id}
    if friend is not None:
        introduce(year, friend, at - MINUTE)
        converted["order_id"] = place_order(year, friend, at)
    year.book(customer, at + MINUTE, LOYALTY, "referral.converted.v1", converted)
