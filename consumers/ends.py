"""The ends that topics had at a moment, and whether the ledger has come to all of them."""

import time
from collections.abc import Mapping

from consumers.cluster import Cluster, Topic
from consumers.errors import TopicRenewed
from consumers.placing import standing
from ledger.ledger import Ledger
from ledger.progress import Report

ASK_SECONDS = 0.5


class Ends:
    """Where these topics end now. It is all the same who reads up to there."""

    def __init__(
        self, ledger: Ledger, cluster: Cluster, topics: Mapping[str, Topic], report: Report
    ) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._report = report
        self._ids = {name: topic.id for name, topic in topics.items()}
        self._ends = cluster.ends([p for topic in topics.values() for p in topic.partitions])
        self._at_first = self._behind()
        self._ask_at = 0.0

    def reached(self) -> bool:
        """Asked now and then, it tells how far it is. Raises TopicRenewed."""
        if time.monotonic() < self._ask_at:
            return False
        behind = self._behind()
        self._report("consuming", self._at_first - behind, self._at_first)
        self._ask_at = time.monotonic() + ASK_SECONDS
        return behind == 0

    def _behind(self) -> int:
        """How many offsets the ledger lacks."""
        topics = self._cluster.topics(self._ids)
        for name, id_ in self._ids.items():
            if name not in topics or topics[name].id != id_:
                raise TopicRenewed(f"the topic {name} was deleted or created again meanwhile")
        stands = standing(self._ledger, self._cluster.id, self._ids, self._ends)
        bounds = self._cluster.bounds(self._ends)
        return sum(
            max(0, end - max(stands[partition], bounds[partition].begin))
            for partition, end in self._ends.items()
        )
