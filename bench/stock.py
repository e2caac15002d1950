"""What is to be beaten: `eventsourcing` on SQLite, used as its documentation uses it.

Its own recorder on its own table; for a view one transaction per event, as its projections do,
with the position tracked in the same transaction.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from uuid import UUID

from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.sqlite import SQLiteDatastore, SQLiteProcessRecorder

from bench.appending import GROUP_TOUCHPOINTS, in_groups
from bench.material import Year
from bench.measuring import Goal, Line, rate
from bench.rebuilding import Against, Loops
from ledger.ledger import Ledger
from ledger.record import Record

PAGE_EVENTS = 1_000
LOOP_SAMPLE_MAX = 20_000
"""The loop does the same for every event, so a sample shows its rate."""
AS_INSTALLED = "stock loop, one transaction per event"
AT_FULL = f"{AS_INSTALLED}, synchronous=FULL"
AT_NORMAL = f"{AS_INSTALLED}, synchronous=NORMAL"
INSERTING = "stock insert_events, synchronous=FULL, not idempotent"
REBUILD_GOAL = Goal(35, 50)
APPEND_LINES = (Line((INSERTING,), Goal(1.2, 1.5)),)
_COUNT = (
    "INSERT INTO counters VALUES (?, 1) "
    "ON CONFLICT (subject) DO UPDATE SET touchpoints = touchpoints + 1"
)
_VERSIONS = """
SELECT originator_id, MAX(originator_version) FROM stored_events
WHERE originator_id IN (SELECT value FROM json_each(?)) GROUP BY originator_id
"""


class StockFile:
    """A file of the library's recorder, at its own or at a given `synchronous`."""

    def __init__(self, path: Path, synchronous: str | None = None) -> None:
        self.path = path
        self._datastore = SQLiteDatastore(str(path))
        self._recorder = SQLiteProcessRecorder(self._datastore)
        self._recorder.create_table()
        if synchronous is not None:
            self.set_synchronous(synchronous)

    def set_synchronous(self, synchronous: str) -> None:
        """OFF, NORMAL or FULL. One thread uses one connection, over and over."""
        with self._datastore.get_connection(commit=True) as connection:
            connection._sqlite_conn.execute(f"PRAGMA synchronous = {synchronous}")

    def synchronous(self) -> str:
        """What it is set to: a number, as SQLite gives it (1 is NORMAL, 2 is FULL)."""
        with self._datastore.get_connection(commit=True) as connection:
            row = connection._sqlite_conn.execute("PRAGMA synchronous").fetchone()
        return str(row[0])

    def close(self) -> None:
        self._datastore.close()

    def events_of(self, records: Sequence[Record]) -> list[StoredEvent]:
        """The same bodies in the same streams, with the versions that come next there."""
        streams = json.dumps(list({record.stream for record in records}))
        with self._datastore.transaction(commit=False) as cursor:
            cursor.execute(_VERSIONS, (streams,))
            versions = {row[0]: row[1] for row in cursor.fetchall()}
        events = []
        for record in records:
            version = versions[record.stream] = versions.get(record.stream, 0) + 1
            events.append(_event(record.stream, version, record.topic, record.state))
        return events

    def inserting_rate(self, records: Sequence[Record]) -> float:
        """Events per second of the library's append."""
        groups = in_groups(self.events_of(records), GROUP_TOUCHPOINTS)
        return rate(len(records), partial(self.insert, groups))

    def insert(self, groups: Sequence[Sequence[StoredEvent]]) -> None:
        """The library's append, a transaction a group."""
        for group in groups:
            self._recorder.insert_events(group)

    def begin_counting(self) -> None:
        """An empty counter view, at position 0."""
        with self._datastore.transaction(commit=True) as cursor:
            cursor.execute("DROP TABLE IF EXISTS counters")
            cursor.execute("CREATE TABLE counters (subject TEXT PRIMARY KEY, touchpoints INTEGER)")
            cursor.execute("DELETE FROM tracking WHERE application_name = 'counters'")

    def count(self, until: int) -> None:
        """The counter view, one transaction per event: its row and its position."""
        position = 0
        while position < until:
            page = self._recorder.select_notifications(
                position, PAGE_EVENTS, until, inclusive_of_start=False
            )
            for notification in page:
                position = notification.id
                subject = json.loads(notification.state)["subject"]
                with self._datastore.transaction(commit=True) as cursor:
                    cursor.execute(_COUNT, (subject,))
                    self._recorder._insert_tracking(cursor, Tracking("counters", position))


@contextmanager
def loops_on_file(year: Year, name: str) -> Iterator[Loops]:
    """The loop as installed and with either durability.

    As installed comes first: the others set what it leaves alone. Our views are written at
    NORMAL, the loop as documented is not; held against the loop at NORMAL, ours has no advantage.
    """
    sample = min(LOOP_SAMPLE_MAX, year.size.touchpoints)
    file = stock_file_of(year.ledger, sample, year.place.folder / f"{name}.db")
    installed = file.synchronous()
    ways = {AS_INSTALLED: installed, AT_FULL: "FULL", AT_NORMAL: "NORMAL"}
    yield Loops(
        {way: partial(counting_rate, file, sample, setting) for way, setting in ways.items()},
        (Against((AS_INSTALLED, AT_FULL), lambda workers: REBUILD_GOAL), Against((AT_NORMAL,))),
    )
    file.close()


def counting_rate(file: StockFile, sample: int, synchronous: str) -> float:
    """Events per second of the counter view over a sample."""
    file.set_synchronous(synchronous)
    file.begin_counting()
    return rate(sample, lambda: file.count(sample))


def stock_file_of(
    ledger: Ledger, count: int, path: Path, synchronous: str | None = None
) -> StockFile:
    """The first touchpoints of a ledger, byte for byte, in a file of the library's."""
    file = StockFile(path, synchronous)
    with ledger.store.cursor() as cursor:
        rows = cursor.execute(
            "SELECT originator_id, originator_version, topic, state FROM stored_events "
            "WHERE notification_id <= ? ORDER BY notification_id",
            (count,),
        )
        source = iter(rows)
        while page := list(islice(source, PAGE_EVENTS)):
            file.insert([[_event(*row) for row in page]])
    return file


def _event(stream: str, version: int, topic: str, state: bytes) -> StoredEvent:
    return StoredEvent(
        originator_id=UUID(stream), originator_version=version, topic=topic, state=state
    )
