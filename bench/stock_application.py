"""An application of the library's, as its documentation has them: touchpoints as its events.

The library's own mapper turns them into what is stored and back, with bodies as JSON.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import DomainEvent
from psycopg.conninfo import conninfo_to_dict

from ledger.record import Record


@dataclass(frozen=True)
class Happened(DomainEvent):
    """A touchpoint, with its body as the ledger stores it."""

    body: dict[str, Any]


class Touchpoints(Application[UUID]):
    """The application that records them."""


def environment(database: str) -> dict[str, str]:
    """How the library is told to use a database; all else is as installed."""
    known = conninfo_to_dict(database)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(known["dbname"]),
        "POSTGRES_HOST": str(known["host"]),
        "POSTGRES_PORT": str(known["port"]),
        "POSTGRES_USER": str(known["user"]),
        "POSTGRES_PASSWORD": "not-asked-for",
    }


class Streams:
    """Gives each event the version that comes next in its stream."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}

    def events_of(self, records: Iterable[Record]) -> list[Happened]:
        return [self.event(record.stream, record.state) for record in records]

    def event(self, stream: str, body: bytes) -> Happened:
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        return Happened(
            originator_id=UUID(stream),
            originator_version=version,
            timestamp=Happened.create_timestamp(),
            body=json.loads(body),
        )
