"""Certificates of Amazon SNS: where they may come from, fetched within limits, and kept."""

import http.client
import re
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

FETCH_SECONDS_MAX = 5
ANSWER_BYTES_MAX = 65_536
CERTIFICATES_MAX = 32
"""How many certificates are remembered."""

Fetch = Callable[[str], bytes]
"""Gets what stands at an address that was allowed. Raises OSError."""

FETCH_EVERY_SECONDS = 1.0
"""How often a certificate that is not known is fetched: anybody may name one."""

_HOST = re.compile(r"sns\.[a-z]{2}(?:-[a-z]{2,20}){1,3}-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?")
"""`sns.` before a region. Before another name it may be somebody's bucket of that name."""


class CertificateUnfit(ValueError):
    """A certificate that cannot be used; says why."""


def is_of_amazon(url: str) -> bool:
    """Whether an address is one of Amazon SNS itself: https, its host, no other port."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = not any(character.isspace() or not character.isprintable() for character in url)
    return (
        plain
        and parts.scheme == "https"
        and port in (None, 443)
        and "@" not in parts.netloc
        and _HOST.fullmatch(host) is not None
    )


def fetch(url: str) -> bytes:
    """Get what stands at an address of Amazon SNS: no redirects, little time, few bytes.

    Raises OSError, also for addresses elsewhere.
    """
    if not is_of_amazon(url):
        raise OSError("not an address of Amazon SNS")
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(
        parts.hostname or "", timeout=FETCH_SECONDS_MAX, context=ssl.create_default_context()
    )
    try:
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise OSError(f"the answer was {answer.status}")
        body = answer.read(ANSWER_BYTES_MAX + 1)
    except http.client.HTTPException as error:
        raise OSError(f"no answer of HTTP: {type(error).__name__}") from None
    finally:
        connection.close()
    if len(body) > ANSWER_BYTES_MAX:
        raise OSError(f"longer than {ANSWER_BYTES_MAX:,} bytes")
    return body


class Certificates:
    """The public keys of certificates by their address, fetched once each and remembered.

    The one that was not used for longest is forgotten first. With a certificate of its own it
    fetches none, whatever the address.
    """

    def __init__(
        self,
        get: Fetch = fetch,
        pinned: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds. Raises CertificateUnfit when the pinned one cannot be read."""
        self.get = get
        self._pinned = None if pinned is None else certificate_of(pinned)
        self._known: dict[str, x509.Certificate] = {}
        self._lock = threading.Lock()
        self._clock = clock
        self._next_fetch = clock()

    def key_at(self, url: str, now: int) -> RSAPublicKey:
        """The public key of the certificate at an address; `now` in microseconds.

        Raises CertificateUnfit for an address, a certificate or a time that will not do, and
        OSError where it cannot be fetched, or another one was a moment ago.
        """
        certificate = self._pinned or self._remembered(url) or self._fetched(url)
        moment = datetime.fromtimestamp(now / 1_000_000, UTC)
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            raise CertificateUnfit("the certificate is not valid at this time")
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise CertificateUnfit("the certificate has no RSA key")
        return key

    def _remembered(self, url: str) -> x509.Certificate | None:
        with self._lock:
            certificate = self._known.pop(url, None)
            if certificate is not None:
                self._known[url] = certificate
        return certificate

    def _fetched(self, url: str) -> x509.Certificate:
        if not is_of_amazon(url) or not url.endswith(".pem") or any(c in url for c in "?#"):
            raise CertificateUnfit("the address of the certificate is not one of Amazon SNS")
        with self._lock:
            if self._clock() < self._next_fetch:
                raise OSError("another certificate was fetched a moment ago")
            self._next_fetch = self._clock() + FETCH_EVERY_SECONDS
        certificate = certificate_of(self.get(url))
        with self._lock:
            while len(self._known) >= CERTIFICATES_MAX:
                del self._known[next(iter(self._known))]
            self._known[url] = certificate
        return certificate


def certificate_of(pem: bytes) -> x509.Certificate:
    """Read a certificate. Raises CertificateUnfit."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise CertificateUnfit("expected a certificate in PEM") from None
