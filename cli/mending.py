"""What `quarantine retry --mapping` is given: the mapping of an import, or a connector.

Either is for the entries that came by it alone: another connector might take what it was never
written for, and record that for good.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.importing import DOOR as IMPORT
from ledger.ledger import Ledger
from ledger.mapping import mapping_in
from ledger.mapping_file import read_mapping_file
from ledger.quarantine import Entry
from ledger.retrying import FOREIGN, Again, by_mapping

WEBHOOK = "webhook"
CONNECTOR = "connector"
"""The key in the context of an entry that names the connector by which it came."""


@dataclass(frozen=True, slots=True)
class Mending:
    """A file for entries of one door; `connector` is whose, None for rows of imports."""

    file: str
    door: str
    connector: str | None
    again: Callable[[Ledger], Again]

    def is_for(self, entry: Entry) -> bool:
        return (entry.door, entry.context.get(CONNECTOR)) == (self.door, self.connector)

    def __str__(self) -> str:
        what = "a mapping" if self.connector is None else f"the connector {self.connector}"
        return f"{self.file} ({what})"


def mended(written: str) -> Mending:
    """What is for entries by a mended file, or by the name of a connector that comes with
    Touchstone. Raises MappingInvalid."""
    from web.webhooks.connector import connector_in, path_meant
    from web.webhooks.receiving import again

    path = path_meant(written)
    top = read_mapping_file(path)
    if not top.has("signature"):
        by_rows = by_mapping(mapping_in(top))
        return Mending(written, IMPORT, None, lambda ledger: by_rows)
    connector = connector_in(top, path.stem)
    return Mending(
        written,
        WEBHOOK,
        connector.name,
        lambda ledger: (
            lambda received, entry: again(
                received, entry.reason, connector, ledger.vault.content_key()
            )
        ),
    )


def way_in(entry: Entry) -> str:
    """By what an entry came, and what `--mapping` has to be given for it."""
    if entry.door == WEBHOOK:
        name = entry.context.get(CONNECTOR)
        return f"came by the connector {name}: {_connector_wanted(str(name))}"
    if entry.door == IMPORT:
        return f"came by an import of {entry.context.get('file')}: give its mapping"
    return f"came as a touchpoint ({entry.door}): retry it without --mapping"


def lacking(entry: Entry) -> str:
    """What to do about an entry that is retried without the file that it takes, for the end of a
    message; empty where it takes none."""
    if entry.reason not in FOREIGN:
        return ""
    if entry.door == WEBHOOK:
        name = str(entry.context.get(CONNECTOR))
        return f"; it came by the connector {name}: {_connector_wanted(name)} by --mapping"
    return "; give the mended mapping by --mapping"


def _connector_wanted(name: str) -> str:
    """A connector that comes with Touchstone is also there by its name."""
    from web.webhooks.connector import shipped

    own = f"its mended file {name}.toml"
    return f"give {name}, or {own}" if name in shipped() else f"give {own}"
