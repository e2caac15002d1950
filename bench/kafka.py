"""Kafka to ledger, against the same client that only reads, and against the append alone.

Every way takes as many touchpoints, those that come next in the year: so each meets as many new
customers. A client's clock starts when it is told where to begin: it has joined its group by then,
and nothing has been fetched. It stops when the last record was delivered, or recorded.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from functools import partial
from statistics import median

import msgspec

from bench.appending import GROUP_TOUCHPOINTS, WHOLE_WAY, in_groups
from bench.material import Year, received
from bench.measuring import (
    NO_GOAL,
    Goal,
    Line,
    Note,
    Result,
    Run,
    alternately,
    compared,
    left_alone,
    rate,
)
from cli.logs import logging_to_people
from consumers.client import CLIENTS, Client, Holder, Message, Partition, Subscription, client_named
from consumers.cluster import Cluster
from consumers.connection import Connection
from consumers.consuming import POLL_SECONDS, Consuming
from consumers.producing import Outgoing, Producer, batches, destination_of
from consumers.watch import Watch
from ledger.intake import Stop, take
from ledger.log import Submission
from ledger.receipt import Receipt
from tests.servers.kafka import Broker, temporary_broker

PARTITIONS = 12
SAMPLE_MAX = 50_000
PATIENCE_SECONDS = 120
KAFKA_GOAL = Goal(0.5, 0.8)
"""Of the slower of the two that it does at once: reading, and appending."""
APPEND_ALONE = "append alone, groups of 1,000"


def ours_of(client: str) -> str:
    """What our way is called with this client library."""
    return f"Kafka to ledger, one process, {client}"


def reading_of(client: str) -> str:
    """What the client library alone is called."""
    return f"{client} reading the topic and doing nothing"


def kafka_sample(touchpoints: int) -> int:
    """How many touchpoints each way takes in a round, behind a log of this size."""
    return max(1, min(SAMPLE_MAX, touchpoints // 10))


def consumed_later(touchpoints: int) -> int:
    """How many lines a round takes from the year: one sample a client, and two without Kafka."""
    return (len(CLIENTS) + 2) * kafka_sample(touchpoints)


def compare_kafka(year: Year, goal: Goal, rounds: int, note: Note) -> list[Result]:
    """Each client library from its own topic, with a broker on this machine."""
    note("starting a Kafka broker")
    with logging_to_people(quiet=True), temporary_broker() as broker, _Topics(broker) as topics:
        bench = _Kafka(year, topics)
        ways: dict[str, Run] = {APPEND_ALONE: bench.append_rate, WHOLE_WAY: bench.whole_way_rate}
        for client in CLIENTS:
            ways[reading_of(client)] = partial(bench.reading_rate, client)
            ways[ours_of(client)] = partial(bench.consuming_rate, client)
        figures = alternately(ways, rounds, note)
    return [result for client in CLIENTS for result in results_of(client, goal, figures)]


def results_of(client: str, goal: Goal, figures: dict[str, list[float]]) -> list[Result]:
    """Against the client, the append and the whole way; the goal is of the slower of the first."""
    parts = (reading_of(client), APPEND_ALONE)
    slower = min(parts, key=lambda name: median(figures[name]))
    lines = [Line((name,), goal if name == slower else NO_GOAL) for name in (*parts, WHOLE_WAY)]
    return [compared(ours_of(client), ours_of(client), line, figures) for line in lines]


class _Topics:
    """Fresh topics of a broker, filled with touchpoints. Their subjects are the keys."""

    def __init__(self, broker: Broker) -> None:
        self.connection = Connection(servers=broker.servers)
        self.cluster = Cluster(self.connection)
        self._broker = broker
        self._made = 0

    def __enter__(self) -> "_Topics":
        return self

    def __exit__(self, *_: object) -> None:
        self.cluster.close()

    def filled(self, lines: Sequence[bytes]) -> str:
        """The name of a new topic with these touchpoints."""
        self._made += 1
        topic = f"touchpoints-{self._made}"
        self._broker.create_topic(topic, PARTITIONS)
        destination = destination_of(self.cluster, topic)
        records = (Outgoing(_subject_of(line), line, []) for line in lines)
        with closing(Producer(self.connection)) as producer:
            for batch in batches(enumerate(records), destination):
                producer.publish(topic, destination, [record for _, record in batch])
        return topic

    def delete(self, topic: str) -> None:
        self._broker.delete_topics(topic)

    def subscription(self, topic: str, group: str) -> Subscription:
        """What `touchstone consume` would ask for."""
        return Subscription(connection=self.connection, topics=(topic,), group=group)


class _Subject(msgspec.Struct):
    subject: str


def _subject_of(line: bytes) -> bytes:
    return msgspec.json.decode(line, type=_Subject).subject.encode()


class _Kafka:
    """Reading comes before consuming in every round, from the same topic."""

    def __init__(self, year: Year, topics: _Topics) -> None:
        self._year = year
        self._topics = topics
        self._sample = kafka_sample(year.size.touchpoints)
        self._filled: dict[str, str] = {}

    def append_rate(self) -> float:
        lines = self._next_lines()
        records = self._year.records_of(lines)
        groups = in_groups(list(map(Submission, received(lines), records)), GROUP_TOUCHPOINTS)
        return rate(self._sample, partial(self._append, groups))

    def whole_way_rate(self) -> float:
        items = list(received(self._next_lines()))
        return rate(self._sample, partial(take, self._year.ledger, items))

    def reading_rate(self, client: str) -> float:
        topic = self._filled[client] = self._topics.filled(self._next_lines())
        subscription = self._topics.subscription(topic, f"reading-{topic}")
        holder = _FromTheBeginning()
        opened = client_named(client)(subscription, holder)
        with closing(opened), left_alone():
            read_to_the_end(opened, self._sample)
            return self._sample / (time.perf_counter() - holder.placed_at)

    def consuming_rate(self, client: str) -> float:
        topic = self._filled[client]
        consuming = _Consuming(self._year, self._topics, topic, client, self._sample)
        with left_alone():
            consuming.run(once=True)
        self._topics.delete(topic)
        receipt = consuming.taken.receipt
        if receipt.recorded != self._sample:
            raise RuntimeError(f"the topic should be recorded whole: {receipt}")
        return self._sample / (consuming.recorded_at - consuming.placed_at)

    def _append(self, groups: Sequence[Sequence[Submission]]) -> None:
        for group in groups:
            self._year.ledger.log.append(group)

    def _next_lines(self) -> list[bytes]:
        return self._year.next_lines(self._sample)


def read_to_the_end(client: Client, count: int) -> None:
    """Poll until so many records came. Raises RuntimeError when they do not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while count > 0:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{count} records are not delivered")
        count -= len(client.poll(POLL_SECONDS))


class _FromTheBeginning:
    """See `consumers.client.Holder`; remembers when partitions were first placed."""

    placed_at = 0.0

    def place(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        self.placed_at = self.placed_at or time.perf_counter()
        return dict.fromkeys(partitions, 0)

    def give_up(self, partitions: Collection[Partition]) -> None:
        """Nothing is in hand."""

    lose = give_up


class _Consuming(Consuming):
    """Remembers when partitions were first placed, and when the last record was recorded."""

    def __init__(self, year: Year, topics: _Topics, topic: str, client: str, count: int) -> None:
        self.placed_at = 0.0
        self._timed = _Timed()
        super().__init__(
            year.ledger,
            topics.cluster,
            topics.subscription(topic, f"ledger-{topic}"),
            lambda subscription, holder: _Ending(client, subscription, holder, count),
            watch=self._timed,
            stop=Stop(),
        )

    @property
    def recorded_at(self) -> float:
        return self._timed.took_at

    def place(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        placed = super().place(partitions)
        self.placed_at = self.placed_at or time.perf_counter()
        return placed


class _Timed(Watch):
    took_at = 0.0

    def took(self, receipt: Receipt, skipped: int, seconds: float) -> bool:
        if receipt.received:
            self.took_at = time.perf_counter()
        return super().took(receipt, skipped, seconds)


class _Ending:
    """A client that does not wait for more when everything was delivered.

    Otherwise that wait would count as work: the last group is looked at behind the next poll.
    """

    def __init__(self, client: str, subscription: Subscription, holder: Holder, count: int) -> None:
        self._client = client_named(client)(subscription, holder)
        self._left = count
        self.position, self.seek = self._client.position, self._client.seek
        self.commit, self.close = self._client.commit, self._client.close

    def poll(self, seconds: float) -> Sequence[Message]:
        messages = self._client.poll(seconds if self._left > 0 else 0)
        self._left -= len(messages)
        return messages
