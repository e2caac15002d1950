"""The library's own test cases for recorders, on ours: its readers and tracking work unchanged.

They are collected through the subclasses below. The abstract cases themselves stay in their
module, so that pytest does not try to run them.
"""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any
from unittest import TestCase
from uuid import uuid4

import eventsourcing.cryptography
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent, Tracking

# The library's test module imports a cipher that needs a package which we do not use. Its other
# cipher has the same name and interface, and none of the cases below encrypts anything.
sys.modules.setdefault("eventsourcing.cipher", eventsourcing.cryptography)
from eventsourcing.tests import persistence  # noqa: E402

from ledger.address import Address  # noqa: E402
from tests.places import Places, a_place  # noqa: E402


def _join_threads() -> None:
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(timeout=30)


class Placed(TestCase):
    """Makes recorders on a ledger of our own schema, which is new for each test."""

    place: Address

    def create_recorder(self) -> Any:
        store = self.place.store()
        self.addCleanup(store.close)
        self.addCleanup(_join_threads)  # the library's cases leave readers at work
        return store.recorder()


class OnAFile(Placed):
    """Recorders of an embedded ledger."""

    @pytest.fixture(autouse=True)
    def _take_place(self, sqlite_places: Places) -> Iterator[None]:
        with a_place(sqlite_places) as self.place:
            yield


class OnAServer(Placed):
    """Recorders of a ledger on PostgreSQL."""

    @pytest.fixture(autouse=True)
    def _take_place(self, postgres_places: Places) -> Iterator[None]:
        with a_place(postgres_places) as self.place:
            yield


class Unmeasured:
    """Leaves out what asserts nothing and prints a figure: bench/ measures."""

    def test_performance(self) -> None:
        pass


class TestApplicationRecorder(Unmeasured, OnAFile, persistence.ApplicationRecorderTestCase[Any]):
    """Positions, pages, topics, and ten threads that write at once."""


class TestApplicationRecorderOnAServer(
    Unmeasured, OnAServer, persistence.ApplicationRecorderTestCase[Any]
):
    """The same."""


class TestTrackingRecorder(OnAFile, persistence.TrackingRecorderTestCase):
    """Tracking only goes forward, one row a name."""


class TestTrackingRecorderOnAServer(OnAServer, persistence.TrackingRecorderTestCase):
    """The same."""


class TestProcessRecorder(Unmeasured, OnAFile, persistence.ProcessRecorderTestCase):
    """Events and tracking go together or not at all."""


class TestProcessRecorderOnAServer(Unmeasured, OnAServer, persistence.ProcessRecorderTestCase):
    """The same."""


class TestGroupsDoNotInterleave(OnAFile, persistence.NonInterleavingNotificationIDsBaseCase):
    """Two groups of a thousand that race keep together."""


class TestGroupsDoNotInterleaveOnAServer(
    OnAServer, persistence.NonInterleavingNotificationIDsBaseCase
):
    """The same."""


class TestOwnAdditions:
    """What the library's cases do not look at."""

    @pytest.fixture
    def recorder(self, places: Places) -> Iterator[Any]:
        with a_place(places) as place, closing(place.store()) as store:
            yield store.recorder()

    def test_a_refused_group_leaves_no_gap_in_the_positions(self, recorder: Any) -> None:
        stream = uuid4()
        assert recorder.insert_events(_events(stream, 1, 2)) == [1, 2]
        with pytest.raises(IntegrityError):
            recorder.insert_events(_events(stream, 3, 2))
        assert recorder.insert_events(_events(stream, 3)) == [3]

    def test_events_without_tracking_progress_are_not_recorded(self, recorder: Any) -> None:
        stream = uuid4()
        recorder.insert_events(_events(stream, 1), tracking=Tracking("upstream", 5))
        with pytest.raises(IntegrityError):
            recorder.insert_events(_events(stream, 2), tracking=Tracking("upstream", 5))
        assert len(recorder.select_events(stream)) == 1
        assert recorder.insert_events(_events(stream, 2)) == [2]

    def test_the_head_knows_when_the_last_of_them_was_recorded(self, recorder: Any) -> None:
        recorder.insert_events(_events(uuid4(), 1))
        with recorder.store.cursor() as cursor:
            (at_head,) = cursor.execute("SELECT recorded_at FROM head").fetchone()
            (at_last,) = cursor.execute("SELECT recorded_at FROM stored_events").fetchone()
        assert at_head == at_last > 0


def _events(stream: Any, *versions: int) -> Sequence[StoredEvent]:
    return [
        StoredEvent(originator_id=stream, originator_version=v, topic="topic", state=b"{}")
        for v in versions
    ]
