"""A cluster as its administrators see it: its topics with their ids, and their offsets.

This is always kafka-python, whichever client consumes: what is asked here is small.
"""

import time
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple, Self
from uuid import UUID

from kafka import KafkaAdminClient, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.protocol.consumer.offsets import IsolationLevel, OffsetSpec

from consumers.client import Partition
from consumers.connection import REQUEST_SECONDS, Connection
from consumers.errors import TopicMissing
from consumers.kafka_python import in_our_words, settings
from consumers.log_in import check_log_in
from ledger.errors import Unreachable

COORDINATOR_COMES = (
    kafka_errors.CoordinatorNotAvailableError,
    kafka_errors.CoordinatorLoadInProgressError,
)
"""A cluster whose first group this is has to make its place for offsets first."""

COORDINATOR_SECONDS = 0.2
NO_ERROR, UNKNOWN_TOPIC = 0, 3


class Bounds(NamedTuple):
    """Where a partition begins and ends: the end is the offset of what comes next."""

    begin: int
    end: int


class Topic(NamedTuple):
    """A topic that is there. Its id is as Kafka's own tools show it; one deleted and created
    again has another. Where the brokers give none, the name stands for it."""

    id: str
    partitions: tuple[Partition, ...]


class Cluster:
    """An open connection. Raises Unreachable, Denied or TopicMissing, in words for people."""

    def __init__(self, connection: Connection) -> None:
        check_log_in(connection)
        try:
            with in_our_words():
                self._admin = KafkaAdminClient(**settings(connection))
                found = self._admin.describe_cluster()
        except Unreachable as error:
            raise Unreachable(f"no broker answers at {connection.servers}") from error
        self.id: str = found["cluster_id"]
        self.brokers: int = len(found["brokers"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._admin.close()

    def topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """Those of the topics that are there now."""
        with in_our_words():
            found = self._admin.describe_topics(list(names))
        return {each["name"]: _topic(each) for each in found if each["error_code"] == NO_ERROR}

    def required(self, names: Collection[str]) -> dict[str, Topic]:
        """All of the topics. Raises TopicMissing when one is not there."""
        found = self.topics(names)
        for name in names:
            if name not in found:
                raise TopicMissing(f"there is no topic {name}")
        return found

    def bounds(self, partitions: Collection[Partition]) -> dict[Partition, Bounds]:
        """Where partitions begin and end, for who reads what is committed."""
        begins = self._offsets(partitions, OffsetSpec.EARLIEST)
        ends = self._offsets(partitions, OffsetSpec.LATEST)
        return {partition: Bounds(begins[partition], ends[partition]) for partition in partitions}

    def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Where partitions end, for who reads what is committed."""
        return self._offsets(partitions, OffsetSpec.LATEST)

    def committed(self, group: str) -> dict[Partition, int]:
        """What a consumer group has committed."""
        until = time.monotonic() + REQUEST_SECONDS
        with in_our_words():
            while True:
                try:
                    found = self._admin.list_group_offsets({group: None})[group]
                    break
                except COORDINATOR_COMES:
                    if time.monotonic() > until:
                        raise
                time.sleep(COORDINATOR_SECONDS)
        return {Partition(*there): known.offset for there, known in found.items()}

    def configs(self, topic: str) -> dict[str, str]:
        """How a topic is configured; nothing where that may not be asked."""
        asked = ConfigResource(ConfigResourceType.TOPIC, topic)
        with in_our_words():
            found = self._admin.describe_configs([asked], config_filter="all")
        return {name: each["value"] for name, each in found["topic"][topic].items()}

    def create(self, name: str, partitions: int = -1, **configs: str) -> None:
        """Make a topic; the broker's defaults hold where nothing is said."""
        wanted: Mapping[str, Any] = {
            name: {"num_partitions": partitions, "replication_factor": -1, "configs": configs}
        }
        with in_our_words():
            self._admin.create_topics(wanted, wait_for_metadata=True)

    def _offsets(self, partitions: Collection[Partition], spec: int) -> dict[Partition, int]:
        if not partitions:
            return {}
        asked = {TopicPartition(*partition): spec for partition in partitions}
        with in_our_words():
            found = self._admin.list_partition_offsets(
                asked, isolation_level=IsolationLevel.READ_COMMITTED
            )
        return {Partition(*there): known.offset for there, known in found.items()}


def _topic(described: Mapping[str, Any]) -> Topic:
    name = described["name"]
    numbers = sorted(each["partition_index"] for each in described["partitions"])
    id_ = _shown(described.get("topic_id")) or name
    return Topic(id_, tuple(Partition(name, n) for n in numbers))


def _shown(topic_id: object) -> str:
    """22 characters of base64, as Kafka writes ids; brokers before 2.8 have none."""
    id_ = UUID(str(topic_id)) if topic_id else UUID(int=0)
    return urlsafe_b64encode(id_.bytes).decode().rstrip("=") if id_.int else ""
