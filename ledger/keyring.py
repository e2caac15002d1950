"""The keys of subjects, one each, wrapped under the master key in a store of their own.

They live apart from the log so that a backup of the log holds no key: destroying a key erases
the person everywhere at once.
"""

import os
import threading
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from ledger.keyfile import KEY_BYTES

CACHED_KEYS_MAX = 200_000


class WrappedKey(NamedTuple):
    """A subject's key as it is stored, with when it was made (microseconds since 1970)."""

    subject: str
    wrapped: bytes
    created_at: int


class KeyStore(Protocol):
    """Where the wrapped keys are kept. What `add` has returned from is durable."""

    def create(self) -> None:
        """Make the empty store."""

    def check(self) -> None:
        """Raises KeysMissing when the store is not there."""

    def find(self, subjects: Sequence[str]) -> Iterable[tuple[str, bytes]]:
        """The wrapped keys of those subjects that have one."""

    def add(self, keys: Sequence[WrappedKey]) -> None:
        """Keep new keys; a subject that has one already keeps that."""

    def every(self) -> Iterable[WrappedKey]:
        """All keys, by subject."""

    def close(self) -> None:
        """Give the connection back."""


class Keyring:
    """Gives each subject its key. A key that it gives is durable before the call returns."""

    def __init__(self, store: KeyStore, master: bytes) -> None:
        self._store = store
        self._master = master
        self._cache: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        self._store.close()

    def find(self, subjects: Iterable[str]) -> dict[str, bytes]:
        """The keys of those subjects that have one."""
        with self._lock:
            wanted = set(subjects)
            found = {s: self._cache[s] for s in wanted if s in self._cache}
            missing = sorted(wanted - found.keys())
            return found | self._load(missing) if missing else found

    def ensure(self, subjects: Iterable[str]) -> dict[str, bytes]:
        """The keys of all these subjects; those that have none get one, durably."""
        wanted = set(subjects)
        found = self.find(wanted)
        missing = sorted(wanted - found.keys())
        if not missing:
            return found
        with self._lock:
            now = time.time_ns() // 1_000
            self._store.add(
                [WrappedKey(s, aes_key_wrap(self._master, os.urandom(KEY_BYTES)), now)
                 for s in missing]
            )  # fmt: skip
            # Read back: another process may have been first, and its key is then the one.
            return found | self._load(missing)

    def _load(self, subjects: list[str]) -> dict[str, bytes]:
        """Read keys from the store; they are remembered, and others forgotten if there are many."""
        if len(self._cache) + len(subjects) > CACHED_KEYS_MAX:
            self._cache.clear()
        loaded = {
            subject: aes_key_unwrap(self._master, wrapped)
            for subject, wrapped in self._store.find(subjects)
        }
        self._cache.update(loaded)
        return loaded
