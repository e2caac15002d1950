"""The memory of a consumer is bounded, whatever the lag."""

import subprocess
import sys

from ledger.address import Address
from tests.consumers.topics import new_group, produce
from tests.ledger.sending import line, order
from tests.places import PostgresPlaces
from tests.servers.kafka import Broker, NewTopic

MEASURED = """
import re, sys
from pathlib import Path
from cli.main import run
code = run(sys.argv[1:])
(peak,) = re.findall("VmHWM:[^0-9]*([0-9]+) kB", Path("/proc/self/status").read_text())
sys.stderr.write(f"\\n{peak}\\n")
sys.exit(code)
"""
KIB = 1024  # the unit of what the system tells
NOTE = "x" * 60_000
FEW = 900


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


def test_three_times_the_lag_does_not_take_the_memory_of_it(
    postgres_places: PostgresPlaces, kafka_broker: Broker, new_topic: NewTopic, client_name: str
) -> None:
    peaks = []
    for count in (FEW, 3 * FEW):
        topic = new_topic(3)
        notes = [
            line(
                order(
                    str(n),
                    type="note.added.v1",
                    data={"note_id": str(n), "text": NOTE, "agent": "a", "internal": True},
                )
            )
            for n in range(count)
        ]
        for number in range(3):
            produce(kafka_broker.servers, topic, *notes[number::3], partition=number)
        peaks.append(peak_of_consuming(postgres_places.taken(), kafka_broker, topic, client_name))
    assert peaks[1] - peaks[0] < 2 * FEW * len(NOTE) / 3, peaks
