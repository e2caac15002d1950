"""Rotation: a new master key, and every subject's key wrapped anew under it.

Others read and append meanwhile, and it can end at any moment and go on later. For there is
always a master for each wrapped key in the key file, in this order:

1. The new master goes into the key file, beside the old one. Nobody uses it yet.
2. The store of keys is told that new keys are wrapped under it. From here on it refuses those
   that are not; who meets that, or a key under a master he does not know, reads the file again.
3. Keys are wrapped anew, batch by batch. A key that was destroyed meanwhile is left alone.
4. When none is left under the old master, that is taken out of the file.
"""

import os
import time
from dataclasses import dataclass

from msgspec.structs import replace

from ledger.address import Address
from ledger.errors import KeysMissing
from ledger.intake import Stop, StopRequested
from ledger.keyfile import KEY_BYTES, Coming, HeldKeyFile, KeyFile, holding_key_file
from ledger.keyring import KeyStore
from ledger.masters import Masters, master_id
from ledger.progress import Report

BATCH_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class Rotated:
    """The id of the new master, and how many keys were wrapped under it by this run."""

    master: bytes
    keys: int


def prepare(address: Address) -> bytes:
    """Make the new master and put it into the key file, without using it; returns its id.

    Where several machines have a copy of the key file, it is brought to all of them before the
    rotation. One that is there already, of a rotation that has begun, stays. Raises Locked or
    KeysMissing.
    """
    address.check()
    with holding_key_file(address.keys) as file:
        return master_id(_coming(file).key)


def rotate(address: Address, report: Report, stop: Stop) -> Rotated:
    """Rotate the master key, or finish a rotation that was begun.

    Raises StopRequested after the batch in hand, Locked while another process rotates, and
    KeysMissing when there are keys under a master that the key file does not hold.
    """
    ledger_id = address.check()
    with holding_key_file(address.keys) as file:
        if file.keys.ledger_id != ledger_id:
            raise KeysMissing(f"the key file {address.keys} belongs to another ledger")
        store = address.key_store()
        try:
            store.check()
            return _rotated(file, store, report, stop)
        finally:
            store.close()


def _rotated(file: HeldKeyFile, store: KeyStore, report: Report, stop: Stop) -> Rotated:
    _refuse_unless_known(store.master(), file.keys)
    coming = _coming(file)
    new = master_id(coming.key)
    if not store.turn_to(new, [master_id(master) for master in file.keys.masters]):
        raise _rotated_elsewhere()
    count = _rewrap_all(file.keys, store, report, stop)
    store.scrub()
    file.replace(replace(file.keys, master=coming.key, made_at=coming.made_at, coming=None))
    return Rotated(new, count)


def _coming(file: HeldKeyFile) -> Coming:
    """The master to which the rotation goes; it is in the file when this returns."""
    if file.keys.coming is None:
        coming = Coming(os.urandom(KEY_BYTES), time.time_ns() // 1_000)
        file.replace(replace(file.keys, coming=coming))
        return coming
    return file.keys.coming


def _rewrap_all(keys: KeyFile, store: KeyStore, report: Report, stop: Stop) -> int:
    """Wrap every key under the master that is coming; returns how many were not yet."""
    masters = Masters(keys.masters)
    new = master_id(keys.masters[-1])
    masters.turn_to(new)
    tally = store.tally()
    total = sum(tally.under.values()) + tally.unlabelled - tally.under.get(new, 0)
    done, after = 0, ""
    # At the end it is looked through once more, since the old master will be gone.
    while batch := store.under_others(new, after, BATCH_KEYS) or store.under_others(
        new, "", BATCH_KEYS
    ):
        if stop.requested:
            raise StopRequested
        store.rewrap(
            [(k.subject, k.wrapped, masters.wrap(masters.unwrap(k.wrapped))) for k in batch]
        )
        done, after = done + len(batch), batch[-1].subject
        report("wrapping keys", done, max(done, total))
    return done


def _refuse_unless_known(current: bytes | None, keys: KeyFile) -> None:
    if current is not None and current not in map(master_id, keys.masters):
        raise _rotated_elsewhere()


def _rotated_elsewhere() -> KeysMissing:
    return KeysMissing(
        "the master key was rotated elsewhere: bring the key file from the machine where "
        "`touchstone keys rotate` was run"
    )
