"""Master keys: what wraps the keys of subjects, and how it is told which one wrapped a key.

A rotation goes from one master key to the next while others read and append. Until it is over
the key file holds both, each wrapped key says which one opens it, and the store of keys says
under which one new keys are wrapped.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from ledger.errors import KeysMissing

ID_BYTES = 8
LABELLED_BYTES = ID_BYTES + 40
"""A wrapped key that begins with the id of its master. AES Key Wrap (RFC 3394) makes 40 of 32
bytes; keys that were wrapped before there were rotations are these 40 alone."""

Reread = Callable[[], Sequence[bytes]]
"""Gives the master keys that the key file holds now."""


def fingerprint(purpose: str, key: bytes) -> bytes:
    """What a key is called: the beginning of a SHA-256 over its purpose and itself.

    All keys are 32 random bytes, so it tells nothing about them.
    """
    return hashlib.sha256(b"touchstone\0" + purpose.encode() + b"\0" + key).digest()[:ID_BYTES]


def master_id(master: bytes) -> bytes:
    """The id of a master key, with which the keys begin that it has wrapped."""
    return fingerprint("master", master)


class Masters:
    """The master keys that a process knows. One wraps; each opens what it has wrapped."""

    def __init__(self, masters: Sequence[bytes], reread: Reread | None = None) -> None:
        """The first one wraps, until `turn_to` names another."""
        self._reread = reread
        self._known = _by_id(masters)
        self._wrapping = master_id(masters[0])

    @property
    def wrapping(self) -> bytes:
        """The id of the master under which keys are wrapped."""
        return self._wrapping

    def turn_to(self, id: bytes) -> None:  # noqa: A002
        """Wrap under the master of this id from now on. Raises KeysMissing if it is not here."""
        if id not in self._known:
            self._learn()
        if id not in self._known:
            raise _missing()
        self._wrapping = id

    def wrap(self, key: bytes) -> bytes:
        """The key of a subject as it may be stored."""
        return self._wrapping + aes_key_wrap(self._known[self._wrapping], key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key of a subject. Raises KeysMissing when its master is not in the key file.

        A master that is met for the first time came with a rotation: the key file is read again.
        """
        key = self._opened(wrapped)
        if key is None:
            self._learn()
            key = self._opened(wrapped)
        if key is None:
            raise _missing()
        return key

    def _opened(self, wrapped: bytes) -> bytes | None:
        labelled = len(wrapped) == LABELLED_BYTES
        id_, sealed = (wrapped[:ID_BYTES], wrapped[ID_BYTES:]) if labelled else (b"", wrapped)
        for known, master in self._known.items():
            if not labelled or known == id_:
                try:
                    return aes_key_unwrap(master, sealed)
                except (InvalidUnwrap, ValueError):
                    continue
        return None

    def _learn(self) -> None:
        if self._reread is not None:
            self._known = _by_id(self._reread())
            if self._wrapping not in self._known:
                self._wrapping = next(iter(self._known))


def _by_id(masters: Iterable[bytes]) -> dict[bytes, bytes]:
    return {master_id(master): master for master in masters}


def _missing() -> KeysMissing:
    return KeysMissing(
        "the subjects' keys are wrapped under a master key that the key file does not hold: "
        "bring the key file that `touchstone keys rotate` has written, or the subjects' keys "
        "that belong to this one"
    )
