"""What is to be beaten on PostgreSQL by views: the library's ProjectionRunner with one counter.

As its documentation shows it: a tracking recorder with a table of its own, whose command moves the
counter and the position in one transaction, and a projection that calls it for each event.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

from bench.appending import in_groups
from bench.material import Year
from bench.measuring import Goal, left_alone
from bench.places import PostgresPlace
from bench.rebuilding import Against, Loops
from bench.stock_application import Happened, Streams, Touchpoints, environment

RUNNER = "stock ProjectionRunner, one counter view"
SAMPLE_MAX = 10_000
"""The runner does the same for every event, so a sample shows its rate."""
SAVED_AT_ONCE = 1_000
PATIENCE_SECONDS = 600
ONE_WORKER_GOAL, MORE_WORKERS_GOAL = Goal(80, 120), Goal(130, 200)
FOLLOW_GOAL = Goal(10, 25)


class Counters(PostgresTrackingRecorder):
    """The view: how many touchpoints each subject has."""

    def __init__(self, datastore: PostgresDatastore, **options: Any) -> None:
        super().__init__(datastore, **options)
        table = SQL("{}.{}").format(Identifier(datastore.schema), Identifier("counters"))
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS {} (subject text PRIMARY KEY, touchpoints bigint)"
            ).format(table)
        )
        self._count = SQL(
            "INSERT INTO {0} VALUES (%s, 1) "
            "ON CONFLICT (subject) DO UPDATE SET touchpoints = {0}.touchpoints + 1"
        ).format(table)

    def count(self, subject: str, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self._count, (subject,), prepare=True)


class Counting(Projection[Counters]):
    """Counts, and notes when it began and when it had done the last."""

    name = "counting"

    def __init__(self, view: Counters) -> None:
        super().__init__(view)
        self.began_at: float | None = None
        self.ended_at = 0.0

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        raise TypeError(f"not a touchpoint: {domain_event!r}")

    @process_event.register
    def _(self, domain_event: Happened, tracking: Tracking) -> None:
        if self.began_at is None:
            self.began_at = time.perf_counter()
        self.view.count(domain_event.body["subject"], tracking)
        self.ended_at = time.perf_counter()


@contextmanager
def runner_on_server(year: Year, name: str, *, place: PostgresPlace) -> Iterator[Loops]:
    """The runner over the beginning of the year, in a database of its own."""
    database = place.database(f"stock_{name}")
    sample = _fill(database, year)
    place.settle()
    yield Loops(
        {RUNNER: partial(running_rate, database, sample)},
        (Against((RUNNER,), _rebuild_goal, FOLLOW_GOAL),),
    )


def _rebuild_goal(workers: int) -> Goal:
    return ONE_WORKER_GOAL if workers == 1 else MORE_WORKERS_GOAL


def _fill(database: str, year: Year) -> int:
    """Save the first touchpoints of the year through the application; returns how many."""
    events = _first_events(year, SAMPLE_MAX)
    application = Touchpoints(environment(database))
    for group in in_groups(events, SAVED_AT_ONCE):
        application.save(*group)
    application.close()
    return len(events)


def _first_events(year: Year, count: int) -> Sequence[Happened]:
    streams = Streams()
    with year.ledger.store.cursor() as cursor:
        rows = cursor.execute(
            "SELECT originator_id, state FROM stored_events "
            "WHERE notification_id <= ? ORDER BY notification_id",
            (count,),
        )
        return [streams.event(stream.hex, state) for stream, state in rows]


def running_rate(database: str, sample: int) -> float:
    """Events per second, from the first that the view is told to the last that it has done."""
    with psycopg.connect(database) as connection:
        connection.execute("DROP TABLE IF EXISTS counters, counting_tracking")
    with (
        left_alone(),
        ProjectionRunner(
            application_class=Touchpoints,
            projection_class=Counting,
            view_class=Counters,
            env=environment(database),
        ) as runner,
    ):
        runner.wait(sample, PATIENCE_SECONDS)
    runner.view.datastore.close()
    counting = runner.projection
    if not isinstance(counting, Counting) or counting.began_at is None:
        raise RuntimeError("the runner has not run")
    return sample / (counting.ended_at - counting.began_at)
