"""A road to a server that breaks: it lets so many bytes through, then cuts the connection."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

CHUNK_BYTES = 65_536
_SAID = b""
"""Instead of the last word: it was said, and the answer to it is what breaks the road."""


class Road:
    """Forwards connections from a port of its own; broken, it refuses new ones as well."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._guard = threading.Lock()
        self._left: int | None = None
        self._last_word: bytes | None = None
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        port: int = self._listening.getsockname()[1]
        return port

    def break_after(self, count: int) -> None:
        """Let so many more bytes go to the server, then nothing, either way."""
        with self._guard:
            self._left = count

    def break_behind(self, word: bytes) -> None:
        """Break when the server answers to something with this word in it; the answer is lost."""
        with self._guard:
            self._last_word = word

    def mend(self) -> None:
        with self._guard:
            self._left = self._last_word = None

    @property
    def broken(self) -> bool:
        return self._left == 0

    def close(self) -> None:
        _end(self._listening)
        self._threads[0].join()
        self._listening.close()
        self._cut()
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self.broken:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            with self._guard:
                self._ends += [client, server]
            self._carry(client, server, counted=True)
            self._carry(server, client, counted=False)

    def _carry(self, source: socket.socket, to: socket.socket, *, counted: bool) -> None:
        thread = threading.Thread(target=self._copy, args=(source, to, counted))
        self._threads.append(thread)
        thread.start()

    def _copy(self, source: socket.socket, to: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                to.sendall(self._of_client(data) if counted else self._of_server(data))
                if self.broken:
                    self._cut()
        for end in (source, to):
            _end(end)

    def _of_client(self, data: bytes) -> bytes:
        """What the server gets to see of what its client sends."""
        with self._guard:
            if self._left is not None:
                data = data[: self._left]
                self._left -= len(data)
            if self._last_word is not None and self._last_word in data:
                self._last_word = _SAID
        return data

    def _of_server(self, data: bytes) -> bytes:
        with self._guard:
            if self._last_word is _SAID:
                self._left = 0
            return b"" if self._left == 0 else data

    def _cut(self) -> None:
        with self._guard:
            ends = list(self._ends)
        for end in ends:
            _end(end)


def _end(connection: socket.socket) -> None:
    """Both ways; a thread that waits for data wakes, which it would not when it were closed."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def road_to(port: int) -> Iterator[Road]:
    """A road to a port of this machine; all its connections are gone at the end."""
    with closing(Road(port)) as road:
        yield road
