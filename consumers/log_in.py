"""Logging in to a broker, once and by hand, to hear its answer.

The broker answers a wrong password and hangs up. The client library drops an answer that comes
together with the end of a connection, takes that for a broker that is away, and tries again.
"""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from kafka.net.sasl import get_sasl_mechanism

from consumers.connection import REQUEST_SECONDS, SASL_PLAINTEXT, SASL_SSL, Connection
from ledger.errors import Denied

HANDSHAKE, AUTHENTICATE = (17, 1), (36, 0)
"""The two requests of the protocol, with their versions."""
UNSUPPORTED_MECHANISM, REFUSED = 33, 58
ANSWER_BYTES_MAX = 1_000_000


def check_log_in(connection: Connection) -> None:
    """Log in at the first broker that answers. Raises Denied when it refuses.

    Without SASL nothing is done. What else goes wrong is not told here: whoever connects next
    runs into it too.
    """
    if connection.security not in (SASL_PLAINTEXT, SASL_SSL):
        return
    for host, port in _addresses(connection.servers):
        try:
            _log_in(connection, host, port)
        except TimeoutError:
            return
        except (OSError, ValueError, struct.error):
            continue
        return


def _addresses(servers: str) -> Iterator[tuple[str, int]]:
    for server in servers.split(","):
        host, _, port = server.rpartition(":")
        yield host.strip("[]"), int(port)


def _log_in(connection: Connection, host: str, port: int) -> None:
    config = {
        "security_protocol": connection.security,
        "sasl_mechanism": connection.mechanism,
        "sasl_plain_username": connection.username,
        "sasl_plain_password": connection.password,
    }
    mechanism: Any = get_sasl_mechanism(connection.mechanism)(host=host, **config)
    with ExitStack() as opened:
        stream = opened.enter_context(socket.create_connection((host, port), REQUEST_SECONDS))
        if connection.security == SASL_SSL:
            stream = opened.enter_context(_encrypted(connection, stream, host))
        name = (connection.mechanism or "").encode()
        _check(connection, _answer(stream, HANDSHAKE, struct.pack(">h", len(name)) + name)[0])
        while not mechanism.is_done():
            token = mechanism.auth_bytes()
            body = struct.pack(">i", len(token)) + token
            code, rest = _answer(stream, AUTHENTICATE, body)
            _check(connection, code)
            mechanism.receive(_token(rest))


def _encrypted(connection: Connection, stream: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=connection.ca)
    if connection.certificate:
        context.load_cert_chain(connection.certificate, connection.key)
    return context.wrap_socket(stream, server_hostname=host)


def _answer(stream: socket.socket, request: tuple[int, int], body: bytes) -> tuple[int, bytes]:
    """The error code of the broker's answer, and what follows it."""
    header = struct.pack(">hhih", *request, 0, -1)
    stream.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
    (size,) = struct.unpack(">i", _exactly(stream, 4))
    answer = _exactly(stream, min(size, ANSWER_BYTES_MAX))
    _, code = struct.unpack_from(">ih", answer)
    return code, answer[6:]


def _exactly(stream: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = stream.recv(size - len(found))
        if not part:
            raise ConnectionError("the broker has hung up")
        found += part
    return found


def _token(rest: bytes) -> bytes:
    """What the broker says to the mechanism: it stands behind a message, which may be null."""
    (said,) = struct.unpack_from(">h", rest)
    start = 2 + max(0, said)
    (size,) = struct.unpack_from(">i", rest, start)
    return rest[start + 4 : start + 4 + max(0, size)]


def _check(connection: Connection, code: int) -> None:
    if code == UNSUPPORTED_MECHANISM:
        raise Denied(f"Kafka refuses: it does not do {connection.mechanism} there")
    if code == REFUSED:
        raise Denied(f"Kafka refuses the username {connection.username} or its password")
