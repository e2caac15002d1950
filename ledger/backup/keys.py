"""The keys of a ledger in a file of their own: those of its key file, and those of its subjects.

Of a destroyed key the tombstone is carried, so that it stays destroyed where it is restored.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from ledger.backup.archive import Archive, ArchiveWriter, go_on
from ledger.errors import KeysMissing, Locked
from ledger.intake import Stop
from ledger.keyfile import KeyFile
from ledger.keyring import DESTROYED, KeyStore, WrappedKey
from ledger.masters import ID_BYTES, LABELLED_BYTES, master_id
from ledger.progress import Report

SUBJECT_KEYS = "subject_keys"
PAGE_KEYS = 10_000

_decode_keys = msgspec.msgpack.Decoder(list[WrappedKey]).decode
_decode_key_file = msgspec.msgpack.Decoder(KeyFile).decode


def write_keys(keys: KeyFile, store: KeyStore, archive: ArchiveWriter | None) -> int:
    """Write all keys into the archive, if there is one; returns how many subjects have one.

    Raises Locked when a rotation of the master key has gone on so far meanwhile that these
    secrets would not open all of them.
    """
    if archive is not None:
        archive.header(keys)
    known: set[bytes | None] = {None, *map(master_id, keys.masters)}
    count = 0
    every = iter(store.every())
    while page := list(islice(every, PAGE_KEYS)):
        count += count_keys(page)
        if archive is not None:
            if any(_master_of(key) not in known for key in page if key.is_live):
                raise Locked("the master key is being rotated: make the backup again")
            archive.rows(SUBJECT_KEYS, page)
    return count


def read_keys(archive: Archive) -> KeyFile:
    """The keys that belong into a key file. Raises BackupUnusable."""
    try:
        return _decode_key_file(archive.header())
    except msgspec.DecodeError:
        raise archive.inconsistent() from None


def bring_keys(archive: Archive, store: KeyStore, report: Report, stop: Stop) -> None:
    """Bring the subjects' keys into a store; those that are there already stay.

    What is destroyed, here or in the backup, is destroyed. Raises KeysMissing, and changes
    nothing, when a subject has another key there.
    """
    for page in _pages(archive):
        there = dict(store.find([key.subject for key in page]))
        if any(_differ(there.get(key.subject, key.wrapped), key.wrapped) for key in page):
            raise KeysMissing(
                "there are subjects' keys of another ledger where those of the backup belong; "
                "move them away, or restore to another place"
            )
    done, destroyed = 0, 0
    for page in _pages(archive):
        go_on(stop)
        store.bring(page)
        destroyed += _destroy_again(page, store)
        done += len(page)
        report("keys", done, 0)
    if destroyed:
        store.scrub()


def count_keys(keys: Iterable[WrappedKey]) -> int:
    """How many of the rows of a store are keys."""
    return sum(key.is_live for key in keys)


def _pages(archive: Archive) -> Iterator[list[WrappedKey]]:
    for section, content in archive.frames():
        if section == SUBJECT_KEYS:
            yield _decode_keys(content)


def _destroy_again(page: list[WrappedKey], store: KeyStore) -> int:
    """Destroy what the backup has as destroyed, where its key is at this place."""
    at = {key.subject: key.created_at for key in page if key.wrapped == DESTROYED}
    live = [subject for subject, wrapped in store.find(list(at)) if wrapped] if at else []
    return store.destroy(live, max(map(at.__getitem__, live))) if live else 0


def _differ(there: bytes, carried: bytes) -> bool:
    return there != carried and DESTROYED not in (there, carried)


def _master_of(key: WrappedKey) -> bytes | None:
    """The id of the master that wrapped a key; None when it does not say."""
    return key.wrapped[:ID_BYTES] if len(key.wrapped) == LABELLED_BYTES else None
