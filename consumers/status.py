"""How far topics are read into the ledger, asked from outside: without joining any group."""

from collections.abc import Collection

import msgspec

from consumers.cluster import Cluster
from consumers.placing import standing
from ledger.ledger import Ledger


class PartitionStatus(msgspec.Struct, kw_only=True):
    """One partition, in offsets. `position` is the next one as the ledger has it, 0 if it has none.

    `committed` is what the group has told Kafka, None where it has not; the ledger does not go
    by it. `lag` is how much is there that the ledger has not read.
    """

    topic: str
    partition: int
    begin: int
    end: int
    position: int
    committed: int | None
    lag: int


def statuses(
    ledger: Ledger, cluster: Cluster, topics: Collection[str], group: str
) -> list[PartitionStatus]:
    """All partitions of the topics, in order. Raises TopicMissing, Unreachable or Denied."""
    found = cluster.required(topics)
    partitions = sorted({p for topic in found.values() for p in topic.partitions})
    ids = {name: topic.id for name, topic in found.items()}
    stands = standing(ledger, cluster.id, ids, partitions)
    committed = cluster.committed(group)
    bounds = cluster.bounds(partitions)
    return [
        PartitionStatus(
            topic=partition.topic,
            partition=partition.number,
            begin=bounds[partition].begin,
            end=bounds[partition].end,
            position=stands[partition],
            committed=committed.get(partition),
            lag=bounds[partition].end - max(stands[partition], bounds[partition].begin),
        )
        for partition in partitions
    ]
