"""How a long-running process says that it is well: by HTTP, or in a file; and its metrics."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
import msgspec
import structlog

HOST = "127.0.0.1"
PORT_MAX = 65_535
PATHS = ("/healthz", "/readyz")
METRICS_PATH = "/metrics"
CLIENT_SECONDS_MAX = 5
WRITING_SECONDS = 1.0

F = TypeVar("F", bound=Callable[..., Any])


class Health(Protocol):
    """How a process is doing; the rest of it is told as JSON, as msgspec writes it."""

    @property
    def good(self) -> bool:
        """Whether nobody needs to be woken."""


Ask = Callable[[], Health]
Metrics = Callable[[str], tuple[bytes, str]]
"""Gives metrics and their content type, in a form that an `Accept` header asks for."""


def health_options(function: F) -> F:
    """The options of a command that serves: where it answers."""
    host = click.option(
        "--health-host", default=HOST, show_default=True, metavar="HOST",
        help="The address at which it answers; 0.0.0.0 is every one of this machine.",
    )  # fmt: skip
    port = click.option(
        "--health-port", type=click.IntRange(0, PORT_MAX), metavar="PORT",
        help="Answer /healthz, /readyz and /metrics at this port; 0 takes a free one.",
    )  # fmt: skip
    return port(host(function))


@contextmanager
def answering(
    ask: Ask, port: int, *, host: str = HOST, metrics: Metrics | None = None
) -> Iterator[str]:
    """Answer GET on the two paths: 200 while all is well, else 503; gives the address (URL).

    Where there are metrics, they are at a third. Raises OSError when the port is taken.
    """

    class Handler(_Handler):
        asked = staticmethod(ask)
        measured = staticmethod(metrics) if metrics else None

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    with Server((host, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            shown = f"[{host}]" if ":" in host else host
            yield f"http://{shown}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Watch(Protocol):
    """What is to be seen of a process from outside."""

    @property
    def metrics(self) -> "Scraped": ...
    def health(self) -> Health: ...


class Scraped(Protocol):
    """Metrics as they are scraped."""

    def told(self, accepted: str, /) -> tuple[bytes, str]: ...


@contextmanager
def watched(watch: Watch, where: tuple[str, int] | None, service: str) -> Iterator[None]:
    """Let a service be watched at a host and port, if it is to be, and log where."""
    if where is None:
        yield
        return
    host, port = where
    with answering(watch.health, port, host=host, metrics=watch.metrics.told) as url:
        log = structlog.get_logger(f"touchstone.{service}")
        log.info("answers", health=f"{url}/healthz", metrics=f"{url}{METRICS_PATH}")
        yield


class _Handler(BaseHTTPRequestHandler):
    asked: Ask
    measured: Metrics | None
    timeout = CLIENT_SECONDS_MAX

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in PATHS:
            health = self.asked()
            status = HTTPStatus.OK if health.good else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, told(health), "application/json")
        elif path == METRICS_PATH and self.measured is not None:
            body, content_type = self.measured(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, body, content_type)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
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
