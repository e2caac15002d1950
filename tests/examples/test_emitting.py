"""Emitters of all kinds, on a real broker: what they send arrives, and arrives the same."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from jsonschema import Draft202012Validator
from kafka import KafkaConsumer, TopicPartition
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from consumers import relay
from ledger.ledger import create_ledger
from schemas import asyncapi
from schemas.publish import published
from tests.cli.facts import IN_CLEAR
from tests.cli.running import Shell
from tests.servers.kafka import Broker, NewTopic
from tests.servers.kcat import kcat_folder
from tests.servers.npm import node_packages

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "EMITTING.md").read_text("utf-8")
PROGRAMS = ROOT / "examples" / "emitting"
EMITTERS = {
    "kafka-python": "emit_kafka_python.py",
    "confluent-kafka": "emit_confluent_kafka.py",
    "kafkajs": "emit_kafkajs.mjs",
    "kcat": "emit_kcat.sh",
}
EVERY_EMITTER = pytest.mark.parametrize("emitter", EMITTERS)
LANGUAGES = {".py": "python", ".mjs": "js", ".sh": "sh"}
KAFKAJS = "kafkajs@2.2.4"
PARTITIONS = 6
SECONDS_MAX = 120
ENVELOPE = ("id", "source", "type", "subject", "time", "data")
ORDER: dict[str, Any] = {
    "id": "A-1001",
    "source": "shop",
    "type": "order.completed.v1",
    "subject": "customer:42",
    "time": "2026-01-05T10:00:00+01:00",
    "data": {"order_id": "A-1001", "total": {"amount": "12.50", "currency": "EUR"}},
}
ANSWER: dict[str, Any] = {
    "id": "S-7/A-1001",
    "source": "shop",
    "type": "survey.answered.v1",
    "subject": "customer:42",
    "time": "2026-01-06T18:30:00+01:00",
    "data": {"survey_id": "S-7", "kind": "csat", "score": 5, "comment": "Perché no? Grüße!"},
}
PLAIN = {"specversion": "1.0", **ORDER}
ATTRIBUTES = {f"ce_{name}": value for name, value in PLAIN.items() if name != "data"}
FOREIGN = {"event_id": "77", "type": "parcel.lost", "customer": "42"}

PUBLISHED = "file:///published/"
"""Where the published documents lie, as they see it who refer to each other."""

Headers = dict[str, str]
RunScript = Callable[[Sequence[str], str], None]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with a fresh ledger."""
    shell = Shell(tmp_path)
    create_ledger(shell.address)
    return shell


@pytest.fixture
def run(tmp_path: Path, kafka_broker: Broker) -> RunScript:
    """Runs a command in a folder of its own, told of the broker and of a topic, as users are."""

    def run(command: Sequence[str], topic: str) -> None:
        places = {
            "PATH": f"{kcat_folder()}{os.pathsep}{os.environ['PATH']}",
            "TOUCHSTONE_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.servers,
            "TOUCHSTONE_TOPIC": topic,
        }
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, **places}, capture_output=True, text=True,
            timeout=SECONDS_MAX, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    return run


def command_of(emitter: str, folder: Path) -> list[str]:
    """How an emitter's program is run by somebody who has installed what it needs."""
    program = PROGRAMS / EMITTERS[emitter]
    if program.suffix != ".mjs":
        return [sys.executable if program.suffix == ".py" else "sh", str(program)]
    modules = folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(node_packages("kafkajs", KAFKAJS) / "node_modules")
    (folder / program.name).write_bytes(program.read_bytes())
    return ["node", program.name]


def consumed(shell: Shell, broker: Broker, topic: str) -> dict[str, int]:
    """The receipt of a consumer that takes in all that is there."""
    ran = shell(
        *("-o", "json", "consume", "--topic", topic, "--group", "touchstone", "--once"),
        *("--bootstrap-servers", broker.servers),
    )
    assert ran.code in (0, 3), ran.err
    receipt: dict[str, int] = ran.json
    counted = ("recorded", "duplicate", "conflict", "quarantined")
    assert receipt["received"] == sum(receipt[name] for name in counted)
    return receipt


def recorded(shell: Shell) -> list[dict[str, Any]]:
    """What the ledger has, without what it added itself."""
    listed = shell("-o", "json", "log", "list", *IN_CLEAR).json
    return [{name: touchpoint[name] for name in ENVELOPE} for touchpoint in listed]


def quarantined(shell: Shell) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = shell("-o", "json", "quarantine", "list").json
    return entries


def put(broker: Broker, topic: str, *records: tuple[bytes | None, Headers]) -> None:
    """Put records on a topic, under one key."""
    producer = Producer({"bootstrap.servers": broker.servers})
    for value, headers in records:
        producer.produce(topic, value=value, key=b"customer:42", headers=dict(headers))
    assert producer.flush(SECONDS_MAX) == 0


@EVERY_EMITTER
def test_the_program_of_an_emitter_stands_on_the_page(emitter: str) -> None:
    program = PROGRAMS / EMITTERS[emitter]
    text = program.read_text("utf-8")
    assert f"```{LANGUAGES[program.suffix]}\n{text}```\n" in PAGE
    assert f"(../examples/emitting/{program.name})" in PAGE


@EVERY_EMITTER
def test_what_an_emitter_sends_is_recorded(
    emitter: str, shell: Shell, kafka_broker: Broker, new_topic: NewTopic, run: RunScript
) -> None:
    topic = new_topic()
    run(command_of(emitter, shell.folder), topic)
    receipt = consumed(shell, kafka_broker, topic)
    assert (receipt["received"], receipt["recorded"], receipt["skipped"]) == (2, 2, 0)
    assert recorded(shell) == [ORDER, ANSWER]


def test_what_all_emitters_send_is_the_same_in_the_same_partition_so_that_it_counts_once(
    shell: Shell, kafka_broker: Broker, new_topic: NewTopic, run: RunScript
) -> None:
    topic = new_topic(PARTITIONS)
    for emitter in EMITTERS:
        run(command_of(emitter, shell.folder), topic)
    assert [end for end in _ends(kafka_broker, topic) if end] == [2 * len(EMITTERS)]
    receipt = consumed(shell, kafka_broker, topic)
    assert (receipt["received"], receipt["recorded"], receipt["duplicate"]) == (8, 2, 6)
    assert recorded(shell) == [ORDER, ANSWER]


def _ends(broker: Broker, topic: str) -> list[int]:
    consumer = KafkaConsumer(bootstrap_servers=broker.servers)
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    ends = consumer.end_offsets(partitions)
    consumer.close()
    return [ends[partition] for partition in partitions]


def test_the_shortest_way_on_the_page_works(
    shell: Shell, kafka_broker: Broker, new_topic: NewTopic, run: RunScript
) -> None:
    (line,) = re.findall(r"^```sh\n(printf .*?)```$", PAGE, re.MULTILINE | re.DOTALL)
    topic = new_topic()
    line = line.replace("localhost:9092", kafka_broker.servers)
    run(["sh", "-c", line.replace("-t touchpoints", f"-t {topic}")], topic)
    assert consumed(shell, kafka_broker, topic)["recorded"] == 1
    assert recorded(shell) == [ORDER]


def test_kcat_sends_touchpoints_tombstones_and_other_things(
    shell: Shell, kafka_broker: Broker, new_topic: NewTopic, run: RunScript
) -> None:
    topic = new_topic()
    kcat = ["kcat", "-P", "-b", kafka_broker.servers, "-t", topic]
    marks = ["-k", "customer:42", "-H", "source=kcat", "-H", "x-empty="]
    for number, value in enumerate((json.dumps(PLAIN), json.dumps(FOREIGN), "{")):
        run([*kcat, *marks, shell.write(f"{number}.json", value.encode())], topic)
    run(["sh", "-c", f"printf 'customer:42=\\n' | {' '.join(kcat)} -K = -Z"], topic)  # a tombstone
    receipt = consumed(shell, kafka_broker, topic)
    assert receipt["skipped"] == 1
    assert (receipt["received"], receipt["recorded"], receipt["quarantined"]) == (3, 1, 2)
    assert recorded(shell) == [ORDER]
    refused = [(entry["context"]["offset"], entry["reason"]) for entry in quarantined(shell)]
    assert refused == [(1, "unknown_type"), (2, "json_invalid")]


JSON = {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json"}


REFUSED: list[tuple[dict[str, Any] | None, Headers, str, str]] = [
    (FOREIGN, {"x-empty": ""}, "unknown_type", "type"),
    (FOREIGN, STRUCTURED, "unknown_type", "type"),
    (ORDER["data"], JSON | ATTRIBUTES | {"ce_type": "parcel.lost"}, "unknown_type", "type"),
    (FOREIGN, JSON | {"ce_id": "77"}, "missing", "type"),
    (ORDER["data"], JSON | ATTRIBUTES | {"ce_time": ""}, "time_form", "time"),
    (ORDER["data"], JSON | ATTRIBUTES | {"ce_specversion": "0.3"}, "literal_error", "specversion"),
    (PLAIN, JSON | ATTRIBUTES, "missing", "data.order_id"),
    (PLAIN, {"content-type": "application/cloudevents+avro"}, "content_type", "content-type"),
    (ORDER["data"], ATTRIBUTES | {"content-type": "text/csv"}, "content_type", "content-type"),
    (None, ATTRIBUTES, "missing", "data"),
    (None, {}, "json_invalid", ""),
]
"""Records that cannot be recorded: the value and the headers, and why and where it is wrong."""


def test_records_that_cannot_be_recorded_are_kept_and_those_after_each_go_on(
    shell: Shell, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    sent: list[tuple[bytes, Headers]] = []
    for number, (value, headers, _, _) in enumerate(REFUSED):
        good = json.dumps(PLAIN | {"id": str(number)}).encode()
        sent += [(json.dumps(value).encode() if value else b"", headers), (good, {})]
    put(kafka_broker, topic, *sent)
    receipt = consumed(shell, kafka_broker, topic)
    assert receipt["received"] == len(sent)
    assert receipt["recorded"] == receipt["quarantined"] == len(REFUSED)
    found = [
        (entry["context"]["topic"], entry["context"]["offset"], entry["reason"], entry["path"])
        for entry in quarantined(shell)
    ]
    assert found == [
        (topic, 2 * number, reason, path) for number, (*_, reason, path) in enumerate(REFUSED)
    ]
    assert {entry["door"] for entry in quarantined(shell)} == {"kafka"}


def test_the_same_again_is_a_duplicate_in_any_form_and_other_content_is_a_conflict(
    shell: Shell, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    event, data = json.dumps(PLAIN).encode(), json.dumps(ORDER["data"]).encode()
    other = event.replace(b"12.50", b"13.50")
    put(kafka_broker, topic, (event, STRUCTURED), (data, JSON | ATTRIBUTES), (event, {}),
        (other, STRUCTURED))  # fmt: skip
    receipt = consumed(shell, kafka_broker, topic)
    assert (receipt["recorded"], receipt["duplicate"], receipt["conflict"]) == (1, 2, 1)
    assert recorded(shell) == [ORDER]
    assert [entry["reason"] for entry in quarantined(shell)] == ["conflict"]


def test_what_goes_in_and_what_comes_out_is_what_the_asyncapi_document_says(
    shell: Shell, kafka_broker: Broker, new_topic: NewTopic, run: RunScript
) -> None:
    topic, out = new_topic(), new_topic()
    for emitter in EMITTERS:
        run(command_of(emitter, shell.folder), topic)
    note = {"note_id": "1", "text": "calls back", "agent": "ana", "internal": True}
    added = PLAIN | {"type": "note.added.v1", "id": "note-1", "data": note}
    put(kafka_broker, topic, (json.dumps(added).encode(), {}))
    assert consumed(shell, kafka_broker, topic)["recorded"] == 3
    where = ("--topic", out, "--bootstrap-servers", kafka_broker.servers)
    assert shell("-o", "json", "relay", *where, "--once").json["published"] == 3
    sent, relayed = records(kafka_broker, topic, 9), records(kafka_broker, out, 3)
    assert [fault for key, value, headers in sent for fault in faults(key, value, headers)] == []
    for position, (key, value, headers) in enumerate(relayed, 1):
        assert faults(key, value, headers, ".recorded") == []
        assert headers[relay.POSITION] == headers[asyncapi.POSITION_HEADER] == str(position)
        assert faults(key, value, {}, ".recorded")
    assert "text" not in relayed[-1][1]["data"]


def records(broker: Broker, topic: str, count: int) -> list[tuple[str, dict[str, Any], Headers]]:
    """Key, value and headers of what is on a topic of one partition."""
    consumer = KafkaConsumer(bootstrap_servers=broker.servers, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 0)])
    found = [next(consumer) for _ in range(count)]
    consumer.close()
    return [
        (r.key.decode(), json.loads(r.value), {name: v.decode() for name, v in r.headers})
        for r in found
    ]


def faults(key: str, value: dict[str, Any], headers: Headers, form: str = "") -> list[str]:
    """What the message of the document that a record is has against it."""
    binary = "ce_type" in headers
    attributes = {n.removeprefix("ce_"): v for n, v in headers.items()} if binary else value
    form = form or (".binary" if binary else "")
    place = f"{PUBLISHED}asyncapi.json#/components/messages/{attributes['type']}{form}"
    found = [] if key == attributes["subject"] else ["the key is not the subject"]
    for part, checked in (("headers", headers), ("payload/schema", value)):
        judge = Draft202012Validator({"$ref": f"{place}/{part}"}, registry=REGISTRY)
        found += [error.message for error in judge.iter_errors(checked)]
    return found


REGISTRY: Registry[Any] = Registry[Any]().with_resources(
    (f"{PUBLISHED}{name}", Resource.from_contents(contents, DRAFT202012))
    for name, contents in published().items()
)
