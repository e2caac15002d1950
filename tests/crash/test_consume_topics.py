"""Topics that are created again, and records that Kafka removed before they were read."""

import signal
import time
from collections.abc import Iterator

import pytest
from kafka import TopicPartition

from consumers.client import Partition
from ledger.address import Address
from ledger.ledger import open_ledger
from tests.crash.consuming_records import (
    CLIENTS,
    Consumers,
    Produced,
    check,
    lines,
    producing,
    states,
    wait_for,
)
from tests.crash.launching import Child, Launcher
from tests.crash.loading import head_of, identities
from tests.ledger.sending import waiting
from tests.places import SQLitePlaces, a_place
from tests.servers.kafka import Broker, NewTopic

FAILED, TERMINATED = 1, 128 + signal.SIGTERM
BEFORE = 60


@pytest.fixture
def address(sqlite_places: SQLitePlaces) -> Iterator[Address]:
    with a_place(sqlite_places) as taken_place:
        yield taken_place


@pytest.fixture
def consumers(
    address: Address, children: Launcher, kafka_broker: Broker, new_topic: NewTopic
) -> Consumers:
    return Consumers(children, address, kafka_broker.servers, (new_topic(2),))


def terminate(child: Child) -> None:
    child.signal(signal.SIGTERM)
    assert child.wait() == TERMINATED, child.err.read_text()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("runs", "after", "partitions"),
    [(True, 20, 2), (True, 200, 2), (True, 100, 1), (False, 20, 2), (False, 200, 2)],
    ids=["fewer", "more", "in-one-partition", "fewer-while-stopped", "more-while-stopped"],
)
def test_a_topic_that_is_created_again_is_read_from_its_beginning(
    consumers: Consumers,
    produced: Produced,
    kafka_broker: Broker,
    client: str,
    runs: bool,
    after: int,
    partitions: int,
) -> None:
    (topic,) = consumers.topics
    records = lines(1, BEFORE + after)
    produced.spread(topic, 2, records[:BEFORE])
    child = consumers.start(client=client)
    wait_for(child, lambda: head_of(consumers.address) == BEFORE)
    if not runs:
        terminate(child)
    kafka_broker.delete_topics(topic)
    kafka_broker.create_topic(topic, partitions)
    with producing(consumers.servers) as again:
        again.spread(topic, partitions, records[BEFORE:])
    if not runs:
        child = consumers.start(client=client)
    wait_for(child, lambda: head_of(consumers.address) == BEFORE + after)
    wait_for(child, lambda: states(child)[-1] == "caught_up")
    terminate(child)
    ids = [id_ for topics in (produced, again) for one in topics.ids.values() for id_ in one]
    assert sorted(identities(consumers.address)) == sorted(ids)
    assert consumers.lag() == 0
    with open_ledger(consumers.address) as ledger:
        assert waiting(ledger) == []


@pytest.mark.parametrize("client", CLIENTS)
def test_records_that_were_removed_unread_are_not_passed_over_in_silence(
    consumers: Consumers, produced: Produced, kafka_broker: Broker, client: str
) -> None:
    (topic,) = consumers.topics
    partition = Partition(topic, 0)
    records = lines(1, 100)
    produced.put(partition, records[:40])
    assert consumers.finish(client=client)["recorded"] == 40
    produced.put(partition, records[40:])
    remove(kafka_broker, partition, 70)
    for once in (True, False):
        child = consumers.start(client=client, once=once)
        assert child.wait() == FAILED
        assert "30 offsets were removed before they were read" in child.err.read_text()
        assert "--skip-lost" in child.err.read_text()
        assert head_of(consumers.address) == 40
    assert consumers.finish(client=client, skip_lost=True)["recorded"] == 30
    del produced.ids[partition][40:70]
    check(consumers, produced)


@pytest.mark.parametrize("client", CLIENTS)
def test_records_that_are_removed_under_a_running_consumer_stop_it(
    consumers: Consumers, produced: Produced, kafka_broker: Broker, client: str
) -> None:
    (topic,) = consumers.topics
    partition = Partition(topic, 0)
    records = lines(1, 100)
    produced.put(partition, records[:40])
    child = consumers.start(client=client, session_seconds=45.0)
    wait_for(child, lambda: head_of(consumers.address) == 40)
    wait_for(child, lambda: states(child)[-1] == "caught_up")
    child.signal(signal.SIGSTOP)
    time.sleep(0.7)  # nothing answers a request any more that it sent before
    produced.put(partition, records[40:])
    remove(kafka_broker, partition, 70)
    child.signal(signal.SIGCONT)
    assert child.wait() == FAILED, child.err.read_text()
    assert "30 offsets were removed before they were read" in child.err.read_text()
    assert head_of(consumers.address) == 40


def remove(broker: Broker, partition: Partition, before: int) -> None:
    """Let Kafka remove what lies before an offset, as it does by age or size."""
    with broker.administration() as administration:
        administration.delete_records({TopicPartition(*partition): before})
