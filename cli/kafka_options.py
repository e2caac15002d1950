"""How Kafka is reached, from options and environment: what `consume` and `relay` share."""

import os
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from consumers.connection import (
    MECHANISMS,
    PLAINTEXT,
    SASL_PLAINTEXT,
    SASL_SSL,
    SECURITY,
    SSL,
    Connection,
)

PREFIX = "TOUCHSTONE_KAFKA_"
SERVERS, PASSWORD = f"{PREFIX}BOOTSTRAP_SERVERS", f"{PREFIX}PASSWORD"
NAMES = (
    "bootstrap_servers", "security_protocol", "sasl_mechanism", "username", "password_file",
    "tls_ca", "tls_certificate", "tls_key",
)  # fmt: skip
_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,/\[\]]+):\d{1,5}")
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)


def kafka_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which brokers are reached; they come as one argument, `connection`."""
    return _connected(function, required=True)


def optional_kafka_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same where Kafka need not be reached: then `connection` is None."""
    return _connected(function, required=False)


def _connected(function: Callable[..., Any], *, required: bool) -> Callable[..., Any]:
    @wraps(function)
    def connected(*args: Any, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in NAMES}
        connection = connection_of(**given) if given["bootstrap_servers"] else None
        return function(*args, connection=connection, **kwargs)

    for option in reversed(_options(required=required)):
        connected = option(connected)
    return connected


def _options(*, required: bool) -> list[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    return [
        _option(
            "--bootstrap-servers", required=required, metavar="HOST:PORT[,HOST:PORT]...",
            help="Brokers to begin with; they name the others.",
        ),
        _option(
            "--security-protocol", type=click.Choice(SECURITY),
            default=PLAINTEXT, show_default=True, help="Encryption (SSL) and log-in (SASL).",
        ),
        _option(
            "--sasl-mechanism", type=click.Choice(MECHANISMS),
            help="How the password is told, with a SASL protocol.",
        ),
        _option("--username", metavar="NAME", help="Who logs in, with a SASL protocol."),
        _option(
            "--password-file", type=_FILE, metavar="FILE",
            help=f"A file that holds the password; or set {PASSWORD}.",
        ),
        _option(
            "--tls-ca", type=_FILE, metavar="FILE",
            help="Certificates (PEM) that the brokers' are checked against, not the system's.",
        ),
        _option("--tls-certificate", type=_FILE, metavar="FILE", help="Our own (PEM)."),
        _option("--tls-key", type=_FILE, metavar="FILE", help="The key of our own (PEM)."),
    ]  # fmt: skip


def _option(name: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    variable = PREFIX + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, **more)


def brokers_in_environment() -> bool:
    """Whether the environment names brokers."""
    return bool(os.environ.get(SERVERS))


def connection_from_environment() -> Connection:
    """The connection that the environment alone describes. Raises UsageError where it does not."""

    @click.command()
    @kafka_options
    def told(connection: Connection) -> Connection:
        return connection

    with told.make_context("environment", []) as ctx:
        found: Connection = told.invoke(ctx)
        return found


def connection_of(
    *,
    bootstrap_servers: str,
    security_protocol: str,
    sasl_mechanism: str | None,
    username: str | None,
    password_file: Path | None,
    tls_ca: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
) -> Connection:
    """A connection of what was given. Raises UsageError where that does not go together."""
    password = _password(password_file)
    _check_servers(bootstrap_servers)
    _check_log_in(security_protocol, sasl_mechanism, username, password)
    _check_encryption(security_protocol, tls_ca, tls_certificate, tls_key)
    return Connection(
        servers=bootstrap_servers,
        security=security_protocol,
        mechanism=sasl_mechanism,
        username=username,
        password=password if sasl_mechanism else None,
        ca=tls_ca,
        certificate=tls_certificate,
        key=tls_key,
    )


def _password(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(PASSWORD)
    try:
        password = file.read_text("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        password = ""
    if not password:
        raise click.UsageError(f"{file}: there is no password in it; it is to be its only line")
    return password


def _check_servers(servers: str) -> None:
    if not all(_SERVER.fullmatch(server) for server in servers.split(",")):
        raise click.UsageError(
            f"--bootstrap-servers {servers!r}: it is HOST:PORT, or several with commas between"
        )


def _check_log_in(
    security: str, mechanism: str | None, username: str | None, password: str | None
) -> None:
    if security not in (SASL_PLAINTEXT, SASL_SSL):
        for name, value in (("--sasl-mechanism", mechanism), ("--username", username)):
            if value:
                raise click.UsageError(
                    f"{name} needs --security-protocol {SASL_SSL} (or {SASL_PLAINTEXT}): "
                    f"with {security} nobody logs in"
                )
        return
    missing = [
        what
        for what, value in (
            ("--sasl-mechanism", mechanism),
            ("--username", username),
            (f"the password (--password-file or {PASSWORD})", password),
        )
        if not value
    ]
    if missing:
        raise click.UsageError(f"--security-protocol {security} needs {', '.join(missing)} too")


def _check_encryption(
    security: str, ca: Path | None, certificate: Path | None, key: Path | None
) -> None:
    files = {"--tls-ca": ca, "--tls-certificate": certificate, "--tls-key": key}
    given = [name for name, file in files.items() if file]
    if given and security not in (SSL, SASL_SSL):
        raise click.UsageError(
            f"{given[0]} needs --security-protocol {SSL} or {SASL_SSL}: "
            f"with {security} nothing is encrypted"
        )
    if (certificate is None) != (key is None):
        raise click.UsageError("--tls-certificate and --tls-key go together: give both")
