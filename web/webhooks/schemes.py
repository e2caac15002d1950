"""Signature schemes: whether a delivery comes from who knows the secret, and from now."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ledger.mapping_values import column_of
from ledger.rows import json_value
from web.webhooks.delivery import Delivery
from web.webhooks.proofs import Proof, SecretUnfit, decoded
from web.webhooks.signed_text import PartMissing, SignedText

TOLERANCE_SECONDS = 300
"""How old or new a timestamp may be."""
SIGNATURES_MAX = 20
"""How many signatures of one header are tried; while keys rotate there are two."""

MISSING, WRONG = "signature_missing", "signature_wrong"
STALE, FUTURE, UNREADABLE = "signature_stale", "signature_from_future", "signature_time"


class Unauthentic(Exception):
    """A delivery that is not shown to come from the vendor. Nothing of it may be kept.

    `code` is stable; `message` says what is wrong and quotes nothing of the request.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands in a request: in a header or in the query.

    With `element`, the text holds named elements (`t=1,v1=abc`), and those of that name are
    meant. `prefix` stands before the text and is taken off.
    """

    kind: str
    name: str
    prefix: str = ""
    element: str = ""
    between: str = ","
    joint: str = "="

    def found(self, delivery: Delivery) -> list[str]:
        """All texts that stand there."""
        text = delivery.header(self.name) if self.kind == "header" else delivery.query(self.name)
        if text is None:
            return []
        if not self.element:
            return [text.removeprefix(self.prefix)] if text.startswith(self.prefix) else []
        pairs = (part.strip().partition(self.joint) for part in text.split(self.between))
        return [value for name, _, value in pairs if name == self.element and value]


@dataclass(frozen=True, slots=True)
class Timestamp:
    """When a delivery was signed, and how far that may be from now."""

    place: Place
    unit: str
    tolerance_seconds: int

    def text_of(self, delivery: Delivery) -> str | None:
        """The timestamp as it was signed."""
        found = self.place.found(delivery)
        return found[0] if found else None

    def check(self, text: str, now: int) -> None:
        """Raises Unauthentic for what is too old, too new, or no time at all.

        `now` is in microseconds since 1970-01-01T00:00:00Z.
        """
        check_moment(self._microseconds(text), now, self.tolerance_seconds)

    def _microseconds(self, text: str) -> int:
        try:
            if self.unit == "iso":
                moment = datetime.fromisoformat(text.strip())
                if moment.tzinfo is None:
                    raise ValueError
                return int(moment.timestamp() * 1_000_000)
            if not text.strip().isascii() or len(text) > 20:
                raise ValueError
            return int(text) * {"seconds": 1_000_000, "milliseconds": 1_000}[self.unit]
        except (ValueError, OverflowError):
            raise Unauthentic(UNREADABLE, "the timestamp cannot be read") from None


def check_moment(moment: int, now: int, tolerance_seconds: int) -> None:
    """Raises Unauthentic for a moment (microseconds) too far from now."""
    tolerance = tolerance_seconds * 1_000_000
    if moment < now - tolerance:
        raise Unauthentic(STALE, f"the timestamp is more than {tolerance_seconds} seconds old")
    if moment > now + tolerance:
        raise Unauthentic(
            FUTURE, f"the timestamp is more than {tolerance_seconds} seconds ahead of now"
        )


@dataclass(frozen=True, slots=True)
class Only:
    """A condition on a header or a parameter of the query, under which a scheme is meant."""

    kind: str
    name: str
    value: str | None

    def holds(self, delivery: Delivery) -> bool:
        found = delivery.header(self.name) if self.kind == "header" else delivery.query(self.name)
        return found is not None and self.value in (None, found)


class Scheme(Protocol):
    """One way in which deliveries are authentic. What `key_of` makes, `check` takes."""

    @property
    def name(self) -> str:
        """What tells it from the others of its connector; empty where it is the only one."""

    @property
    def said(self) -> str:
        """What it is, in a few words for people."""

    @property
    def secret_is_public(self) -> bool:
        """Whether what is configured for it need not be kept secret."""

    @property
    def needs_url(self) -> bool:
        """Whether the address that the vendor calls has to be known."""

    @property
    def key_prefix(self) -> str:
        """What its secrets begin with, if they all begin alike."""

    def key_of(self, secret: str) -> Any:
        """The key that a configured secret stands for, None where it is meant for another scheme.

        Raises SecretUnfit.
        """

    def applies(self, delivery: Delivery) -> bool:
        """Whether a delivery bears what this scheme looks at."""

    def check(self, delivery: Delivery, keys: list[Any]) -> None:
        """Raises Unauthentic unless the delivery is authentic by one of the keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature over a text that is made of the request."""

    name: str
    said: str
    only: Only | None
    place: Place
    signed: SignedText
    timestamp: Timestamp | None
    body_hash: Place | None
    key_prefix: str
    proof: Proof

    @property
    def secret_is_public(self) -> bool:
        return self.proof.secret_is_public

    @property
    def needs_url(self) -> bool:
        return "url" in self.signed.names

    def key_of(self, secret: str) -> Any:
        if self.key_prefix and self.secret_is_public and not secret.startswith(self.key_prefix):
            return None
        return self.proof.key_of(secret.removeprefix(self.key_prefix))

    def applies(self, delivery: Delivery) -> bool:
        if self.only is not None and not self.only.holds(delivery):
            return False
        if "form" in self.signed.names and not delivery.is_form:
            return False
        if self.body_hash is not None and not self.body_hash.found(delivery):
            return False
        return bool(self.place.found(delivery))

    def check(self, delivery: Delivery, keys: list[Any]) -> None:
        timestamp = self.timestamp.text_of(delivery) if self.timestamp else ""
        if timestamp is None:
            raise Unauthentic(MISSING, "the timestamp that is signed is missing")
        if not self._signed(delivery, timestamp, keys):
            raise Unauthentic(WRONG, "the signature does not fit the request and the secret")
        if self.body_hash is not None and not self._body_as_hashed(delivery):
            raise Unauthentic(WRONG, "the body is not the one whose hash was signed")
        if self.timestamp is not None:
            self.timestamp.check(timestamp, delivery.at)

    def _signed(self, delivery: Delivery, timestamp: str, keys: list[Any]) -> bool:
        signatures = self.place.found(delivery)[:SIGNATURES_MAX]
        for key in keys:
            try:
                text = self.signed.of(delivery, timestamp, self.proof.secret_in_text(key))
            except PartMissing:
                return False
            if any(self.proof.holds(key, text, signature) for signature in signatures):
                return True
        return False

    def _body_as_hashed(self, delivery: Delivery) -> bool:
        assert self.body_hash is not None  # noqa: S101 (applies has seen to it)
        given = decoded(self.body_hash.found(delivery)[0], "hex") or b""
        return hmac.compare_digest(given, hashlib.sha256(delivery.body).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicAuth:
    """HTTP Basic authentication; the secret is `USER:PASSWORD`."""

    name: str
    said: str = "basic authentication"
    secret_is_public: bool = False
    needs_url: bool = False
    key_prefix: str = ""

    def key_of(self, secret: str) -> bytes:
        if ":" not in secret:
            raise SecretUnfit("expected USER:PASSWORD")
        return secret.encode()

    def applies(self, delivery: Delivery) -> bool:
        return delivery.header("authorization") is not None

    def check(self, delivery: Delivery, keys: list[Any]) -> None:
        scheme, _, written = (delivery.header("authorization") or "").partition(" ")
        given = _base64(written) if scheme.lower() == "basic" else b""
        check_secret(given, keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSecret:
    """A secret that stands in the request as it is: in a header, in the query or in the body."""

    name: str
    said: str
    place: Place
    secret_is_public: bool = False
    needs_url: bool = False
    key_prefix: str = ""

    def key_of(self, secret: str) -> bytes:
        return secret.encode()

    def applies(self, delivery: Delivery) -> bool:
        return self.place.kind == "column" or bool(self.place.found(delivery))

    def check(self, delivery: Delivery, keys: list[Any]) -> None:
        if self.place.kind == "column":
            given = text_of_column(delivery.body, self.place.name)
        else:
            given = self.place.found(delivery)[0]
        check_secret(given.encode(), keys)


def check_secret(given: bytes, keys: list[bytes]) -> None:
    """Raises Unauthentic unless the secret is one of the keys; all of them are compared."""
    if not given:
        raise Unauthentic(MISSING, "the request bears no secret")
    if not sum(hmac.compare_digest(given, key) for key in keys):
        raise Unauthentic(WRONG, "the secret of the request is not the one that is configured")


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except ValueError:
        return b""


def text_of_column(body: bytes, column: str) -> str:
    """A text in a JSON body; empty where there is none."""
    try:
        found = column_of(json_value(body), column)
    except (ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""
