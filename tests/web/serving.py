"""A real server for tests, in a thread, and a plain client that talks to it."""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from ledger.access import create_token
from ledger.intake import Append, Stop
from ledger.ledger import Ledger
from web.app import application
from web.server import Place, serve
from web.settings import Settings
from web.watch import Watch

READY_SECONDS = 20
HOST = "127.0.0.1"
PLACE = Place(host=HOST, port=0)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server has answered. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class Client:
    """Talks to a server over one connection; with a secret it comes with that token."""

    url: str
    secret: str | None = None
    connection: HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        place = urlsplit(self.url)
        assert place.hostname is not None
        self.connection = HTTPConnection(place.hostname, place.port, timeout=READY_SECONDS)

    def close(self) -> None:
        self.connection.close()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | Any = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request; a body that is neither bytes nor text goes as JSON."""
        sent = dict(headers or {})
        if self.secret is not None:
            sent.setdefault("Authorization", f"Bearer {self.secret}")
        if not isinstance(body, bytes | str):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        self.connection.request(method, path, body or None, sent)
        answer = self.connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, named, answer.read())

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        return self.ask("POST", path, body, headers)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs: where, on which ledger, and what is to be seen of it."""

    url: str
    ledger: Ledger
    watch: Watch

    def secret(self, role: str = "emitter", source: str = "shop") -> str:
        """The secret of a new token."""
        now = self.ledger.log.clock()
        return create_token(self.ledger.store, now, role=role, source=source)[0]

    @contextmanager
    def client(
        self, role: str | None = "emitter", source: str = "shop", *, secret: str | None = None
    ) -> Iterator[Client]:
        """A client with a new token of a role, with a secret, or with neither (role None)."""
        if secret is None and role is not None:
            secret = self.secret(role, source)
        with closing(Client(self.url, secret)) as client:
            yield client


@contextmanager
def serving(
    ledger: Ledger,
    settings: Settings | None = None,
    place: Place = PLACE,
    appending: Append | None = None,
) -> Iterator[Running]:
    """A server on a free port, stopped afterwards; nobody follows the views."""
    settings = settings or Settings()
    stop, watch, told = Stop(), Watch(), threading.Event()
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        told.set()

    app = application(ledger, settings, watch, appending)
    thread = threading.Thread(target=serve, args=(app, settings, place, stop, ready))
    thread.start()
    try:
        assert told.wait(READY_SECONDS)
        yield Running(urls[0], ledger, watch)
    finally:
        stop.signal = 0
        thread.join()


def basic(user: str, password: str = "") -> dict[str, str]:
    """The header of Basic authentication."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}
