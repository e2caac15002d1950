"""How a long-running process says that it is well: by HTTP on this machine, or in a file."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from projections.pulse import Health

HOST = "127.0.0.1"
PATHS = ("/healthz", "/readyz")
CLIENT_SECONDS_MAX = 5
WRITING_SECONDS = 1.0

Ask = Callable[[], Health]


@contextmanager
def answering(ask: Ask, port: int) -> Iterator[int]:
    """Answer GET on the two paths: 200 while all is well, else 503; gives the port.

    Raises OSError when the port is taken.
    """

    class Handler(_Handler):
        asked = staticmethod(ask)

    with ThreadingHTTPServer((HOST, port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    asked: Ask
    timeout = CLIENT_SECONDS_MAX

    def do_GET(self) -> None:
        if self.path.partition("?")[0] not in PATHS:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        health = self.asked()
        body = told(health)
        self.send_response(HTTPStatus.OK if health.good else HTTPStatus.SERVICE_UNAVAILABLE)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: standard error is for what happens, not for who asks."""


@contextmanager
def writing(ask: Ask, file: Path) -> Iterator[None]:
    """Keep a file that says the same, written anew each second and removed at the end.

    Each time it is replaced as a whole. One whose `at` is old is of a process that was killed.
    Raises OSError when it cannot be written at all.
    """
    _write(ask(), file)
    ended = threading.Event()
    thread = threading.Thread(target=_write_on, args=(ask, file, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        file.unlink(missing_ok=True)


def _write_on(ask: Ask, file: Path, ended: threading.Event) -> None:
    while not ended.wait(WRITING_SECONDS):
        try:
            _write(ask(), file)
        except OSError:
            continue  # such as a full disk: who reads the file sees that it is old


def _write(health: Health, file: Path) -> None:
    beside = file.with_name(f"{file.name}.new")
    beside.write_bytes(told(health))
    os.replace(beside, file)


def told(health: Health) -> bytes:
    """The health as one line of JSON."""
    return msgspec.json.encode(health) + b"\n"
