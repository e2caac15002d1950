"""Producing: records go to a topic in their order, and count once all replicas have them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.record.default_records import DefaultRecordBatchBuilder

from consumers.cluster import Cluster
from consumers.connection import REQUEST_SECONDS, Connection
from consumers.kafka_python import in_our_words, settings
from ledger.errors import LedgerError, Unreachable

DELIVERY_SECONDS = 15
"""How long a record may take to be acknowledged, with all attempts, before it counts as lost."""
LINGER_SECONDS = 0.1
"""Longer than it takes to hand over what is sent together, so that it travels together."""
CLOSE_SECONDS_MAX = 2
BATCH_BYTES_MAX = 1_000_000
MESSAGE_BYTES_MAX = 1_048_588
"""What a topic takes that says nothing else (`max.message.bytes`)."""
FORGOTTEN = (
    kafka_errors.DuplicateSequenceNumberError,
    kafka_errors.InvalidProducerEpochError,
    kafka_errors.InvalidProducerIdMappingError,
    kafka_errors.OutOfOrderSequenceNumberError,
    kafka_errors.UnknownProducerIdError,
)
"""The brokers do not know this producer any more, or not as it knows itself."""


class Outgoing(NamedTuple):
    """A record as it is to be published."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]

    @property
    def size(self) -> int:
        """What it takes at most as a message, in bytes."""
        estimated: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(*self)
        return estimated


Numbered = tuple[int, Outgoing]
"""A record with its number where it comes from, such as a position."""


class Destination(NamedTuple):
    """A topic that is published to: its id, and the largest message that it takes (bytes)."""

    id: str
    message_bytes_max: int

    @property
    def batch_bytes_max(self) -> int:
        """What may be published together so that of each partition it is one batch.

        A batch is taken or refused as a whole, so what fails never overtakes what follows it.
        """
        return min(BATCH_BYTES_MAX, self.message_bytes_max)


class MessageTooLarge(LedgerError):
    """A topic does not take a message of this size. `index` is its place in what was published."""

    def __init__(self, index: int) -> None:
        super().__init__("a message is larger than its topic takes")
        self.index = index


class Producer:
    """Publishes records with the idempotent producer, which is opened when it is needed.

    After a failure another one is opened: what failed has to be published again, whole.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._opened: KafkaProducer | None = None
        self._opened_for = 0

    def publish(self, topic: str, destination: Destination, records: Sequence[Outgoing]) -> None:
        """Send records in their order; they are acknowledged when this returns.

        Waits as long as DELIVERY_SECONDS. Raises Unreachable, Denied, MessageTooLarge or
        LedgerError; some of the records may have been published then.
        """
        try:
            with in_our_words():
                self._publish(topic, destination, records)
        except BaseException:
            self.close()
            raise

    def _publish(self, topic: str, destination: Destination, records: Sequence[Outgoing]) -> None:
        producer = self._producer(destination)
        producer.partitions_for(topic)  # or each of the records would wait for a missing topic
        sent = []
        for index, record in enumerate(records):
            with _told(index):
                sent.append(producer.send(topic, record.value, record.key, record.headers))
        with suppress(kafka_errors.KafkaError):  # each record tells it for itself
            producer.flush()
        for index, future in enumerate(sent):
            with _told(index):
                future.get(DELIVERY_SECONDS)

    def _producer(self, destination: Destination) -> KafkaProducer:
        if self._opened and self._opened_for != destination.message_bytes_max:
            self.close()
        if not self._opened:
            self._opened = open_producer(self._connection, destination)
            self._opened_for = destination.message_bytes_max
        return self._opened

    def close(self) -> None:
        """Give the connection back. What is not acknowledged by now is given up."""
        producer, self._opened = self._opened, None
        if producer:
            with suppress(kafka_errors.KafkaError):
                producer.close(timeout=CLOSE_SECONDS_MAX)


@contextmanager
def _told(index: int) -> Iterator[None]:
    """Raise what becomes of a record in the words that its caller needs."""
    try:
        yield
    except kafka_errors.MessageSizeTooLargeError:
        raise MessageTooLarge(index) from None
    except FORGOTTEN as error:
        raise Unreachable(f"Kafka does not go on: {type(error).__name__}") from error


def open_producer(connection: Connection, destination: Destination) -> KafkaProducer:
    """The library's producer, with each record written once however often it is sent.

    Gzip is what every client reads and the library has without further packages: it takes a
    tenth more processor time, and full batches are a fifth as large or less.
    """
    wanted: dict[str, Any] = settings(connection) | {
        "acks": "all",
        "enable_idempotence": True,
        "compression_type": "gzip",
        "linger_ms": round(LINGER_SECONDS * 1_000),
        "batch_size": destination.batch_bytes_max,
        "max_request_size": destination.message_bytes_max,
        "delivery_timeout_ms": DELIVERY_SECONDS * 1_000,
        "max_block_ms": REQUEST_SECONDS * 1_000,
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
    }
    return KafkaProducer(**wanted)


def batches(records: Iterable[Numbered], destination: Destination) -> Iterator[list[Numbered]]:
    """Records in groups that may be published together (see `batch_bytes_max`), in order."""
    batch: list[Numbered] = []
    size = 0
    for number, record in records:
        if batch and size + record.size > destination.batch_bytes_max:
            yield batch
            batch, size = [], 0
        batch.append((number, record))
        size += record.size
    if batch:
        yield batch


def destination_of(
    cluster: Cluster, topic: str, *, create: bool = False, partitions: int = -1
) -> Destination:
    """A topic as it is now. With `create`, it is made where it is missing.

    Raises TopicMissing without, and LedgerError when the topic is compacted: of the facts about
    a subject it would keep the last one.
    """
    if create and topic not in cluster.topics([topic]):
        _create(cluster, topic, partitions)
    found = cluster.required([topic])[topic]
    configs = cluster.configs(topic)
    if "compact" in configs.get("cleanup.policy", ""):
        raise LedgerError(
            f"the topic {topic} is compacted (cleanup.policy): of several facts with one key it "
            "would keep the last; use a topic with cleanup.policy=delete"
        )
    return Destination(found.id, int(configs.get("max.message.bytes", MESSAGE_BYTES_MAX)))


def _create(cluster: Cluster, topic: str, partitions: int) -> None:
    try:
        cluster.create(topic, partitions)
    except LedgerError:
        if topic not in cluster.topics([topic]):  # else somebody else was quicker
            raise
