"""The small interface between consuming and a client library of Kafka."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple, Protocol

from consumers.connection import Connection
from consumers.errors import ClientMissing

FETCH_BYTES_MAX = 16 * 1024 * 1024
"""What a client fetches ahead, in bytes as they come over the wire, whatever the lag."""
SESSION_SECONDS = 45.0
POLL_SECONDS_MAX = 300.0
"""How long a group may take before Kafka gives its partitions to somebody else."""
GROUP_RECORDS = 1_000


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.number}]"


class Message(NamedTuple):
    """A record as a client delivers it. A value of None is a tombstone."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a member of a consumer group reads, and how.

    `instance` is the name of a static member: with it, a restart within the session keeps its
    partitions. It must be used by one process at a time.
    """

    connection: Connection
    topics: tuple[str, ...]
    group: str
    instance: str | None = None
    records: int = GROUP_RECORDS
    session_seconds: float = SESSION_SECONDS


class Holder(Protocol):
    """Who uses a client, and knows where each partition is to be read from."""

    def place(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """The offset at which to begin with each of the partitions that were just assigned.

        It is called within `poll`, before anything of them is delivered. Whatever it raises is
        raised by that `poll`, and the next one asks again.
        """

    def give_up(self, partitions: Collection[Partition]) -> None:
        """These belong to somebody else from now on; it may be called from another thread."""

    def lose(self, partitions: Collection[Partition]) -> None:
        """The same, and somebody else may have read on already: the group gave this member up."""


class Client(Protocol):
    """A member of a consumer group. Partitions are handed over cooperatively.

    Every call raises Unreachable, Denied, Fenced or OutOfRange in words for people. Short
    interruptions are not errors: nothing comes then.
    """

    def poll(self, seconds: float) -> Sequence[Message]:
        """What has come, in the order of each partition; waits so long at most for the first.

        It may last some seconds longer while partitions are shared out, when nothing comes.
        """

    def position(self, partition: Partition) -> int:
        """The next offset of a partition that is held: behind all that was delivered, and
        behind what is never delivered, such as the marks of transactions. 0 if it is not held."""

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on with a partition at another offset, if it is held."""

    def commit(self, positions: Mapping[Partition, int], *, wait: bool = False) -> None:
        """Tell the group how far it is. Without `wait` nobody learns whether it came through.

        With `wait`, raises Fenced when this is not a member of the group any more.
        """

    def close(self) -> None:
        """Leave the group (a static member does not), within some seconds."""


Open = Callable[[Subscription, Holder], Client]
CLIENTS = {
    "kafka-python": ("consumers.kafka_python", "kafka"),
    "confluent-kafka": ("consumers.confluent", "confluent_kafka"),
}
"""The client libraries: where each is wrapped, and what it is imported as."""


def client_named(name: str) -> Open:
    """What opens a client of this library. Raises ClientMissing when it is not installed."""
    module, library = CLIENTS[name]
    try:
        opened: Open = import_module(module).open_client
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        raise ClientMissing(f"{name} is not installed: pip install 'touchstone[{name}]'") from None
    return opened
