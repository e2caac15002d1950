"""What the tests of the relay and of dead letters share: facts to relay, and reading a topic."""

import io
import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from consumers.cluster import Cluster
from ledger.address import Address
from ledger.cloudevents import cloud_event
from ledger.intake import take
from ledger.ledger import Ledger
from ledger.lines import read_touchpoints
from schemas.replay import decode
from tests.cli.facts import described, event, order
from tests.cli.running import program
from tests.servers.kafka import Broker

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
CANARIES = ("canary.one", "canary.two", "Kanarie", "canary-extension")
"""What is personal in `facts`."""


class Discreet(Cluster):
    """A cluster that does not tell how its topics are configured."""

    def configs(self, topic: str) -> dict[str, str]:
        return {}


def facts(count: int = 3) -> list[dict[str, Any]]:
    """For each of some customers an order, a description and a call; and mail of an address."""
    made: list[dict[str, Any]] = []
    for n in range(count):
        subject = f"customer:{n}"
        made += [
            order(f"A{n}", "12.50", "2026-01-05T10:00:00+01:00", subject=subject),
            described(subject=subject, name="Kanarie", email=f"canary.one.{n}@example.com"),
            note(
                "Kanarie has called", subject=f"email:canary.two.{n}@x.it", correlationid=f"c{n}",
                loyaltyhint="canary-extension",
            ),
            order(f"B{n}", "1.00", "2026-01-06T10:00:00Z", subject=subject),
        ]  # fmt: skip
    return made


def note(text: str, **more: Any) -> dict[str, Any]:
    """A note, whose text is personal."""
    data = {"note_id": "N1", "text": text, "agent": "ann", "internal": True}
    return event("note.added.v1", data, **more)


def record(ledger: Ledger, events: Sequence[dict[str, Any]]) -> None:
    """Record what was made up; all of it must be new and right."""
    lines = io.BytesIO(b"\n".join(json.dumps(event).encode() for event in events))
    assert take(ledger, read_touchpoints(lines, "test", "lines")).recorded == len(events)


def published(broker: Broker, topic: str) -> list[Any]:
    """All records of a topic as a plain consumer reads them, partition by partition."""
    with closing(KafkaConsumer(bootstrap_servers=broker.servers)) as consumer:
        numbers = sorted(consumer.partitions_for_topic(topic))
        there = [TopicPartition(topic, number) for number in numbers]
        consumer.assign(there)
        consumer.seek_to_beginning(*there)
        ends = consumer.end_offsets(there)
        found: dict[TopicPartition, list[Any]] = defaultdict(list)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(consumer.position(partition) < ends[partition] for partition in there):
            assert time.monotonic() < deadline, f"{topic} cannot be read"
            for partition, records in consumer.poll(timeout_ms=200).items():
                found[partition] += records
    return [each for partition in there for each in found[partition]]


def headers_of(record: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


def positions(records: Sequence[Any]) -> list[int]:
    """The positions of the log that records bear, in the order in which they stand."""
    return [int(headers_of(record)["touchstone_position"]) for record in records]


def in_clear(ledger: Ledger) -> dict[int, bytes]:
    """The whole log by position as `log export` writes it."""
    stored = ledger.log.page(0, 100_000)
    envelopes = ledger.vault.reveal(decode(each.topic, each.state) for each in stored)
    return {s.position: cloud_event(e) for s, e in zip(stored, envelopes, strict=True)}


def created_again(broker: Broker, topic: str) -> None:
    broker.delete_topics(topic)
    with broker.administration() as administration:

        def gone() -> bool:
            return bool(administration.describe_topics([topic])[0]["error_code"])

        until(gone, "the topic is not deleted")
    broker.create_topic(topic)


def until(reached: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def command_line(address: Address, *arguments: str) -> list[str]:
    """Arguments by which a command works on the ledger at an address."""
    return ["--ledger", address.url, "--keys", str(address.keys), *arguments]


@contextmanager
def running(address: Address, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A command in a process of its own, killed at the end. A relay looks at its topic often."""
    process = subprocess.Popen(
        [*program({"consumers.relay.LOOK_SECONDS": 0.3}), *command_line(address, *arguments)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
