"""Consuming: records of Kafka into the ledger, each once, however it ends and begins again.

A group of records is one append, and the offsets behind it are moved in the same transaction of
the ledger; Kafka is told afterwards, for its own tools. So what is delivered again is refused by
the ledger itself, and so is what somebody still has in hand who has lost his partitions.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from consumers.client import Client, Message, Open, Partition, Subscription
from consumers.cluster import Cluster
from consumers.dead_letters import DeadLetters
from consumers.ends import Ends
from consumers.errors import Fenced, TopicMissing
from consumers.in_hand import Group, InHand
from consumers.placing import Placing
from consumers.watch import Watch
from ledger.errors import LedgerError, Locked, TrackingConflict, Unreachable
from ledger.intake import GROUP_BYTES_MAX, Stop, prepared
from ledger.ledger import Ledger
from ledger.log import Outcome, Quarantined
from ledger.progress import Report, silent
from ledger.quarantine import Received
from ledger.receipt import Receipt
from ledger.regions import REGION
from ledger.waiting import delays, pause

DOOR = "kafka"
POLL_SECONDS = 0.5
LOOK_SECONDS = 5.0
"""How often it is looked how far the ends are, and whether topics are still the same."""
TOLD_MAX = 10
"""How many refusals of a group are told one by one."""
PASSING = (Unreachable, Locked, TopicMissing)
"""What passes by waiting."""


@dataclass(slots=True)
class Taken:
    """What came, and what became of it. Tombstones are `skipped`, and no touchpoints."""

    receipt: Receipt = field(default_factory=Receipt)
    skipped: int = 0


class Consuming:
    """One consumer of a group. `taken` counts what it has taken in so far."""

    def __init__(
        self,
        ledger: Ledger,
        cluster: Cluster,
        subscription: Subscription,
        open_client: Open,
        *,
        watch: Watch,
        stop: Stop,
        skip_lost: bool = False,
        region: str | None = None,
        dead_letters: DeadLetters | None = None,
        report: Report = silent,
    ) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._subscription = subscription
        self._open = open_client
        self._watch = watch
        self._stop = stop
        self._place = {} if region is None else {REGION: region}
        self._dead_letters = dead_letters
        self._report = report
        self._placing = Placing(ledger, cluster, skip_lost=skip_lost)
        self._log = structlog.get_logger("touchstone.consume").bind(group=subscription.group)
        self._in_hand = InHand(ledger.log)
        self._in_doubt = False
        self._given_up = False
        self._letters_at = 0.0
        self._look_at = 0.0
        self._told_stands: frozenset[Partition] = frozenset()
        self.taken = Taken(Receipt(head=ledger.log.head().position))

    def run(self, *, once: bool = False) -> None:
        """Consume until a stop is requested, or `once` to the end that the topics have now.

        What cannot be reached is waited for. Raises TopicMissing, when a topic is not there at
        the start, Fenced, when another consumer has taken over, OffsetsLost, and TopicRenewed,
        when an end that was there at the start cannot be reached any more.
        """
        topics = self._cluster.required(self._subscription.topics)
        until = Ends(self._ledger, self._cluster, topics, self._report) if once else None
        if self._dead_letters:
            self._dead_letters.prepare()
        with closing(self._in_hand), closing(self._open(self._subscription, self)) as client:
            try:
                self._go_on(client, until)
            except LedgerError:
                self._settle_accounts(client)
                raise
            self._settle_accounts(client)

    def _go_on(self, client: Client, until: Ends | None) -> None:
        seconds = delays()
        while not self._stop.requested:
            try:
                if until and until.reached():
                    return
                self._turn(client)
                seconds = delays()
            except PASSING as error:
                self._lost(error)
                pause(next(seconds), self._stop)

    def _settle_accounts(self, client: Client) -> None:
        """Count the group in hand, and tell Kafka how far it is; it is the ledger that knows."""
        with suppress(LedgerError):
            self._finish(client)
        with suppress(LedgerError):
            self._tell_kafka(client, wait=True)
        self._letters_at = 0.0
        self._publish_letters()

    def place(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """See `consumers.client.Holder`."""
        self._in_hand.settle()
        return self._placing.place(partitions)

    def give_up(self, partitions: Collection[Partition]) -> None:
        """See `consumers.client.Holder`: whoever comes next finds the group in hand recorded."""
        self._in_hand.settle()
        self._placing.give_up(partitions)

    def lose(self, partitions: Collection[Partition]) -> None:
        """See `consumers.client.Holder`."""
        self._given_up = True
        self.give_up(partitions)

    def _turn(self, client: Client) -> None:
        """Read a group while the one before is appended, then see what became of that."""
        if self._in_doubt:
            self._place_again(client)
        try:
            group = self._read(client)
            self._finish(client)
            if group.nexts and not self._in_doubt:
                self._in_hand.begin(group, self._placing.moves(group.nexts))
        except BaseException:
            self._in_doubt = True  # what was read is to be read again
            raise
        self._publish_letters()
        self._look(client)

    def _read(self, client: Client) -> Group:
        ahead = self._placing.ahead
        # Where the ledger stands is what counts: what lies before that was taken in already.
        polled = client.poll(POLL_SECONDS)
        messages = [m for m in polled if m.partition in ahead and m.offset >= ahead[m.partition]]
        messages = self._no_more_than_bearable(messages, client)
        started = time.perf_counter()
        nexts = {message.partition: message.offset + 1 for message in messages}
        if not messages:  # behind what is never delivered, such as the marks of transactions
            nexts = {p: at for p in list(ahead) if (at := client.position(p)) > ahead[p]}
        items = [(self._received(m, m.value), None) for m in messages if m.value is not None]
        submissions = prepared(self._ledger, items)
        return Group(submissions, len(messages) - len(items), nexts, started)

    def _no_more_than_bearable(self, messages: list[Message], client: Client) -> list[Message]:
        """Those that make up a group by their size; the others are to be delivered again."""
        size = 0
        for count, message in enumerate(messages):
            size += len(message.value or b"")
            if size > GROUP_BYTES_MAX and count:
                for late in reversed(messages[count:]):  # the first of a partition comes last
                    client.seek(late.partition, late.offset)
                return messages[:count]
        return messages

    def _received(self, message: Message, value: bytes) -> Received:
        topic, number = message.partition
        context = {
            "topic": topic,
            "topic_id": self._placing.topic_ids[topic],
            "partition": number,
            "offset": message.offset,
            **self._place,
        }
        return Received(value, DOOR, context, message.headers, message.key)

    def _finish(self, client: Client) -> None:
        """See what became of the group in hand, and tell Kafka how far it is."""
        given_up, self._given_up = self._given_up, False
        try:
            finished = self._in_hand.finish()
        except TrackingConflict:
            self._in_doubt = True
            self._log.warning("somebody else has moved a partition")
            if given_up:  # it may be in the group again by now, which says nothing
                raise Fenced("another consumer has taken over while this one was away") from None
            self._be_sure(client)
            return
        if finished is None:
            return
        group, appended = finished
        receipt = appended.receipt
        self._placing.moved(group.nexts)
        self.taken.receipt += receipt
        self.taken.skipped += group.skipped
        if self._watch.took(receipt, group.skipped, time.perf_counter() - group.started):
            self._log.info("goes on")
        if not receipt.complete:
            self._tell_refusals(group, appended.outcomes)
        client.commit(group.nexts)

    def _be_sure(self, client: Client) -> None:
        """Somebody else has read on: stop, unless the group still knows this consumer.

        Then it was the one before, with what he had in hand when he lost the partition.
        """
        stands = self._placing.place(list(self._placing.stands))
        client.commit(stands, wait=True)

    def _tell_kafka(self, client: Client, *, wait: bool = False) -> None:
        """Tell it of all that is held how far the ledger is; nothing must be in hand."""
        read = {partition: offset for partition, offset in self._placing.stands.items() if offset}
        if read:
            client.commit(read, wait=wait)

    def _publish_letters(self) -> None:
        """Some dead letters, now and then: they are in quarantine, and none of them is urgent."""
        if self._dead_letters is None or time.monotonic() < self._letters_at:
            return
        more = False
        try:
            self._dead_letters.publish()
            more = self._dead_letters.waits()
        except LedgerError as error:
            self._log.warning("dead letters wait", reason=str(error))
        self._letters_at = time.monotonic() + (0 if more else LOOK_SECONDS)

    def _place_again(self, client: Client) -> None:
        self._in_doubt = True
        self._finish(client)
        for partition, offset in self._placing.place(list(self._placing.stands)).items():
            client.seek(partition, offset)
        self._in_doubt = False

    def _look(self, client: Client) -> None:
        """See how far behind it is, and whether the topics are still those that were placed."""
        held = frozenset(self._placing.stands)
        if held == self._told_stands and time.monotonic() < self._look_at:
            return
        if held != self._told_stands:
            self._log.info("holds", partitions=[str(partition) for partition in sorted(held)])
            self._told_stands = held
        renewed = self._placing.renewed()
        self._in_doubt = self._in_doubt or renewed
        ends = self._cluster.ends(self._placing.there)
        stands = self._placing.stands
        if not self._in_hand.busy:  # what Kafka was told before may not have come through
            self._tell_kafka(client)
        self._ledger.log.head()  # who has nothing to record is to notice a lost ledger as well
        if self._watch.sees({p: (stands[p], end) for p, end in ends.items() if p in stands}):
            self._log.info("goes on")
        self._look_at = time.monotonic() + LOOK_SECONDS

    def _lost(self, error: Exception) -> None:
        if self._watch.lost(str(error)):
            self._log.warning("waiting", reason=str(error))
        self._look_at = 0.0

    def _tell_refusals(self, group: Group, outcomes: Sequence[Outcome]) -> None:
        refused = [
            (submission.received.context, outcome)
            for submission, outcome in zip(group.submissions, outcomes, strict=True)
            if isinstance(outcome, Quarantined)
        ]
        for context, outcome in refused[:TOLD_MAX]:
            self._log.warning("quarantined", **_told(context, outcome))
        if len(refused) > TOLD_MAX:
            self._log.warning("quarantined more", count=len(refused) - TOLD_MAX)


def _told(context: Mapping[str, Any], outcome: Quarantined) -> dict[str, Any]:
    """Where a record stands, and why it was refused: nothing of what is in it."""
    refused = outcome.refused
    places = {name: context[name] for name in ("topic", "partition", "offset")}
    why = {"reason": refused.reason, "path": refused.path, "message": refused.message}
    return {**places, **why, "entry": outcome.entry}
