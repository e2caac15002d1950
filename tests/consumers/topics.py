"""What tests of consumers share: records on topics, and members of a group that keep a book.

Run as a program it is a member that does what it is told, for tests that freeze a process.
"""

import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, RLock
from typing import Any

from kafka import KafkaProducer

from consumers.client import Client, Message, Partition, Subscription, client_named
from consumers.connection import Connection
from ledger.errors import LedgerError

PATIENCE_SECONDS = 30.0
TURN_SECONDS = 0.1
LOOK_SECONDS = 0.01
SESSION_SECONDS = 6.0


@contextmanager
def producing(servers: str, **settings: Any) -> Iterator[KafkaProducer]:
    """A producer that has nothing left to send at the end."""
    producer = KafkaProducer(
        bootstrap_servers=servers, acks="all", metrics_enabled=False, **settings
    )
    try:
        yield producer
        producer.flush()
    finally:
        producer.close(timeout=5)


def produce(servers: str, topic: str, *values: bytes | None, partition: int = 0) -> None:
    """Put records on a partition."""
    with producing(servers) as producer:
        for value in values:
            producer.send(topic, value=value, partition=partition)


def numbered(count: int, begin: int = 0) -> list[bytes]:
    """The values of so many records."""
    return [b"%d" % number for number in range(begin, begin + count)]


def new_group() -> str:
    return f"group-{uuid.uuid4().hex[:8]}"


@dataclass
class Book:
    """What all members of a group have taken, and who holds what; `wrongs` is what must not be."""

    nexts: dict[Partition, int] = field(default_factory=dict)
    values: dict[Partition, list[bytes | None]] = field(default_factory=dict)
    holders: dict[Partition, "Member"] = field(default_factory=dict)
    wrongs: list[str] = field(default_factory=list)
    lock: RLock = field(default_factory=RLock)

    @property
    def count(self) -> int:
        return sum(map(len, self.values.values()))

    def take(self, message: Message) -> None:
        expected = self.nexts.get(message.partition, 0)
        if message.offset != expected:
            self.wrongs.append(f"{message.partition} goes on at {message.offset}, not {expected}")
        self.nexts[message.partition] = message.offset + 1
        self.values.setdefault(message.partition, []).append(message.value)


class Member:
    """A member of a group. What it has in hand is in the book when it takes its next turn, or
    when it gives the partition up."""

    def __init__(self, book: Book, name: str = "") -> None:
        self.book = book
        self.name = name
        self.in_hand: list[Message] = []
        self.placed: list[list[Partition]] = []
        self.given_up: list[list[Partition]] = []
        self.lost: list[list[Partition]] = []
        self.refusal: Exception | None = None
        self.client: Client

    @property
    def held(self) -> list[Partition]:
        with self.book.lock:
            holders = self.book.holders.items()
            return sorted(partition for partition, holder in holders if holder is self)

    def place(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        if self.refusal is not None:
            raise self.refusal
        self.placed.append(sorted(partitions))
        with self.book.lock:
            for partition in partitions:
                other = self.book.holders.get(partition)
                if other is not None:
                    self.book.wrongs.append(f"{self.name} and {other.name} hold {partition}")
                self.book.holders[partition] = self
            return {partition: self.book.nexts.get(partition, 0) for partition in partitions}

    def give_up(self, partitions: Collection[Partition]) -> None:
        self.settle()
        self.given_up.append(sorted(partitions))
        with self.book.lock:
            for partition in partitions:
                if self.book.holders.get(partition) is self:
                    del self.book.holders[partition]

    def lose(self, partitions: Collection[Partition]) -> None:
        self.lost.append(sorted(partitions))
        self.give_up(partitions)

    def settle(self) -> None:
        taken, self.in_hand = self.in_hand, []
        with self.book.lock:
            for message in taken:
                self.book.take(message)

    def turn(self, seconds: float = TURN_SECONDS) -> Sequence[Message]:
        self.settle()
        messages = self.client.poll(seconds)
        for message in messages:
            if self.book.holders.get(message.partition) is not self:
                self.book.wrongs.append(f"{self.name} got {message.partition} without holding it")
        self.in_hand = list(messages)
        return messages


def take_turns(*members: Member, until: Callable[[], bool]) -> None:
    """Let members poll at the same time, and in turns of their own, until something is so.

    Raises what a poll raises, and AssertionError when it takes too long.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    ended = Event()

    def polls(member: Member) -> None:
        try:
            while not ended.is_set():
                member.turn()
        finally:
            ended.set()

    with ThreadPoolExecutor(len(members)) as threads:
        polling = [threads.submit(polls, member) for member in members]
        reached = False
        while not (reached := until()) and not ended.is_set() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        ended.set()
    for one in polling:
        one.result()
    assert reached, "it took too long"


def subscription(servers: str, topic: str, group: str, **more: Any) -> Subscription:
    settings: dict[str, Any] = {
        "connection": Connection(servers=servers),
        "topics": (topic,),
        "group": group,
        "session_seconds": SESSION_SECONDS,
    }
    return Subscription(**{**settings, **more})


def serve(client_name: str, servers: str, topic: str, group: str, session: str, *more: str) -> None:
    """Hold the topic; then for each line of input commit, and tell what came of it."""
    member = Member(Book())
    wanted = subscription(
        servers,
        topic,
        group,
        session_seconds=float(session),
        instance=more[0] if more else None,
    )
    member.client = client_named(client_name)(wanted, member)
    take_turns(member, until=lambda: bool(member.held))
    held = dict.fromkeys(member.held, 0)
    tell("holds")
    for _ in sys.stdin:
        try:
            member.client.commit(held, wait=True)
            tell("committed")
        except LedgerError as error:
            tell(type(error).__name__)
    member.client.close()


def tell(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(*sys.argv[1:])
