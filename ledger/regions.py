"""Regions: the country that phone numbers of a source belong to, where they have no country code.

It is said at the door, and kept in the context of what came in, so that a retry out of quarantine
reads a number as it was meant.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from ledger.ledger import Ledger
from ledger.quarantine import Item, Received
from ledger.record import Record, records_of
from schemas.door import Refused
from schemas.envelope import Envelope
from schemas.touchpoint import Touchpoint

REGION = "region"
"""Its name in a context; the value is an ISO 3166 country, such as IT."""


def from_region(items: Iterable[Item], region: str | None) -> Iterable[Item]:
    """The items, each with the region that is meant where a number says none."""
    return items if region is None else _marked(items, region)


def records_by_region(
    ledger: Ledger, envelopes: Iterable[tuple[Received, Envelope[Touchpoint]]]
) -> Iterator[Record | Refused]:
    """The records of touchpoints, in their order, with numbers read as their region has them."""
    for region, run in groupby(envelopes, key=lambda each: each[0].context.get(REGION)):
        yield from records_of([envelope for _, envelope in run], ledger.vault.within(region))


def _marked(items: Iterable[Item], region: str) -> Iterator[Item]:
    for item in items:
        received = item[0] if isinstance(item, tuple) else item
        received.context[REGION] = region
        yield item
