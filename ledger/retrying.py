"""Retrying what is in quarantine: it goes through the same intake again, with its own time."""

from dataclasses import dataclass

from ledger.importing import row_again
from ledger.intake import append
from ledger.ledger import Ledger
from ledger.log import Quarantined
from ledger.mapping import Mapping
from ledger.quarantine import RECORDED, Entry, Item
from ledger.receipt import Receipt
from ledger.regions import REGION, from_region
from schemas.door import Refused


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of an entry: its receipt, and why it still waits, if it does."""

    receipt: Receipt
    refused: Refused | None


def retry(ledger: Ledger, entry: Entry, mapping: Mapping | None = None) -> Retried:
    """Take an entry in again. It leaves quarantine when all that it gives is in the log.

    `mapping` is for rows of an import that gave no touchpoint. If the process ends in between,
    the next retry finds the touchpoint recorded and closes the entry.
    """
    with ledger.store.cursor() as cursor:
        received = ledger.quarantine.received(entry, cursor)
    items: list[Item] = [received]
    if entry.reason == "row":
        items = (
            row_again(b"".join(received.parts()), entry.context, mapping)
            if mapping
            else [(received, Refused("row", entry.path, entry.message))]
        )
        items = list(from_region(items, entry.context.get(REGION)))
    group = [item if isinstance(item, tuple) else (item, None) for item in items]
    receipt, outcomes = append(ledger, group)
    refused = next((o.refused for o in outcomes if isinstance(o, Quarantined)), None)
    if refused is None:
        with ledger.store.cursor(write=True) as cursor:
            ledger.quarantine.settle(entry.entry, RECORDED, None, ledger.log.clock(), cursor)
    return Retried(receipt, refused)
