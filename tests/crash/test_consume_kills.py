"""Consumers are killed at any moment: each record counts once, and Kafka learns how far it is."""

import random
import signal
import time
from collections.abc import Iterator

import pytest

from consumers.client import Partition
from ledger.address import Address
from ledger.ledger import open_ledger
from tests.crash.consuming_records import (
    Consumers,
    Produced,
    check,
    lines,
    producing,
    taken,
    told,
    wait_for,
    wait_for_head,
)
from tests.crash.launching import Launcher
from tests.crash.loading import head_of
from tests.places import Places, a_place
from tests.servers.kafka import Broker, NewTopic

SEED = time.time_ns()
KILLED, TERMINATED = -signal.SIGKILL, 128 + signal.SIGTERM
KILLS = 5
PARTITIONS = 3
RECORDS = 4_000
SETUPS = [("sqlite", "kafka-python"), ("postgres", "kafka-python"), ("postgres", "confluent-kafka")]


@pytest.fixture(params=SETUPS, ids="-".join)
def setup(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A store and a client library."""
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
def address(setup: tuple[str, str], request: pytest.FixtureRequest) -> Iterator[Address]:
    """An empty ledger on the store in turn."""
    places: Places = request.getfixturevalue(f"{setup[0]}_places")
    with a_place(places) as taken_place:
        yield taken_place


@pytest.fixture
def consumers(
    address: Address, children: Launcher, kafka_broker: Broker, new_topic: NewTopic
) -> Consumers:
    return Consumers(children, address, kafka_broker.servers, (new_topic(PARTITIONS),))


def test_a_kill_before_kafka_is_told_repeats_nothing(
    setup: tuple[str, str], consumers: Consumers
) -> None:
    """Even where the next one is delivered what Kafka has as not read yet."""
    (topic,) = consumers.topics
    with producing(consumers.servers) as produced:
        produced.spread(topic, PARTITIONS, lines(SEED, 200))
        assert consumers.start(client=setup[1], kill_at_commit=3).wait() == KILLED
        recorded = head_of(consumers.address)
        statuses = consumers.status()
        assert sum(status.position for status in statuses) == recorded
        assert sum(status.committed or 0 for status in statuses) < recorded
        again = consumers.finish(client=setup[1], from_committed=True)
        assert (again["recorded"], again["duplicate"]) == (200 - recorded, 0)
        check(consumers, produced)


def test_kafka_is_told_of_what_it_has_missed_although_nothing_new_comes(
    setup: tuple[str, str], consumers: Consumers
) -> None:
    (topic,) = consumers.topics
    with producing(consumers.servers) as produced:
        produced.spread(topic, PARTITIONS, lines(SEED, 1))
        assert consumers.start(client=setup[1], kill_at_commit=1).wait() == KILLED
        assert [status.committed for status in consumers.status()] == [None] * PARTITIONS
        child = consumers.start(client=setup[1])
        wait_for(child, lambda: any(status.committed for status in consumers.status()))
        child.signal(signal.SIGTERM)
        assert child.wait() == TERMINATED, child.err.read_text()
        assert taken(child)["received"] == 0
        check(consumers, produced)


def test_kills_at_any_moment_lose_and_repeat_nothing(
    setup: tuple[str, str], consumers: Consumers
) -> None:
    (topic,) = consumers.topics
    chance = random.Random(SEED)
    duplicates = 0
    with producing(consumers.servers) as produced:
        produced.spread(topic, PARTITIONS, lines(SEED, RECORDS))
        for _ in range(KILLS):
            instance = chance.choice(
                [None, "one", "one"]
            )  # who is missed at once, and who may come back
            before = head_of(consumers.address)
            child = consumers.start(client=setup[1], instance=instance, records=5)
            if chance.random() < 0.8:
                wait_for_head(child, consumers.address, before + 1)
            assert child.killed_after(chance.uniform(0.0, 0.3))
            duplicates += sum(group["duplicate"] for group in told(child, "took"))
            check_so_far(consumers, produced)
        last = consumers.finish(client=setup[1], records=1_000)
        assert last["recorded"] > 0, "there was nothing left to consume when it was killed"
        assert duplicates + last["duplicate"] == 0
        check(consumers, produced)


def check_so_far(consumers: Consumers, produced: Produced) -> None:
    """The ledger stands exactly behind what it has recorded."""
    (topic,) = consumers.topics
    with open_ledger(consumers.address) as ledger, ledger.store.cursor() as cursor:
        tracking = cursor.execute(
            "SELECT application_name, notification_id FROM tracking "
            "WHERE application_name LIKE 'kafka:%'"
        ).fetchall()
        recorded = cursor.execute("SELECT id FROM stored_events").fetchall()
    stands = {Partition(topic, int(name.rpartition(":")[2])): offset for name, offset in tracking}
    expected = [id_ for partition, n in stands.items() for id_ in produced.ids[partition][:n]]
    assert sorted(id_ for (id_,) in recorded) == sorted(expected)
