"""Vendors, as tests play them: requests signed by what their documentation says.

Nothing here uses the code that checks signatures: formulas are written out by hand.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from ledger.quarantine import Item
from tests.ledger.sending import NOW, SECOND
from web.webhooks.config import load_webhooks
from web.webhooks.connector import load_connector, shipped_path
from web.webhooks.delivery import Delivery, headers_of
from web.webhooks.handshakes import Answered, ToVisit
from web.webhooks.receiving import Webhook, brought, check
from web.webhooks.schemes import SharedSecret

PUBLIC_URL = "https://crm.example.com"
CONTENT_KEY = b"of a ledger"
FORM = "application/x-www-form-urlencoded"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b.pem"


@dataclass(frozen=True)
class Sent:
    """A request as a vendor sends it; `at` is the vendor's clock, in microseconds."""

    body: bytes
    url: str = f"{PUBLIC_URL}/v1/webhooks/it"
    headers: dict[str, str] = field(default_factory=dict)
    at: int = NOW
    method: str = "POST"

    def plus(self, **headers: str) -> "Sent":
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})

    def received(self, at: int = NOW) -> Delivery:
        """As it comes in, by our clock."""
        return Delivery(
            method=self.method,
            url=self.url,
            headers=headers_of(self.headers.items()),
            body=self.body,
            at=at,
        )

    @property
    def seconds(self) -> str:
        return str(self.at // SECOND)


@dataclass(frozen=True)
class Pair:
    """What is configured here (`ours`) and what the vendor signs with (`theirs`)."""

    ours: str
    theirs: Any = field(repr=False)


def receive(webhook: Webhook, delivery: Delivery) -> list[Item] | Answered | ToVisit:
    """What the server takes in of a delivery. Raises Unauthentic."""
    check(webhook, delivery)
    return brought(webhook, delivery, CONTENT_KEY)


Sign = Callable[[Sent, Pair], Sent]


@dataclass(frozen=True)
class Vendor:
    """How one scheme of a connector signs, what its secrets are, and what it covers."""

    sign: Sign
    secret: Callable[[str], Pair]
    timed: bool = False
    covers_body: bool = True
    body: bytes = b'{"probe": "1"}'
    content_type: str = "application/json"
    tolerance_seconds: int = 300

    def sent(self, pair: Pair, *, at: int = NOW) -> Sent:
        """A request, signed."""
        return self.sign(self.unsigned(at), pair)

    def unsigned(self, at: int = NOW) -> Sent:
        return Sent(self.body, headers={"Content-Type": self.content_type}, at=at)


def text_secret(seed: str) -> Pair:
    return Pair(f"secret-{seed}", f"secret-{seed}".encode())


def user_and_password(seed: str) -> Pair:
    return Pair(f"vendor:pass:{seed}", f"vendor:pass:{seed}".encode())


def whsec(seed: str) -> Pair:
    key = hashlib.sha256(seed.encode()).digest()
    return Pair("whsec_" + base64.b64encode(key).decode(), key)


@cache
def p256(seed: str) -> Pair:
    key = ec.derive_private_key(
        int.from_bytes(hashlib.sha256(seed.encode()).digest()), ec.SECP256R1()
    )
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Pair(base64.b64encode(der).decode(), key)


@cache
def whpk(seed: str) -> Pair:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
    raw = key.public_key().public_bytes_raw()
    return Pair("whpk_" + base64.b64encode(raw).decode(), key)


def topic(seed: str) -> Pair:
    arn = f"arn:aws:sns:eu-west-1:123456789012:{seed}"
    return Pair(arn, arn)


def hmac_of(key: bytes, text: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(key, text, algorithm).digest()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def stripe(sent: Sent, pair: Pair) -> Sent:
    made = hmac_of(pair.theirs, sent.seconds.encode() + b"." + sent.body).hex()
    return sent.plus(Stripe_Signature=f"t={sent.seconds},v1={made},v0={'0' * 64}")


def shopify(sent: Sent, pair: Pair) -> Sent:
    return sent.plus(X_Shopify_Hmac_Sha256=b64(hmac_of(pair.theirs, sent.body)))


def standard_v1(sent: Sent, pair: Pair) -> Sent:
    text = b"msg_1." + sent.seconds.encode() + b"." + sent.body
    return _standard(sent, f"v1,{b64(hmac_of(pair.theirs, text))}")


def standard_v1a(sent: Sent, pair: Pair) -> Sent:
    text = b"msg_1." + sent.seconds.encode() + b"." + sent.body
    return _standard(sent, f"v1a,{b64(pair.theirs.sign(text))}")


def _standard(sent: Sent, signature: str) -> Sent:
    return sent.plus(
        webhook_id="msg_1", webhook_timestamp=sent.seconds, webhook_signature=signature
    )


def hubspot_v1(sent: Sent, pair: Pair) -> Sent:
    made = hashlib.sha256(pair.theirs + sent.body).hexdigest()
    return sent.plus(X_HubSpot_Signature=made, X_HubSpot_Signature_Version="v1")


def hubspot_v2(sent: Sent, pair: Pair) -> Sent:
    text = pair.theirs + sent.method.encode() + sent.url.encode() + sent.body
    made = hashlib.sha256(text).hexdigest()
    return sent.plus(X_HubSpot_Signature=made, X_HubSpot_Signature_Version="v2")


def hubspot_v3(sent: Sent, pair: Pair) -> Sent:
    milliseconds = str(sent.at // 1_000)
    text = sent.method.encode() + sent.url.encode() + sent.body + milliseconds.encode()
    return sent.plus(
        X_HubSpot_Signature_v3=b64(hmac_of(pair.theirs, text)),
        X_HubSpot_Request_Timestamp=milliseconds,
    )


def intercom(sent: Sent, pair: Pair) -> Sent:
    return sent.plus(X_Hub_Signature="sha1=" + hmac_of(pair.theirs, sent.body, "sha1").hex())


def zendesk(sent: Sent, pair: Pair) -> Sent:
    moment = datetime.fromtimestamp(sent.at // SECOND, UTC).isoformat().replace("+00:00", "Z")
    return sent.plus(
        X_Zendesk_Webhook_Signature=b64(hmac_of(pair.theirs, moment.encode() + sent.body)),
        X_Zendesk_Webhook_Signature_Timestamp=moment,
    )


def twilio_form(sent: Sent, pair: Pair) -> Sent:
    return sent.plus(X_Twilio_Signature=b64(hmac_of(pair.theirs, _url_and_form(sent), "sha1")))


def twilio_json(sent: Sent, pair: Pair) -> Sent:
    url = f"{sent.url}?bodySHA256={hashlib.sha256(sent.body).hexdigest()}"
    made = b64(hmac_of(pair.theirs, url.encode(), "sha1"))
    return replace(sent, url=url).plus(X_Twilio_Signature=made)


def whatsapp(sent: Sent, pair: Pair) -> Sent:
    return sent.plus(X_Hub_Signature_256="sha256=" + hmac_of(pair.theirs, sent.body).hex())


def sendgrid(sent: Sent, pair: Pair) -> Sent:
    made = pair.theirs.sign(sent.seconds.encode() + sent.body, ec.ECDSA(hashes.SHA256()))
    return sent.plus(
        X_Twilio_Email_Event_Webhook_Signature=b64(made),
        X_Twilio_Email_Event_Webhook_Timestamp=sent.seconds,
    )


def mandrill(sent: Sent, pair: Pair) -> Sent:
    return sent.plus(X_Mandrill_Signature=b64(hmac_of(pair.theirs, _url_and_form(sent), "sha1")))


def _url_and_form(sent: Sent) -> bytes:
    """The address, then the fields sorted by name, each with what it holds."""
    fields = sorted(parse_qsl(sent.body.decode(), keep_blank_values=True))
    return (sent.url + "".join(name + value for name, value in fields)).encode()


def customerio(sent: Sent, pair: Pair) -> Sent:
    made = hmac_of(pair.theirs, f"v0:{sent.seconds}:".encode() + sent.body).hex()
    return sent.plus(X_CIO_Signature=made, X_CIO_Timestamp=sent.seconds)


def zammad(sent: Sent, pair: Pair) -> Sent:
    return sent.plus(X_Hub_Signature="sha1=" + hmac_of(pair.theirs, sent.body, "sha1").hex())


def chatwoot(sent: Sent, pair: Pair) -> Sent:
    made = hmac_of(pair.theirs, f"{sent.seconds}.".encode() + sent.body).hex()
    return sent.plus(X_Chatwoot_Signature=f"sha256={made}", X_Chatwoot_Timestamp=sent.seconds)


def basic(sent: Sent, pair: Pair) -> Sent:
    return sent.plus(Authorization="Basic " + b64(pair.theirs))


@cache
def amazon() -> tuple[rsa.RSAPrivateKey, bytes]:
    """A key as Amazon has one, and its certificate in PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2090, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return key, made.public_bytes(serialization.Encoding.PEM)


def certificate_at(url: str) -> bytes:
    """What stands at the address of Amazon's certificate."""
    if url != CERTIFICATE_URL:
        raise OSError("there is nothing there")
    return amazon()[1]


def sns(sent: Sent, pair: Pair, version: str = "2", **changes: str) -> Sent:
    """A message of Amazon SNS around the body."""
    moment = datetime.fromtimestamp(sent.at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    message = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": pair.theirs,
        "Subject": "My First Message",
        "Message": sent.body.decode(),
        "Timestamp": moment,
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE_URL,
    } | changes
    is_note = message["Type"] == "Notification"
    signed = ["Message", "MessageId", "Subject" if is_note else "SubscribeURL", "Timestamp"]
    signed += ["TopicArn", "Type"] if is_note else ["Token", "TopicArn", "Type"]
    message = {name: value for name, value in message.items() if value}
    text = "".join(f"{name}\n{message[name]}\n" for name in signed if name in message).encode()
    algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
    message["Signature"] = b64(amazon()[0].sign(text, padding.PKCS1v15(), algorithm))
    made = replace(sent, body=json.dumps(message).encode())
    return made.plus(x_amz_sns_message_type=message["Type"])


VENDORS: dict[str, dict[str, Vendor]] = {
    "stripe": {"": Vendor(stripe, text_secret, timed=True)},
    "shopify": {"": Vendor(shopify, text_secret)},
    "standard_webhooks": {
        "v1": Vendor(standard_v1, whsec, timed=True),
        "v1a": Vendor(standard_v1a, whpk, timed=True),
    },
    "hubspot": {
        "v3": Vendor(hubspot_v3, text_secret, timed=True),
        "v2": Vendor(hubspot_v2, text_secret),
        "v1": Vendor(hubspot_v1, text_secret),
    },
    "intercom": {"": Vendor(intercom, text_secret)},
    "zendesk": {"": Vendor(zendesk, text_secret, timed=True)},
    "twilio": {
        "form": Vendor(twilio_form, text_secret, body=b"From=%2B15005550006&Body=Hi+there",
                       content_type=FORM),
        "json": Vendor(twilio_json, text_secret),
    },
    "whatsapp": {"": Vendor(whatsapp, text_secret)},
    "sendgrid": {"": Vendor(sendgrid, p256, timed=True)},
    "mandrill": {"": Vendor(mandrill, text_secret, body=b"mandrill_events=%5B%5D",
                            content_type=FORM)},
    "customerio": {"": Vendor(customerio, text_secret, timed=True)},
    "zammad": {"": Vendor(zammad, text_secret)},
    "chatwoot": {"": Vendor(chatwoot, text_secret, timed=True)},
    "amazon_ses": {"": Vendor(sns, topic, timed=True, tolerance_seconds=3_600)},
}  # fmt: skip
"""By connector and scheme: what the vendor's documentation says of its signature."""


def vendor_of(connector: str, scheme: str) -> Vendor:
    """How a scheme signs; for secrets that stand in the request, by where they stand."""
    if scheme in VENDORS.get(connector, {}):
        return VENDORS[connector][scheme]
    path = shipped_path(connector)
    assert path is not None
    (found,) = [s for s in load_connector(path).schemes if s.name == scheme]
    if found.said == "basic authentication":
        return Vendor(basic, user_and_password, covers_body=False)
    assert isinstance(found, SharedSecret), (
        f"write into VENDORS how {connector} signs, from the words of the vendor"
    )
    place = found.place

    def sign(sent: Sent, pair: Pair) -> Sent:
        if place.kind == "header":
            return sent.plus(**{place.name: place.prefix + pair.ours})
        if place.kind == "query":
            return replace(sent, url=f"{sent.url}?{place.name}={place.prefix}{pair.ours}")
        body = json.loads(sent.body) | {place.name: pair.ours}
        return replace(sent, body=json.dumps(body).encode())

    return Vendor(sign, text_secret, covers_body=False)


def configured(
    folder: Path, connector: str | Path, secrets: list[Pair], extra: str = ""
) -> Webhook:
    """The webhook of a server's file that names a connector and these secrets."""
    named = [f"env:{n}" for n in range(len(secrets))]
    by_name = {name: pair.ours for name, pair in zip(named, secrets, strict=True)}
    file = folder / "webhooks.toml"
    file.write_text(
        f'[[webhook]]\npath = "it"\nconnector = "{connector}"\n'
        f"secrets = {json.dumps(named)}\n{extra}"
    )
    (made,) = load_webhooks(
        file, lambda written, _: by_name.get(written, written), PUBLIC_URL, certificate_at
    )
    return made
