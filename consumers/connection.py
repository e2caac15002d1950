"""How brokers are reached: addresses, encryption and credentials, whatever the client."""

from dataclasses import dataclass, field
from pathlib import Path

PLAINTEXT, SSL = "PLAINTEXT", "SSL"
SASL_PLAINTEXT, SASL_SSL = "SASL_PLAINTEXT", "SASL_SSL"
SECURITY = (PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL)
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
REQUEST_SECONDS = 10
"""How long a broker may take to answer before it counts as unreachable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the brokers are (`host:port,host:port`), and who asks. Files are in PEM."""

    servers: str
    security: str = PLAINTEXT
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    client_id: str = "touchstone"
