"""A small business behind a server, for the tests of its windows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ledger.ledger import Ledger
from projections.follow import follow
from projections.registry import PROJECTIONS
from tests.cli.facts import described, event, order, programme, refund, ticket
from tests.ledger.sending import send
from tests.web.serving import Client, Running, serving

NAME, MAIL, BOB, TITLE, TEXT = (
    "Ana Rossi", "ana@example.com", "bob@example.com", "A broken lid", "It fell",
)  # fmt: skip
CLEAR = (NAME, MAIL, BOB, TITLE, TEXT)
"""What is personal of it."""
BOBS = f"email:{BOB}"
GIFT = 1_000


def facts() -> list[dict[str, Any]]:
    """A customer with orders, two tickets, points and a consent; one who is only an address."""
    gift = {"programme": "main", "adjustment_id": "J1", "points": GIFT, "reason": "welcome"}
    consent = {"channel": "email", "purpose": "marketing"}
    return [
        programme() | {"id": "rules"},
        described(name=NAME, email=MAIL, company="Rossi") | {"id": "d1"},
        order("A1", "100.00", "2026-01-05T10:00:00Z"),
        refund("A1", "40.00", "2026-01-20T10:00:00Z"),
        order("B1", "50.00", "2026-01-06T10:00:00Z", subject=BOBS),
        event("points.adjusted.v1", gift, "2026-01-21T10:00:00Z"),
        event("consent.granted.v1", consent, "2026-01-22T10:00:00Z"),
        event("consent.withdrawn.v1", consent, "2026-02-22T10:00:00Z"),
        event("customer.linked.v1", {"other": "anonymous:9f"}, "2026-01-23T10:00:00Z"),
        event("page.viewed.v1", {"url": "https://x.example/a"}, subject="anonymous:9f"),
        ticket("opened", "T1", "2026-02-07T10:00:00Z", title=TITLE, priority="urgent"),
        ticket("commented", "T1", "2026-02-07T11:00:00Z", author="customer", public=True,
               text=TEXT),
        ticket("status_changed", "T1", "2026-02-08T10:00:00Z", status="solved"),
        ticket("opened", "T/2", "2026-02-09T10:00:00Z", title="slow", subject=BOBS),
    ]  # fmt: skip


def tell(ledger: Ledger, *events: dict[str, Any]) -> None:
    """Record touchpoints, and bring the views up to date."""
    assert send(ledger, *events)[0].recorded == len(events)
    follow(ledger, PROJECTIONS)


@contextmanager
def business(ledger: Ledger, role: str = "analyst") -> Iterator[tuple[Running, Client]]:
    """A server on a ledger with the facts, and a client with a token of a role."""
    tell(ledger, *facts())
    with serving(ledger) as running, running.client(role, "*") as client:
        yield running, client
