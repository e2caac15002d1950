"""The relay: what the ledger records goes out on a topic, in the order of positions.

Published first and recorded afterwards: a relay that is killed in between publishes the same
again, and skips nothing. Who reads the topic drops what it has seen, by source and id.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import structlog

from consumers.cluster import Cluster
from consumers.errors import TopicMissing
from consumers.producing import (
    MessageTooLarge,
    Numbered,
    Outgoing,
    Producer,
    batches,
    destination_of,
)
from consumers.watch import RelayWatch
from ledger.cloudevents import CONTENT_TYPE, STRUCTURED_JSON, cloud_event
from ledger.errors import LedgerError, Locked, TrackingConflict, Unreachable
from ledger.intake import Stop, StopRequested
from ledger.ledger import Ledger
from ledger.log import Move, Stored, tracked
from ledger.masking import without_personal_data
from ledger.progress import FAR_TOUCHPOINTS, Report
from ledger.store import Listening
from ledger.waiting import delays, pause, stand_by
from schemas.envelope import Envelope
from schemas.fields import rfc3339
from schemas.replay import decode
from schemas.subject import kind_of

POSITION, RECORDED_AT = "touchstone_position", "touchstone_recorded_at"
PAGE_TOUCHPOINTS = 1_000
POLL_SECONDS = 1.0
LOOK_SECONDS = 5.0
"""How often it is looked whether the topic is still the same."""
PASSING = (Unreachable, Locked, TopicMissing, TrackingConflict)
"""What passes by waiting."""
NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


class AlreadyBegun(LedgerError):
    """A relay has a position already, so that it cannot be told where to begin."""


class TouchpointTooLarge(LedgerError):
    """A touchpoint does not fit into a message of its topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which touchpoints are published: of these types and kinds of subject, or of all when there
    are none; and whether personal data go along, in clear."""

    types: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    personal: bool = False

    def takes(self, envelope: Envelope[Any]) -> bool:
        if self.types and envelope.type not in self.types:
            return False
        return not self.kinds or kind_of(envelope.subject) in self.kinds


class Relay:
    """Publishes a ledger's log on a topic until it is told to stop.

    Of several with the same name and topic one publishes; the others stand by, and take over
    when it ends. `published` counts what was acknowledged, and the log is relayed up to `head`.
    """

    def __init__(
        self,
        ledger: Ledger,
        cluster: Cluster,
        producer: Producer,
        topic: str,
        *,
        watch: RelayWatch,
        stop: Stop,
        choice: Choice,
        name: str | None = None,
        progress: Callable[[], AbstractContextManager[Report]],
    ) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._producer = producer
        self._topic = topic
        self._watch = watch
        self._stop = stop
        self._choice = choice
        self._suffix = f":{name}" if name else ""
        self._progress = progress
        self._log = structlog.get_logger("touchstone.relay").bind(topic=topic)
        self._delays = delays()
        self._look_at = 0.0
        self._holds: bool | None = None
        self._showing = ExitStack()
        self._report: Report | None = None
        self.published = 0
        self.head = 0

    def run(self, *, once: bool = False, first: int | None = None, partitions: int = -1) -> None:
        """Publish until a stop is requested, or `once` to the end that the log has now.

        A topic that is missing is made. `first` is the position to begin with. What cannot be
        reached is waited for, but at the start. Raises AlreadyBegun, TouchpointTooLarge, and
        other errors where waiting is of no use.
        """
        self._destination = destination_of(
            self._cluster, self._topic, create=True, partitions=partitions
        )
        if first is not None:
            self._begin_with(first)
        until = self._ledger.log.head().position if once else None
        with self._showing:
            while not self._stop.requested:
                try:
                    with self._ledger.store.listening() as session:
                        self._attend(session, until)
                    return
                except StopRequested:
                    return
                except PASSING as error:
                    self._lost(error)
                    pause(next(self._delays), self._stop)

    @property
    def _name(self) -> str:
        """Of its tracking and of its claim; a topic that is created again is another topic."""
        return f"relay:{self._cluster.id}:{self._destination.id}{self._suffix}"

    def _begin_with(self, first: int) -> None:
        position, end = self._standing()
        if position:
            raise AlreadyBegun(
                f"this relay has come to position {position:,}, and goes on from there; "
                "another one, with another name, can begin elsewhere"
            )
        if first > end + 1:
            raise AlreadyBegun(f"the log ends at position {end:,}, before {first:,}")
        self._move(0, first - 1)

    def _attend(self, session: Listening, until: int | None) -> None:
        """Publish and wait in turns, until the position is reached or a stop is requested."""
        while not self._stop.requested:
            if time.monotonic() >= self._look_at:
                self._look()
            holds = self._name in session.claim([self._name])
            position, end = self._standing()
            self._tell(holds, position, end)
            page = self._ledger.log.page(position, PAGE_TOUCHPOINTS, until) if holds else []
            if page:
                self._relay(page, position, until or end)
            elif until is not None and position >= until and not self._look():
                return
            else:
                self._wait(session, holds=holds)
            self._delays = delays()

    def _relay(self, page: Sequence[Stored], position: int, end: int) -> None:
        """Publish what is chosen of a page, and record how far that is."""
        for batch in batches(self._records(page), self._destination):
            self._publish(batch)
            self.published += len(batch)
            self._move(position, batch[-1][0])
            position = batch[-1][0]
            self._watch.published(len(batch), position, end)
        if position < page[-1].position:
            self._move(position, page[-1].position)
            self._watch.published(0, page[-1].position, end)
        self._show(self.head, end)

    def _publish(self, batch: Sequence[Numbered]) -> None:
        try:
            self._producer.publish(self._topic, self._destination, [r for _, r in batch])
        except MessageTooLarge as error:
            raise self._too_large(*batch[error.index]) from None

    def _too_large(self, position: int, record: Outgoing) -> TouchpointTooLarge:
        return TouchpointTooLarge(
            f"the touchpoint at position {position:,} takes up to {record.size:,} bytes, more than "
            f"the topic {self._topic} takes: raise its setting max.message.bytes (now "
            f"{self._destination.message_bytes_max:,}); then the relay goes on with it"
        )

    def _records(self, page: Sequence[Stored]) -> Iterator[Numbered]:
        """The chosen touchpoints of a page with their positions, as they are published."""
        decoded = ((stored, decode(stored.topic, stored.state)) for stored in page)
        chosen = [(stored, e) for stored, e in decoded if self._choice.takes(e)]
        envelopes = [e for _, e in chosen]
        shown = (
            self._revealed(envelopes) if self._choice.personal
            else map(without_personal_data, envelopes)
        )  # fmt: skip
        for (stored, _), envelope in zip(chosen, shown, strict=True):
            yield stored.position, message(stored, envelope)

    def _revealed(self, envelopes: Sequence[Envelope[Any]]) -> list[Envelope[Any]]:
        """In clear, but for those who were erased since their keys were read."""
        self._ledger.heed_erasures(envelopes)
        return self._ledger.vault.reveal(envelopes)

    def _move(self, position: int, to: int) -> None:
        self._ledger.log.append([], [Move(self._name, position, to)])
        self.head = to

    def _standing(self) -> tuple[int, int]:
        """Up to where the log is relayed, and where it ends."""
        with self._ledger.store.cursor() as cursor:
            self.head = tracked(self._name, cursor)
            (end,) = cursor.execute("SELECT position FROM head").fetchone()
        return self.head, end

    def _look(self) -> bool:
        """Look at the topic; whether it is another than it was. Raises TopicMissing."""
        self._look_at = 0.0
        found = destination_of(self._cluster, self._topic)
        renewed = found.id != self._destination.id
        self._destination = found
        if renewed:
            self._holds = None
            self._log.warning("the topic was created again: relayed from the start")
        self._look_at = time.monotonic() + LOOK_SECONDS
        return renewed

    def _tell(self, holds: bool, position: int, end: int) -> None:
        if holds:
            self._watch.published(0, position, end)
        else:
            self._watch.stands_by()
        if holds != self._holds:
            self._log.info("relaying" if holds else "standing by", position=position, head=end)
            self._holds = holds

    def _show(self, position: int, end: int) -> None:
        """Show progress once it turns out to be much, until it is done."""
        if self._report is None and end - position >= FAR_TOUCHPOINTS:
            self._report = self._showing.enter_context(self._progress())
        if self._report is not None:
            self._report("relaying", position, end)
            if position >= end:
                self._showing.close()
                self._report = None

    def _lost(self, error: Exception) -> None:
        self._look_at = 0.0
        self._holds = None
        if self._watch.lost(str(error)):
            self._log.warning("waiting", reason=str(error))

    def _wait(self, session: Listening, *, holds: bool) -> None:
        with self._stop.breakable():
            if holds:
                session.wait(POLL_SECONDS)
            else:
                stand_by(session)


def message(stored: Stored, envelope: Envelope[Any]) -> Outgoing:
    """A touchpoint as a CloudEvent in structured mode, with its place in the log beside it."""
    headers = [
        (CONTENT_TYPE, STRUCTURED_JSON.encode()),
        (POSITION, str(stored.position).encode()),
        (RECORDED_AT, rfc3339(stored.recorded_at).encode()),
    ]
    return Outgoing(envelope.subject.encode(), cloud_event(envelope), headers)
