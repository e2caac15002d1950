"""What proves that a text was signed by somebody: HMAC, a hash with a secret in it, public keys."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

ALGORITHMS = ("sha256", "sha1", "sha512")
ENCODINGS = ("hex", "base64")


class SecretUnfit(ValueError):
    """A configured secret that a scheme cannot use. Says what was expected, never the secret."""


class Proof(Protocol):
    """One way of signing a text."""

    @property
    def secret_is_public(self) -> bool:
        """Whether what is configured is a public key, which need not be kept secret."""

    def key_of(self, secret: str) -> Any:
        """The key that a configured secret stands for. Raises SecretUnfit."""

    def secret_in_text(self, key: Any) -> bytes:
        """What `{secret}` in a signed text stands for."""

    def holds(self, key: Any, text: bytes, signature: str) -> bool:
        """Whether this signature of the text was made with the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hmac:
    """A keyed hash; the key is the secret's text, or the bytes that it stands for in Base64."""

    algorithm: str
    encoding: str
    key: str = "text"
    secret_is_public: bool = False

    def key_of(self, secret: str) -> bytes:
        if self.key == "text":
            return secret.encode()
        found = decoded(secret, "base64")
        if not found:
            raise SecretUnfit("expected Base64")
        return found

    def secret_in_text(self, key: bytes) -> bytes:
        return b""

    def holds(self, key: bytes, text: bytes, signature: str) -> bool:
        given = decoded(signature, self.encoding)
        made = hmac.digest(key, text, self.algorithm)
        return given is not None and hmac.compare_digest(given, made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hash:
    """A plain hash over a text that holds the secret."""

    algorithm: str
    encoding: str
    secret_is_public: bool = False

    def key_of(self, secret: str) -> bytes:
        return secret.encode()

    def secret_in_text(self, key: bytes) -> bytes:
        return key

    def holds(self, key: bytes, text: bytes, signature: str) -> bool:
        given = decoded(signature, self.encoding)
        made = hashlib.new(self.algorithm, text).digest()
        return given is not None and hmac.compare_digest(given, made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ecdsa:
    """ECDSA on P-256 with SHA-256; the signature in DER."""

    encoding: str
    secret_is_public: bool = True

    def key_of(self, secret: str) -> ec.EllipticCurvePublicKey:
        try:
            if secret.lstrip().startswith("-----BEGIN"):
                key = load_pem_public_key(secret.encode())
            else:
                key = load_der_public_key(decoded(secret, "base64") or b"")
        except (ValueError, UnsupportedAlgorithm):
            raise SecretUnfit("expected a public key in PEM, or its DER in Base64") from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise SecretUnfit("expected a public key of the curve P-256")
        return key

    def secret_in_text(self, key: ec.EllipticCurvePublicKey) -> bytes:
        return b""

    def holds(self, key: ec.EllipticCurvePublicKey, text: bytes, signature: str) -> bool:
        try:
            key.verify(decoded(signature, self.encoding) or b"", text, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ed25519:
    """Ed25519; the public key is its 32 bytes in Base64."""

    encoding: str
    secret_is_public: bool = True

    def key_of(self, secret: str) -> ed25519.Ed25519PublicKey:
        try:
            return ed25519.Ed25519PublicKey.from_public_bytes(decoded(secret, "base64") or b"")
        except ValueError:
            raise SecretUnfit("expected the 32 bytes of a public key in Base64") from None

    def secret_in_text(self, key: ed25519.Ed25519PublicKey) -> bytes:
        return b""

    def holds(self, key: ed25519.Ed25519PublicKey, text: bytes, signature: str) -> bool:
        try:
            key.verify(decoded(signature, self.encoding) or b"", text)
        except InvalidSignature:
            return False
        return True


def decoded(text: str, encoding: str) -> bytes | None:
    """The bytes that a text in hex or Base64 (padded or not) stands for; None if it is neither."""
    text = text.strip()
    try:
        if encoding == "hex":
            return bytes.fromhex(text)
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
