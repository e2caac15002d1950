"""The group in hand: it is appended by a thread of its own while the next one is read."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from consumers.client import Partition
from ledger.log import Appended, Log, Move, Submission

SETTLING_SECONDS_MAX = 30.0
"""How long a partition may be held back from its next owner until the group is recorded."""


@dataclass(frozen=True, slots=True)
class Group:
    """Records that were read together, up to these offsets; `skipped` are tombstones."""

    submissions: Sequence[Submission]
    skipped: int
    nexts: Mapping[Partition, int]
    started: float


class InHand:
    """At most one group on its way into the log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="append")
        self._group: tuple[Group, Future[Appended]] | None = None

    @property
    def busy(self) -> bool:
        """Whether a group is on its way."""
        return self._group is not None

    def begin(self, group: Group, moves: Sequence[Move]) -> None:
        """Append a group; the one before must be finished."""
        self._group = group, self._thread.submit(self._log.append, group.submissions, moves)

    def finish(self) -> tuple[Group, Appended] | None:
        """What became of the group in hand, if there is one. Raises what its append raised."""
        if self._group is None:
            return None
        (group, future), self._group = self._group, None
        return group, future.result()

    def settle(self) -> None:
        """Wait until the group in hand is recorded or not; for any thread."""
        if (held := self._group) is not None:
            wait([held[1]], SETTLING_SECONDS_MAX)

    def close(self) -> None:
        self._thread.shutdown()
