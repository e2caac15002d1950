"""The log: the only writer of facts, and the pages in which they are read.

A position is a promise: when `append` returns, what it recorded is on the disk, readers see
positions in order without a gap, and none is used twice.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from ledger.errors import Denied, Locked, TrackingConflict, Unreachable
from ledger.gathering import Gathering
from ledger.quarantine import Quarantine, Received
from ledger.receipt import Receipt
from ledger.record import Duplicate, Known, Record, Recorded
from ledger.redaction import without_erased
from ledger.store import Cursor, Store
from schemas.door import Refused

Clock = Callable[[], int]
GATHERED_BYTES_MAX = 16 * 1024 * 1024
"""Of what concurrent callers bring, in one transaction."""
SUBMISSION_BYTES = GATHERED_BYTES_MAX // 5_000
"""What a submission counts for beside its content, so that 5,000 go into one transaction."""


def system_clock() -> int:
    """Now, in microseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000


class Submission(msgspec.Struct, frozen=True, gc=False):
    """What came through a door, and the record that was made of it or why none could be."""

    received: Received
    record: Record | Refused


class Quarantined(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=True):
    """It is kept under this number, and here is why it was not recorded."""

    entry: int
    refused: Refused


Outcome = Recorded | Duplicate | Quarantined


@dataclass(frozen=True, slots=True)
class Move:
    """A source's tracking: it must stand at `expected` and then stands at `next`."""

    name: str
    expected: int
    next: int


@dataclass(frozen=True, slots=True)
class Appended:
    """The receipt of a group, and what became of each of its submissions, in their order."""

    receipt: Receipt
    outcomes: list[Outcome]


@dataclass(frozen=True, slots=True)
class _Call:
    """What one caller wants to append."""

    submissions: Sequence[Submission]
    moves: Sequence[Move]
    written: Callable[[], None] | None

    def weight(self) -> int:
        """About how many bytes it brings."""
        return sum(SUBMISSION_BYTES + _size(submission) for submission in self.submissions)


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A stored event: its place in the log and the bytes as they stand there."""

    position: int
    recorded_at: int
    topic: str
    state: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The last position, and when it was recorded (microseconds since 1970)."""

    position: int
    recorded_at: int


_COLUMNS = "notification_id, recorded_at, topic, state"
_STORED = f"SELECT {_COLUMNS} FROM stored_events"


class Log:
    """Appends groups of touchpoints and reads them back, on one store. For any thread."""

    def __init__(self, store: Store, quarantine: Quarantine, clock: Clock = system_clock) -> None:
        self.store = store
        self.clock = clock
        self._quarantine = quarantine
        self._recorder = store.recorder()
        self._versions = threading.Lock()  # those that the recorder remembers
        self._gathering = Gathering(
            self._transaction,
            self._append_all,
            weigh=_Call.weight,
            limit=GATHERED_BYTES_MAX,
            common=(Unreachable, Locked, Denied),
        )

    def append(
        self,
        submissions: Sequence[Submission],
        moves: Iterable[Move] = (),
        written: Callable[[], None] | None = None,
    ) -> Appended:
        """Record a group once, in a durable transaction; what is refused goes to quarantine.

        Callers that come at the same time share a transaction, each with a receipt of its own.
        `written` is called, once or more, when there is nothing left to do but to commit, which
        mostly waits: it is time to prepare what comes next. Whether the commit succeeds is not
        known then. Raises TrackingConflict, and records nothing, when a source does not stand
        where its caller expects. Raises LedgerError when the store cannot take the group.
        """
        return self._gathering.ask(_Call(submissions, tuple(moves), written))

    def append_within(self, submissions: Sequence[Submission], cursor: Cursor) -> Appended:
        """`append` inside the caller's write transaction, for decisions made under the lock."""
        self._forget_versions()  # a caller of `append` may be about to: its group has failed
        try:
            return self._append([submissions], cursor)[0]
        finally:
            self._forget_versions()  # the caller may yet roll back

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        try:
            with self.store.cursor(write=True) as cursor:
                yield cursor
        except BaseException:
            self._forget_versions()
            raise

    def _append_all(self, calls: Sequence[_Call], cursor: Cursor) -> list[Appended | Exception]:
        """What all callers bring; those whose moves are refused are left out."""
        before = all_tracked({move.name for call in calls for move in call.moves}, cursor)
        standing = dict(before)
        refusals = [_moved(call.moves, standing) for call in calls]
        _write_tracking(dict(standing.items() - before.items()), cursor)
        accepted = [
            call.submissions
            for call, refusal in zip(calls, refusals, strict=True)
            if refusal is None
        ]
        appended = iter(self._append(accepted, cursor))
        for call in calls:
            if call.written is not None:
                call.written()
        return [refusal or next(appended) for refusal in refusals]

    def _append(self, groups: Sequence[Sequence[Submission]], cursor: Cursor) -> list[Appended]:
        """The records of all groups go to the store together."""
        records = [s.record for group in groups for s in group if isinstance(s.record, Record)]
        records = without_erased(records, cursor)
        found: list[Recorded | Duplicate | Known] = []
        if records:
            with self._versions:
                found = self._recorder.append(records, self.clock(), cursor)
        became = iter(found)
        appended = [self._appended(group, became, cursor) for group in groups]
        head = _end_of(found) or cursor.execute("SELECT position FROM head").fetchone()[0]
        for each in appended:
            each.receipt.head = head
        return appended

    def _appended(
        self,
        submissions: Sequence[Submission],
        found: Iterator[Recorded | Duplicate | Known],
        cursor: Cursor,
    ) -> Appended:
        outcomes: list[Outcome] = []
        receipt = Receipt(received=len(submissions))
        for submission in submissions:
            record = submission.record
            became = record if isinstance(record, Refused) else next(found)
            if isinstance(became, Recorded):
                receipt.recorded += 1
                outcomes.append(became)
            elif isinstance(became, Duplicate):
                receipt.duplicate += 1
                outcomes.append(became)
            else:
                outcomes.append(self._refuse(submission.received, became, receipt, cursor))
        return Appended(receipt, outcomes)

    def _forget_versions(self) -> None:
        with self._versions:
            self._recorder.forget_versions()

    def _refuse(
        self, received: Received, why: Refused | Known, receipt: Receipt, cursor: Cursor
    ) -> Quarantined:
        if isinstance(why, Known):
            receipt.conflict += 1
            why = Refused(
                "conflict",
                "id",
                f"position {why.position} holds another content under this source and id",
            )
        else:
            receipt.quarantined += 1
        return Quarantined(self._quarantine.keep(received, why, self.clock(), cursor), why)

    def head(self) -> Head:
        """Where the log ends now."""
        with self.store.cursor() as cursor:
            return Head(*cursor.execute("SELECT position, recorded_at FROM head").fetchone())

    def page(self, after: int, limit: int, until: int | None = None) -> list[Stored]:
        """Up to `limit` stored events behind the position `after`, in the order of positions."""
        with self.store.cursor() as cursor:
            rows = cursor.execute(
                f"{_STORED} WHERE notification_id > ? AND notification_id <= coalesce(?, "
                "9223372036854775807) ORDER BY notification_id LIMIT ?",
                (after, until, limit),
            )
            return [Stored(*row) for row in rows]

    def last(self, count: int) -> list[Stored]:
        """The last `count` stored events, in the order of positions."""
        with self.store.cursor() as cursor:
            rows = cursor.execute(
                f"{_STORED} ORDER BY notification_id DESC LIMIT ?", (count,)
            ).fetchall()
        return [Stored(*row) for row in reversed(rows)]

    def streams(self, streams: Iterable[str], until: int | None = None) -> list[Stored]:
        """Everything of these streams up to a position, in the order of positions."""
        with self.store.cursor() as cursor:
            rows = cursor.execute(
                f"SELECT {_COLUMNS} FROM {cursor.OF_STREAMS} WHERE notification_id <= "
                "coalesce(?, 9223372036854775807) ORDER BY notification_id",
                (cursor.listed(streams), until),
            )
            return [Stored(*row) for row in rows]

    def identified(self, id_: str, source: str | None = None) -> list[Stored]:
        """What is recorded under an id, of one source or of all."""
        with self.store.cursor() as cursor:
            rows = cursor.execute(
                f"{_STORED} WHERE id = ? AND source = coalesce(?, source) ORDER BY source",
                (id_, source),
            )
            return [Stored(*row) for row in rows]

    def known_until(self, recorded_at: int) -> int:
        """The last position that was recorded by this time; 0 when nothing was.

        `recorded_at` never goes back along the positions, so the place is found by bisection.
        """
        with self.store.cursor() as cursor:
            low, high = 0, cursor.execute("SELECT position FROM head").fetchone()[0]
            while low < high:
                middle = (low + high + 1) // 2
                (there,) = cursor.execute(
                    "SELECT recorded_at FROM stored_events WHERE notification_id = ?", (middle,)
                ).fetchone()
                low, high = (middle, high) if there <= recorded_at else (low, middle - 1)
        return low

    def subjects_with(self, token: str) -> list[str]:
        """The (stored) subjects with which an address or number was seen, by its token."""
        with self.store.cursor() as cursor:
            rows = cursor.execute(
                "SELECT subject FROM search_tokens WHERE token = ? ORDER BY subject", (token,)
            )
            return [subject for (subject,) in rows]


def tracked(name: str, cursor: Cursor) -> int:
    """How far a reader or a source has come; 0 when it is not known yet."""
    return all_tracked((name,), cursor)[name]


def all_tracked(names: Iterable[str], cursor: Cursor) -> dict[str, int]:
    """How far each of these readers and sources has come; 0 when one is not known yet."""
    found = dict.fromkeys(names, 0)
    if found:
        rows = cursor.execute(
            "SELECT application_name, notification_id FROM tracking "
            f"WHERE application_name {cursor.AMONG}",
            (cursor.listed(found),),
        )
        found.update(rows)
    return found


def _moved(moves: Sequence[Move], standing: dict[str, int]) -> TrackingConflict | None:
    """Judge a caller's moves, and note all of them or none where their sources stand."""
    after: dict[str, int] = {}
    for move in moves:
        there = after.get(move.name, standing[move.name])
        if there != move.expected:
            return TrackingConflict(
                f"{move.name} stands at {there}, not at {move.expected}: somebody else has moved it"
            )
        if move.next < there:
            return TrackingConflict(f"{move.name} stands at {there}, and never goes back")
        after[move.name] = move.next
    standing.update(after)
    return None


def _write_tracking(moved: Mapping[str, int], cursor: Cursor) -> None:
    """State where sources stand: in one statement, since a batch may have many partitions."""
    if moved:
        cursor.execute(
            f"INSERT INTO tracking VALUES {', '.join(['(?, ?)'] * len(moved))} "
            "ON CONFLICT (application_name) DO UPDATE SET "
            "notification_id = excluded.notification_id",
            [value for row in moved.items() for value in row],
        )


def _size(submission: Submission) -> int:
    record, raw = submission.record, submission.received.raw
    if isinstance(record, Record):
        return len(record.state)
    return len(raw) if isinstance(raw, bytes) else 0  # a file is read piece by piece


def _end_of(found: Sequence[Recorded | Duplicate | Known]) -> int | None:
    """Where the log ends after an append; None when nothing was recorded."""
    recorded = (each for each in reversed(found) if isinstance(each, Recorded))
    last = next(recorded, None)
    return last.position if last else None
