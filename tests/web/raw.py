"""A connection to a server by hand: bytes out, answers in."""

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any, cast
from urllib.parse import urlsplit

from tests.web.serving import READY_SECONDS, Reply

BYTES_MAX = 65_536


class _Kept(io.BufferedReader):
    """What the server says, for one answer after the other, none of which closes it."""

    def close(self) -> None:
        """It ends with the connection."""

    def makefile(self, _: str) -> "_Kept":
        return self


class Raw:
    """Sends bytes as they are, and reads what is answered."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self._said = _Kept(socket.SocketIO(opened, "r"))

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def reply(self, method: str = "GET") -> Reply:
        """The next answer, whole."""
        answer = HTTPResponse(cast(Any, self._said), method=method)
        answer.begin()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, named, answer.read())

    def rest(self) -> bytes:
        """All that comes until the server hangs up. Raises TimeoutError when it does not."""
        found = b""
        while True:
            try:
                part = self._said.read1(BYTES_MAX)
            except ConnectionResetError:
                return found
            if not part:
                return found
            found += part


@contextmanager
def raw(url: str, receives_bytes: int | None = None) -> Iterator[Raw]:
    """A new connection; for those that do not read, with little room for what comes."""
    place = urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as opened:
        opened.settimeout(READY_SECONDS)
        if receives_bytes is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives_bytes)
        opened.connect((place.hostname, place.port))
        yield Raw(opened)


def head(line: str, secret: str | None = None, **headers: object) -> bytes:
    """The head of a request; underscores in names of headers stand for hyphens."""
    lines = [f"{line} HTTP/1.1", "Host: touchstone"]
    lines += [f"Authorization: Bearer {secret}"] if secret else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
