"""Who customers are: descriptions, consents, visitors who turn out to be known, and doubles."""

from cli.year.business import Year
from cli.year.clocks import DAY, HOUR, MINUTE
from cli.year.journal import CRM, SHOP, Data
from cli.year.loyalty import bring_points_along, choose_statement
from cli.year.people import SEGMENT_NAMES, Customer
from cli.year.purchases import place_order, view_pages
from cli.year.vocabulary import COMPANIES

DOUBLE_SHARE = 0.006
EMAIL_ALLOWED_SHARE = 0.58
SMS_ALLOWED_SHARE = 0.2
PROFILING_ALLOWED_SHARE = 0.12


def introduce(year: Year, customer: Customer, at: int) -> None:
    """The customer turns up: he registers, or the CRM tells about a customer of old."""
    if customer.known:
        return
    customer.known = True
    if customer.newcomer and year.chance(0.2):
        _browse_before(year, customer, at)
    year.book(customer, at, CRM, "customer.described.v1", {"traits": _traits(year, customer)})
    _give_first_consents(year, customer, at)
    if not customer.newcomer:
        bring_points_along(year, customer, at + 1)
    if year.chance(DOUBLE_SHARE):
        _register_twice(year, customer, at)


def _traits(year: Year, customer: Customer) -> Data:
    traits: Data = {
        "name": customer.name,
        "email": customer.email,
        "language": customer.country.language,
        "country": customer.country.code,
        "segment": SEGMENT_NAMES[customer.segment],
    }
    if customer.phone is not None:
        traits["phone"] = customer.phone
    if year.chance(0.3):
        traits["birth_year"] = year.between(1940, 2006)
    if year.chance(0.04):
        traits["company"] = year.pick(COMPANIES)
    if year.chance(0.1):
        traits["custom"] = {"brews": year.pick(("moka", "filter", "espresso", "tea"))}
    return traits


def _browse_before(year: Year, customer: Customer, at: int) -> None:
    """He had been looking around without a name, and is recognised when he registers."""
    visitor = anonymous(year)
    before = at - year.minutes(20, 50)
    view_pages(year, customer, visitor, before, year.between(1, 4))
    year.tell(customer, at + MINUTE, SHOP, "customer.linked.v1", {"other": visitor})


def anonymous(year: Year) -> str:
    """A visitor of whom only a cookie is known."""
    return f"anonymous:{year.rng.getrandbits(64):016x}"


def browse_unknown(year: Year, customer: Customer, at: int) -> None:
    """The customer on another device, where nobody knows him, until he signs in there."""
    visitor = anonymous(year)
    at, _ = view_pages(year, customer, visitor, at, year.between(1, 5))
    if year.chance(0.4):
        year.tell(customer, at, SHOP, "customer.linked.v1", {"other": visitor})


def _give_first_consents(year: Year, customer: Customer, at: int) -> None:
    if year.chance(EMAIL_ALLOWED_SHARE):
        customer.email_allowed = True
        state_consent(year, customer, at, "granted", "email")
    if customer.phone is not None and year.chance(SMS_ALLOWED_SHARE):
        customer.sms_allowed = True
        state_consent(year, customer, at, "granted", "sms")
    if year.chance(PROFILING_ALLOWED_SHARE):
        state_consent(year, customer, at, "granted", "any", "profiling")


def state_consent(
    year: Year,
    customer: Customer,
    at: int,
    granted_or_withdrawn: str,
    channel: str,
    purpose: str = "marketing",
) -> None:
    data: Data = {"channel": channel, "purpose": purpose}
    if granted_or_withdrawn == "granted":
        data["legal_basis"] = "consent"
        data["evidence"] = "ticked in the form for registration"
    year.book(customer, at, CRM, f"consent.{granted_or_withdrawn}.v1", data)


def change_settings(year: Year, customer: Customer, at: int) -> None:
    """Consents, statements, or what the profile says."""
    chance = year.rng.random()
    if chance < 0.4:
        choose_statement(year, customer, at)
    elif chance < 0.75:
        _change_consent(year, customer, at)
    else:
        _move_house(year, customer, at)


def _change_consent(year: Year, customer: Customer, at: int) -> None:
    if year.chance(0.15):
        customer.email_allowed = customer.sms_allowed = False
        state_consent(year, customer, at, "withdrawn", "any")
    elif year.chance(0.6):
        customer.email_allowed = not customer.email_allowed
        statement = "granted" if customer.email_allowed else "withdrawn"
        state_consent(year, customer, at, statement, "email")
    else:
        customer.sms_allowed = not customer.sms_allowed
        statement = "granted" if customer.sms_allowed else "withdrawn"
        state_consent(year, customer, at, statement, "sms")


def _move_house(year: Year, customer: Customer, at: int) -> None:
    traits: Data = {"custom": {"floor": str(year.between(0, 6)), "lift": "yes"}}
    if year.chance(0.3):
        traits["segment"] = year.pick(SEGMENT_NAMES)
    year.book(customer, at, CRM, "customer.described.v1", {"traits": traits})


def _register_twice(year: Year, customer: Customer, at: int) -> None:
    """The CRM has him a second time; it is noticed and merged, and at times that was wrong."""
    number = len(year.customers) + customer.number
    double = Customer(
        number=number,
        subject=f"customer:{number}",
        segment=customer.segment,
        country=customer.country,
        hours=customer.hours,
        newcomer=True,
        first_name=customer.first_name,
        last_name=customer.last_name,
        email=customer.email.replace("@", ".home@"),
        phone=customer.phone,
    )
    appears = at + year.between(DAY, 60 * DAY)
    year.book(double, appears, CRM, "customer.described.v1", {"traits": _traits(year, double)})
    place_order(year, double, appears + 5 * MINUTE)
    merged = appears + year.between(DAY, 30 * DAY)
    _merge(year, customer, double, merged)


def _merge(year: Year, customer: Customer, double: Customer, at: int) -> None:
    data: Data = {"other": double.subject, "reason": "registered twice"}
    merge_id = year.book(customer, at, CRM, "customer.merged.v1", data)
    if merge_id is not None and year.chance(0.25):
        undone: Data = {
            "other": double.subject,
            "reason": "father and daughter, not one person",
            "merge_id": merge_id,
            "merge_source": CRM,
        }
        later = at + year.between(HOUR, 5 * DAY)
        year.book(customer, later, CRM, "customer.unmerged.v1", undone)
