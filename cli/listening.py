"""Where a server listens and as whom it speaks, said to people by the options that name them."""

import errno
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from web.server import NoPlace, Place

BEGIN_CERTIFICATE, END_OF_BEGIN_KEY = b"-----BEGIN CERTIFICATE-----", b"PRIVATE KEY-----"


def listening_at(host: str, port: int, certificate: Path | None, key: Path | None) -> Place:
    """Where a server is to listen. Raises UsageError for files that do not make it speak HTTPS."""
    if certificate is not None and key is not None:
        _check(certificate, key)
    elif certificate is not None or key is not None:
        raise click.UsageError("--tls-cert and --tls-key go together: give both, or none")
    return Place(host=host, port=port, certificate=certificate, certificate_key=key)


@contextmanager
def place_told(place: Place) -> Iterator[None]:
    """Says what to do where the server cannot listen at its place, and ends with exit code 1."""
    try:
        yield
    except NoPlace as error:
        raise click.ClickException(_why(place, error.__cause__)) from None


def _why(place: Place, cause: BaseException | None) -> str:
    number = cause.errno if isinstance(cause, OSError) else None
    if number == errno.EADDRINUSE:
        return f"port {place.port} of {place.host} is taken: give another with --port"
    if number == errno.EACCES:
        return f"port {place.port} is not for this user: give one above 1023 with --port"
    return f"--host {place.host} is no address of this machine: 127.0.0.1 and 0.0.0.0 always are"


def _check(certificate: Path, key: Path) -> None:
    """Raises UsageError, unless the one holds certificates and the other the key of the first."""
    there, beside = certificate.read_bytes(), key.read_bytes()
    if BEGIN_CERTIFICATE not in there:
        swapped = END_OF_BEGIN_KEY in there and BEGIN_CERTIFICATE in beside
        hint = ": that is a key, and --tls-key has the certificate" if swapped else ""
        raise click.UsageError(f"--tls-cert {certificate}: there is no certificate (PEM){hint}")
    if END_OF_BEGIN_KEY not in beside:
        raise click.UsageError(f"--tls-key {key}: there is no private key (PEM)")
    try:
        ssl.create_default_context(cafile=certificate)
    except ssl.SSLError:
        raise click.UsageError(
            f"--tls-cert {certificate}: the certificate (PEM) cannot be read"
        ) from None
    _match(certificate, key)


def _match(certificate: Path, key: Path) -> None:
    is_locked = False

    def no_passphrase() -> str:
        nonlocal is_locked
        is_locked = True
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, no_passphrase)
    except ssl.SSLError:
        wrong = "it has a passphrase: give the key without one"
        if not is_locked:
            wrong = f"it is not the key of --tls-cert {certificate}, or cannot be read"
        raise click.UsageError(f"--tls-key {key}: {wrong}") from None
