"""Where partitions stand in the ledger: the tracking that makes every record count once.

The name of a partition's tracking has the topic's id in it and no consumer group: a topic that is
deleted and created again is another topic, and whoever reads a partition goes on where the ledger
is.
"""

from collections.abc import Collection, Iterable, Mapping

from consumers.client import Partition
from consumers.cluster import Bounds, Cluster
from consumers.errors import OffsetsLost, TopicMissing
from ledger.ledger import Ledger
from ledger.log import Move, all_tracked


def tracking_of(cluster_id: str, topic_id: str, number: int) -> str:
    """The name under which the ledger keeps the next offset of a partition."""
    return f"kafka:{cluster_id}:{topic_id}:{number}"


def standing(
    ledger: Ledger, cluster_id: str, topic_ids: Mapping[str, str], partitions: Iterable[Partition]
) -> dict[Partition, int]:
    """The next offset of each of the partitions as the ledger has it; 0 where it has none."""
    names = {p: tracking_of(cluster_id, topic_ids[p.topic], p.number) for p in partitions}
    with ledger.store.cursor() as cursor:
        stands = all_tracked(names.values(), cursor)
    return {partition: stands[name] for partition, name in names.items()}


class Placing:
    """The partitions that a consumer holds, and where each stands (see `consumers.client.Holder`).

    `stands` is what the ledger has confirmed, `ahead` what it will be with the group in hand.
    With `skip_lost` it goes on behind records that are gone before they were read; otherwise that
    is an error, since nobody has seen them.
    """

    def __init__(self, ledger: Ledger, cluster: Cluster, *, skip_lost: bool = False) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._skip_lost = skip_lost
        self.topic_ids: dict[str, str] = {}
        self.stands: dict[Partition, int] = {}
        self.ahead: dict[Partition, int] = {}
        self.there: set[Partition] = set()

    def place(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Where to begin with each partition. Raises OffsetsLost or TopicMissing.

        One that is gone, from a topic that is deleted say, is held until the group notices: it
        stays where the ledger has it, and is no reason to keep the others waiting.
        """
        names = {p.topic for p in partitions}
        topics = self._cluster.topics(names)
        self.topic_ids.update((name, topic.id) for name, topic in topics.items())
        for name in names.difference(self.topic_ids):
            raise TopicMissing(f"there is no topic {name}")
        stands = standing(self._ledger, self._cluster.id, self.topic_ids, partitions)
        bounds = self._cluster.bounds(
            [p for t in topics.values() for p in t.partitions if p in stands]
        )
        placed = {
            p: self._within(p, stands[p], bounds[p]) if p in bounds else stands[p]
            for p in partitions
        }
        self.stands.update(stands)
        self.ahead.update(stands)
        return placed

    def give_up(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self.stands.pop(partition, None)
            self.ahead.pop(partition, None)

    def moves(self, nexts: Mapping[Partition, int]) -> list[Move]:
        """The moves of tracking that go with a group that was read up to these offsets.

        They are taken for made from now on.
        """
        moves = [
            Move(self._name(partition), self.ahead[partition], offset)
            for partition, offset in nexts.items()
        ]
        self.ahead.update(nexts)
        return moves

    def moved(self, nexts: Mapping[Partition, int]) -> None:
        """The ledger has made those moves."""
        self.stands.update((p, offset) for p, offset in nexts.items() if p in self.stands)

    def renewed(self) -> bool:
        """Whether a topic of what is held was created again since it was placed.

        Raises TopicMissing. Afterwards `there` is what is held and still is there.
        """
        topics = self._cluster.required({p.topic for p in self.stands})
        self.there = {p for t in topics.values() for p in t.partitions}.intersection(self.stands)
        return any(topic.id != self.topic_ids[name] for name, topic in topics.items())

    def _name(self, partition: Partition) -> str:
        return tracking_of(self._cluster.id, self.topic_ids[partition.topic], partition.number)

    def _within(self, partition: Partition, stands: int, bounds: Bounds) -> int:
        """Where to read on; the tracking itself stays until something was read."""
        if stands > bounds.end:
            raise OffsetsLost(
                f"{partition} ends at {bounds.end}, but the ledger has read it up to {stands}: "
                "the broker has lost records"
            )
        if 0 < stands < bounds.begin and not self._skip_lost:
            raise OffsetsLost(
                f"{partition} begins at {bounds.begin}, but the ledger stands at {stands}: "
                f"{bounds.begin - stands} offsets were removed before they were read; "
                "--skip-lost goes on behind them"
            )
        return max(stands, bounds.begin)
