"""A file of touchpoints, and processes that load it into a ledger until they are stopped."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger.address import Address
from tests.places import plain_connection

LINES = 20_000
CUSTOMERS = 1_500
BROKEN_EVERY = 997
"""So many lines lie between two that cannot be recorded."""


@dataclass(frozen=True)
class Load:
    """The lines of a file, the ids of those that can be recorded, and how many cannot."""

    lines: list[bytes]
    ids: frozenset[str]
    names: dict[str, str]
    """The personal name in each `customer.described.v1`, by its id."""

    @property
    def broken(self) -> int:
        return len(self.lines) - len(self.ids)


def made_up(seed: int, count: int = LINES) -> Load:
    """A load like a busy day: orders, refunds, tickets, names of customers, and broken lines."""
    chance = random.Random(seed)
    lines, ids, names = [], set(), {}
    for number in range(count):
        if number % BROKEN_EVERY == BROKEN_EVERY - 1:
            lines.append(b'{"id":"broken %d' % number)
            continue
        event = _event(number, chance)
        ids.add(event["id"])
        if event["type"] == "customer.described.v1":
            names[event["id"]] = event["data"]["traits"]["name"]
        lines.append(json.dumps(event).encode())
    return Load(lines, frozenset(ids), names)


def _event(number: int, chance: random.Random) -> dict[str, Any]:
    type_name, data = chance.choice(list(_data(number, chance)))
    minute, second = divmod(chance.randrange(3_600), 60)
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "shop",
        "type": type_name,
        "subject": f"customer:{chance.randrange(CUSTOMERS)}",
        "time": f"2026-01-{1 + number // 1_000:02}T10:{minute:02}:{second:02}Z",
        "data": data,
    }


def _data(number: int, chance: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    total = {"amount": f"{chance.randrange(10_000)}.50", "currency": "EUR"}
    yield "order.completed.v1", {"order_id": f"A{number}", "total": total}
    earlier = chance.randrange(number + 1)
    yield "order.refunded.v1", {"order_id": f"A{earlier}", "amount": total}
    yield "ticket.opened.v1", {"ticket_id": f"T{number}"}
    yield "ticket.status_changed.v1", {"ticket_id": f"T{earlier}", "status": "solved"}
    yield "customer.described.v1", {"traits": {"name": f"Name {number}"}}


def opening(address: Address) -> list[str]:
    """The options by which a command finds the ledger."""
    return ["--ledger", address.url, "--keys", str(address.keys)]


def head_of(address: Address) -> int:
    """The last position, as another process reads it."""
    with plain_connection(address) as connection:
        position: int = connection.execute("SELECT position FROM head").fetchone()[0]
        return position


def identities(address: Address) -> list[str]:
    """The ids in the log in the order of positions, which are checked to be dense."""
    with plain_connection(address) as connection:
        rows = connection.execute(
            "SELECT notification_id, id FROM stored_events ORDER BY notification_id"
        ).fetchall()
    assert [position for position, _ in rows] == list(range(1, len(rows) + 1))
    return [id_ for _, id_ in rows]
