"""`touchstone serve` in a process of its own, which may be killed and comes back."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cli import exits
from ledger.address import Address
from tests.crash.launching import Child, Launcher, wait_until
from tests.crash.loading import opening


@dataclass
class Served:
    """The command on a ledger; each time it starts, it takes another port."""

    children: Launcher
    address: Address
    options: tuple[str, ...]
    kills: int = 0
    url: str = field(init=False)
    _child: Child = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._start()

    @property
    def place(self) -> tuple[str, int]:
        """Where it answers, or did before it was killed, for a socket."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def kill(self) -> None:
        """End it as a crash would; return when another one answers in its stead."""
        with self._lock:
            self._child.kill()
            self.kills += 1
            self._start()

    def wait(self) -> None:
        """Return when it answers, if it is just being killed."""
        with self._lock:
            return

    def stop(self) -> int:
        """Ask it to end; returns its exit code."""
        self._child.signal(signal.SIGTERM)
        return self._child.wait()

    def _start(self) -> None:
        arguments = (*opening(self.address), "serve", "--port", "0", *self.options)
        self._child = self.children.start("command", *arguments)
        wait_until(lambda: bool(self._told()) or self._child.code is not None)
        assert self._told(), self._child.err.read_text()
        self.url = self._told()[0]

    def _told(self) -> list[str]:
        """Where the process says that it answers, once it does."""
        lines = self._child.err.read_bytes().split(b"\n")[:-1]
        events = [json.loads(line) for line in lines if line.startswith(b"{")]
        return [event["url"] for event in events if event["event"] == "answers"]


@contextmanager
def served(children: Launcher, address: Address, *options: str) -> Iterator[Served]:
    """The command, asked to end afterwards; it has to end in good order."""
    server = Served(children, address, options)
    yield server
    assert server.stop() == exits.SIGNAL_BASE + signal.SIGTERM
