"""Looking around, buying, and what becomes of an order."""

from typing import NamedTuple

from cli.year.business import Year
from cli.year.clocks import DAY, HOUR, MINUTE, SECOND
from cli.year.journal import CRM, MAILER, SHOP, Data
from cli.year.loyalty import answer_survey, save_for_order
from cli.year.people import BARGAIN_HUNTER, LOYAL, Customer
from cli.year.seasons import is_sale
from cli.year.vocabulary import (
    COUPONS,
    PAGES,
    PLACES,
    PRODUCTS,
    REFERRERS,
    SALE_COUPON,
    TRAFFIC_SOURCES,
    Money,
)

REFUNDED_SHARE = 0.06
CANCELLED_SHARE = 0.03
STUCK_SHARE = 0.08
"""How many refunded or cancelled orders arrive after their refund or cancellation."""
ENTERED_TWICE_SHARE = 0.002


class Basket(NamedTuple):
    """What is bought; amounts in cents of the customer's currency."""

    lines: list[Data]
    cents: int
    discount: int
    coupon: str | None


class Fate(NamedTuple):
    """What becomes of an order: a type of touchpoint, when, and how many cents come back."""

    kind: str
    at: int
    cents: int


def look_around(year: Year, customer: Customer, at: int) -> None:
    """A session in the shop that comes to nothing."""
    view_pages(year, customer, customer.subject, at, year.between(1, 5))


def view_pages(
    year: Year, customer: Customer, subject: str, at: int, pages: int
) -> tuple[int, str]:
    """So many pages of one session from `at` on; returns when it ended and where it came from."""
    came_from = year.pick(TRAFFIC_SOURCES)
    session_id = f"S{year.number()}"
    clock = customer.country.clock
    for page in range(pages):
        data: Data = {"url": _url(year), "session_id": session_id}
        if page == 0:
            data["traffic_source"] = came_from
            if came_from in ("search", "social", "partner"):
                data["referrer"] = year.pick(REFERRERS)
        year.journal.write(at, SHOP, "page.viewed.v1", subject, data, clock=clock)
        at += year.between(5 * SECOND, 3 * MINUTE)
    return at, came_from


def _url(year: Year) -> str:
    if year.chance(0.3):
        return "https://shop.example" + year.pick(PAGES)
    product = year.pick(PRODUCTS)
    return f"https://shop.example/{product.category}/{product.product_id}"


def abandon(year: Year, customer: Customer, at: int) -> None:
    """A checkout that nobody finishes."""
    at, _ = view_pages(year, customer, customer.subject, at, year.between(1, 3))
    basket = fill_basket(year, customer, at)
    _start_checkout(year, customer, at, basket)


def _start_checkout(year: Year, customer: Customer, at: int, basket: Basket) -> None:
    total = customer.country.money(basket.cents)
    data: Data = {"checkout_id": f"K{year.number()}", "total": total}
    year.tell(customer, at, SHOP, "checkout.started.v1", data)


def shop(year: Year, customer: Customer, at: int) -> None:
    """A visit to the shop, on the web or in town, that ends with an order."""
    if year.chance(0.12):
        order_id = place_order(year, customer, at, place=year.pick(PLACES))
    else:
        at, came_from = view_pages(year, customer, customer.subject, at, year.between(0, 3))
        order_id = place_order(year, customer, at, came_from=came_from)
        _keep_posted(year, customer, at, order_id)
    if year.chance(0.09):
        asked = at + year.between(2 * DAY, 9 * DAY)
        answer_survey(year, customer, asked, year.pick(("nps", "nps", "csat")), order_id)


def place_order(
    year: Year,
    customer: Customer,
    at: int,
    came_from: str | None = None,
    place: str | None = None,
) -> str:
    """One order and its fate; returns its order_id."""
    basket = fill_basket(year, customer, at)
    if came_from is not None and year.chance(0.5):
        _start_checkout(year, customer, at - year.between(30 * SECOND, 5 * MINUTE), basket)
    data = _order(year, customer, basket, came_from, place)
    fate = _fate(year, at, basket.cents)
    # The shop's outbox was stuck: whatever became of the order arrives before the order.
    stuck = fate is not None and year.chance(STUCK_SHARE)
    held_until = fate.at + HOUR if fate is not None and stuck else 0
    year.tell(customer, at, SHOP, "order.completed.v1", data, held_until=held_until)
    order_id = str(data["order_id"])
    if fate is not None:
        _meet_fate(year, customer, order_id, fate)
    # Half of the customers do not see the refund coming, and may spend points that they lose.
    foreseen = fate.cents if fate is not None and year.chance(0.5) else 0
    save_for_order(year, customer, at, basket.cents - foreseen)
    if year.chance(ENTERED_TWICE_SHARE):
        _enter_twice(year, customer, at, data)
    return order_id


def fill_basket(year: Year, customer: Customer, at: int) -> Basket:
    """One to four products; who hunts for bargains, and everybody in the sale, pays less."""
    country = customer.country
    lines: list[Data] = []
    cents = 0
    for _ in range(1 + int(3.6 * year.rng.random() ** 2)):
        index = int(year.rng.random() * len(PRODUCTS))
        quantity = 1 if year.chance(0.8) else year.between(2, 5)
        cents += quantity * country.prices[index]
        lines.append(_order_line(index, quantity, country.shown_prices[index]))
    coupon = _coupon(year, customer, at)
    percent = 25 if coupon == SALE_COUPON else 10
    discount = cents * percent // 100 if coupon is not None else 0
    return Basket(lines, cents - discount, discount, coupon)


def _order_line(index: int, quantity: int, price: Money) -> Data:
    product = PRODUCTS[index]
    return {
        "product_id": product.product_id,
        "quantity": quantity,
        "price": price,
        "category": product.category,
    }


def _coupon(year: Year, customer: Customer, at: int) -> str | None:
    hunter = customer.segment == BARGAIN_HUNTER
    if is_sale(at // DAY) and year.chance(0.9 if hunter else 0.5):
        return SALE_COUPON
    return year.pick(COUPONS) if year.chance(0.45 if hunter else 0.08) else None


def _order(
    year: Year, customer: Customer, basket: Basket, came_from: str | None, place: str | None
) -> Data:
    country = customer.country
    order_id = f"A{year.number()}"
    data: Data = {"order_id": order_id, "total": country.money(basket.cents), "lines": basket.lines}
    if basket.coupon is not None:
        data["discount"] = country.money(basket.discount)
        data["coupon"] = basket.coupon
    if came_from is not None:
        data["traffic_source"] = came_from
    if place is not None:
        data["place"] = place
    return data


def _fate(year: Year, at: int, cents: int) -> Fate | None:
    chance = year.rng.random()
    if chance < CANCELLED_SHARE:
        return Fate("order.cancelled.v1", at + year.minutes(5, 1_440), cents)
    if chance < CANCELLED_SHARE + REFUNDED_SHARE:
        given_back = cents if year.chance(0.3) else cents * year.between(10, 90) // 100
        return Fate("order.refunded.v1", at + year.between(3 * DAY, 45 * DAY), given_back)
    return None


def _meet_fate(year: Year, customer: Customer, order_id: str, fate: Fate) -> None:
    data: Data = {"order_id": order_id}
    if fate.kind == "order.refunded.v1":
        data["amount"] = customer.country.money(fate.cents)
    elif year.chance(0.7):
        data["reason"] = year.pick(("changed my mind", "found it elsewhere", "ordered twice"))
    year.tell(customer, fate.at, SHOP, fate.kind, data)


def _enter_twice(year: Year, customer: Customer, at: int, order: Data) -> None:
    """The till sends the order again under a new number, and a clerk voids it the next day."""
    again = {**order, "order_id": f"A{year.number()}"}
    line_id = year.tell(customer, at + year.minutes(1, 30), SHOP, "order.completed.v1", again)
    if line_id is not None:
        data: Data = {
            "voided_source": SHOP,
            "voided_id": line_id,
            "reason": "the same order was entered twice",
        }
        year.book(customer, at + DAY, CRM, "touchpoint.voided.v1", data)


def _keep_posted(year: Year, customer: Customer, at: int, order_id: str) -> None:
    """The confirmation by mail, and to some a message when the parcel leaves."""
    if year.chance(0.6):
        message_id = f"M{year.number()}"
        sent: Data = {
            "message_id": message_id,
            "subject_line": f"Your order {order_id}",
            "purpose": "service",
        }
        at += year.between(SECOND, 20 * SECOND)
        year.book(customer, at, MAILER, "email.sent.v1", sent, correlation=order_id)
        delivered: Data = {"message_id": message_id}
        year.book(customer, at + 2 * SECOND, MAILER, "email.delivered.v1", delivered)
    if customer.phone is not None and year.chance(0.35 if customer.segment == LOYAL else 0.2):
        _announce_parcel(year, customer, at + year.between(8 * HOUR, 3 * DAY), order_id)


def _announce_parcel(year: Year, customer: Customer, at: int, order_id: str) -> None:
    message_id = f"M{year.number()}"
    sent: Data = {
        "message_id": message_id,
        "phone": customer.phone,
        "text": f"Your parcel {order_id} is on its way.",
        "purpose": "service",
    }
    year.book(customer, at, MAILER, "sms.sent.v1", sent, correlation=order_id)
    arrived: Data = {"message_id": message_id}
    kind = "sms.delivered.v1" if year.chance(0.97) else "sms.failed.v1"
    year.book(customer, at + year.between(SECOND, MINUTE), MAILER, kind, arrived)
