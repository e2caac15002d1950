"""The library's own test cases for recorders, on ours: its readers and tracking work unchanged.

They are collected through the subclasses below. The abstract cases themselves stay in their
module, so that pytest does not try to run them.
"""

import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
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

from ledger.sqlite import Datastore, Recorder, create_schema  # noqa: E402


def _join_threads() -> None:
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(timeout=30)


class OnAFile(TestCase):
    """Makes recorders on a ledger's file of our own schema."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "ledger.db"

    def create_recorder(self) -> Any:
        store = Datastore(self.path)
        self.addCleanup(store.close)
        self.addCleanup(_join_threads)  # the library's cases leave readers at work
        create_schema(store.path, "contract")
        return Recorder(store)


class TestApplicationRecorder(OnAFile, persistence.ApplicationRecorderTestCase[Any]):
    """Positions, pages, topics, and ten threads that write at once."""

    def test_performance(self) -> None:
        """Left out: it asserts nothing and prints a figure; bench/ measures."""


class TestTrackingRecorder(OnAFile, persistence.TrackingRecorderTestCase):
    """Tracking only goes forward, one row a name."""


class TestProcessRecorder(OnAFile, persistence.ProcessRecorderTestCase):
    """Events and tracking go together or not at all."""

    def test_performance(self) -> None:
        """Left out: it asserts nothing and prints a figure; bench/ measures."""


class TestGroupsDoNotInterleave(OnAFile, persistence.NonInterleavingNotificationIDsBaseCase):
    """Two groups of a thousand that race keep together."""


class TestOwnAdditions(OnAFile):
    """What the library's cases do not look at."""

    def test_a_refused_group_leaves_no_gap_in_the_positions(self) -> None:
        recorder = self.create_recorder()
        stream = uuid4()
        assert recorder.insert_events(_events(stream, 1, 2)) == [1, 2]
        with pytest.raises(IntegrityError):
            recorder.insert_events(_events(stream, 3, 2))
        assert recorder.insert_events(_events(stream, 3)) == [3]

    def test_events_without_tracking_progress_are_not_recorded(self) -> None:
        recorder = self.create_recorder()
        stream = uuid4()
        recorder.insert_events(_events(stream, 1), tracking=Tracking("upstream", 5))
        with pytest.raises(IntegrityError):
            recorder.insert_events(_events(stream, 2), tracking=Tracking("upstream", 5))
        assert len(recorder.select_events(stream)) == 1
        assert recorder.insert_events(_events(stream, 2)) == [2]

    def test_the_head_knows_when_the_last_of_them_was_recorded(self) -> None:
        recorder = self.create_recorder()
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
