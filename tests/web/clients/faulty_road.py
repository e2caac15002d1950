"""A road to a server on which things go wrong, as on the roads that requests take."""

import enum
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from tests.web.clients.server import Served

PATIENCE_SECONDS = 20
RESET = struct.pack("ii", 1, 0)
"""Lets a closed connection be a lost one to the other side."""


class Fault(enum.Enum):
    """What may become of a request."""

    BUSY = b"429 Too Many Requests"
    """It is turned away: too many come."""
    AWAY = b"503 Service Unavailable"
    """It is turned away: nobody is there to answer."""
    CUT = "cut"
    """Half of it arrives, then the connection is lost."""
    LOST = "lost"
    """It is answered, and the answer is lost."""
    KILLED = "killed"
    """The server has it, and is killed with -9."""
    FELLED = "felled"
    """It is answered, and the server is killed before the client can have read that."""


ANSWER = b"HTTP/1.1 %s\r\nRetry-After: 1\r\nContent-Type: application/problem+json\r\n%s"
TOLD = b'{"status":%s,"code":"busy","message":"try again"}'


@dataclass
class Road:
    """Takes requests at a port of its own, and sees to their faults, in the order of the plan."""

    server: Served
    plan: Sequence[Fault | None]
    taken: int = 0
    _listens: socket.socket = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._listens = socket.create_server(("127.0.0.1", 0), backlog=128)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listens.getsockname()[1]}"

    def run(self) -> None:
        """Take connections until the road is closed."""
        while True:
            try:
                client, _ = self._listens.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Let nobody pass any more."""
        with suppress(OSError):
            self._listens.shutdown(socket.SHUT_RDWR)
        self._listens.close()

    def _carry(self, client: socket.socket) -> None:
        """What comes on one connection, and what is answered, until either side is lost."""
        client.settimeout(PATIENCE_SECONDS)
        with closing(client), client.makefile("rb") as coming:
            while request := message(coming):
                with self._lock:
                    fault = self.plan[self.taken] if self.taken < len(self.plan) else None
                    self.taken += 1
                answer = self._answered(request, fault)
                if not answer:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    return
                with suppress(OSError):
                    client.sendall(answer)

    def _answered(self, request: bytes, fault: Fault | None) -> bytes:
        """What the client is told; nothing where the connection is lost."""
        if fault in (Fault.BUSY, Fault.AWAY):
            status = fault.value
            body = TOLD % status[:3]
            return ANSWER % (status, b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        if fault in (Fault.KILLED, Fault.FELLED):
            self.server.wait()
        if fault is Fault.KILLED:
            return self._killed_with(request)
        try:
            with socket.create_connection(self.server.place, PATIENCE_SECONDS) as server:
                if fault is Fault.CUT:
                    server.sendall(request[: len(request) // 2])
                    return b""
                server.sendall(request)
                answer = message(server.makefile("rb"))
        except OSError:  # the server was killed, under this request or before it
            return b""
        if fault is Fault.FELLED:
            self.server.kill()
        return b"" if fault is Fault.LOST else answer

    def _killed_with(self, request: bytes) -> bytes:
        with suppress(OSError):
            server = socket.create_connection(self.server.place, PATIENCE_SECONDS)
            with server:
                server.sendall(request)
        self.server.kill()
        return b""


def message(coming: BinaryIO) -> bytes:
    """The next request or answer of a connection, as it came; empty when there is no whole one."""
    found = b""
    try:
        while not found.endswith(b"\r\n\r\n"):
            found += _line(coming)
        head = found.lower()
        if b"\r\ntransfer-encoding: chunked" in head:
            return found + _chunks(coming)
        _, _, length = head.partition(b"\r\ncontent-length:")
        return found + _read(coming, int(length.split(b"\r\n")[0] or 0))
    except OSError:
        return b""


def _chunks(coming: BinaryIO) -> bytes:
    """A body in chunks, as it came."""
    found, size = b"", -1
    while size != 0:
        line = _line(coming)
        size = int(line, 16)
        found += line + _read(coming, size + len(b"\r\n"))
    return found


def _line(coming: BinaryIO) -> bytes:
    line = coming.readline()
    if not line.endswith(b"\n"):
        raise ConnectionError
    return line


def _read(coming: BinaryIO, size: int) -> bytes:
    found = coming.read(size)
    if len(found) < size:
        raise ConnectionError
    return found


@contextmanager
def faulty_road(server: Served, plan: Sequence[Fault | None]) -> Iterator[Road]:
    """A road on which the first requests meet the faults of a plan; None is no fault."""
    road = Road(server, plan)
    thread = threading.Thread(target=road.run)
    thread.start()
    try:
        yield road
    finally:
        road.close()
        thread.join()
