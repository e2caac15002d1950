"""A ledger: one log with its keys and its quarantine, opened by its address."""

from collections.abc import Collection, Iterable
from contextlib import closing
from typing import Any
from uuid import uuid4

from ledger.address import Address
from ledger.errors import KeysMissing, LedgerError
from ledger.keyfile import KeyFile, create_key_file, read_key_file
from ledger.keyring import Keyring, KeyStore
from ledger.log import Clock, Log, system_clock
from ledger.personal import Vault, subjects_with_keys
from ledger.quarantine import Quarantine
from ledger.redaction import erased_among
from schemas.envelope import Envelope


class Ledger:
    """An open ledger. Close it, or use it as a context.

    `unheeded` counts erased subjects of whom only the keys know, and of whom this ledger, which
    is older than that, still has traces: who opened it may not remove them.
    """

    unheeded = 0

    def __init__(
        self, address: Address, keys: KeyFile, key_store: KeyStore, clock: Clock = system_clock
    ) -> None:
        self.address = address
        self.keys = keys
        self.keyring = Keyring(key_store, keys.masters, self._reread_masters)
        self.keyring.hold_to_erasures()
        self.vault = Vault(self.keyring, keys.token)
        self.quarantine = Quarantine(self.vault.quarantine_key())
        self.store = address.store()
        self.log = Log(self.store, self.quarantine, clock)
        self._heed_tombstones()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()
        self.keyring.close()

    def heed_erasures(self, envelopes: Iterable[Envelope[Any]]) -> None:
        """Forget the keys to these stored touchpoints whose subjects were erased meanwhile.

        A process that lives long calls it before each `vault.reveal`: it has read keys before,
        and would go on opening what others cannot open any more.
        """
        self.heed_erasures_of(subjects_with_keys(envelopes))

    def heed_erasures_of(self, subjects: Collection[str]) -> None:
        """The same for these (stored) subjects."""
        with self.store.cursor() as cursor:
            erased = erased_among(subjects, cursor)
        self.keyring.forget(erased)

    def _heed_tombstones(self) -> None:
        """Should others have to do it, they do it when they open the ledger."""
        unrecorded = self.keyring.unrecorded()
        if unrecorded:
            # It builds on an open ledger, and hardly any is worth the time of its import.
            from ledger.tombstones import heed_tombstones

            try:
                heed_tombstones(self)
            except LedgerError:
                self.unheeded = len(unrecorded)

    def _reread_masters(self) -> list[bytes]:
        return read_keys_of(self.address, self.keys.ledger_id).masters


def open_ledger(address: Address, clock: Clock = system_clock) -> Ledger:
    """Open what `init` made. Raises NotInitialised, SchemaMismatch or KeysMissing."""
    ledger_id = address.check()
    keys = read_keys_of(address, ledger_id)
    key_store = address.key_store()
    try:
        key_store.check()
        return Ledger(address, keys, key_store, clock)
    except BaseException:
        key_store.close()
        raise


def read_keys_of(address: Address, ledger_id: str) -> KeyFile:
    """The keys in the key file of a ledger. Raises KeysMissing when they are another's."""
    keys = read_key_file(address.keys)
    if keys.ledger_id != ledger_id:
        raise KeysMissing(f"the key file {address.keys} belongs to another ledger")
    return keys


def create_ledger(address: Address) -> bool:
    """Make the ledger with its keys, or upgrade its schema; True when there was none before.

    Keys come first: a ledger without keys could not be used, keys without a ledger do no harm,
    and the next attempt takes them up. Raises NotInitialised when something else is in the way.
    """
    if not address.is_new():
        return address.create(uuid4().hex)
    keys = (
        read_key_file(address.keys)
        if address.keys.exists()
        else create_key_file(address.keys, uuid4().hex)
    )
    with closing(address.key_store()) as store:
        store.create()
    made = address.create(keys.ledger_id)
    open_ledger(address).close()  # makes the key of quarantine, which a reader may not
    return made
