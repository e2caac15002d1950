"""Retrying what is in quarantine: it goes through the same intake again, with its own time."""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.importing import row_again
from ledger.intake import append
from ledger.ledger import Ledger
from ledger.log import Quarantined
from ledger.mapping import Mapping
from ledger.quarantine import RECORDED, Entry, Item, Received
from ledger.receipt import Receipt
from ledger.regions import REGION, from_region
from schemas.door import Refused


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of an entry: its receipt, and why it still waits, if it does."""

    receipt: Receipt
    refused: Refused | None


Again = Callable[[Received, Entry], list[Item]]
"""What something gives that is no touchpoint itself, by whatever makes touchpoints of it."""

FOREIGN = frozenset({"row", "unmapped", "payload"})
"""The reasons of what is no touchpoint: a row of an import, what a webhook brought."""


def by_mapping(mapping: Mapping) -> Again:
    """What rows of an import give by a mapping."""
    return lambda received, entry: row_again(b"".join(received.parts()), entry.context, mapping)


def retry(ledger: Ledger, entry: Entry, again: Again | None = None) -> Retried:
    """Take an entry in again. It leaves quarantine when all that it gives is in the log.

    `again` is for what gave no touchpoint: rows of an import, and of webhooks. If the process
    ends in between, the next retry finds the touchpoint recorded and closes the entry.
    """
    with ledger.store.cursor() as cursor:
        received = ledger.quarantine.received(entry, cursor)
    items: list[Item] = [received]
    if entry.reason in FOREIGN:
        items = (
            again(received, entry)
            if again
            else [(received, Refused(entry.reason, entry.path, entry.message))]
        )
        items = list(from_region(items, entry.context.get(REGION)))
    group = [item if isinstance(item, tuple) else (item, None) for item in items]
    receipt, outcomes = append(ledger, group)
    refused = next((o.refused for o in outcomes if isinstance(o, Quarantined)), None)
    if refused is None:
        with ledger.store.cursor(write=True) as cursor:
            ledger.quarantine.settle(entry.entry, RECORDED, None, ledger.log.clock(), cursor)
    return Retried(receipt, refused)
