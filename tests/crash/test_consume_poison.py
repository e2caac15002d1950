"""Records that cannot be recorded: each is kept whole, and its partition goes on."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from consumers.client import Partition
from ledger.address import Address
from ledger.ledger import open_ledger
from ledger.log import system_clock
from ledger.quarantine import Entry, Received
from ledger.retrying import retry
from schemas.fields import rfc3339
from tests.crash.consuming_records import (
    CLIENTS,
    VALUE_BYTES_MAX,
    Consumers,
    Produced,
    assert_all_recorded,
    lines,
)
from tests.crash.launching import Launcher
from tests.ledger.sending import line, order, waiting
from tests.places import plain_connection
from tests.servers.kafka import Broker, NewTopic

PARTLY = 3
DAY = 24 * 3_600 * 1_000_000
KEY = b"customer:\xff"
AHEAD = line(order("ahead", time=rfc3339(system_clock() + 2 * DAY)))
"""From a clock that is two days ahead of ours."""

Headers = Sequence[tuple[str, bytes]]


class Poison(NamedTuple):
    """A record that is refused, and why."""

    reason: str
    value: bytes
    headers: Headers = ()


BINARY: Headers = [("ce_specversion", b"1.0"), ("ce_id", b"b1"), ("ce_source", b"shop")]
DATA = line(order()["data"])
POISON = [
    Poison("json_invalid", b'{"id": 1'),
    Poison("unknown_type", line(order("p1", type="order.vanished.v1"))),
    Poison("unknown_type", line(order("p2", type="order.completed.v9"))),
    Poison("", line(order("p3", specversion="0.3"))),
    Poison("", line(order("p4")).replace(b"p4", b"\xff\xfe")),
    Poison("", line(order("p5")).replace(b'"12.50"', b"1e999")),
    Poison("", line(order("p6", extra=1)).replace(b'"extra": 1', b'"extra": 1e999')),
    Poison("", b"[" * 10_000 + b"]" * 10_000),
    Poison("", line(order("p7")).replace(b'"A1"', b'{"a":' * 10_000 + b"1" + b"}" * 10_000)),
    Poison("", b""),
    Poison("", b"\0" * 100),
    Poison("too_large", line(order("p8", note="x" * 1_500_000))),
    Poison("missing", DATA, BINARY),
    Poison("encoding", DATA, [*BINARY, ("ce_type", b"\xff\xfe")]),
    Poison("json_invalid", b"{", [*BINARY, ("ce_type", b"order.completed.v1")]),
    Poison("content_type", b"<xml/>", [("content-type", b"application/cloudevents+xml")]),
    Poison("conflict", line(order("first", subject="customer:other"))),
    Poison("time_ahead", AHEAD, [("trace", b"\xff"), ("trace", b"again")]),
]


@pytest.mark.parametrize("client", CLIENTS)
def test_poison_is_kept_whole_and_the_partition_goes_on(
    address: Address,
    children: Launcher,
    produced: Produced,
    kafka_broker: Broker,
    new_topic: NewTopic,
    client: str,
) -> None:
    topic = new_topic(max_message_bytes=VALUE_BYTES_MAX)
    partition = Partition(topic, 0)
    consumers = Consumers(children, address, kafka_broker.servers, (topic,))
    offsets = poisoned(produced, partition)
    produced.raw(partition, None, KEY)
    took = consumers.finish(PARTLY, client=client, records=5)
    assert took == {
        "received": 2 * len(POISON) + 1,
        "recorded": len(POISON) + 1,
        "duplicate": 0,
        "conflict": 1,
        "quarantined": len(POISON) - 1,
        "skipped": 1,
        "head": len(POISON) + 1,
    }
    assert [s.lag for s in consumers.status()] == [0]
    assert_all_recorded(address, produced)
    assert_kept(address, partition, offsets)

    # All of it comes again, to a ledger that has forgotten how far it was.
    forget_how_far_it_was(address)
    again = consumers.finish(PARTLY, client=client)
    assert (again["recorded"], again["duplicate"]) == (0, len(POISON) + 1)
    entries = assert_kept(address, partition, offsets)
    assert [entry.times for entry in entries] == [2] * len(POISON)


def forget_how_far_it_was(address: Address) -> None:
    with plain_connection(address) as connection:
        connection.execute("DELETE FROM tracking WHERE application_name LIKE 'kafka:%'")


def poisoned(produced: Produced, partition: Partition) -> list[int]:
    """Put poison on a partition, each between two good records; its offsets."""
    produced.put(partition, [line(order("first"))])
    offsets = []
    for good, poison in zip(lines(1, len(POISON)), POISON, strict=True):
        offsets.append(produced.raw(partition, poison.value, KEY, poison.headers))
        produced.put(partition, [good])
    return offsets


def assert_kept(address: Address, partition: Partition, offsets: list[int]) -> list[Entry]:
    """Each is in quarantine once, with all that came and where it stands."""
    with open_ledger(address) as ledger:
        entries = waiting(ledger)
        found: list[Received] = []
        for entry in entries:
            with ledger.store.cursor() as cursor:
                found.append(ledger.quarantine.received(entry, cursor))
    assert [entry.context["offset"] for entry in entries] == offsets
    for entry, received, poison in zip(entries, found, POISON, strict=True):
        assert entry.reason == poison.reason or not poison.reason, entry
        assert (entry.context["topic"], entry.context["partition"]) == partition
        assert (received.raw, received.key) == (poison.value, KEY)
        assert list(map(tuple, received.headers)) == list(poison.headers)
        assert entry.door == "kafka"
    return entries


def test_what_was_ahead_of_its_time_comes_in_later_with_its_own(
    address: Address,
    children: Launcher,
    produced: Produced,
    kafka_broker: Broker,
    new_topic: NewTopic,
) -> None:
    topic = new_topic()
    consumers = Consumers(children, address, kafka_broker.servers, (topic,))
    at = system_clock() + 2 * DAY
    event = {**order("late", time=rfc3339(at)), "data": None}
    headers = [(f"ce_{name}", str(value).encode()) for name, value in event.items() if value]
    produced.raw(Partition(topic, 0), DATA, b"key", headers)
    consumers.finish(PARTLY)
    with open_ledger(address) as ledger:
        (entry,) = waiting(ledger)
        assert entry.reason == "time_ahead"
        assert retry(ledger, entry).refused is not None
        assert [still.entry for still in waiting(ledger)] == [entry.entry]
    with open_ledger(address, lambda: system_clock() + 3 * DAY) as ledger:
        assert retry(ledger, entry).refused is None
        assert waiting(ledger) == []
        (stored,) = ledger.log.identified("late")
    assert json.loads(stored.state)["at"] == at
    forget_how_far_it_was(address)
    assert consumers.finish(PARTLY)["quarantined"] == 1  # by our clock it is early still
    with open_ledger(address, lambda: system_clock() + 3 * DAY) as ledger:
        (again,) = waiting(ledger)
        assert again.entry == entry.entry
        assert retry(ledger, again).receipt.duplicate == 1
        assert (waiting(ledger), ledger.log.head().position) == ([], 1)
