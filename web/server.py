"""The server: an application on a socket, until a stop is requested."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import uvicorn
from starlette.applications import Starlette

from ledger.intake import Stop
from web.accepting import Acceptor, room_for
from web.connections import protocol_within
from web.service import Service
from web.settings import Settings

BACKLOG = 2_048
STOP_SECONDS = 20
"""In which requests under way have to end once a stop is requested."""
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server listens; with a certificate (PEM files) it speaks HTTPS."""

    host: str
    port: int
    certificate: Path | None = None
    certificate_key: Path | None = None


class NoPlace(OSError):
    """A server cannot listen at its place; the cause says why."""


def serve(
    app: Starlette, settings: Settings, place: Place, stop: Stop, ready: Callable[[str], None]
) -> None:
    """Answer until a stop is requested, then finish what is under way.

    `ready` is told the URL once requests are answered. Raises NoPlace when the place is taken.
    """
    with _listening(place) as listens:
        shown = f"[{place.host}]" if ":" in place.host else place.host
        scheme = "http" if place.certificate is None else "https"
        url = f"{scheme}://{shown}:{listens.getsockname()[1]}"
        config = _config(app, settings, place)
        server = _Server(config, app.state.service)
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_run(server, listens, stop, lambda: ready(url)))


def _listening(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    try:
        return socket.create_server((place.host, place.port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:  # a name that can be none is the latter
        raise NoPlace(str(error)) from error


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections ourselves, where the library would take any number of them."""
        settings, watch = self._service.settings, self._service.watch
        most, refused = room_for(settings.connections_max), partial(watch.refused, "connections")
        is_clear = self.config.ssl is None
        accepting = [
            Acceptor(listens, self._connect, most, refused, is_clear=is_clear)
            for listens in sockets or ()
        ]
        self.servers = cast(list[asyncio.Server], accepting)
        self.started = True

    async def _connect(self, found: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state={}
            )

        context, seconds = self.config.ssl, self._service.settings.header_seconds
        times = {} if context is None else {"ssl_handshake_timeout": seconds}
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(protocol, found, ssl=context, **times)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the business of whoever has started us."""
        yield


async def _run(
    server: uvicorn.Server, listens: socket.socket, stop: Stop, ready: Callable[[], None]
) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listens]))
    is_told = False
    while not serving.done():
        if server.started and not is_told:
            is_told = True
            ready()
        if stop.requested:
            server.should_exit = True
        await asyncio.wait([serving], timeout=LOOK_SECONDS)
    await serving


def _config(app: Starlette, settings: Settings, place: Place) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol_within(settings.header_seconds, settings.body_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=round(settings.idle_seconds),
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=place.certificate,
        ssl_keyfile=place.certificate_key,
    )
