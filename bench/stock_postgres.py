"""What is to be beaten on PostgreSQL: the library's application recorder, as it is installed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from bench.appending import GROUP_TOUCHPOINTS, in_groups
from bench.logs import bring_log, last_versions
from bench.material import Year
from bench.measuring import Goal, rate
from bench.places import PostgresPlace
from ledger.record import Record

INSERTING = "stock insert_events, not idempotent"
INSERTING_GOAL = Goal(3, 4.5)
_COLUMNS = "originator_id, originator_version, topic, state, notification_id"
_TABLE = "stored_events"


class StockTable:
    """The library's recorder, on its own table in a database of its own."""

    def __init__(self, database: str) -> None:
        known = conninfo_to_dict(database)
        self.database = database
        self._datastore = PostgresDatastore(
            dbname=str(known["dbname"]),
            host=str(known["host"]),
            port=str(known["port"]),
            user=str(known["user"]),
            password="",
        )
        self._recorder = PostgresApplicationRecorder(self._datastore)
        self._recorder.create_table()

    def close(self) -> None:
        self._datastore.close()

    def fill(self, year: Year) -> None:
        """The log of the year, byte for byte. The table is made already, with its indexes."""
        with psycopg.connect(self.database) as connection:
            count = bring_log(year.ledger.address, _TABLE, _COLUMNS, connection)
            connection.execute(
                "SELECT setval(pg_get_serial_sequence('stored_events', 'notification_id'), %s)",
                (count,),
            )

    def inserting_rate(self, records: Sequence[Record]) -> float:
        """Events per second of the library's append."""
        groups = in_groups(self._events_of(records), GROUP_TOUCHPOINTS)
        return rate(len(records), partial(self._insert, groups))

    def _insert(self, groups: Sequence[Sequence[StoredEvent]]) -> None:
        for group in groups:
            self._recorder.insert_events(group)

    def _events_of(self, records: Sequence[Record]) -> list[StoredEvent]:
        """The same bodies in the same streams, with the versions that come next there."""
        with psycopg.connect(self.database) as connection:
            versions = last_versions((r.stream for r in records), _TABLE, connection)
        events = []
        for record in records:
            version = versions[record.stream] = versions.get(record.stream, 0) + 1
            events.append(
                StoredEvent(
                    originator_id=UUID(record.stream),
                    originator_version=version,
                    topic=record.topic,
                    state=record.state,
                )
            )
        return events


@contextmanager
def stock_table_of(year: Year, place: PostgresPlace) -> Iterator[StockTable]:
    """The library's table, filled with the log of the year."""
    table = StockTable(place.database("append_stock"))
    table.fill(year)
    yield table
    table.close()
