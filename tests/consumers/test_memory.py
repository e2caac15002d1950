"""The memory of a consumer is bounded, whatever the lag."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from ledger.address import Address
from tests.consumers.topics import new_group, produce
from tests.ledger.sending import line, order
from tests.places import PostgresPlaces, a_place
from tests.servers.kafka import Broker

MEASURED = """
import re, sys
from pathlib import Path
import consumers.client, ledger.intake
consumers.client.FETCH_BYTES_MAX = ledger.intake.GROUP_BYTES_MAX = 5 * 1024 * 1024
from cli.main import run
code = run(sys.argv[1:])
(peak,) = re.findall("VmHWM:[^0-9]*([0-9]+) kB", Path("/proc/self/status").read_text())
sys.stderr.write(f"\\n{peak}\\n")
sys.exit(code)
"""
"""The limits are a third of what they are, so that a third of the lag shows that they hold."""
KIB = 1024  # the unit of what the system tells
NOTE = "x" * 60_000
DATA = {"note_id": "1", "text": NOTE, "agent": "a", "internal": True}
FEW = 300
PARTITIONS = 3
SHARE_MAX = 0.75
"""Of what the second has more. Without limits it is more than all of it; with them it is by chance
up to a third, because which fetches are under way together is."""


def peak_of_consuming(address: Address, broker: Broker, topic: str, client: str) -> int:
    """Bytes that a process has needed at most to take in all that is on the topic."""
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, "--ledger", address.url, "--keys", str(address.keys),
         "consume", "--once", "--no-follow", "--topic", topic, "--group", new_group(),
         "--client", client, "--bootstrap-servers", broker.servers],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return KIB * int(ran.stderr.splitlines()[-1])


@pytest.fixture(scope="module")
def lags(kafka_broker: Broker) -> Iterator[list[str]]:
    """Two topics, the second with three times as much as the first."""
    topics = {f"lag-{new_group()}": count for count in (FEW, 3 * FEW)}
    for topic, count in topics.items():
        kafka_broker.create_topic(topic, PARTITIONS)
        notes = [line(order(str(n), type="note.added.v1", data=DATA)) for n in range(count)]
        for number in range(PARTITIONS):
            produce(kafka_broker.servers, topic, *notes[number::PARTITIONS], partition=number)
    yield list(topics)
    kafka_broker.delete_topics(*topics)


def test_three_times_the_lag_does_not_take_the_memory_of_it(
    postgres_places: PostgresPlaces, kafka_broker: Broker, lags: list[str], client_name: str
) -> None:
    peaks = []
    for topic in lags:
        with a_place(postgres_places) as address:
            peaks.append(peak_of_consuming(address, kafka_broker, topic, client_name))
    assert peaks[1] - peaks[0] < SHARE_MAX * 2 * FEW * len(NOTE), peaks
