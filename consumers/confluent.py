"""The library confluent-kafka (librdkafka) behind our interface: a consumer, and its errors."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import methodcaller
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Delivered

from consumers.client import (
    FETCH_BYTES_MAX,
    POLL_SECONDS_MAX,
    Client,
    Holder,
    Message,
    Partition,
    Subscription,
)
from consumers.connection import REQUEST_SECONDS, Connection
from consumers.errors import Fenced, OutOfRange
from ledger.cloudevents import CONTENT_TYPE
from ledger.errors import Denied, LedgerError, Unreachable

CLOSE_SECONDS_MAX = 3
QUEUE_BACKOFF_SECONDS = 0.02
"""How long a full queue waits before it is filled again; the library's own second is a pause."""
AHEAD_GROUPS = 10
"""How many groups may wait in memory, unless they are large."""
TELL_SECONDS = 60.0
"""The library tells of every attempt to connect; once in so long is enough."""

OUT_OF_DATE = frozenset({
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError._FATAL,
    KafkaError._FENCED,
})  # fmt: skip
REFUSED = frozenset({
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
})  # fmt: skip
GONE = frozenset({
    KafkaError._AUTO_OFFSET_RESET,
    KafkaError._LOG_TRUNCATION,
    KafkaError.OFFSET_OUT_OF_RANGE,
})  # fmt: skip
PASSING = frozenset({
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._WAIT_COORD,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REQUEST_TIMED_OUT,
})  # fmt: skip
UNSETTLED = frozenset({KafkaError.REBALANCE_IN_PROGRESS, KafkaError._IN_PROGRESS})
"""Partitions are being shared out, which says nothing about who is in the group."""
Headers = Sequence[tuple[str, bytes | None]]
_ASKED_FOR_HEADERS: Callable[[Delivered], Headers | None] = methodcaller("headers")
"""Not by a call of Python's own: where a name is not UTF-8 the library returns half a list and an
error besides, which the interpreter does not notice once it has sped up the call."""

UNREADABLE: Headers = ((CONTENT_TYPE, b"\xff"),)
"""Headers that nobody can read stand for those that the library cannot: the record is refused
rather than taken for one that has none."""

HOPELESS = frozenset({
    KafkaError._BAD_COMPRESSION,
    KafkaError._BAD_MSG,
    KafkaError._FATAL,
    KafkaError._INVALID_ARG,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.GROUP_MAX_SIZE_REACHED,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
    KafkaError.INVALID_GROUP_ID,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_SESSION_TIMEOUT,
})  # fmt: skip
"""What else the library does not get over by itself. It joins a group again that it fell out of,
and it waits for brokers and for topics."""


def open_client(subscription: Subscription, holder: Holder) -> Client:
    """A consumer of confluent-kafka. It connects on its own: `poll` raises what is wrong."""
    with in_our_words():
        return ConfluentClient(subscription, holder)


class ConfluentClient:
    """See `consumers.client.Client`.

    What is newly assigned is not yet given to the library to read from: its callbacks run within
    `consume`, where an error would lose what was taken from its queue already. The next `poll`
    places it. `_nexts` has all that is read from, with the next offset of each.
    """

    def __init__(self, subscription: Subscription, holder: Holder) -> None:
        self._holder = holder
        self._records = subscription.records
        self._unplaced: set[Partition] = set()
        self._nexts: dict[Partition, int] = {}
        self._failure: LedgerError | None = None
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._consumer = Consumer(
            {**_group_settings(subscription), **settings(subscription.connection)},
            error_cb=self._fail,
            logger=_logger(),
        )
        self._consumer.subscribe(
            list(subscription.topics),
            on_assign=self._assigned,
            on_revoke=self._taken,
            on_lost=self._lost,
        )

    def poll(self, seconds: float) -> Sequence[Message]:
        self._raise_failure()
        with in_our_words():
            self._place_new()
        before = dict(self._nexts)
        try:
            with in_our_words():
                delivered = self._consume(seconds)
            messages = [message for one in delivered if (message := self._message(one)) is not None]
        except BaseException:  # what has come already must come again
            self._begin({p: offset for p, offset in before.items() if p in self._nexts})
            raise
        if not messages:
            self._raise_failure()  # otherwise the next poll does: these must not be lost
        return messages

    def position(self, partition: Partition) -> int:
        return self._nexts.get(partition, 0)

    def seek(self, partition: Partition, offset: int) -> None:
        if partition in self._nexts:
            with in_our_words():
                self._begin({partition: offset})

    def commit(self, positions: Mapping[Partition, int], *, wait: bool = False) -> None:
        offsets = [TopicPartition(*partition, offset) for partition, offset in positions.items()]
        if not offsets:
            return
        with in_our_words():
            if not wait:
                self._consumer.commit(offsets=offsets, asynchronous=True)
                return
            try:
                for there in self._consumer.commit(offsets=offsets, asynchronous=False):
                    if there.error:
                        raise KafkaException(there.error)
            except KafkaException as error:
                if _of(error).code() not in UNSETTLED:
                    raise

    def close(self) -> None:
        # The library may wait for a coordinator as long as a session lasts; let it, elsewhere.
        closing = threading.Thread(target=self._consumer.close, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS_MAX)

    def _consume(self, seconds: float) -> list[Delivered]:
        """What has come; the library itself would wait until all that it may bring is there."""
        first = self._consumer.consume(1, seconds)
        if not first or self._records == 1:
            return first
        try:
            return first + self._consumer.consume(self._records - 1, 0)
        except KafkaException as error:
            self._fail(_of(error))
            return first

    def _message(self, delivered: Delivered) -> Message | None:
        """A record of what is held; an end that is reached, or an error, is noted."""
        error = delivered.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            self._fail(error)
            return None
        topic, number, offset = delivered.topic(), delivered.partition(), delivered.offset()
        if topic is None or number is None or offset is None:
            return None
        partition = self._partition(topic, number)
        if partition not in self._nexts:  # taken from us by a callback since it came
            return None
        if error is not None:
            self._nexts[partition] = max(self._nexts[partition], offset)
            return None
        self._nexts[partition] = offset + 1
        return Message(
            partition, offset, delivered.key(), delivered.value(), _headers_of(delivered)
        )

    def _place_new(self) -> None:
        waiting = sorted(self._unplaced)
        if waiting:
            placed = self._holder.place(waiting)
            self._begin({partition: placed[partition] for partition in waiting})
            self._unplaced.difference_update(waiting)

    def _begin(self, offsets: Mapping[Partition, int]) -> None:
        """Read from there; what is in the library's queue of these partitions is dropped.

        The library's own seek fails where reading has ended with an error.
        """
        self._drop(offsets)
        places = [TopicPartition(*partition, offset) for partition, offset in offsets.items()]
        self._consumer.incremental_assign(places)
        self._nexts.update(offsets)

    def _drop(self, partitions: Iterable[Partition]) -> None:
        read = [partition for partition in partitions if partition in self._nexts]
        for partition in read:
            del self._nexts[partition]
        self._consumer.incremental_unassign([TopicPartition(*partition) for partition in read])

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        with self._kept():
            self._unplaced.update(self._named(partitions))
            consumer.incremental_assign([])  # or the library would begin to read by itself

    def _taken(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(partitions, self._holder.give_up)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(partitions, self._holder.lose)

    def _leave(
        self, partitions: list[TopicPartition], tell: Callable[[list[Partition]], None]
    ) -> None:
        with self._kept():
            taken = self._named(partitions)
            self._unplaced.difference_update(taken)
            try:
                self._drop(taken)
            finally:
                tell(taken)

    def _fail(self, error: KafkaError) -> None:
        """Let a poll raise an error that does not pass by itself; a callback of the library too."""
        code = error.code()
        if code in REFUSED or code in GONE or code in HOPELESS:
            self._failure = _in_our_words(error)

    def _raise_failure(self) -> None:
        failure = self._failure
        if not isinstance(failure, Fenced):  # which the library tells once, and ends with
            self._failure = None
        if failure is not None:
            raise failure

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Keep an error of a callback for the next poll."""
        try:
            yield
        except KafkaException as error:
            self._failure = _in_our_words(_of(error))
        except LedgerError as error:
            self._failure = error

    def _named(self, partitions: Iterable[TopicPartition]) -> list[Partition]:
        return [self._partition(there.topic, there.partition) for there in partitions]

    def _partition(self, topic: str, number: int) -> Partition:
        found = self._partitions.get((topic, number))
        if found is None:
            found = self._partitions[topic, number] = Partition(topic, number)
        return found


def _headers_of(delivered: Delivered) -> Headers:
    """The headers of a record; UNREADABLE where a name is not UTF-8, which the library cannot
    tell."""
    try:
        return _ASKED_FOR_HEADERS(delivered) or ()
    except (SystemError, UnicodeDecodeError):
        return UNREADABLE


def _group_settings(subscription: Subscription) -> dict[str, Any]:
    session = round(subscription.session_seconds * 1_000)
    static = {"group.instance.id": subscription.instance} if subscription.instance else {}
    return {
        "group.id": subscription.group,
        **static,
        "partition.assignment.strategy": "cooperative-sticky",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "check.crcs": True,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "session.timeout.ms": session,
        "heartbeat.interval.ms": round(session / 15),
        "max.poll.interval.ms": round(POLL_SECONDS_MAX * 1_000),
        "queued.min.messages": AHEAD_GROUPS * subscription.records,
        "queued.max.messages.kbytes": FETCH_BYTES_MAX // 1024,
        "fetch.max.bytes": FETCH_BYTES_MAX,
        "fetch.queue.backoff.ms": round(QUEUE_BACKOFF_SECONDS * 1_000),
        "allow.auto.create.topics": False,
        "topic.metadata.refresh.interval.ms": 30_000,
    }


def settings(connection: Connection) -> dict[str, Any]:
    """What every client of the library needs to know to reach the brokers."""
    named = {
        "sasl.mechanisms": connection.mechanism,
        "sasl.username": connection.username if connection.mechanism else None,
        "sasl.password": connection.password if connection.mechanism else None,
        "ssl.ca.location": connection.ca,
        "ssl.certificate.location": connection.certificate,
        "ssl.key.location": connection.key,
    }
    return {
        "bootstrap.servers": connection.servers,
        "client.id": connection.client_id,
        "security.protocol": connection.security,
        "socket.timeout.ms": REQUEST_SECONDS * 1_000,
        "reconnect.backoff.ms": 200,
        "reconnect.backoff.max.ms": 2_000,
        "enable.metrics.push": False,
        "log_level": 4,
        "log.connection.close": False,
        **{name: str(value) for name, value in named.items() if value is not None},
    }


def _logger() -> logging.Logger:
    """Where the library's warnings go."""
    found = logging.getLogger("confluent")
    if not any(isinstance(one, _Seldom) for one in found.filters):
        found.addFilter(_Seldom())
    return found


class _Seldom(logging.Filter):
    """Lets a kind of message through once in a while: attempts to connect come by the dozen."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.args[0] if isinstance(record.args, tuple) and record.args else record.msg
        now = time.monotonic()
        if now - self._told.get(kind, -TELL_SECONDS) < TELL_SECONDS:
            return False
        self._told[kind] = now
        return True


@contextmanager
def in_our_words() -> Iterator[None]:
    """Raise the library's errors as errors for people, without what they quote."""
    try:
        yield
    except KafkaException as error:
        raise _in_our_words(_of(error)) from error


def _of(error: KafkaException) -> KafkaError:
    found: KafkaError = error.args[0]
    return found


def _in_our_words(error: KafkaError) -> LedgerError:
    code, name = error.code(), error.name()
    if code in OUT_OF_DATE:
        return Fenced("another consumer has taken over: this one is out of its group")
    if code in REFUSED:
        return Denied(f"Kafka refuses: {name}")
    if code in GONE:
        return OutOfRange(f"offsets are out of range: {name}")
    if code in PASSING or error.retriable():
        return Unreachable(f"Kafka does not answer: {name}")
    return LedgerError(f"Kafka: {name}")
