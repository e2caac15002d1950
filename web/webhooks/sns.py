"""Amazon SNS: messages signed with RSA over a canonical text, by a certificate that they name.

Anyone can make a topic at Amazon, and its messages are signed as well; so the configured
"secret" is the ARN of the topic, and only messages of that topic are let in.
"""

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from ledger.rows import json_value
from web.webhooks.certificates import Certificates, CertificateUnfit
from web.webhooks.delivery import Delivery
from web.webhooks.proofs import SecretUnfit, decoded
from web.webhooks.schemes import MISSING, UNREADABLE, WRONG, Unauthentic, check_moment

SNS_TOLERANCE_SECONDS = 3_600
"""Amazon signs a message once and sends it again for up to an hour with the same timestamp."""

HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303
"""What is hashed by SignatureVersion; SHA-1 is what the vendor uses unless told otherwise."""

_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = (
    "Message",
    "MessageId",
    "SubscribeURL",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
)
SIGNED_FIELDS = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_MAY_BE_ABSENT = "Subject"


class CertificateOutOfReach(Exception):
    """The vendor's certificate cannot be fetched now; the delivery should be sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sns:
    """The signature of Amazon SNS."""

    name: str
    tolerance_seconds: int
    certificates: Certificates = field(default_factory=Certificates)
    said: str = "RSA signature of Amazon SNS, by topic"
    secret_is_public: bool = True
    needs_url: bool = False
    key_prefix: str = ""

    def key_of(self, secret: str) -> bytes:
        if not secret.startswith("arn:") or ":sns:" not in secret:
            raise SecretUnfit("expected the ARN of the topic, such as arn:aws:sns:REGION:…:NAME")
        return secret.encode()

    def applies(self, delivery: Delivery) -> bool:
        return delivery.header("x-amz-sns-message-type") is not None

    def check(self, delivery: Delivery, keys: list[Any]) -> None:
        """Raises Unauthentic, and CertificateOutOfReach where the signature cannot be judged."""
        message = _message(delivery.body)
        topic = message.get("TopicArn", "").encode()
        if not sum(hmac.compare_digest(topic, key) for key in keys):
            raise Unauthentic(WRONG, "the message is not of a topic that is configured")
        text = canonical(message)
        algorithm = HASHES.get(message.get("SignatureVersion", ""))
        if algorithm is None:
            raise Unauthentic(WRONG, "expected SignatureVersion 1 or 2")
        self._verify(message, text, algorithm, delivery.at)
        check_moment(_moment(message["Timestamp"]), delivery.at, self.tolerance_seconds)

    def _verify(
        self, message: dict[str, str], text: bytes, algorithm: hashes.HashAlgorithm, now: int
    ) -> None:
        signature = decoded(message.get("Signature", ""), "base64") or b""
        try:
            key = self.certificates.key_at(message.get("SigningCertURL", ""), now)
            key.verify(signature, text, PKCS1v15(), algorithm)
        except CertificateUnfit as unfit:
            raise Unauthentic(WRONG, str(unfit)) from None
        except InvalidSignature:
            raise Unauthentic(WRONG, "the signature does not fit the message") from None
        except OSError:
            raise CertificateOutOfReach from None


def canonical(message: dict[str, str]) -> bytes:
    """The text that Amazon signs: names and values of some fields, each on a line of its own.

    Source: Amazon SNS developer guide, "Verifying the signatures of Amazon SNS messages".
    Raises Unauthentic where a field of it is missing.
    """
    fields = SIGNED_FIELDS.get(message.get("Type", ""))
    if fields is None:
        raise Unauthentic(WRONG, "not a type of message that Amazon SNS signs")
    lines = []
    for name in fields:
        if name not in message:
            if name == _MAY_BE_ABSENT:
                continue
            raise Unauthentic(MISSING, f"the message has no {name}")
        lines.append(f"{name}\n{message[name]}\n")
    return "".join(lines).encode(errors="replace")


def _message(body: bytes) -> dict[str, str]:
    """The fields of the message that are texts."""
    try:
        found = json_value(body)
    except ValueError:
        raise Unauthentic(MISSING, "the body is not a message of Amazon SNS") from None
    if not isinstance(found, dict):
        raise Unauthentic(MISSING, "the body is not a message of Amazon SNS")
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise Unauthentic(UNREADABLE, "the timestamp cannot be read") from None
