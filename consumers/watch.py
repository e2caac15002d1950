"""What is to be seen of consuming and of the relay from outside: their health and their metrics.

Each is written by one thread and read by any. Nothing of what is in a touchpoint is told.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
from msgspec.structs import asdict

from consumers.client import Partition
from consumers.condition import Condition, Judged
from ledger.metrics import Gauge, Metrics, single
from ledger.receipt import Receipt

BROKER, LEDGER = "broker", "ledger"
OUTCOMES = ("recorded", "duplicate", "conflict", "quarantined")
GROUP_SIZES = (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
GROUP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_UP = "1 while the broker and the ledger answer, else 0."


class PartitionHealth(msgspec.Struct, kw_only=True):
    """How far one partition is read into the ledger. `lag` is in offsets."""

    topic: str
    partition: int
    position: int
    end: int
    lag: int


class ConsumerHealth(Judged, kw_only=True):
    """How a consumer is doing."""

    partitions: list[PartitionHealth]


class Watch:
    """The watch on one consumer. Metrics are of what this process has done."""

    def __init__(self, condition: Condition | None = None) -> None:
        self._condition = condition or Condition()
        self._partitions: tuple[PartitionHealth, ...] = ()
        self.metrics = Metrics(self._gauges)
        made = self.metrics
        self._received = made.counter("touchstone_received", "Records that were no tombstones.")
        self._skipped = made.counter("touchstone_skipped", "Tombstones, which are passed over.")
        consumed = made.counter("touchstone_consumed", "What became of records.", ("outcome",))
        self._consumed = {outcome: consumed.labels(outcome) for outcome in OUTCOMES}
        self._size = made.histogram("touchstone_group_size", "Records in one group.", GROUP_SIZES)
        self._seconds = made.histogram(
            "touchstone_group_seconds",
            "From when a group was read until it was recorded.",
            GROUP_SECONDS,
        )

    def took(self, receipt: Receipt, skipped: int, seconds: float) -> bool:
        """The ledger has taken a group; whether with that all answer again."""
        self._condition.moved()
        self._received.inc(receipt.received)
        self._skipped.inc(skipped)
        for outcome, counter in self._consumed.items():
            counter.inc(getattr(receipt, outcome))
        if size := receipt.received + skipped:
            self._size.observe(size)
            self._seconds.observe(seconds)
        return self._condition.answered(LEDGER)

    def sees(self, partitions: Mapping[Partition, tuple[int, int]]) -> bool:
        """The broker has said where partitions end; all that are held: (stands at, end).

        Returns whether with that all answer again.
        """
        self._partitions = tuple(
            PartitionHealth(
                topic=partition.topic,
                partition=partition.number,
                position=stands,
                end=end,
                lag=max(0, end - stands),
            )
            for partition, (stands, end) in sorted(partitions.items())
        )
        is_behind = any(partition.lag for partition in self._partitions)
        self._condition.settled(
            "standby" if not partitions else "moving" if is_behind else "caught_up"
        )
        # Who has nothing to take does not hear from the ledger.
        return self._condition.answered(BROKER, *(() if is_behind else (LEDGER,)))

    def lost(self, reason: str) -> bool:
        """The broker or the ledger does not answer; whether that is news."""
        return self._condition.lost(reason, BROKER, LEDGER)

    def health(self) -> ConsumerHealth:
        """How the consumer is doing now."""
        return ConsumerHealth(**asdict(self._condition.judged()), partitions=list(self._partitions))

    def _gauges(self) -> Iterator[Gauge]:
        partitions = {(p.topic, str(p.partition)): p for p in self._partitions}
        labels = ("topic", "partition")
        yield single("touchstone_up", _UP, _is_up(self._condition))
        yield Gauge(
            "touchstone_consumer_lag",
            "Offsets between where the ledger stands and the end of a partition.",
            labels,
            {there: partition.lag for there, partition in partitions.items()},
        )
        yield Gauge(
            "touchstone_consumer_position",
            "The next offset of a partition as the ledger has it.",
            labels,
            {there: partition.position for there, partition in partitions.items()},
        )


class RelayHealth(Judged, kw_only=True):
    """How a relay is doing."""

    position: int
    head: int
    lag: int


@dataclass(frozen=True, slots=True)
class _Relayed:
    position: int = 0
    head: int = 0


class RelayWatch:
    """The watch on one relay."""

    def __init__(self, condition: Condition | None = None) -> None:
        self._condition = condition or Condition()
        self._relayed = _Relayed()
        self.metrics = Metrics(self._gauges)
        self._count = self.metrics.counter(
            "touchstone_relay_published", "Touchpoints that the broker has acknowledged."
        )

    def published(self, count: int, position: int, head: int) -> None:
        """So many were acknowledged; the log is relayed up to a position of so many.

        It is to be said of every look at the log, also where there was nothing to publish.
        """
        if position != self._relayed.position:
            self._condition.moved()
        self._relayed = _Relayed(position, head)
        self._condition.settled("moving" if position < head else "caught_up")
        self._condition.answered(BROKER, LEDGER)
        self._count.inc(count)

    def stands_by(self) -> None:
        """Another process relays; this one takes over when it ends."""
        self._condition.settled("standby")
        self._condition.answered(BROKER, LEDGER)

    def lost(self, reason: str) -> bool:
        """The broker or the ledger does not answer; whether that is news."""
        return self._condition.lost(reason, BROKER, LEDGER)

    def health(self) -> RelayHealth:
        """How the relay is doing now."""
        relayed = self._relayed
        return RelayHealth(
            **asdict(self._condition.judged()),
            position=relayed.position,
            head=relayed.head,
            lag=max(0, relayed.head - relayed.position),
        )

    def _gauges(self) -> Iterator[Gauge]:
        relayed = self._relayed
        yield single("touchstone_up", _UP, _is_up(self._condition))
        yield single(
            "touchstone_relay_position", "The log is relayed up to here.", relayed.position
        )
        yield single("touchstone_relay_head", "The last position of the log.", relayed.head)


def _is_up(condition: Condition) -> int:
    return condition.judged().state not in ("starting", "disconnected")
