"""The library kafka-python behind our interface: a consumer, and the words for its errors."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from socket import socket
from typing import Any, cast

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.base import MemberState
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

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
from consumers.log_in import check_log_in
from ledger.errors import Denied, LedgerError, Unreachable

CLOSE_SECONDS_MAX = 3
JOINING_SECONDS_MAX = 5.0
"""How long a poll may last while partitions are shared out: members learn of it by heartbeats."""
LEARNING_MAX = 3
_DIRECTLY = "directly"
"""The way to a broker by `_Sockets`, where the library has a proxy's."""
OUT_OF_DATE = (
    kafka_errors.CommitFailedError,
    kafka_errors.FencedInstanceIdError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
)
UNAUTHENTICATED = (
    kafka_errors.IllegalSaslStateError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
)
REFUSED = (kafka_errors.AuthorizationError, *UNAUTHENTICATED)
UNSETTLED = kafka_errors.RebalanceInProgressError
"""Partitions are being shared out, which says nothing about who is in the group."""
PASSING = (
    kafka_errors.RetriableError,
    kafka_errors.BrokerNotAvailableError,
    kafka_errors.UnknownBrokerIdError,
)
"""The last is said of a broker that the library has forgotten while it was away."""
GONE = (kafka_errors.OffsetOutOfRangeError, kafka_errors.LogTruncationError)


def open_client(subscription: Subscription, holder: Holder) -> Client:
    """A consumer of kafka-python. Raises Unreachable or Denied."""
    check_log_in(subscription.connection)
    with in_our_words():
        return KafkaPythonClient(subscription, holder)


class KafkaPythonClient:
    """See `consumers.client.Client`.

    What is newly assigned is paused at once, and read from when the next `poll` has placed it:
    the library tells of it on its own thread, which must not wait for a database. `_nexts` has
    all that is read from, with the next offset of each behind what was delivered.
    """

    def __init__(self, subscription: Subscription, holder: Holder) -> None:
        self._holder = holder
        self._unplaced: set[TopicPartition] = set()
        self._nexts: dict[TopicPartition, int] = {}
        self._damage: LedgerError | None = None
        self._partitions: dict[TopicPartition, Partition] = {}
        self._consumer = KafkaConsumer(
            **settings(subscription.connection),
            group_id=subscription.group,
            group_instance_id=subscription.instance,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="none",
            partition_assignment_strategy=[CooperativeStickyAssignor],
            max_poll_records=subscription.records,
            max_poll_interval_ms=round(POLL_SECONDS_MAX * 1_000),
            session_timeout_ms=round(subscription.session_seconds * 1_000),
            heartbeat_interval_ms=round(subscription.session_seconds * 1_000 / 15),
            fetch_max_bytes=FETCH_BYTES_MAX,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            metadata_max_age_ms=30_000,
        )
        self._consumer.subscribe(list(subscription.topics), listener=_Listener(self))
        for topic in subscription.topics:
            self._learn(topic)

    def poll(self, seconds: float) -> Sequence[Message]:
        if self._damage is not None:
            raise self._damage  # or the library would look for the next record for ever
        until = time.monotonic() + seconds
        with in_our_words():
            self._place_new()
        try:
            with in_our_words():
                found = self._joined_and_polled(seconds)
        except OutOfRange:
            self._read_again()
            raise
        except Unreachable:  # the library goes on trying
            self._read_again()
            time.sleep(max(0.0, until - time.monotonic()))
            return []
        except BaseException:
            self._read_again()
            raise
        return [
            message for there, records in found.items() for message in self._all(there, records)
        ]

    def position(self, partition: Partition) -> int:
        there = TopicPartition(*partition)
        if there not in self._nexts:
            return 0
        with in_our_words():
            return self._consumer.position(there, timeout_ms=0) or self._nexts[there]

    def seek(self, partition: Partition, offset: int) -> None:
        there = TopicPartition(*partition)
        if there in self._nexts:
            self._consumer.seek(there, offset)
            self._nexts[there] = offset

    def commit(self, positions: Mapping[Partition, int], *, wait: bool = False) -> None:
        offsets = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in positions.items()
        }
        with in_our_words():
            if not wait:
                self._consumer.commit_async(offsets)
                return
            try:
                self._consumer.commit(offsets, timeout_ms=REQUEST_SECONDS * 1_000)
            except (kafka_errors.CommitFailedError, UNSETTLED) as error:
                if not _is_unsettled(error):
                    raise

    def close(self) -> None:
        with suppress(kafka_errors.KafkaError):
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_SECONDS_MAX * 1_000)

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Keep them still until they are placed; called on the library's thread."""
        for there in partitions:
            self._consumer.seek(there, 0)  # or it would look for what the group committed
            self._consumer.pause(there)
        self._unplaced.update(partitions)

    def taken(self, partitions: Collection[TopicPartition], *, lost: bool = False) -> None:
        """They are not ours any more; called on the library's thread."""
        self._unplaced.difference_update(partitions)
        for there in partitions:
            self._nexts.pop(there, None)
        tell = self._holder.lose if lost else self._holder.give_up
        tell([self._partition(there) for there in partitions])

    def _joined_and_polled(self, seconds: float) -> Mapping[TopicPartition, Sequence[Any]]:
        """Poll, and go on with that while partitions are being shared out.

        Nothing comes then in any case; and when the sharing is done while nobody polls, the
        library does not notice, and begins it once more for all members.
        """
        until = time.monotonic() + JOINING_SECONDS_MAX
        while True:
            try:
                found = self._consumer.poll(timeout_ms=round(seconds * 1_000))
            except kafka_errors.CorruptRecordError as error:
                self._damage = LedgerError("Kafka: there is a record that kafka-python cannot read")
                raise self._damage from error
            is_joining = self._consumer.group_metadata().state is MemberState.REBALANCING
            if found or not is_joining or time.monotonic() > until:
                return cast(Mapping[TopicPartition, Sequence[Any]], found)

    def _learn(self, topic: str) -> None:
        """Learn a topic's partitions before the group is joined.

        Who shares them out does it by what it knows, and may not learn more for half a minute: the
        library forgets to ask for a topic while it waits for the answer to another question.
        """
        for _ in range(LEARNING_MAX):
            if self._consumer.partitions_for_topic(topic):
                return

    def _place_new(self) -> None:
        waiting = [there for there in self._unplaced if there in self._consumer.assignment()]
        if not waiting:
            return
        placed = self._holder.place([self._partition(there) for there in waiting])
        for there in waiting:
            self._nexts[there] = placed[self._partition(there)]
            self._consumer.seek(there, self._nexts[there])
            self._consumer.resume(there)
        self._unplaced.difference_update(waiting)

    def _all(self, there: TopicPartition, records: Sequence[Any]) -> Iterator[Message]:
        partition = self._partition(there)
        self._nexts[there] = records[-1].offset + 1
        for record in records:
            yield Message(partition, record.offset, record.key, record.value, record.headers)

    def _read_again(self) -> None:
        """Go back behind what was delivered: a poll that fails may have taken records already."""
        for there, offset in self._nexts.items():
            self._consumer.seek(there, offset)

    def _partition(self, there: TopicPartition) -> Partition:
        found = self._partitions.get(there)
        if found is None:
            found = self._partitions[there] = Partition(there.topic, there.partition)
        return found


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, client: KafkaPythonClient) -> None:
        self._client = client

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._client.assigned(assigned)

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._client.taken(revoked)

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        self._client.taken(lost, lost=True)


class _Connections(KafkaConnectionManager):  # type: ignore[misc]
    """Connections of which nothing is left open when no broker is found."""

    def bootstrap(self, *options: Any, **named: Any) -> None:
        try:
            super().bootstrap(*options, **named)
        except BaseException:
            self.close()
            self._net.close()
            raise


class _NetClient(KafkaNetClient):  # type: ignore[misc]
    def __init__(self, **configs: Any) -> None:
        net = NetworkSelector(**configs)
        connections = _Connections(net, **{**configs, "proxy_url": f"{_DIRECTLY}://"})
        super().__init__(net, connections, **configs)


class _Sockets(KafkaNetSocket):  # type: ignore[misc]
    """Sockets that are closed when they do not connect, rather than left to the collector."""

    SCHEMES = (_DIRECTLY,)

    async def sock_connect(self, net: Any, sock: socket, *options: Any, **named: Any) -> socket:
        try:
            return cast(socket, await super().sock_connect(net, sock, *options, **named))
        except BaseException:
            sock.close()
            raise


def settings(connection: Connection) -> dict[str, Any]:
    """What every client of the library needs to know to reach the brokers."""
    sasl = {
        "sasl_mechanism": connection.mechanism,
        "sasl_plain_username": connection.username,
        "sasl_plain_password": connection.password,
    }
    return {
        "kafka_client": _NetClient,
        "bootstrap_servers": connection.servers.split(","),
        "client_id": connection.client_id,
        "security_protocol": connection.security,
        "request_timeout_ms": REQUEST_SECONDS * 1_000,
        "bootstrap_timeout_ms": REQUEST_SECONDS * 1_000,
        "reconnect_backoff_max_ms": 2_000,
        "ssl_cafile": _name(connection.ca),
        "ssl_certfile": _name(connection.certificate),
        "ssl_keyfile": _name(connection.key),
        **(sasl if connection.mechanism else {}),
    }


def _name(path: object) -> str | None:
    return None if path is None else str(path)


@contextmanager
def in_our_words() -> Iterator[None]:
    """Raise the library's errors as errors for people, without what they quote."""
    try:
        yield
    except OUT_OF_DATE as error:
        raise Fenced("another consumer has taken over: this one is out of its group") from error
    except REFUSED as error:
        raise Denied(f"Kafka refuses: {type(error).__name__}") from error
    except GONE as error:
        raise OutOfRange(f"offsets are out of range: {type(error).__name__}") from error
    except kafka_errors.KafkaError as error:
        if isinstance(error.__cause__, LedgerError):  # raised by the holder in a callback
            raise error.__cause__ from None
        if not _passes(error):
            raise LedgerError(f"Kafka: {type(error).__name__}") from error
        raise Unreachable(f"Kafka does not answer: {type(error).__name__}") from error


def _passes(error: kafka_errors.KafkaError) -> bool:
    """Whether waiting may be of use."""
    return isinstance(error, PASSING)


def _is_unsettled(error: kafka_errors.KafkaError) -> bool:
    """Whether a commit failed only because a rebalance goes on, as seen from here or from there."""
    return isinstance(error, UNSETTLED) or any(isinstance(arg, UNSETTLED) for arg in error.args)
