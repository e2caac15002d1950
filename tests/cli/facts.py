"""Touchpoints for the tests of windows, as lines of NDJSON, and a small business made of them."""

import json
from itertools import count
from typing import Any

from tests.cli.running import Ran, Shell

_ids = count(1)

IN_CLEAR = ("--reveal", "a test")
"""What shows personal data; without it there are masks."""


def event(
    type_name: str,
    data: dict[str, Any],
    at: str = "2026-01-05T10:00:00Z",
    subject: str = "customer:42",
    **more: Any,
) -> dict[str, Any]:
    """One CloudEvent; `at` is its time, and its id is new unless one is given."""
    named = {"id": f"e{next(_ids)}", "source": "shop"} | more
    return {
        "specversion": "1.0", "type": type_name, "subject": subject, "time": at, "data": data,
    } | named  # fmt: skip


def order(order_id: str, amount: str, at: str, **more: Any) -> dict[str, Any]:
    """A completed order in euros."""
    total = {"amount": amount, "currency": "EUR"}
    return event("order.completed.v1", {"order_id": order_id, "total": total}, at, **more)


def refund(order_id: str, amount: str, at: str, **more: Any) -> dict[str, Any]:
    """A refund in euros."""
    given = {"amount": amount, "currency": "EUR"}
    return event("order.refunded.v1", {"order_id": order_id, "amount": given}, at, **more)


def described(at: str = "2026-01-01T09:00:00Z", **traits: Any) -> dict[str, Any]:
    """What a customer is called and how he is reached; `subject` names another customer."""
    subject = traits.pop("subject", "customer:42")
    return event("customer.described.v1", {"traits": traits}, at, subject, source="crm")


def ticket(what: str, ticket_id: str, at: str, subject: str = "customer:42", **data: Any) -> Any:
    """A touchpoint of a ticket, such as `opened` or `status_changed`."""
    data = {"ticket_id": ticket_id, **data}
    return event(f"ticket.{what}.v1", data, at, subject, source="helpdesk")


def programme(name: str = "main", at: str = "2026-01-01T00:00:00Z", **terms: Any) -> Any:
    """Rules that give a point for each full 10 euros; other terms of the version may be given."""
    per = {"amount": "10", "currency": "EUR"}
    earn = [{"rule_id": "spend", "on": "order.completed.v1", "points": 1, "per": per}]
    data = {"programme": name, "version": 1, "valid_from": at, "earn": earn} | terms
    return event("loyalty.rules_published.v1", data, at, f"programme:{name}", source="loyalty")


def record(shell: Shell, *events: dict[str, Any]) -> Ran:
    """Append the touchpoints; all of them must be recorded."""
    ran = shell("append", "-", stdin="\n".join(map(json.dumps, events)).encode())
    assert ran.code == 0, ran.err
    return ran
