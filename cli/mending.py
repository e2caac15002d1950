"""What `quarantine retry --mapping` is given: the mapping of an import, or a connector."""

from pathlib import Path

from ledger.mapping import mapping_in
from ledger.mapping_file import read_mapping_file
from ledger.quarantine import Entry, Item, Received
from ledger.retrying import Again, by_mapping
from schemas.door import Refused


def mended(path: Path) -> Again:
    """What entries give by a mended file. Raises MappingInvalid.

    Entries that are not of its kind wait on, with the reason that they have.
    """
    top = read_mapping_file(path)
    if top.has("signature"):
        return _by_connector(path)
    again = by_mapping(mapping_in(top))
    return lambda received, entry: (
        _waiting(received, entry) if entry.door == "webhook" else again(received, entry)
    )


def _by_connector(path: Path) -> Again:
    from web.webhooks.connector import load_connector
    from web.webhooks.receiving import DOOR, again

    connector = load_connector(path)
    return lambda received, entry: (
        again(received, entry.reason, connector)
        if entry.door == DOOR
        else _waiting(received, entry)
    )


def _waiting(received: Received, entry: Entry) -> list[Item]:
    return [(received, Refused(entry.reason, entry.path, entry.message))]
