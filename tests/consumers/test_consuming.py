"""The loop of `touchstone consume`, against a real broker; tests/crash has what it survives."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import consumers.consuming
from consumers.client import client_named
from consumers.cluster import Cluster
from consumers.connection import Connection
from consumers.consuming import Consuming
from consumers.dead_letters import DeadLetters
from consumers.ends import Ends
from consumers.errors import TopicRenewed
from consumers.producing import Destination, Producer
from consumers.watch import Watch
from ledger.appender import Appender
from ledger.errors import LedgerError, Unreachable
from ledger.intake import Stop
from ledger.ledger import Ledger
from ledger.receipt import Receipt
from tests.consumers.topics import new_group, produce, subscription
from tests.ledger.sending import line, order, orders, positions, waiting
from tests.servers.kafka import Broker, NewTopic
from tests.web.serving import serving
from web.settings import Settings


class Groups(Watch):
    """Remembers how large the groups were."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def took(self, receipt: Receipt, skipped: int, seconds: float) -> bool:
        self.sizes.append(receipt.received)
        return super().took(receipt, skipped, seconds)


@contextmanager
def consuming(
    ledger: Ledger, broker: Broker, topic: str, letters: type[DeadLetters] | None = None
) -> Iterator[tuple[Consuming, Groups]]:
    groups = Groups()
    connection = Connection(servers=broker.servers)
    with Cluster(connection) as cluster:
        yield (
            Consuming(
                ledger,
                cluster,
                subscription(broker.servers, topic, new_group()),
                client_named("kafka-python"),
                watch=groups,
                stop=Stop(),
                dead_letters=(
                    letters(ledger, cluster, Producer(connection), "letters") if letters else None
                ),
            ),
            groups,
        )


def test_a_group_has_no_more_bytes_than_can_be_borne(
    ledger: Ledger, kafka_broker: Broker, new_topic: NewTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = new_topic(2)
    lines = [line(event) for event in orders(range(40))]
    for number in range(2):
        produce(kafka_broker.servers, topic, *lines[number::2], partition=number)
    monkeypatch.setattr(consumers.consuming, "GROUP_BYTES_MAX", 5 * len(lines[-1]))

    with consuming(ledger, kafka_broker, topic) as (run, groups):
        run.run(once=True)

    assert (run.taken.receipt.recorded, run.taken.receipt.duplicate) == (40, 0)
    assert positions(ledger) == list(range(1, 41))
    assert max(groups.sizes) == 5


def test_a_record_larger_than_that_is_a_group_of_its_own(
    ledger: Ledger, kafka_broker: Broker, new_topic: NewTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = new_topic()
    produce(kafka_broker.servers, topic, *[line(event) for event in orders(range(4))])
    monkeypatch.setattr(consumers.consuming, "GROUP_BYTES_MAX", 10)

    with consuming(ledger, kafka_broker, topic) as (run, groups):
        run.run(once=True)

    assert [size for size in groups.sizes if size] == [1, 1, 1, 1]


def test_what_comes_by_http_and_by_kafka_at_once_is_recorded_once(
    ledger: Ledger, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    """FAULTS 3: at two offsets, and from fifty clients for as long as those are read."""
    topic, came = new_topic(), line(order())
    produce(kafka_broker.servers, topic, came, came)
    replies: list[dict[str, Any]] = []
    is_read = threading.Event()

    with (
        Appender(ledger) as appender,
        serving(ledger, Settings(requests_per_second=0), appending=appender.append) as running,
        consuming(ledger, kafka_broker, topic) as (run, _),
    ):
        secret = running.secret()

        def send() -> None:
            with running.client(secret=secret) as client:
                while not is_read.is_set():
                    replies.append(client.post("/v1/events", came).json())

        clients = [threading.Thread(target=send) for _ in range(50)]
        for client in clients:
            client.start()
        try:
            run.run(once=True)
        finally:
            is_read.set()
        for client in clients:
            client.join()

    taken = run.taken.receipt
    counts = Counter(reply["status"] for reply in replies)
    assert len(replies) > len(clients)
    assert {reply["position"] for reply in replies} == {1}
    assert (taken.received, counts["recorded"] + taken.recorded) == (2, 1)
    assert counts["duplicate"] + taken.duplicate == len(replies) + 1
    assert positions(ledger) == [1]


@pytest.mark.parametrize("again", [False, True])
def test_an_end_that_is_gone_with_its_topic_is_not_taken_for_reached(
    ledger: Ledger, kafka_broker: Broker, cluster: Cluster, group: str, again: bool
) -> None:
    topic = f"of-{group}"
    kafka_broker.create_topic(topic)
    produce(kafka_broker.servers, topic, b"1", b"2")
    ends = Ends(ledger, cluster, cluster.required([topic]), lambda *_: None)
    assert not ends.reached()
    kafka_broker.delete_topics(topic)
    if again:
        kafka_broker.create_topic(topic)
    ends._ask_at = 0.0
    with pytest.raises(TopicRenewed):
        ends.reached()


class Away(DeadLetters):
    """Dead letters whose topic cannot be written to any more."""

    def prepare(self) -> Destination:
        if waiting(self._ledger):
            raise Unreachable("it is away")
        return Destination("", 0)


class Unusable(DeadLetters):
    """Dead letters whose topic is none."""

    def prepare(self) -> Destination:
        raise LedgerError("the topic is compacted")


def test_dead_letters_that_cannot_be_published_hold_nothing_up(
    ledger: Ledger, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    lines = [b"no JSON", *(line(order) for order in orders(range(3)))]
    produce(kafka_broker.servers, topic, *lines)

    with consuming(ledger, kafka_broker, topic, Away) as (run, _):
        run.run(once=True)

    assert (run.taken.receipt.recorded, run.taken.receipt.quarantined) == (3, 1)


def test_a_topic_that_is_none_for_dead_letters_is_refused_at_once(
    ledger: Ledger, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    produce(kafka_broker.servers, topic, b"no JSON")
    with (
        consuming(ledger, kafka_broker, topic, Unusable) as (run, _),
        pytest.raises(LedgerError, match="compacted"),
    ):
        run.run(once=True)
    assert waiting(ledger) == []
