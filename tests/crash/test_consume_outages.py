"""The broker or the database goes away in the middle: consumers wait, quietly, and go on."""

import os
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import pytest

from ledger.address import Address
from ledger.postgres.address import PostgresAddress
from tests.crash.consuming_records import (
    CLIENTS,
    QUICK,
    Consumers,
    check,
    lines,
    producing,
    states,
    told,
    wait_for,
    wait_for_head,
)
from tests.crash.launching import PATIENCE_SECONDS, Child, Launcher, wait_until
from tests.crash.loading import head_of
from tests.servers.kafka import Broker, NewTopic, temporary_broker
from tests.servers.postgres import Server

SEED = time.time_ns()
PARTITIONS = 3
RECORDS = 750
AWAY_SECONDS = 25 if os.environ.get("CI") else 12
SHORT_SECONDS = 3
CPU_MAX = 0.2
"""Of one processor, while a consumer waits."""
STOPS = 3
LOOKING = {"consumers.consuming.LOOK_SECONDS": 0.3}
NOT_PATIENT = {"ledger.postgres.store.CONNECT_SECONDS_MAX": 1}


@pytest.fixture(scope="module")
def own_broker() -> Iterator[Broker]:
    with temporary_broker() as broker:
        yield broker


def test_consumers_wait_quietly_for_a_broker_that_is_away(
    on_postgres: Address, children: Launcher, own_broker: Broker
) -> None:
    groups = {
        client: Consumers(children, on_postgres, own_broker.servers, (f"for-{client}",))
        for client in CLIENTS
    }
    for group in groups.values():
        own_broker.create_topic(group.topics[0], PARTITIONS)
    records = lines(SEED, 9 * RECORDS)
    with producing(own_broker.servers, away=True) as produced, ThreadPoolExecutor(1) as thread:

        def put(count: int) -> None:
            for group in groups.values():
                (topic,) = group.topics
                fresh, records[:count] = records[:count], []
                produced.spread(topic, PARTITIONS, fresh)

        running = [
            group.start(client=client, tuned=LOOKING, records=5) for client, group in groups.items()
        ]
        for end, seconds in ((own_broker.stop, AWAY_SECONDS), (own_broker.kill, SHORT_SECONDS)):
            before = head_of(on_postgres)
            put(RECORDS)
            wait_for_heads(running, on_postgres, before + RECORDS // 10)
            end()
            assert head_of(on_postgres) < before + 2 * RECORDS, "it was all consumed by then"
            writing = thread.submit(put, RECORDS)
            time.sleep(seconds)
            own_broker.start()
            writing.result(PATIENCE_SECONDS)
            wait_for_heads(running, on_postgres, before + 4 * RECORDS)
        for (client, group), child in zip(groups.items(), running, strict=True):
            wait_for_state(child, "caught_up")
            assert states(child).count("disconnected") >= 2, (client, states(child))
            assert busy_while_away(child, AWAY_SECONDS) < CPU_MAX, client
            wait_for_kafka(child, group)
            check(group, produced)


def wait_for_heads(children: Sequence[Child], address: Address, least: int) -> None:
    """Wait until so much is in the log, and fail at once when one of the consumers ends."""

    def reached() -> bool:
        for child in children:
            assert child.code is None, child.err.read_text()
        return head_of(address) >= least

    wait_until(reached)


def wait_for_state(child: Child, state: str) -> None:
    wait_for(child, lambda: states(child)[-1:] == [state])


def wait_for_kafka(child: Child, consumers: Consumers) -> None:
    """Wait until Kafka knows that all is read."""
    wait_for(child, lambda: all(s.committed == s.end for s in consumers.status()))


def busy_while_away(child: Child, seconds: float) -> float:
    """How much of a processor it used in the longest time without the broker."""
    looks = (line for line in child.lines() if "state" in line)
    away = []
    for state, run in groupby(looks, lambda look: look["state"]):
        if state == "disconnected":
            first, *_, last = [*run] * 2
            away.append((last["at"] - first["at"], last["cpu"] - first["cpu"]))
    longest, cpu = max(away)
    assert longest > seconds / 2
    return float(cpu / longest)


def test_consumers_wait_for_a_database_that_is_away(
    server: Server,
    on_server: PostgresAddress,
    children: Launcher,
    kafka_broker: Broker,
    new_topic: NewTopic,
) -> None:
    chance = random.Random(SEED)
    topic = new_topic(PARTITIONS)
    consumers = Consumers(children, on_server, kafka_broker.servers, (topic,))
    records = lines(SEED, (STOPS + 1) * RECORDS)
    child = consumers.start(tuned={**QUICK, **NOT_PATIENT}, records=5)
    with producing(kafka_broker.servers) as produced:
        for _ in range(STOPS):
            before = head_of(on_server)
            fresh, records[:RECORDS] = records[:RECORDS], []
            produced.spread(topic, PARTITIONS, fresh)
            wait_for_head(child, on_server, before + RECORDS // 10)
            time.sleep(chance.uniform(0.0, 0.3))
            server.stop("immediate")
            wait_for_state(child, "disconnected")
            server.start()
            wait_for_state(child, "caught_up")
        assert states(child).count("disconnected") == STOPS
        assert sum(group["duplicate"] for group in told(child, "took")) == 0
        wait_for_kafka(child, consumers)
        check(consumers, produced)
