"""One event at many offsets and doors at the same time: one row, and the rest is told apart."""

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from consumers.client import Partition
from ledger.address import Address
from ledger.ledger import open_ledger
from ledger.log import Quarantined
from tests.crash.consuming_records import Consumers, Produced, id_of, lines, taken
from tests.crash.launching import Launcher
from tests.crash.loading import identities
from tests.ledger.sending import assert_dense, send, waiting
from tests.servers.kafka import Broker, NewTopic

SEED = time.time_ns()
DONE, PARTLY = 0, 3
EVENTS = 300
THREADS = 6
GROUP = 7
CONFLICTS = 20
TOMBSTONES = 5


def test_the_same_events_everywhere_at_once_are_recorded_once(
    address: Address,
    children: Launcher,
    produced: Produced,
    kafka_broker: Broker,
    new_topic: NewTopic,
    tmp_path: Path,
) -> None:
    events = lines(SEED, EVENTS)
    left, right = new_topic(2), new_topic()
    places = [Partition(left, 0), Partition(left, 0), Partition(left, 1), Partition(right, 0)]
    for number, partition in enumerate(places):
        produced.put(partition, shuffled(events, number))
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(shuffled(events, len(places))))

    consumers = Consumers(children, address, kafka_broker.servers, (left, right))
    running = [consumers.start(once=True) for _ in range(2)]
    appending = children.start("take_lines", address.url, str(address.keys), str(file), 0, GROUP)
    with ThreadPoolExecutor(THREADS) as threads:
        positions = list(threads.map(lambda n: sent(address, shuffled(events, n)), range(THREADS)))

    for child in (*running, appending):
        assert child.wait() == DONE, child.err.read_text()
    counts = [taken(child) for child in running]
    assert sum(count["received"] for count in counts) == len(places) * len(events)
    assert sorted(identities(address)) == sorted(map(id_of, events))
    told = {id_of(event): positions[0][event] for event in events}
    for there in positions:
        assert {id_of(event): position for event, position in there.items()} == told
    assert {id_: place for place, id_ in enumerate(identities(address), start=1)} == told
    by_file = sum(group["recorded"] for group in appending.lines())
    assert sum(count["recorded"] for count in counts) + by_file <= len(events)
    assert sum(count["conflict"] + count["quarantined"] for count in counts) == 0
    with open_ledger(address) as ledger:
        assert_dense(ledger)
        assert waiting(ledger) == []
    assert consumers.lag() == 0


def shuffled(events: list[bytes], number: int) -> list[bytes]:
    return random.Random(SEED + number).sample(events, len(events))


def sent(address: Address, events: list[bytes]) -> dict[bytes, int]:
    """Append events in small groups, with a ledger of one's own; where each is recorded."""
    positions: dict[bytes, int] = {}
    with open_ledger(address) as ledger:
        for start in range(0, len(events), GROUP):
            group = events[start : start + GROUP]
            _, outcomes = send(ledger, *group)
            for event, outcome in zip(group, outcomes, strict=True):
                assert not isinstance(outcome, Quarantined)
                positions[event] = outcome.position
    return positions


def test_another_content_under_a_known_id_is_kept_apart_with_its_place(
    address: Address,
    children: Launcher,
    produced: Produced,
    kafka_broker: Broker,
    new_topic: NewTopic,
) -> None:
    events = lines(SEED, CONFLICTS)
    topic, other = new_topic(2), new_topic()
    produced.put(Partition(topic, 1), events)
    consumers = Consumers(children, address, kafka_broker.servers, (topic, other))
    assert consumers.finish()["recorded"] == len(events)

    expected = []
    for number, event in enumerate(events):
        partition = Partition(topic, 0) if number % 2 else Partition(other, 0)
        changed = json.loads(event)
        changed["subject"] += "0"
        offset = produced.raw(partition, json.dumps(changed).encode(), b"key")
        produced.raw(partition, event)
        expected.append((*partition, offset))
    for _ in range(TOMBSTONES):
        produced.raw(Partition(topic, 0), None, b"key")
    counts = consumers.finish(PARTLY)
    assert (counts["received"], counts["skipped"]) == (2 * len(events), TOMBSTONES)
    assert (counts["conflict"], counts["duplicate"]) == (len(events), len(events))
    with open_ledger(address) as ledger:
        assert ledger.log.head().position == len(events)
        entries = waiting(ledger)
    assert {entry.reason for entry in entries} == {"conflict"}
    found = [(e.context["topic"], e.context["partition"], e.context["offset"]) for e in entries]
    assert sorted(found) == sorted(expected)
    assert consumers.lag() == 0
