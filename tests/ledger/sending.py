"""Sending to a ledger as its doors do, and reading from the tables what became of it."""

import io
import json
from collections.abc import Iterable
from typing import Any

from ledger.intake import append, take
from ledger.ledger import Ledger
from ledger.lines import read_touchpoints
from ledger.log import Move, Outcome
from ledger.quarantine import Entry, Received
from ledger.receipt import Receipt
from schemas.door import parse

Event = dict[str, Any]

OCCURRED = "2026-01-05T10:00:00Z"
SECOND = 1_000_000
HOUR = 3_600 * SECOND


def order(id_: str = "1", **changes: Any) -> Event:
    """An order as the shop reports it; `changes` are attributes of its envelope."""
    return {
        "specversion": "1.0",
        "id": id_,
        "source": "shop",
        "type": "order.completed.v1",
        "subject": "customer:42",
        "time": OCCURRED,
        "data": {"order_id": "A1", "total": {"amount": "12.50", "currency": "EUR"}},
    } | changes


def orders(numbers: Iterable[int], customers: int = 3) -> list[Event]:
    """Orders of a few customers in turn, with the numbers as their ids."""
    return [order(str(n), subject=f"customer:{n % customers}") for n in numbers]


NOW = parse(json.dumps(order()).encode()).at + 30 * 24 * HOUR
"""What the clock of the tests shows: a month after what they report."""


def line(event: Event) -> bytes:
    return json.dumps(event).encode()


def send(
    ledger: Ledger,
    *events: Event | bytes | Received,
    moves: Iterable[Move] = (),
    door: str = "append",
) -> tuple[Receipt, list[Outcome]]:
    """One group through the intake."""
    return append(ledger, [(_received(event, door), None) for event in events], moves)


def _received(event: Event | bytes | Received, door: str) -> Received:
    if isinstance(event, Received):
        return event
    return Received(event if isinstance(event, bytes) else line(event), door)


def send_file(ledger: Ledger, content: bytes, name: str = "file.ndjson") -> Receipt:
    """A whole file, as `touchstone append` takes it."""
    return take(ledger, read_touchpoints(io.BytesIO(content), "append", name))


def adds_up(receipt: Receipt) -> bool:
    """Law 5: nothing is lost."""
    parts = (receipt.recorded, receipt.duplicate, receipt.conflict, receipt.quarantined)
    return receipt.received == sum(parts)


def waiting(ledger: Ledger, status: str | None = "waiting") -> list[Entry]:
    """What is in quarantine."""
    with ledger.store.cursor() as cursor:
        return ledger.quarantine.entries(cursor, status)


def kept_bytes(ledger: Ledger, entry: int) -> bytes:
    """What an entry of the quarantine holds."""
    with ledger.store.cursor() as cursor:
        return ledger.quarantine.bytes_of(entry, cursor)


def query(ledger: Ledger, sql: str, *values: Any) -> list[Any]:
    """What stands in the ledger's tables."""
    with ledger.store.cursor() as cursor:
        return cursor.execute(sql, values).fetchall()


def positions(ledger: Ledger) -> list[int]:
    rows = query(ledger, "SELECT notification_id FROM stored_events ORDER BY 1")
    return [position for (position,) in rows]


def versions(ledger: Ledger) -> dict[str, list[int]]:
    """The versions in each stream, in the order of positions."""
    found: dict[str, list[int]] = {}
    for stream, version in query(
        ledger,
        "SELECT originator_id, originator_version FROM stored_events ORDER BY notification_id",
    ):
        found.setdefault(stream, []).append(version)
    return found


def assert_dense(ledger: Ledger) -> None:
    """Positions and the versions of every stream count from 1 without a gap."""
    found = positions(ledger)
    assert found == list(range(1, len(found) + 1))
    assert ledger.log.head().position == len(found)
    for inside in versions(ledger).values():
        assert inside == list(range(1, len(inside) + 1))
