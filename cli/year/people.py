"""The customers of the year: who they are, what they are used to, and what they have saved up."""

import unicodedata
from dataclasses import dataclass, field
from random import Random

from cli.year.seasons import HOURS
from cli.year.vocabulary import (
    COUNTRIES,
    FIRST_NAMES,
    LAST_NAMES,
    MAIL_DOMAINS,
    Country,
)

LOYAL = 0
OCCASIONAL = 1
BARGAIN_HUNTER = 2
COMPLAINER = 3
DORMANT = 4

SEGMENT_NAMES = ("loyal", "occasional", "bargain hunter", "complainer", "dormant")
_SEGMENTS = (
    *(LOYAL,) * 3,
    *(OCCASIONAL,) * 8,
    *(BARGAIN_HUNTER,) * 4,
    *(COMPLAINER,) * 2,
    *(DORMANT,) * 3,
)
_NEWCOMER_SHARE = 0.4
_PHONE_SHARE = 0.6


@dataclass(slots=True)
class Customer:
    """One customer, with the little that has to be remembered from week to week.

    `lots` are the points that can still be spent, roughly: (expires_at, available_at, points).
    """

    number: int
    subject: str
    segment: int
    country: Country
    hours: tuple[int, ...]
    newcomer: bool
    first_name: str
    last_name: str
    email: str
    phone: str | None
    next_at: int = 0
    known: bool = False
    email_allowed: bool = False
    sms_allowed: bool = False
    delivery_chosen: bool = False
    address_linked: bool = False
    lots: list[tuple[int, int, int]] = field(default_factory=list)
    surveys: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


def people(count: int, rng: Random) -> list[Customer]:
    """So many customers, numbered from 1."""
    return [_customer(number, rng) for number in range(1, count + 1)]


def _customer(number: int, rng: Random) -> Customer:
    country = rng.choice(COUNTRIES)
    first_name, last_name = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    domain = rng.choice(MAIL_DOMAINS)
    segment = rng.choice(_SEGMENTS)
    return Customer(
        number=number,
        subject=f"customer:{number}",
        segment=segment,
        country=country,
        hours=rng.choice(HOURS),
        newcomer=segment == DORMANT or rng.random() < _NEWCOMER_SHARE,
        first_name=first_name,
        last_name=last_name,
        email=f"{_plain(first_name)}.{_plain(last_name)}{number}@{domain}",
        phone=phone_reserved_for_fiction(number, country) if rng.random() < _PHONE_SHARE else None,
    )


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return decomposed.lower()


def phone_reserved_for_fiction(number: int, country: Country) -> str:
    """A telephone number that belongs to nobody, in E.164, the same for the same customer.

    France keeps 06 39 98 xx xx for films, the United Kingdom 07700 900xxx, North America
    555-01xx in each area code. Everybody whose country has no such range, or whose range is
    used up, gets a North American one. They are all different up to customer 71,000.
    """
    if country.code == "FR" and number < 10_000:
        return f"+3363998{number:04d}"
    if country.code == "GB" and number < 1_000:
        return f"+447700900{number:03d}"
    area, last = divmod(number, 100)
    exchange = _AREA_CODES[area % len(_AREA_CODES)]
    return f"+1{exchange}55501{last:02d}"


_AREA_CODES = tuple(code for code in range(201, 1000) if code % 100 != 11 and code // 10 % 10 != 9)
