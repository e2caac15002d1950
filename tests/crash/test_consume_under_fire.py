"""Consumers that are killed, stopped and frozen at random under load, while views are rebuilt."""

import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, cycle

from ledger.address import Address
from ledger.ledger import open_ledger
from tests.crash.consuming_records import (
    CLIENTS,
    Consumers,
    Produced,
    check,
    lines,
    producing,
    told,
)
from tests.crash.launching import Child, Launcher
from tests.crash.loading import head_of, opening
from tests.crash.oracle import check_views
from tests.servers.kafka import Broker, NewTopic

SEED = time.time_ns()
SECONDS = 45 if os.environ.get("CI") else 20
PARTITIONS = 12
CONSUMERS = 3
CATCHING_UP_SECONDS = 120
KILLED, CONFLICT = -signal.SIGKILL, 6
TERMINATED = (128 + signal.SIGTERM, -signal.SIGTERM)
"""In order, or before it had begun."""
AT_ONCE = 40
AFTER_SECONDS = 0.2
"""So often a few more records are produced."""
RECORDS_MAX = round(SECONDS / AFTER_SECONDS) * AT_ONCE
SMALL_RANGES = {"projections.ranges.RANGE_TOUCHPOINTS": 200, "projections.ranges.IN_PROCESS_MAX": 0}


@dataclass
class Fire:
    """What happens to the consumers."""

    consumers: Consumers
    chance: random.Random
    clients: Iterator[str] = field(default_factory=lambda: cycle(CLIENTS))
    numbers: Iterator[int] = field(default_factory=count)
    running: list[Child] = field(default_factory=list)
    ended: list[Child] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def start(self) -> None:
        instance = self.chance.choice([None, f"instance-{next(self.numbers)}"])
        client = next(self.clients)
        child = self.consumers.start(tuned={}, client=client, instance=instance)
        self.running.append(child)

    def strike(self) -> None:
        """One of them is killed, ended or frozen; whoever ends is replaced."""
        victim = self.chance.choice(self.running)
        way = self.chance.choice(["kill", "terminate", "freeze", "freeze"])
        self.done.append(way)
        if way == "kill":
            assert victim.kill() in (KILLED, CONFLICT), victim.err.read_text()
        elif way == "terminate":
            victim.signal(signal.SIGTERM)
            assert victim.wait() in (*TERMINATED, CONFLICT), victim.err.read_text()
        else:
            victim.signal(signal.SIGSTOP)
            time.sleep(self.chance.uniform(0.5, 3.0))
            victim.signal(signal.SIGCONT)
        time.sleep(self.chance.uniform(0.0, 1.5))
        self.replace()

    def replace(self) -> None:
        for child in [child for child in self.running if child.code is not None]:
            assert child.code in (KILLED, CONFLICT, *TERMINATED), child.err.read_text()
            self.running.remove(child)
            self.ended.append(child)
            self.start()

    def duplicates(self) -> int:
        groups = [group for child in (*self.ended, *self.running) for group in told(child, "took")]
        return sum(group["duplicate"] for group in groups)


def produce(produced: Produced, topic: str, until: float) -> None:
    """A few records all the time."""
    records = lines(SEED, RECORDS_MAX)
    while records and time.monotonic() < until:
        produced.spread(topic, PARTITIONS, records[:AT_ONCE])
        del records[:AT_ONCE]
        time.sleep(AFTER_SECONDS)


def test_the_ledger_and_its_views_equal_what_was_produced(
    on_postgres: Address, children: Launcher, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic(PARTITIONS)
    consumers = Consumers(children, on_postgres, kafka_broker.servers, (topic,))
    fire = Fire(consumers, random.Random(SEED))
    assert children.start("command", *opening(on_postgres), "projection", "run").wait() == 0
    until = time.monotonic() + SECONDS
    rebuilds = 0
    with producing(kafka_broker.servers) as produced, ThreadPoolExecutor(1) as thread:
        writing = thread.submit(produce, produced, topic, until)
        for _ in range(CONSUMERS):
            fire.start()
        following = children.start("follow_on", *opening(on_postgres))
        rebuilding = rebuild(children, on_postgres)
        while time.monotonic() < until:
            fire.strike()
            if rebuilding.code is not None:
                assert rebuilding.code == 0, rebuilding.err.read_text()
                rebuilds += 1
                rebuilding = rebuild(children, on_postgres)
        writing.result()
        assert rebuilding.wait() == 0, rebuilding.err.read_text()
        catch_up(fire, sum(map(len, produced.ids.values())))
        assert following.kill() == KILLED
        for child in fire.running:
            child.signal(signal.SIGTERM)
        for child in fire.running:
            assert child.wait() in (*TERMINATED, CONFLICT), child.err.read_text()
        assert fire.duplicates() == 0
        assert len(set(fire.done)) > 1
        check(consumers, produced)
        with open_ledger(on_postgres) as ledger:
            check_views(ledger)


def rebuild(children: Launcher, address: Address) -> Child:
    command = ("projection", "rebuild", "customers", "tickets", "--workers", "1")
    return children.start("command", *opening(address), *command, tuned=SMALL_RANGES)


def catch_up(fire: Fire, count: int) -> None:
    """Wait until all is recorded, and Kafka told so."""
    deadline = time.monotonic() + CATCHING_UP_SECONDS
    address = fire.consumers.address
    while head_of(address) < count or any(s.committed != s.end for s in fire.consumers.status()):
        assert time.monotonic() < deadline, fire.consumers.status()
        fire.replace()
        time.sleep(0.2)
