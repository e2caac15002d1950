"""Dead letters: what is refused goes out with its reason, at least once, and holds nothing up."""

from collections.abc import Iterator
from contextlib import closing
from random import Random
from typing import Any

import pytest

from consumers.cluster import Cluster
from consumers.connection import Connection
from consumers.dead_letters import DeadLetters
from consumers.producing import Destination, Outgoing, Producer
from ledger.address import Address
from ledger.errors import LedgerError, Unreachable
from ledger.intake import append
from ledger.ledger import Ledger
from ledger.log import Quarantined
from ledger.quarantine import DISCARDED, Headers, Received
from tests.cli.running import Shell, order_line
from tests.consumers.relaying import Discreet, created_again, headers_of, published
from tests.servers.kafka import Broker, NewTopic


@pytest.fixture
def producer(kafka_broker: Broker) -> Iterator[Producer]:
    with closing(Producer(Connection(servers=kafka_broker.servers))) as opened:
        yield opened


class BreakingOff(Producer):
    """A producer that breaks off once: when nothing is published yet, or when all is."""

    def __init__(self, broker: Broker, *, published: bool) -> None:
        super().__init__(Connection(servers=broker.servers))
        self._published = published
        self._breaks = True

    def publish(self, topic: str, destination: Destination, records: Any) -> None:
        breaks, self._breaks = self._breaks, False
        if self._published or not breaks:
            super().publish(topic, destination, records)
        if breaks:
            raise Unreachable("it broke off")


def refused(
    ledger: Ledger,
    raw: bytes,
    offset: int,
    *,
    headers: Headers = (),
    key: bytes | None = None,
    door: str = "kafka",
) -> int:
    """Something that comes in and cannot be recorded; returns its entry in quarantine."""
    context = {"topic": "orders", "topic_id": "T", "partition": 3, "offset": offset}
    _, (outcome,) = append(ledger, [(Received(raw, door, context, headers, key), None)])
    assert isinstance(outcome, Quarantined)
    return outcome.entry


def test_a_refused_record_goes_out_as_it_came_with_the_reason_beside_it(
    ledger: Ledger, cluster: Cluster, producer: Producer, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    headers = [("trace", b"a"), ("trace", b"\xff"), ("empty", None)]
    entry = refused(ledger, b"\x00 no JSON \xff", 41, headers=headers, key=b"customer:\xfe")
    refused(ledger, b"not of Kafka", 1, door="append")
    refused(ledger, b"", 42)
    letters = DeadLetters(ledger, cluster, producer, topic)
    assert letters.waits()
    assert letters.publish() == 2
    first, second = published(kafka_broker, topic)
    assert (first.key, first.value) == (b"customer:\xfe", b"\x00 no JSON \xff")
    assert list(first.headers[:3]) == [("trace", b"a"), ("trace", b"\xff"), ("empty", b"")]
    reasons = {name: value.decode() for name, value in first.headers[3:]}
    assert reasons.pop("touchstone_message")
    assert reasons == {
        "touchstone_reason": "json_invalid",
        "touchstone_path": "",
        "touchstone_entry": str(entry),
        "touchstone_topic": "orders",
        "touchstone_partition": "3",
        "touchstone_offset": "41",
    }
    assert (second.key, second.value) == (None, b"")
    assert headers_of(second)["touchstone_offset"] == "42"


def test_each_goes_out_once_and_in_the_order_of_entries(
    ledger: Ledger, cluster: Cluster, producer: Producer, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    letters = DeadLetters(ledger, cluster, producer, topic)
    assert letters.publish() == 0
    assert not letters.waits()
    for offset in range(250):
        refused(ledger, b"no JSON", offset)
    assert letters.publish() == 250
    assert letters.publish() == 0
    refused(ledger, b"no JSON", 250)
    assert DeadLetters(ledger, cluster, producer, topic).publish() == 1
    assert offsets(kafka_broker, topic) == list(range(251))


@pytest.mark.parametrize("was_published", [True, False])
def test_when_it_breaks_off_calling_again_loses_none(
    ledger: Ledger,
    cluster: Cluster,
    kafka_broker: Broker,
    new_topic: NewTopic,
    was_published: bool,
) -> None:
    topic = new_topic()
    for offset in range(3):
        refused(ledger, b"no JSON", offset)
    with closing(BreakingOff(kafka_broker, published=was_published)) as producer:
        letters = DeadLetters(ledger, cluster, producer, topic)
        with pytest.raises(Unreachable):
            letters.publish()
        assert letters.waits()
        assert letters.publish() == 3
    assert offsets(kafka_broker, topic) == [*([0, 1, 2] * was_published), 0, 1, 2]


def test_what_was_settled_meanwhile_is_passed_over(
    ledger: Ledger, cluster: Cluster, producer: Producer, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    entries = [refused(ledger, b"no JSON", offset) for offset in range(3)]
    with ledger.store.cursor(write=True) as cursor:
        ledger.quarantine.settle(entries[1], DISCARDED, None, ledger.log.clock(), cursor)
    letters = DeadLetters(ledger, cluster, producer, topic)
    assert letters.publish() == 2
    assert not letters.waits()
    assert offsets(kafka_broker, topic) == [0, 2]


class Intruding(Producer):
    """A producer whose owner is interrupted by another who wants to publish as well."""

    other: DeadLetters
    came_away_with: int | None = None

    def publish(self, topic: str, destination: Destination, records: Any) -> None:
        super().publish(topic, destination, records)
        if self.came_away_with is None:
            refused(self.other._ledger, b"no JSON", 99)
            self.came_away_with = self.other.publish()


def test_who_comes_while_another_publishes_leaves_it_to_him(
    ledger: Ledger, cluster: Cluster, producer: Producer, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    refused(ledger, b"no JSON", 0)
    with closing(Intruding(Connection(servers=kafka_broker.servers))) as interrupted:
        interrupted.other = DeadLetters(ledger, cluster, producer, topic)
        assert DeadLetters(ledger, cluster, interrupted, topic).publish() == 2
        assert interrupted.came_away_with == 0
    assert offsets(kafka_broker, topic) == [0, 99]


def test_one_that_is_too_large_for_the_topic_goes_without_its_content(
    ledger: Ledger, cluster: Cluster, producer: Producer, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic(max_message_bytes=2_000)
    refused(ledger, b"small", 0)
    refused(ledger, b"x" * 5_000, 1, headers=[("h", b"1")], key=b"k")
    refused(ledger, b"small too", 2)
    letters = DeadLetters(ledger, cluster, producer, topic)
    assert letters.publish() == 3
    records = published(kafka_broker, topic)
    assert [record.value for record in records] == [b"small", b"", b"small too"]
    headers = headers_of(records[1])
    assert headers["touchstone_offset"] == "1"
    assert headers["touchstone_left_out"]
    assert "h" not in headers


def test_one_of_which_only_the_broker_knows_that_it_is_too_large_goes_without_its_content(
    ledger: Ledger, producer: Producer, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic(max_message_bytes=2_000)
    refused(ledger, b"small", 0)
    refused(ledger, Random(1).randbytes(5_000), 1)
    refused(ledger, b"small too", 2)
    with Discreet(Connection(servers=kafka_broker.servers)) as cluster:
        letters = DeadLetters(ledger, cluster, producer, topic)
        assert letters.publish() == 3
        assert not letters.waits()
    found = {headers_of(r)["touchstone_offset"]: r.value for r in published(kafka_broker, topic)}
    assert found == {"0": b"small", "1": b"", "2": b"small too"}


def test_a_topic_that_is_created_again_gets_all_that_still_waits(
    ledger: Ledger, cluster: Cluster, producer: Producer, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    refused(ledger, b"no JSON", 0)
    letters = DeadLetters(ledger, cluster, producer, topic)
    assert letters.publish() == 1
    created_again(kafka_broker, topic)
    refused(ledger, b"no JSON", 1)
    assert letters.publish() == 2
    assert offsets(kafka_broker, topic) == [0, 1]


def test_a_compacted_topic_is_refused(
    ledger: Ledger, cluster: Cluster, producer: Producer, new_topic: NewTopic
) -> None:
    topic = new_topic(cleanup_policy="compact")
    with pytest.raises(LedgerError, match=r"cleanup\.policy"):
        DeadLetters(ledger, cluster, producer, topic).publish()


def test_what_is_consumed_and_refused_goes_to_the_topic_that_was_asked_for(
    address: Address, kafka_broker: Broker, producer: Producer, new_topic: NewTopic, tmp_path: Any
) -> None:
    source, letters = new_topic(), new_topic()
    values = [order_line(1), b"broken", order_line(2), b"broken too"]
    sent = [Outgoing(b"customer:42", value, [("sender", b"shop")]) for value in values]
    producer.publish(source, Destination("", 1_000_000), sent)
    ran = Shell(tmp_path, address)(
        "-o", "json", "consume", "--topic", source, "--group", "g", "--once", "--no-follow",
        "--bootstrap-servers", kafka_broker.servers, "--dead-letter-topic", letters,
    )  # fmt: skip
    assert (ran.code, ran.json["recorded"], ran.json["quarantined"]) == (3, 2, 2), ran.err
    records = published(kafka_broker, letters)
    assert [(r.key, r.value) for r in records] == [
        (b"customer:42", b"broken"),
        (b"customer:42", b"broken too"),
    ]
    assert headers_of(records[1]) | {
        "sender": "shop",
        "touchstone_topic": source,
        "touchstone_offset": "3",
    } == headers_of(records[1])


def offsets(broker: Broker, topic: str) -> list[int]:
    """Where the letters in a topic come from, in their order."""
    return [int(headers_of(r)["touchstone_offset"]) for r in published(broker, topic)]
