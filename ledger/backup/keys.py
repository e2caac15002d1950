"""The keys of a ledger in a file of their own: those of its key file, and those of its subjects."""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from ledger.backup.archive import Archive, ArchiveWriter, go_on
from ledger.errors import KeysMissing
from ledger.intake import Stop
from ledger.keyfile import KeyFile
from ledger.keyring import KeyStore, WrappedKey
from ledger.progress import Report

SUBJECT_KEYS = "subject_keys"
PAGE_KEYS = 10_000

_decode_keys = msgspec.msgpack.Decoder(list[WrappedKey]).decode
_decode_key_file = msgspec.msgpack.Decoder(KeyFile).decode


def write_keys(keys: KeyFile, store: KeyStore, archive: ArchiveWriter | None) -> int:
    """Write all keys into the archive, if there is one; returns how many subjects have one."""
    if archive is not None:
        archive.header(keys)
    count = 0
    every = iter(store.every())
    while page := list(islice(every, PAGE_KEYS)):
        count += len(page)
        if archive is not None:
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

    Raises KeysMissing, and changes nothing, when a subject has another key there.
    """
    for page in _pages(archive):
        there = dict(store.find([key.subject for key in page]))
        if any(there.get(key.subject, key.wrapped) != key.wrapped for key in page):
            raise KeysMissing(
                "there are subjects' keys of another ledger where those of the backup belong; "
                "move them away, or restore to another place"
            )
    done = 0
    for page in _pages(archive):
        go_on(stop)
        store.add(page)
        done += len(page)
        report("keys", done, 0)


def count_keys(keys: Iterable[WrappedKey]) -> int:
    return sum(1 for _ in keys)


def _pages(archive: Archive) -> Iterator[list[WrappedKey]]:
    for section, content in archive.frames():
        if section == SUBJECT_KEYS:
            yield _decode_keys(content)
