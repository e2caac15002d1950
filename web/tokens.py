"""Tokens as a server knows them: who comes with which secret, and how often he may come."""

import hashlib
import math
import threading
import time

from ledger.access import Access, authenticate
from ledger.ledger import Ledger
from web.problems import come_back

KNOWN_SECONDS = 1.0
"""How long a token is taken for what it was; a revoked one is refused after that."""
KNOWN_MAX = 10_000


class Tokens:
    """Knows who comes, and counts how often. Rates are of this process alone."""

    def __init__(self, ledger: Ledger, requests_per_second: float) -> None:
        self._ledger = ledger
        self._rate = requests_per_second
        self._known: dict[bytes, tuple[Access, float]] = {}
        self._buckets: dict[str, _Bucket] = {}
        self._counting = threading.Lock()

    def remembered(self, secret: str) -> Access | None:
        """Who this is, if he was here a moment ago."""
        access, until = self._known.get(_digest(secret), (None, 0.0))
        return access if time.monotonic() < until else None

    def known(self, secret: str) -> Access:
        """Who this is. It asks the ledger. Raises Denied when nobody is, or not any more."""
        access = authenticate(secret, self._ledger.store, self._ledger.log.clock())
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[_digest(secret)] = access, time.monotonic() + KNOWN_SECONDS
        return access

    def count(self, access: Access) -> None:
        """Raises a problem (429) when this token or webhook has come too often. For any thread."""
        if not self._rate:
            return
        with self._counting:
            bucket = self._buckets.get(access.id)
            if bucket is None:
                bucket = self._buckets[access.id] = _Bucket(self._rate)
            wait = bucket.taken()
        if wait:
            raise come_back(
                429,
                "too_many_requests",
                f"you may send {self._rate:g} requests a second here: send fewer, with more in "
                "each, or ask for a higher rate",
                math.ceil(wait),
            )


class _Bucket:
    """Holds one second's worth of requests, and fills all the time."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = max(1.0, rate)
        self._at = time.monotonic()

    def taken(self) -> float:
        """Take one; seconds until there will be one, or 0.0 when it was taken."""
        now = time.monotonic()
        self._left = min(max(1.0, self._rate), self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
