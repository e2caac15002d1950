"""How the keys of a ledger stand: which master keys there are, and what each has wrapped."""

from dataclasses import dataclass

from ledger.address import Address
from ledger.keyfile import KeyFile
from ledger.keyring import KeyStore, Tally
from ledger.ledger import read_keys_of
from ledger.masters import fingerprint, master_id
from ledger.seals.heads import key_id_of, signing_key

IN_USE, COMING, GOING, MISSING = "in use", "coming", "going", "missing"
"""A master wraps new keys; it will; it did, and its keys are being wrapped anew; it is not in the
key file."""


@dataclass(frozen=True, slots=True)
class MasterStanding:
    """A master key by its id, and how many keys are wrapped under it."""

    id: bytes
    state: str
    made_at: int | None
    """Microseconds since 1970; None where it is not known."""
    keys: int


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """The keys of a ledger, without any of them. `token` is a fingerprint, `signing` the id by
    which heads name the key that has signed them."""

    ledger_id: str
    masters: list[MasterStanding]
    destroyed: int
    token: bytes
    signing: bytes

    @property
    def rotation(self) -> str:
        """`none`, `prepared` (the new master is not in use yet) or `unfinished`."""
        states = {master.state for master in self.masters}
        return "unfinished" if GOING in states else "prepared" if COMING in states else "none"

    @property
    def keys(self) -> int:
        return sum(master.keys for master in self.masters)


def key_standing(address: Address) -> KeyStanding:
    """How the keys stand now. Raises what opening the ledger raises."""
    keys = read_keys_of(address, address.check())
    store = address.key_store()
    try:
        store.check()
        tally = store.tally()
        masters = _masters(keys, store, tally)
    finally:
        store.close()
    return KeyStanding(
        ledger_id=keys.ledger_id,
        masters=masters,
        destroyed=tally.destroyed,
        token=fingerprint("token", keys.token),
        signing=bytes.fromhex(key_id_of(signing_key(keys.signing).public_key())),
    )


def _masters(keys: KeyFile, store: KeyStore, tally: Tally) -> list[MasterStanding]:
    wrapping = store.master() or master_id(keys.master)
    under = dict(tally.under)
    first = master_id(keys.master)
    # Without an id are those that were wrapped before there were rotations.
    count = under.pop(first, 0) + tally.unlabelled
    state = IN_USE if wrapping == first else GOING
    found = [MasterStanding(first, state, keys.made_at, count)]
    if keys.coming:
        second = master_id(keys.coming.key)
        state = IN_USE if wrapping == second else COMING
        found.append(MasterStanding(second, state, keys.coming.made_at, under.pop(second, 0)))
    missing = {wrapping: 0} if wrapping not in {master.id for master in found} else {}
    return found + [
        MasterStanding(id_, MISSING, None, count) for id_, count in (missing | under).items()
    ]
