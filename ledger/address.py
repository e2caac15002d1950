"""Addresses: where a ledger is, read from a URL."""

from pathlib import Path
from typing import Protocol

from ledger.errors import BadAddress
from ledger.keyring import KeyStore
from ledger.postgres.address import SCHEMES as POSTGRES_SCHEMES
from ledger.postgres.address import PostgresAddress
from ledger.sqlite.address import SCHEME as SQLITE_SCHEME
from ledger.sqlite.address import SQLiteAddress
from ledger.store import Store


class Address(Protocol):
    """A place where a ledger is or can be made. It can be handed to another process."""

    @property
    def keys(self) -> Path:
        """The file of the master key."""

    @property
    def url(self) -> str:
        """The address as it may be shown: without a password."""

    @property
    def place(self) -> str:
        """The address in words for people: a file, or a server with its database."""

    @property
    def key_places(self) -> str:
        """Where the keys are, in words for people."""

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """Files that nobody but their owner may read."""

    @property
    def disk(self) -> Path | None:
        """A folder on the disk that holds the ledger, where that is on this machine."""

    def store(self) -> Store:
        """Connections to the ledger."""

    def key_store(self) -> KeyStore:
        """The store of the subjects' wrapped keys."""

    def is_new(self) -> bool:
        """Whether a ledger can be made here. Raises NotInitialised when something else is here."""

    def create(self, ledger_id: str) -> bool:
        """Make the schema or bring it to the newest version; True when there was none."""

    def check(self) -> str:
        """The id of the ledger. Raises NotInitialised, SchemaMismatch or Unreachable."""

    def diagnose(self) -> tuple[str, str | None]:
        """What the store is and where, and what is wrong with it, if anything is."""


def parse_url(url: str, keys: Path | None = None) -> Address:
    """Read `sqlite:///PATH` or `postgresql://…`. Raises BadAddress, saying what is expected."""
    if url.startswith(POSTGRES_SCHEMES):
        return PostgresAddress.parse(url, keys)
    path = url.removeprefix(SQLITE_SCHEME)
    where = Path(path)
    if path == url or not where.name or where.is_dir():
        hint = f" (for a file: {SQLITE_SCHEME}{url})" if "://" not in url and where.name else ""
        raise BadAddress(
            f"the ledger {_without_secret(url)!r} is not of the form sqlite:///PATH "
            f"or postgresql://USER@HOST/DATABASE{hint}"
        )
    return SQLiteAddress(where, keys or where.with_name(where.name + ".keys"))


def _without_secret(url: str) -> str:
    """The address as an error may show it: what stands before an @ may be a password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}…@{rest.rpartition('@')[2]}" if "@" in rest else url
