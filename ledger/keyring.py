"""The keys of subjects, one each, wrapped under the master key in a store of their own.

They live apart from the log so that a backup of the log holds no key: destroying a key erases
the person everywhere at once. What is left of a destroyed key is a tombstone, so that its
subject never gets another one.
"""

import hmac
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

from ledger.errors import LedgerError
from ledger.keyfile import KEY_BYTES
from ledger.masters import Masters, Reread

CACHED_KEYS_MAX = 200_000
DESTROYED = b""
"""What stands in the place of a key that was destroyed: the tombstone."""
MASTER_ROW = "ledger:master"
"""The row that is no key, but names the master under which new keys are wrapped (its id). There
is none before the first rotation."""


class SubjectKey(bytes):
    """A subject's key. What is derived from it is kept beside it, and forgotten with it."""

    @cached_property
    def of_digests(self) -> bytes:
        """The key of the digests of content that has personal fields."""
        return derived(self, b"digest")


_GONE = SubjectKey(DESTROYED)


def derived(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand (RFC 5869, section 2.3) to 32 bytes.

    One block of SHA-256 is enough, and the subject's key is uniformly random, so that the
    extract step may be left out (section 3.3). tests/ledger hold it equal to `cryptography`'s.
    """
    return hmac.digest(key, info + b"\x01", "sha256")


class WrappedKey(NamedTuple):
    """A subject's key as it is stored, with when it was made (microseconds since 1970).

    Of a destroyed key there is `DESTROYED`, with when that was done.
    """

    subject: str
    wrapped: bytes
    created_at: int

    @property
    def is_live(self) -> bool:
        """Whether it is a key: not a tombstone, nor the row that names the master."""
        return self.wrapped != DESTROYED and self.subject != MASTER_ROW


class Tally(NamedTuple):
    """How many keys there are: by the id of their master, without an id, and destroyed."""

    under: Mapping[bytes, int]
    unlabelled: int
    destroyed: int


class KeyStore(Protocol):
    """Where the wrapped keys are kept. What a call has changed is durable when it returns."""

    def create(self) -> None:
        """Make the empty store."""

    def check(self) -> None:
        """Raises KeysMissing when the store is not there."""

    def find(self, subjects: Sequence[str]) -> Iterable[tuple[str, bytes]]:
        """The wrapped keys of those subjects that have one; DESTROYED of those that had one."""

    def add(self, keys: Sequence[WrappedKey], master: bytes) -> None:
        """Keep new keys, if those of this master's id are (still) what new keys are wrapped under.

        Otherwise nothing is kept. A subject that has a key, or had one, keeps what it has.
        """

    def bring(self, keys: Sequence[WrappedKey]) -> None:
        """Keep what a backup holds; what is there of a subject stays."""

    def every(self) -> Iterable[WrappedKey]:
        """All rows, by subject: keys, tombstones, and the row that names the master."""

    def master(self) -> bytes | None:
        """The id of the master under which new keys are wrapped; None where any will do."""

    def turn_to(self, master: bytes, known: Sequence[bytes]) -> bool:
        """Let new keys be wrapped under this master; False if what they are wrapped under now is
        none of the known ones. When it returns, no key under another will be added any more."""

    def under_others(self, master: bytes, after: str, limit: int) -> list[WrappedKey]:
        """The next keys, by subject, that are not wrapped under the master of this id."""

    def rewrap(self, keys: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Replace (subject, old, new) in one transaction, where the old one is still there."""

    def destroy(self, subjects: Sequence[str], now: int) -> int:
        """Put a tombstone for each of these subjects; returns how many had a key until now."""

    def returned(self) -> list[str]:
        """The subjects that the ledger has as erased, and whose keys are here all the same."""

    def unrecorded(self) -> list[tuple[str, int]]:
        """The subjects whose tombstones are here, with when that was done, that the ledger does
        not have as erased."""

    def scrub(self) -> None:
        """Remove what is left on the disk of keys that were replaced or destroyed."""

    def tally(self) -> Tally:
        """Count the keys."""

    def close(self) -> None:
        """Give the connection back."""


class Keyring:
    """Gives each subject its key. A key that it gives is durable before the call returns."""

    def __init__(
        self, store: KeyStore, masters: Sequence[bytes], reread: Reread | None = None
    ) -> None:
        """`reread` gives the master keys anew when one is met that is not among them."""
        self._store = store
        self._masters = Masters(masters, reread)
        self._cache: dict[str, SubjectKey] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        self._store.close()

    def find(self, subjects: Iterable[str]) -> dict[str, SubjectKey]:
        """The keys of those subjects that have one. A destroyed key is none."""
        with self._lock:
            wanted = set(subjects)
            cached = self._cache.get
            found = {s: key for s in wanted if (key := cached(s))}
            if len(found) == len(wanted):
                return found
            missing = sorted(s for s in wanted if s not in self._cache)
            return found | _live(self._load(missing)) if missing else found

    def ensure(self, subjects: Iterable[str]) -> dict[str, SubjectKey]:
        """The keys of all these subjects; those that never had one get one, durably.

        A subject whose key was destroyed is not in the answer: it gets no key ever again.
        """
        wanted = set(subjects)
        found = self.find(wanted)
        if len(found) == len(wanted):
            return found
        with self._lock:
            missing = sorted(s for s in wanted if s not in found and s not in self._cache)
            while missing:
                self._add(missing)
                # Read back: another process may have been first, and its key is then the one.
                loaded = self._load(missing)
                found |= _live(loaded)
                missing = [s for s in missing if s not in loaded]
                if missing:  # none was added, since a rotation has begun
                    self._masters.turn_to(self._store.master() or self._masters.wrapping)
        return found

    def destroy(self, subjects: Iterable[str]) -> int:
        """Destroy the keys of these subjects for ever; returns how many had one until now.

        When it returns, the wrapped keys are gone from the store durably, and tombstones are
        there instead: `find` gives nothing for these subjects, `ensure` makes no new key, in any
        process that has not read the old one before. Who has read it forgets it with `forget`;
        what he encrypts under it meanwhile is redacted under the writer lock, where the ledger
        looks into `erased_subjects` (see `ledger.redaction`). To repeat it does no harm, and
        finishes what was interrupted. Raises Locked when old bytes are still on the disk,
        because somebody reads them: then it is to be repeated.

        On SQLite the file of the keys is written anew, and its WAL is emptied. On PostgreSQL
        rows are vacuumed, if the user owns them: what the server has kept in its WAL, in the
        archive of it, on standbys that lag and in backups goes when those go.
        """
        gone = sorted(set(subjects))
        with self._lock:
            count = self._store.destroy(gone, time.time_ns() // 1_000)
            self._cache.update(dict.fromkeys(gone, _GONE))
            self._store.scrub()
        return count

    def hold_to_erasures(self) -> None:
        """Destroy the keys of subjects that the ledger has as erased.

        Such keys are there when an erasure was interrupted, or an older copy of the keys was put
        back. Who may not destroy them forgets them.
        """
        returned = self._store.returned()
        if returned:
            try:
                self.destroy(returned)
            except LedgerError:  # who can do it does, when he opens the ledger
                self.forget(returned)

    def unrecorded(self) -> list[tuple[str, int]]:
        """The subjects whose keys were destroyed, with when, in microseconds since 1970, of whom
        the ledger does not know: it is older than their erasure (see `ledger.tombstones`)."""
        return self._store.unrecorded()

    def forget(self, subjects: Iterable[str]) -> None:
        """Give no key for these subjects in this process any more: they were erased elsewhere."""
        with self._lock:
            self._cache.update(dict.fromkeys(subjects, _GONE))

    def _add(self, subjects: Sequence[str]) -> None:
        now = time.time_ns() // 1_000
        wrap = self._masters.wrap
        keys = [WrappedKey(s, wrap(os.urandom(KEY_BYTES)), now) for s in subjects]
        self._store.add(keys, self._masters.wrapping)

    def _load(self, subjects: list[str]) -> dict[str, SubjectKey]:
        """Read keys from the store; they are remembered, and others forgotten if there are many.

        A destroyed key is remembered as such: nobody brings it back.
        """
        unwrap = self._masters.unwrap
        loaded = {
            subject: SubjectKey(unwrap(wrapped)) if wrapped else _GONE
            for subject, wrapped in self._store.find(subjects)
        }
        if len(self._cache) + len(loaded) > CACHED_KEYS_MAX:
            self._cache = {s: key for s, key in self._cache.items() if not key}
        self._cache.update(loaded)
        return loaded


def _live(loaded: Mapping[str, SubjectKey]) -> dict[str, SubjectKey]:
    return {subject: key for subject, key in loaded.items() if key}
