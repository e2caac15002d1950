"""What the libraries are given to send, and what of it has to stand in the log."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

Fields = dict[str, Any]

FIRST = datetime(2026, 1, 5, 10, tzinfo=UTC)
CUSTOMERS = 20
CURRENCY = "EUR"


def at(number: int) -> str:
    """When the call or event of this number occurred."""
    return (FIRST + timedelta(minutes=number)).isoformat()


def order_calls(numbers: Iterable[int]) -> list[Fields]:
    """Orders, as Segment's catalogue has them."""
    return [
        {
            "method": "track",
            "event": "Order Completed",
            "userId": f"c{number % CUSTOMERS}",
            "timestamp": at(number),
            "properties": {
                "order_id": f"A{number}",
                "total": number + 0.25,
                "currency": CURRENCY,
                "products": [{"product_id": f"P{number}", "price": number + 0.25, "quantity": 1}],
            },
        }
        for number in numbers
    ]


def order_events(numbers: Iterable[int], source: str) -> list[Fields]:
    """The same orders as CloudEvents of this ledger's catalogue."""
    return [
        {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": source,
            "type": "order.completed.v1",
            "subject": f"customer:c{number % CUSTOMERS}",
            "time": at(number),
            "data": {
                "order_id": f"A{number}",
                "total": {"amount": f"{number}.25", "currency": CURRENCY},
            },
        }
        for number in numbers
    ]


def order_of(touchpoint: Fields) -> tuple[Any, ...]:
    """What there is to be told of a recorded order."""
    data = touchpoint["data"]
    when = datetime.fromisoformat(touchpoint["time"])
    total = (data["total"]["amount"], data["total"]["currency"])
    return touchpoint["type"], touchpoint["subject"], when, data["order_id"], *total


def expected_orders(numbers: Iterable[int]) -> list[tuple[Any, ...]]:
    """The same of those that were sent."""
    return [
        (
            "order.completed.v1",
            f"customer:c{number % CUSTOMERS}",
            FIRST + timedelta(minutes=number),
            f"A{number}",
            f"{number}.25",
            CURRENCY,
        )
        for number in numbers
    ]


CALLS: list[Fields] = [
    {
        "method": "identify",
        "userId": "ana",
        "anonymousId": "anon-1",
        "traits": {"name": "Ana Rossi", "email": "ana@example.com", "plan": "gold"},
    },
    *order_calls([1]),
    {
        "method": "track",
        "userId": "ana",
        "event": "Video Played",
        "properties": {"title": "Perché no?", "seconds": 61, "watched": 0.5},
    },
    {
        "method": "page",
        "userId": "ana",
        "category": "Shop",
        "name": "Prices",
        "properties": {"url": "https://shop.example.com/prices"},
    },
    {"method": "screen", "userId": "ana", "name": "Basket", "properties": {"items": 2}},
    {"method": "group", "userId": "ana", "groupId": "g-1", "traits": {"name": "Acme"}},
    {"method": "alias", "userId": "ana", "previousId": "anon-2"},
    {"method": "track", "anonymousId": "anon-3", "event": "Signed Up", "properties": {"step": 1}},
]
"""A call of each kind; each occurs a minute after the one before."""

for minute, sent in enumerate(CALLS):
    sent["timestamp"] = at(minute)

BECAME: list[tuple[int, str, str, Fields]] = [
    (
        0,
        "customer.described.v1",
        "customer:ana",
        {"traits": {"name": "Ana Rossi", "email": "ana@example.com", "custom": {"plan": "gold"}}},
    ),
    (0, "customer.linked.v1", "customer:ana", {"other": "anonymous:anon-1"}),
    (
        1,
        "order.completed.v1",
        "customer:c1",
        {
            "order_id": "A1",
            "total": {"amount": "1.25", "currency": CURRENCY},
            "lines": [
                {
                    "product_id": "P1",
                    "quantity": 1,
                    "price": {"amount": "1.25", "currency": CURRENCY},
                }
            ],
        },
    ),
    (
        2,
        "event.tracked.v1",
        "customer:ana",
        {
            "name": "Video Played",
            "properties": {"title": "Perché no?", "seconds": 61, "watched": 0.5},
        },
    ),
    (
        3,
        "page.viewed.v1",
        "customer:ana",
        {"url": "https://shop.example.com/prices", "title": "Prices"},
    ),
    (
        4,
        "event.tracked.v1",
        "customer:ana",
        {"name": "Viewed Basket Screen", "properties": {"items": 2}},
    ),
    (5, "customer.described.v1", "customer:ana", {"traits": {"company": "Acme"}}),
    (6, "customer.linked.v1", "customer:ana", {"other": "anonymous:anon-2"}),
    (
        7,
        "event.tracked.v1",
        "anonymous:anon-3",
        {"name": "Signed Up", "properties": {"step": 1}},
    ),
]
"""What these are in the log: the minute, type, subject, and data without `extra`."""
