"""What a server is told by whoever starts it: limits, times, and what it may do."""

from dataclasses import dataclass, field

from web.webhooks.receiving import Webhook

KIBIBYTE = 1_024
MEBIBYTE = 1_024 * KIBIBYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Sizes are in bytes, times in seconds.

    `public_url` is where clients reach the server, without a slash at its end; senders of webhooks
    sign it. `historical` are sources whose times are never corrected by the clock of their sender.
    """

    public_url: str | None = None
    body_max: int = 16 * MEBIBYTE
    """Of one request that is held in memory, before and after decompression."""
    bodies_max: int = 256 * MEBIBYTE
    """Of all requests together that are held in memory; the next are asked to come back."""
    strangers_max: int = 32 * MEBIBYTE
    """Of them, those of requests that are read before anybody is known: whose secret is in the
    body, or whose signature is of it."""
    connections_max: int = 4_096
    """At the same time, if there are descriptors for so many; the next are asked to come back."""
    header_seconds: float = 10.0
    """From the connection, or the first byte of a request, until its headers are complete."""
    body_seconds: float = 30.0
    """In which each further part of a body has to come, and of an answer has to be read."""
    body_seconds_max: float = 60.0
    """In which the whole of a body has to come that is held in memory."""
    body_rate_min: int = 1 * KIBIBYTE
    """Bytes a second, on the whole of a body: who dribbles holds a place for ever."""
    idle_seconds: float = 75.0
    """How long a connection is kept for the next request."""
    requests_per_second: float = 1_000.0
    """Of one token; so many may also come at once. 0 is no limit."""
    waiting_max: int = 256
    """Requests under way at the same time, but for those whose bodies still come; the next are
    asked to come back."""
    historical: frozenset[str] = frozenset()
    webhooks: tuple[Webhook, ...] = field(default=(), repr=False)
