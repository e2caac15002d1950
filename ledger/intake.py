"""Intake: the only way in. Bytes are parsed, checked, encrypted, and appended in groups."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from ledger.cloudevents import structured
from ledger.ledger import Ledger
from ledger.log import Move, Outcome, Submission
from ledger.quarantine import Item, Received
from ledger.receipt import Receipt
from ledger.record import Record, record_in_clear
from ledger.regions import records_by_region
from schemas.door import TOUCHPOINT_BYTES_MAX, Refused, parse
from schemas.envelope import Envelope
from schemas.touchpoint import Touchpoint

GROUP_TOUCHPOINTS_MAX = 1_000
GROUP_BYTES_MAX = 16 * 1024 * 1024
GROUP_SECONDS_MAX = 0.5
"""How long a group is gathered from a source that is slow."""
AHEAD_MICROSECONDS_MAX = 24 * 3_600 * 1_000_000
"""How far a source's clock may be ahead of ours before its touchpoints are refused."""

OnOutcome = Callable[[Received, Outcome], None]
Group = Sequence[tuple[Received, Refused | None]]
"""What came through a door together, each with why it is refused already, if it is."""
Read = Record | Envelope[Touchpoint] | Refused
"""What something that came in is, as far as that can be told without a key: a record if nothing in
it is to be hidden."""


class Append(Protocol):
    """A way to append a group: here, or in another process (see `ledger.appender`).

    `written` is called, once or more, when it is time to prepare what comes next. Raises
    LedgerError.
    """

    def __call__(
        self, group: Group, *, written: Callable[[], None] | None = None
    ) -> tuple[Receipt, list[Outcome]]: ...


class StopRequested(Exception):
    """Raised by a signal while the intake waits for its input, so that it need not wait on."""


class Stop:
    """A request to stop after the group in hand. It is set by a signal and read between groups.

    `waiting` is true while input is waited for: then nothing is lost by breaking off.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.waiting = False

    @property
    def requested(self) -> bool:
        return self.signal is not None

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Wait for something here. A signal raises StopRequested, and so does one from before."""
        try:
            self.waiting = True
            if self.requested:
                raise StopRequested
            yield
        finally:
            self.waiting = False


def take(
    ledger: Ledger,
    items: Iterable[Item],
    *,
    stop: Stop | None = None,
    on_outcome: OnOutcome | None = None,
    on_group: Callable[[Receipt], None] | None = None,
    appending: Append | None = None,
) -> Receipt:
    """Take in everything that comes, in groups, and count what became of it.

    An item is what was received, or what was received together with why it is refused already.
    `on_outcome` is told each item's fate after its group is durable; `on_group` the receipt so
    far. With `stop` requested, the group in hand is finished and the rest is left. `appending` is
    the way to append a group, if it is not to be done here.
    """
    total = Receipt(head=ledger.log.head().position)
    appending = appending or partial(append, ledger)
    for group in _groups(items, stop or Stop()):
        receipt, outcomes = appending(group)
        total += receipt
        if on_outcome:
            for (received, _), outcome in zip(group, outcomes, strict=True):
                on_outcome(received, outcome)
        for received, _ in group:
            received.close()
        if on_group:
            on_group(total)
        if stop is not None and stop.requested:
            break
    return total


def append(
    ledger: Ledger,
    group: Group,
    moves: Iterable[Move] = (),
    written: Callable[[], None] | None = None,
) -> tuple[Receipt, list[Outcome]]:
    """Parse, check, encrypt and append one group; moves of tracking go with it.

    `written` is called when only the commit is left (see `Log.append`).
    """
    appended = ledger.log.append(prepared(ledger, group), moves, written)
    return appended.receipt, appended.outcomes


def prepared(ledger: Ledger, group: Group) -> list[Submission]:
    """Parse, check and encrypt a group, so that it can be appended."""
    return closed(ledger, read(group, ledger.log.clock()))


def read(group: Group, now: int) -> list[tuple[Received, Read]]:
    """Parse and check a group: what can be done without keys, and anywhere."""
    return [(received, refused or _read(received, now)) for received, refused in group]


def closed(ledger: Ledger, group: Sequence[tuple[Received, Read]]) -> list[Submission]:
    """Encrypt what is to be hidden of a group, so that all of it can be appended."""
    made = records_by_region(
        ledger, ((received, it) for received, it in group if isinstance(it, Envelope))
    )
    return [
        Submission(received, next(made) if isinstance(it, Envelope) else it)
        for received, it in group
    ]


def _read(received: Received, now: int) -> Read:
    if not isinstance(received.raw, bytes):
        return Refused("too_large", "", f"longer than {TOUCHPOINT_BYTES_MAX:,} bytes")
    try:
        envelope = parse(structured(received.raw, received.headers))
    except Refused as refused:
        return refused
    if envelope.at > now + AHEAD_MICROSECONDS_MAX:
        return Refused(
            "time_ahead",
            "time",
            "more than 24 hours ahead of now: the clock of the source is wrong",
        )
    return record_in_clear(envelope) or envelope


def _groups(items: Iterable[Item], stop: Stop) -> Iterator[Group]:
    """Groups bounded in number, bytes and time; a stop ends the last one early."""
    group: list[tuple[Received, Refused | None]] = []
    size, started = 0, time.monotonic()
    for item in _until_stopped(items, stop):
        received, refused = item if isinstance(item, tuple) else (item, None)
        group.append((received, refused))
        # What is in a file of its own counts as well: only so many can be open at a time.
        size += len(received.raw) if isinstance(received.raw, bytes) else TOUCHPOINT_BYTES_MAX
        late = time.monotonic() - started > GROUP_SECONDS_MAX
        if late or len(group) >= GROUP_TOUCHPOINTS_MAX or size >= GROUP_BYTES_MAX:
            yield group
            group, size, started = [], 0, time.monotonic()
    if group:
        yield group


def _until_stopped(items: Iterable[Item], stop: Stop) -> Iterator[Item]:
    source = iter(items)
    while not stop.requested:
        stop.waiting = True
        try:
            item = next(source)
        except (StopIteration, StopRequested):
            return
        finally:
            stop.waiting = False
        yield item
