"""A ledger: one log with its keys and its quarantine, opened by its address."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ledger.errors import BadAddress, KeysMissing
from ledger.keyfile import KeyFile, create_key_file, read_key_file
from ledger.keyring import Keyring
from ledger.log import Clock, Log, system_clock
from ledger.personal import Vault
from ledger.quarantine import Quarantine
from ledger.sqlite import Datastore, check_schema, create_schema, is_new

SCHEME = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a ledger is: its file, and beside it the key file and the store of subjects' keys."""

    path: Path
    keys: Path

    @property
    def url(self) -> str:
        return f"{SCHEME}{self.path}"

    @property
    def keyring(self) -> Path:
        return self.path.with_name(self.path.name + ".keyring")

    def beside(self, suffix: str) -> Path:
        """A file of this ledger's beside it, such as the lock of a rebuild."""
        return self.path.with_name(self.path.name + suffix)


def parse_url(url: str, keys: Path | None = None) -> Address:
    """Read `sqlite:///PATH`. Raises LedgerError, saying what is expected, for anything else."""
    path = url.removeprefix(SCHEME)
    where = Path(path)
    if path == url or not where.name or where.is_dir():
        hint = f" (for a file: {SCHEME}{url})" if "://" not in url and where.name else ""
        shown = _without_secret(url)
        raise BadAddress(f"the ledger {shown!r} is not of the form sqlite:///PATH{hint}")
    return Address(where, keys or where.with_name(where.name + ".keys"))


def _without_secret(url: str) -> str:
    """The address as an error may show it: what stands before an @ may be a password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}…@{rest.rpartition('@')[2]}" if "@" in rest else url


class Ledger:
    """An open ledger. Close it, or use it as a context."""

    def __init__(self, address: Address, keys: KeyFile, clock: Clock = system_clock) -> None:
        self.address = address
        self.keys = keys
        self.keyring = Keyring(address.keyring, keys.master)
        self.vault = Vault(self.keyring, keys.token)
        self.quarantine = Quarantine(self.vault.quarantine_key())
        self.store = Datastore(address.path)
        self.log = Log(self.store, self.quarantine, clock)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()
        self.keyring.close()


def open_ledger(address: Address, clock: Clock = system_clock) -> Ledger:
    """Open what `init` made. Raises NotInitialised, SchemaMismatch or KeysMissing."""
    ledger_id = check_schema(address.path)
    keys = read_key_file(address.keys)
    if keys.ledger_id != ledger_id:
        raise KeysMissing(f"the key file {address.keys} belongs to another ledger")
    if not address.keyring.is_file():
        raise KeysMissing(
            f"the subjects' keys {address.keyring} are missing; restore them from their backup"
        )
    return Ledger(address, keys, clock)


def create_ledger(address: Address) -> bool:
    """Make the ledger with its keys, or upgrade its schema; True when there was none before.

    Keys come first: a ledger without keys could not be used, keys without a ledger do no harm,
    and the next attempt takes them up. Raises NotInitialised when another file is in the way.
    """
    address.path.parent.mkdir(parents=True, exist_ok=True)
    if not is_new(address.path):
        return create_schema(address.path, uuid4().hex)
    keys = (
        read_key_file(address.keys)
        if address.keys.exists()
        else create_key_file(address.keys, uuid4().hex)
    )
    Keyring(address.keyring, keys.master).create()
    return create_schema(address.path, keys.ledger_id)
