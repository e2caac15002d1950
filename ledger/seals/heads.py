"""Signed heads: what a ledger says of its tree at a moment, under its Ed25519 key."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from ledger.errors import LedgerError
from ledger.seals.tree import HASH_BYTES

HEAD = "touchstone-head-1"
"""The format of a head. Part of what is signed."""
KEY_ID_BYTES = 8


class Unusable(LedgerError):
    """A head, a proof or a key that cannot even be read as one."""


class SealedHead(msgspec.Struct, frozen=True, kw_only=True):
    """The root of the tree over the first `size` positions, signed.

    `time` is when it was signed (RFC 3339, UTC), `key_id` the beginning of the SHA-256 of the
    public key.
    """

    ledger_id: str
    size: int
    root: bytes
    time: str
    key_id: str
    signature: bytes = b""

    def statement(self) -> bytes:
        """The bytes that are signed: five lines."""
        parts = (HEAD, self.ledger_id, str(self.size), self.root.hex(), self.time)
        return "".join(f"{part}\n" for part in parts).encode()

    def document(self) -> dict[str, Any]:
        """The head as JSON has it."""
        return {
            "format": HEAD,
            "ledger_id": self.ledger_id,
            "size": self.size,
            "root": self.root.hex(),
            "time": self.time,
            "key_id": self.key_id,
            "signature": b64encode(self.signature).decode(),
        }

    def is_signed_by(self, key: Ed25519PublicKey) -> bool:
        """Whether it says that it is signed by this key, and is."""
        if self.key_id != key_id_of(key):
            return False
        try:
            key.verify(self.signature, self.statement())
        except InvalidSignature:
            return False
        return True


def signed(head: SealedHead, key: Ed25519PrivateKey) -> SealedHead:
    """The head with the key's signature, which is the same each time."""
    return msgspec.structs.replace(head, signature=key.sign(head.statement()))


def head_from(document: Any) -> SealedHead:
    """Read a head out of its JSON. Raises Unusable."""
    if not isinstance(document, Mapping) or document.get("format") != HEAD:
        raise Unusable(f"not a head of Touchstone: its format is not {HEAD}")
    try:
        root = b64encode(bytes.fromhex(document["root"])).decode()
        found = msgspec.convert({**document, "root": root}, SealedHead)
    except (msgspec.ValidationError, ValueError, KeyError, TypeError):
        raise Unusable("the head is not whole, or has values that no head has") from None
    if found.size < 0 or len(found.root) != HASH_BYTES or found.document() != document:
        raise Unusable("the head has values that no head has")
    return found


def signing_key(secret: bytes) -> Ed25519PrivateKey:
    """The key that signs, of the 32 bytes in the key file."""
    return Ed25519PrivateKey.from_private_bytes(secret)


def key_id_of(key: Ed25519PublicKey) -> str:
    """What a public key is called: the beginning of the SHA-256 of its 32 bytes, as hex."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return sha256(raw).hexdigest()[: 2 * KEY_ID_BYTES]


def pem_of(key: Ed25519PublicKey) -> str:
    """A public key as PEM, which every library reads."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_from(pem: str | bytes) -> Ed25519PublicKey:
    """Read a public key. Raises Unusable."""
    try:
        key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    except (ValueError, UnsupportedAlgorithm, UnicodeEncodeError):
        raise Unusable("not a public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise Unusable("the public key is of another kind than Ed25519")
    return key
