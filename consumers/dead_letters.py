"""Dead letters: what a topic brought and the ledger refused goes out on a topic of its own.

The quarantine is the outbox: an entry is there once its partition has moved on, and how far the
entries are published is recorded behind their acknowledgement. So none is lost, however it ends;
one may be published twice.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import structlog

from consumers.cluster import Cluster
from consumers.producing import (
    Destination,
    MessageTooLarge,
    Numbered,
    Outgoing,
    Producer,
    batches,
    destination_of,
)
from ledger.errors import Locked
from ledger.ledger import Ledger
from ledger.log import Move, tracked
from ledger.quarantine import WAITING, Entry, Received

DOOR = "kafka"
ENTRIES_MAX = 100
LETTERS_MAX = 500
"""How many are published in one go: whoever consumes has other things to do as well."""
PREFIX = "touchstone_"
"""Of the names of the headers that say why a record was refused, and where it came from."""
REASONS = 7
"""How many such headers there are."""
LEFT_OUT = f"{PREFIX}left_out"
"""The header of a letter that is too large for its topic, and so goes without its content."""


class DeadLetters:
    """Publishes the entries of the door `kafka`, in their order, each with why it was refused."""

    def __init__(self, ledger: Ledger, cluster: Cluster, producer: Producer, topic: str) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._producer = producer
        self._topic = topic
        self._log = structlog.get_logger("touchstone.dead_letters").bind(topic=topic)
        self._name = ""
        """That of the tracking; known once the topic was asked for."""

    def prepare(self) -> Destination:
        """Make the topic if it is missing. Raises LedgerError when it is none for letters."""
        destination = destination_of(self._cluster, self._topic, create=True)
        self._name = f"dead-letters:{self._cluster.id}:{destination.id}"
        return destination

    def waits(self) -> bool:
        """Whether there is something to publish: one small query."""
        return not self._name or bool(self._waiting(1))

    def publish(self) -> int:
        """Publish what waits, LETTERS_MAX or a few more, and return how many that were.

        Where somebody else does it just now, it is left to him. Whatever is raised, calling it
        again is all that is needed: Unreachable passes, other errors (such as a topic that is
        compacted) may not.
        """
        if not self.waits():
            return 0
        destination = self.prepare()
        count = 0
        with suppress(Locked), self._ledger.store.exclusively(self._name):
            while count < LETTERS_MAX and (entries := self._waiting(ENTRIES_MAX)):
                for batch in batches(self._letters(entries), destination):
                    self._send(batch, destination)
                    self._move(batch[-1][0])
                    count += len(batch)
                self._move(entries[-1].entry)
        if count:
            self._log.info("published", count=count, entry=self._published())
        return count

    def _send(self, batch: Sequence[Numbered], destination: Destination) -> None:
        """Publish some letters; one that is too large for the topic goes without its content."""
        records = [record for _, record in batch]
        while True:
            try:
                self._producer.publish(self._topic, destination, records)
                return
            except MessageTooLarge as error:
                entry, letter = batch[error.index]
                if records[error.index] is not letter:
                    raise
                self._log.warning("too large: published without content", entry=entry)
                records[error.index] = _without_content(letter)

    def _letters(self, entries: Sequence[Entry]) -> Iterator[Numbered]:
        """Each entry with its number as it is to be published; read one by one, for they may be
        large. What was settled meanwhile is left out."""
        for number in (entry.entry for entry in entries):
            with self._ledger.store.cursor() as cursor:
                entry = self._ledger.quarantine.entry(number, cursor)
                if entry is None or entry.status != WAITING:
                    continue
                letter = _letter(entry, self._ledger.quarantine.received(entry, cursor))
            yield number, letter

    def _waiting(self, limit: int) -> list[Entry]:
        with self._ledger.store.cursor() as cursor:
            published = tracked(self._name, cursor)
            return self._ledger.quarantine.entries(
                cursor, WAITING, limit, after=published, door=DOOR
            )

    def _published(self) -> int:
        with self._ledger.store.cursor() as cursor:
            return tracked(self._name, cursor)

    def _move(self, entry: int) -> None:
        if (published := self._published()) < entry:
            self._ledger.log.append([], [Move(self._name, published, entry)])


def _letter(entry: Entry, received: Received) -> Outgoing:
    """What was received as it came, and behind its own headers why it was refused.

    A header without a value gets an empty one, since the library sends no others.
    """
    raw = received.raw if isinstance(received.raw, bytes) else b"".join(received.parts())
    headers = [(name, value or b"") for name, value in received.headers]
    return Outgoing(received.key, raw, [*headers, *_reasons(entry)])


def _reasons(entry: Entry) -> Iterator[tuple[str, bytes]]:
    told = {"reason": entry.reason, "path": entry.path, "message": entry.message}
    place = {name: entry.context[name] for name in ("topic", "partition", "offset")}
    for name, value in {**told, "entry": entry.entry, **place}.items():
        yield f"{PREFIX}{name}", str(value).encode()


def _without_content(letter: Outgoing) -> Outgoing:
    """Only the headers that say why, and that the rest is in quarantine alone."""
    own = letter.headers[-REASONS:]
    return Outgoing(None, b"", [*own, (LEFT_OUT, b"larger than this topic takes")])
