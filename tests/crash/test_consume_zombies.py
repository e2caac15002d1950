"""A consumer is frozen until another has taken over: what it still has in hand is refused."""

import random
import signal
import time

import pytest

from ledger.address import Address
from tests.crash.consuming_records import (
    CLIENTS,
    Consumers,
    Produced,
    check,
    holds,
    lines,
    states,
    taken,
    told,
    wait_for,
    wait_for_head,
)
from tests.crash.launching import Child, Launcher, wait_until
from tests.crash.loading import head_of
from tests.places import held, plain_connection
from tests.servers.kafka import Broker, NewTopic

SEED = time.time_ns()
CONFLICT, TERMINATED = 6, 128 + signal.SIGTERM
RECORDS = 400
FREEZES = 3
SESSION_SECONDS = 1.0
"""What a plan has unless it says otherwise."""

WAITING_FOR_LOCKS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("instance", [None, "one"], ids=["dynamic", "static"])
def test_a_frozen_one_that_comes_back_is_refused_and_ends(
    on_postgres: Address,
    children: Launcher,
    produced: Produced,
    kafka_broker: Broker,
    new_topic: NewTopic,
    client: str,
    instance: str | None,
) -> None:
    topic = new_topic(2)
    consumers = Consumers(children, on_postgres, kafka_broker.servers, (topic,))
    produced.spread(topic, 2, lines(SEED, RECORDS))
    frozen = consumers.start(client=client, instance=instance, freeze_at_append=3)
    wait_for(frozen, lambda: bool(told(frozen, "frozen")))
    assert head_of(on_postgres) < RECORDS
    other = consumers.start(client=client, instance=instance)
    wait_for_head(other, on_postgres, RECORDS)
    frozen.signal(signal.SIGCONT)
    assert frozen.wait() == CONFLICT, frozen.err.read_text()
    assert "another consumer has taken over" in frozen.err.read_text()
    before, after = taken(frozen), terminated(other)
    assert (before["recorded"], before["received"]) == (40, 40)
    assert (after["recorded"], after["received"]) == (RECORDS - 40, RECORDS - 40)
    check(consumers, produced)


def test_one_that_is_frozen_before_the_lock_of_the_ledger_may_be_first_after_all(
    on_postgres: Address,
    children: Launcher,
    produced: Produced,
    kafka_broker: Broker,
    new_topic: NewTopic,
) -> None:
    """Then the one that has taken over is refused, knows that it is in the group, and goes on."""
    topic = new_topic()
    consumers = Consumers(children, on_postgres, kafka_broker.servers, (topic,))
    produced.spread(topic, 1, lines(SEED, RECORDS))
    with held(on_postgres):
        frozen = consumers.start()
        wait_until(lambda: waiting_for_locks(on_postgres) == 1)
        frozen.signal(signal.SIGSTOP)
        other = consumers.start()
        wait_until(lambda: waiting_for_locks(on_postgres) == 2)
    time.sleep(0.2)  # the server gives the lock to the frozen one, which holds it
    assert head_of(on_postgres) == 0
    frozen.signal(signal.SIGCONT)
    wait_for_head(other, on_postgres, RECORDS)
    assert "somebody else has moved a partition" in other.err.read_text()
    counts = [terminated(child) for child in (frozen, other)]
    assert sum(count["received"] for count in counts) == RECORDS
    assert sum(count["duplicate"] for count in counts) == 0
    check(consumers, produced)


def test_freezing_one_of_two_at_any_moment_loses_and_repeats_nothing(
    address: Address,
    children: Launcher,
    produced: Produced,
    kafka_broker: Broker,
    new_topic: NewTopic,
) -> None:
    chance = random.Random(SEED)
    topic = new_topic(4)
    consumers = Consumers(children, address, kafka_broker.servers, (topic,))
    running = [consumers.start(records=10) for _ in range(2)]
    wait_until(lambda: sum(len(holds(child)) for child in running) == 4)
    records = lines(SEED, FREEZES * 600)
    ended = []
    for _ in range(FREEZES):
        fresh, records = records[:600], records[600:]
        produced.spread(topic, 4, fresh)
        time.sleep(chance.uniform(0.0, 0.1))
        frozen = running.pop(chance.randrange(2))
        frozen.signal(signal.SIGSTOP)
        # It may hold the lock of the ledger: then nobody goes on before it does.
        time.sleep(chance.uniform(0.5, 2.0) * SESSION_SECONDS)
        frozen.signal(signal.SIGCONT)
        time.sleep(chance.uniform(0.0, 0.5))
        if frozen.code is not None:
            assert frozen.code == CONFLICT, frozen.err.read_text()
            ended.append(frozen)
            frozen = consumers.start(records=10)
        running.append(frozen)
    for child in running:
        terminated(child)
    assert sum(g["duplicate"] for child in (*ended, *running) for g in told(child, "took")) == 0
    consumers.finish()
    check(consumers, produced)


def terminated(child: Child) -> dict[str, int]:
    """End a consumer in order, once it has begun; what it has taken.

    One that was frozen may just find out that it was replaced, and end by itself.
    """
    wait_until(lambda: child.code is not None or bool(states(child)))
    child.signal(signal.SIGTERM)
    assert child.wait() in (TERMINATED, CONFLICT), child.err.read_text()
    return taken(child)


def waiting_for_locks(address: Address) -> int:
    with plain_connection(address) as connection:
        count: int = connection.execute(WAITING_FOR_LOCKS).fetchone()[0]
        return count
