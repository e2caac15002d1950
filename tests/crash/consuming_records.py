"""Records on topics, consumers of them, and what must hold of a ledger that has consumed."""

import json
import uuid
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from consumers.client import Partition
from consumers.cluster import Cluster
from consumers.connection import Connection
from consumers.status import PartitionStatus, statuses
from ledger.address import Address
from ledger.ledger import open_ledger
from tests.crash.consuming_door import Plan
from tests.crash.launching import PATIENCE_SECONDS, Child, Launcher, wait_until
from tests.crash.loading import head_of, identities, made_up
from tests.ledger.sending import assert_dense, waiting

CLIENTS = ("kafka-python", "confluent-kafka")
QUICK: Mapping[str, float] = {
    "consumers.consuming.LOOK_SECONDS": 0.3,
    "consumers.consuming.POLL_SECONDS": 0.1,
    "consumers.ends.ASK_SECONDS": 0.1,
}
"""A consumer that is told so looks often; what it does is the same."""
VALUE_BYTES_MAX = 3_000_000
SENDING_SECONDS = 120


def lines(seed: int, count: int) -> list[bytes]:
    """Touchpoints of a busy day, each of which can be recorded."""
    return [line for line in made_up(seed, count).lines if not line.startswith(b'{"id":"broken')]


@dataclass
class Produced:
    """What is on topics: the ids in the order of each partition."""

    producer: Producer
    ids: defaultdict[Partition, list[str]] = field(default_factory=lambda: defaultdict(list))

    def put(self, partition: Partition, values: Iterable[bytes]) -> None:
        """Add touchpoints to a partition, and return when the broker has them."""
        self._send((partition, value) for value in values)

    def spread(self, topic: str, partitions: int, values: Iterable[bytes]) -> None:
        """Add touchpoints to a topic, those of a subject to one partition."""
        self._send(
            (Partition(topic, zlib.crc32(subject_of(value)) % partitions), value)
            for value in values
        )

    def raw(
        self,
        partition: Partition,
        value: bytes | None,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> int:
        """Add one record of any kind; its offset."""
        offsets: list[int | None] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            _delivered(error, message)
            offsets.append(message.offset())

        self.producer.produce(
            *(partition.topic, value, key, partition.number),
            on_delivery=delivered,
            headers=list(headers),
        )
        self.producer.flush(SENDING_SECONDS)
        (offset,) = offsets
        assert offset is not None
        return offset

    def _send(self, records: Iterable[tuple[Partition, bytes]]) -> None:
        for partition, value in records:
            self.producer.produce(
                *(partition.topic, value, subject_of(value), partition.number),
                on_delivery=_delivered,
            )
            self.ids[partition].append(id_of(value))
        assert self.producer.flush(SENDING_SECONDS) == 0


def _delivered(error: KafkaError | None, _: Message) -> None:
    assert error is None, error.str()


@contextmanager
def producing(servers: str, *, away: bool = False) -> Iterator[Produced]:
    """A producer that keeps the order. When the broker may be `away`, it waits for it, and writes
    each record once; that takes half a second to begin with."""
    settings: dict[str, str | int | bool] = {
        "bootstrap.servers": servers,
        "enable.idempotence": away,
        "max.in.flight.requests.per.connection": 1,
        "linger.ms": 5,
        "message.max.bytes": VALUE_BYTES_MAX,
        "message.timeout.ms": SENDING_SECONDS * 1_000,
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 0,
    }
    yield Produced(Producer(settings))


def id_of(value: bytes) -> str:
    found: str = json.loads(value)["id"]
    return found


def subject_of(value: bytes) -> bytes:
    found: str = json.loads(value)["subject"]
    return found.encode()


@dataclass(frozen=True)
class Consumers:
    """A group of processes that bring topics into a ledger."""

    children: Launcher
    address: Address
    servers: str
    topics: Sequence[str]
    group: str = field(default_factory=lambda: f"group-{uuid.uuid4().hex}")

    def start(self, tuned: Mapping[str, float] = QUICK, **planned: Any) -> Child:
        """One more consumer; `planned` are fields of `tests.crash.consuming_door.Plan`."""
        plan = Plan(servers=self.servers, topics=self.topics, group=self.group, **planned)
        keys = str(self.address.keys)
        return self.children.start("consume", self.address.url, keys, plan.told(), tuned=tuned)

    def finish(self, code: int = 0, **planned: Any) -> dict[str, int]:
        """Let one more consumer take what is left; what it has taken."""
        child = self.start(once=True, **planned)
        assert child.wait() == code, child.err.read_text()
        return taken(child)

    def status(self) -> list[PartitionStatus]:
        """How far the partitions are read."""
        with (
            open_ledger(self.address) as ledger,
            Cluster(Connection(servers=self.servers)) as cluster,
        ):
            return statuses(ledger, cluster, self.topics, self.group)

    def lag(self) -> int:
        return sum(status.lag for status in self.status())


def taken(child: Child) -> dict[str, int]:
    """What a consumer has taken, as it said at its end."""
    (ended,) = told(child, "ended")
    counts: dict[str, int] = ended
    assert_adds_up(counts)
    return counts


def assert_adds_up(counts: dict[str, int]) -> None:
    """Law 5: nothing is lost; `skipped` stands apart."""
    parts = ("recorded", "duplicate", "conflict", "quarantined")
    assert counts["received"] == sum(counts[part] for part in parts)


def told(child: Child, kind: str) -> list[Any]:
    """What a consumer has said of a kind: `took`, `state`, `frozen` or `ended`."""
    return [line[kind] for line in child.lines() if kind in line]


def states(child: Child) -> list[str]:
    """The states that it was in, one after the other."""
    found: list[str] = []
    for state in told(child, "state"):
        if found[-1:] != [state]:
            found.append(state)
    return found


def holds(child: Child) -> set[str]:
    """The partitions that it held when it last looked."""
    held: list[dict[str, int]] = told(child, "held")
    return set(held[-1]) if held else set()


def wait_for(child: Child, reached: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until it has come to that, and fail at once when the consumer ends."""

    def reached_or_ended() -> bool:
        assert child.code is None, child.err.read_text()
        return reached()

    wait_until(reached_or_ended, seconds)


def wait_for_head(child: Child, address: Address, least: int) -> None:
    """Wait until so much is in the log."""
    wait_for(child, lambda: head_of(address) >= least)


def check(consumers: Consumers, produced: Produced) -> None:
    """All that was produced is there once, in the order of each partition, and nothing waits."""
    assert_all_recorded(consumers.address, produced)
    with open_ledger(consumers.address) as ledger:
        assert_dense(ledger)
        assert waiting(ledger) == []
    for status in consumers.status():
        assert status.lag == 0, status
        assert status.position == status.end, status
        assert (status.committed or 0) == status.end, status


def assert_all_recorded(address: Address, produced: Produced) -> None:
    """Everything once, in the order of its partition."""
    places = {id_: place for place, id_ in enumerate(identities(address))}
    assert len(places) == sum(map(len, produced.ids.values()))
    for ids in produced.ids.values():
        assert [places[id_] for id_ in ids] == sorted(places[id_] for id_ in ids)
