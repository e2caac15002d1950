"""The relay: the whole log in order on a topic, at least once, and nothing personal unasked."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from random import Random
from urllib.request import urlopen

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from consumers.connection import Connection
from consumers.producing import Producer
from consumers.relay import Choice, TouchpointTooLarge
from consumers.relay import Relay as RelayOfLog
from consumers.watch import RelayWatch
from ledger.address import Address
from ledger.intake import Stop
from ledger.ledger import Ledger, open_ledger
from schemas.subject import kind_of
from tests.cli.facts import order
from tests.cli.running import Ran, Shell
from tests.consumers.relaying import (
    CANARIES,
    PATIENCE_SECONDS,
    ROOT,
    Discreet,
    command_line,
    created_again,
    facts,
    headers_of,
    in_clear,
    note,
    positions,
    published,
    record,
    running,
    until,
)
from tests.places import Places, a_place, plain_connection
from tests.servers.kafka import Broker, NewTopic, temporary_broker

Relay = Callable[..., Ran]

CUT = """
import os, signal, sys
from cli.main import run
from ledger.log import Log
Log.append = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
run(sys.argv[1:])
"""
"""A relay that is killed when it would record how far it has come."""


@pytest.fixture
def relay(address: Address, kafka_broker: Broker, tmp_path: Path) -> Relay:
    """Relays once to the end of the log, in this process."""
    shell = Shell(tmp_path, address)

    def once(topic: str, *arguments: str) -> Ran:
        to = ("--topic", topic, "--bootstrap-servers", kafka_broker.servers)
        return shell("-o", "json", "relay", *to, "--once", *arguments)

    return once


def options(broker: Broker, topic: str) -> tuple[str, ...]:
    return ("relay", "--topic", topic, "--bootstrap-servers", broker.servers)


def test_all_touchpoints_come_in_the_order_of_positions_for_each_key(
    ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    record(ledger, facts(20))
    topic = new_topic(3)
    ran = relay(topic)
    assert (ran.code, ran.json) == (0, {"published": 80, "head": 80}), ran.err
    records = published(kafka_broker, topic)
    assert sorted(positions(records)) == list(range(1, 81))
    assert len({r.partition for r in records}) == 3
    by_partition: dict[int, list[int]] = defaultdict(list)
    for each, position in zip(records, positions(records), strict=True):
        by_partition[each.partition].append(position)
    assert all(found == sorted(found) for found in by_partition.values())
    stored = {s.position: s for s in ledger.log.page(0, 100)}
    for each, position in zip(records, positions(records), strict=True):
        body, headers = json.loads(each.value), headers_of(each)
        assert headers["content-type"] == "application/cloudevents+json"
        assert headers["touchstone_recorded_at"].endswith("Z")
        assert each.key.decode() == body["subject"]
        assert body["type"] == stored[position].topic
        assert len(headers) == 3


def test_nothing_personal_goes_out_unless_it_is_asked_for(
    ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    record(ledger, facts())
    topic = new_topic()
    assert relay(topic).code == 0
    records = published(kafka_broker, topic)
    everything = b"".join(
        part for r in records for part in (r.key, r.value, *(v for _, v in r.headers))
    )
    clear = b"".join(in_clear(ledger).values())
    for canary in CANARIES:
        assert canary.encode() in clear
        assert canary.encode() not in everything
    bodies = [json.loads(r.value) for r in records]
    assert [b["data"] for b in bodies[:4]] == [
        {"order_id": "A0", "total": {"amount": "12.50", "currency": "EUR"}},
        {"traits": {}},
        {"note_id": "N1", "agent": "ann", "internal": True},
        {"order_id": "B0", "total": {"amount": "1.00", "currency": "EUR"}},
    ]
    assert bodies[2]["subject"].startswith("email:~")
    assert bodies[2].keys() == {
        "specversion", "id", "source", "type", "subject", "time", "correlationid", "data",
    }  # fmt: skip
    assert b"~" not in b"".join(r.value for r in records if kind_of(r.key.decode()) == "customer")


def test_with_personal_data_the_records_are_the_lines_of_an_export(
    ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    record(ledger, facts())
    topic = new_topic()
    assert relay(topic, "--personal").code == 0
    records = published(kafka_broker, topic)
    lines = in_clear(ledger)
    assert {p: r.value for p, r in zip(positions(records), records, strict=True)} == lines
    assert [r.key.decode() for r in records] == [json.loads(r.value)["subject"] for r in records]


def test_it_goes_on_where_it_was(
    ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    assert relay(topic).json == {"published": 0, "head": 0}
    record(ledger, facts(2))
    assert relay(topic).json == {"published": 8, "head": 8}
    assert relay(topic).json == {"published": 0, "head": 8}
    record(ledger, [order("Z", "3.00", "2026-01-07T10:00:00Z")])
    assert relay(topic).json == {"published": 1, "head": 9}
    assert positions(published(kafka_broker, topic)) == list(range(1, 10))


def test_one_that_is_killed_before_it_has_recorded_publishes_again_and_skips_nothing(
    address: Address, ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    record(ledger, facts())
    topic = new_topic()
    arguments = command_line(address, *options(kafka_broker, topic))
    killed = subprocess.run(
        [sys.executable, "-c", CUT, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert positions(published(kafka_broker, topic)) == list(range(1, 13))
    assert relay(topic).json == {"published": 12, "head": 12}
    assert positions(published(kafka_broker, topic)) == [*range(1, 13), *range(1, 13)]


def test_a_second_one_stands_by_and_takes_over(
    address: Address, ledger: Ledger, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()

    def there() -> list[int]:
        return positions(published(kafka_broker, topic))

    arguments = (*options(kafka_broker, topic), "--health-port", "0")
    with running(address, *arguments) as first:
        record(ledger, facts(1))
        until(lambda: there() == [1, 2, 3, 4], "nobody relays")
        with running(address, *arguments) as second:
            assert second.stderr is not None
            health = json.loads(second.stderr.readline())["health"]
            assert json.loads(second.stderr.readline())["event"] == "standing by"
            with urlopen(health, timeout=5) as answer:
                assert json.load(answer)["state"] == "standby"
            record(ledger, [order("Z1", "3.00", "2026-01-07T10:00:00Z")])
            until(lambda: there() == [1, 2, 3, 4, 5], "the first does not go on")
            first.kill()
            record(ledger, [order("Z2", "3.00", "2026-01-07T10:00:00Z")])
            until(lambda: there() == [1, 2, 3, 4, 5, 6], "nobody takes over")
            second.send_signal(signal.SIGTERM)
            out, _ = second.communicate(timeout=PATIENCE_SECONDS)
    assert (second.returncode, json.loads(out)) == (143, {"published": 1, "head": 6})


def test_once_waits_for_the_one_that_relays(
    address: Address, ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    record(ledger, facts(1))
    with running(address, *options(kafka_broker, topic)):
        until(lambda: len(published(kafka_broker, topic)) == 4, "nobody relays")
        assert relay(topic).json == {"published": 0, "head": 4}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--type", "order.completed.v1"), [1, 4]),
        (("--type", "order.*", "--type", "note.added.v1"), [1, 3, 4]),
        (("--kind", "email"), [3]),
        (("--kind", "email", "--kind", "customer", "--type", "customer.*"), [2]),
        (("--kind", "unit"), []),
    ],
)
def test_what_is_published_can_be_chosen(
    ledger: Ledger,
    relay: Relay,
    kafka_broker: Broker,
    new_topic: NewTopic,
    arguments: tuple[str, ...],
    expected: list[int],
) -> None:
    record(ledger, facts(1))
    topic = new_topic()
    assert relay(topic, *arguments).json == {"published": len(expected), "head": 4}
    assert positions(published(kafka_broker, topic)) == expected
    assert relay(topic, *arguments).json == {"published": 0, "head": 4}


def test_relays_of_several_names_share_a_topic_and_each_has_its_own_position(
    ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    record(ledger, facts(1))
    topic = new_topic()
    assert relay(topic, "--name", "orders", "--type", "order.*").json["published"] == 2
    assert relay(topic, "--name", "notes", "--type", "note.*").json["published"] == 1
    assert relay(topic, "--name", "orders", "--type", "order.*").json["published"] == 0
    assert positions(published(kafka_broker, topic)) == [1, 4, 3]


def test_a_topic_that_is_created_again_is_relayed_from_the_start(
    ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    record(ledger, facts(1))
    topic = new_topic()
    assert relay(topic).json == {"published": 4, "head": 4}
    created_again(kafka_broker, topic)
    assert relay(topic).json == {"published": 4, "head": 4}
    assert positions(published(kafka_broker, topic)) == [1, 2, 3, 4]


def test_it_notices_while_it_runs_that_its_topic_is_another(
    address: Address, ledger: Ledger, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    record(ledger, facts(1))
    topic = new_topic()
    with running(address, *options(kafka_broker, topic)) as relaying:
        until(lambda: len(published(kafka_broker, topic)) == 4, "nobody relays")
        created_again(kafka_broker, topic)
        until(lambda: len(published(kafka_broker, topic)) == 4, "it does not start again")
        record(ledger, [order("Z", "3.00", "2026-01-07T10:00:00Z")])
        until(lambda: len(published(kafka_broker, topic)) == 5, "it does not go on")
        relaying.terminate()
        _, err = relaying.communicate(timeout=PATIENCE_SECONDS)
    assert positions(published(kafka_broker, topic)) == [1, 2, 3, 4, 5]
    assert "created again" in err or "there is no topic" in err


def test_a_topic_that_is_missing_is_made(
    ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()  # whose name is free then, and which is removed in the end
    kafka_broker.delete_topics(topic)
    record(ledger, facts(1))
    assert relay(topic, "--partitions", "5").json["published"] == 4
    with kafka_broker.administration() as administration:
        assert len(administration.describe_topics([topic])[0]["partitions"]) == 5


def test_where_it_begins_can_be_said_once(
    ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    record(ledger, facts(1))
    topic = new_topic()
    ran = relay(topic, "--from", "6")
    assert (ran.code, "the log ends at position 4" in ran.err) == (2, True), ran.err
    assert relay(topic, "--from", "3").json == {"published": 2, "head": 4}
    ran = relay(topic, "--from", "1")
    assert (ran.code, "has come to position 4" in ran.err) == (2, True), ran.err
    assert relay(topic, "--from", "5", "--name", "later").json == {"published": 0, "head": 4}
    record(ledger, [order("Z", "3.00", "2026-01-07T10:00:00Z")])
    assert relay(topic, "--name", "later").json == {"published": 1, "head": 5}
    assert positions(published(kafka_broker, topic)) == [3, 4, 5]


def test_a_compacted_topic_is_refused(relay: Relay, new_topic: NewTopic) -> None:
    ran = relay(new_topic(cleanup_policy="compact"))
    assert (ran.code, "cleanup.policy" in ran.err) == (1, True), ran.err


def test_a_touchpoint_that_is_too_large_is_named_and_not_skipped(
    ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    small = order("A", "1.00", "2026-01-07T10:00:00Z")
    large = note("x" * 5_000)
    record(ledger, [small, large, order("B", "1.00", "2026-01-07T10:00:00Z")])
    topic = new_topic(max_message_bytes=2_000)
    ran = relay(topic, "--personal")
    assert ran.code == 1
    assert "at position 2 " in ran.err
    assert "max.message.bytes (now 2,000)" in ran.err
    assert positions(published(kafka_broker, topic)) == [1]
    with kafka_broker.administration() as administration:
        wanted = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "10000"})
        administration.alter_configs([wanted])
    assert relay(topic, "--personal").json == {"published": 2, "head": 3}
    assert positions(published(kafka_broker, topic)) == [1, 2, 3]


def test_one_of_which_only_the_broker_knows_that_it_is_too_large_is_named(
    ledger: Ledger, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    record(ledger, [note(Random(1).randbytes(5_000).hex()), note("small")])
    topic = new_topic(max_message_bytes=2_000)
    connection = Connection(servers=kafka_broker.servers)
    with Discreet(connection) as cluster, closing(Producer(connection)) as producer:
        relaying = RelayOfLog(
            ledger,
            cluster,
            producer,
            topic,
            watch=RelayWatch(),
            stop=Stop(),
            choice=Choice(personal=True),
            progress=lambda: nullcontext(lambda *_: None),
        )
        with pytest.raises(TouchpointTooLarge, match="at position 1 "):
            relaying.run(once=True)
    assert (relaying.published, relaying.head) == (0, 0)


def test_many_pages_of_mixed_sizes_come_whole(
    ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    sizes = (10, 60_000, 10, 10, 40_000, 10)
    notes = [note("x" * sizes[n % 6]) for n in range(90)]
    record(ledger, notes + facts(500))
    topic = new_topic(4)
    assert relay(topic, "--personal").json == {"published": 2_090, "head": 2_090}
    counted = Counter(positions(published(kafka_broker, topic)))
    assert counted == dict.fromkeys(range(1, 2_091), 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_it_says_how_far_it_came(
    address: Address,
    ledger: Ledger,
    kafka_broker: Broker,
    new_topic: NewTopic,
    number: signal.Signals,
    code: int,
) -> None:
    record(ledger, facts(1))
    topic = new_topic()
    with running(address, *options(kafka_broker, topic), "--health-port", "0") as relaying:
        assert relaying.stderr is not None
        told = json.loads(relaying.stderr.readline())

        def scraped() -> str:
            with urlopen(told["metrics"], timeout=5) as answer:
                return str(answer.read().decode())

        until(lambda: "touchstone_relay_position 4.0" in scraped(), "it does not relay")
        assert "touchstone_relay_published_total 4.0" in scraped()
        with urlopen(told["health"], timeout=5) as answer:
            assert json.load(answer)["state"] == "caught_up"
        relaying.send_signal(number)
        out, err = relaying.communicate(timeout=PATIENCE_SECONDS)
    assert (relaying.returncode, json.loads(out)) == (code, {"published": 4, "head": 4})
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["event"] for line in lines] == ["relaying"]


def test_a_broker_that_goes_away_is_waited_for(sqlite_places: Places) -> None:
    with (
        a_place(sqlite_places) as address,
        open_ledger(address) as ledger,
        temporary_broker() as broker,
    ):
        record(ledger, facts(1))
        broker.create_topic("relayed")
        with running(address, *options(broker, "relayed")) as relaying:
            until(lambda: len(published(broker, "relayed")) == 4, "nobody relays")
            broker.kill()
            record(ledger, [order("Z", "3.00", "2026-01-07T10:00:00Z")])
            before = spent_seconds(relaying)
            time.sleep(2)
            assert spent_seconds(relaying) - before < 1
            broker.start()
            until(lambda: len(published(broker, "relayed")) == 5, "it does not go on")
            relaying.terminate()
            out, err = relaying.communicate(timeout=PATIENCE_SECONDS)
        assert positions(published(broker, "relayed")) == [1, 2, 3, 4, 5]
    assert json.loads(out) == {"published": 5, "head": 5}
    assert "Traceback" not in err


def spent_seconds(process: "subprocess.Popen[str]") -> float:
    """The processor time that a process has spent."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_a_ledger_that_goes_away_is_waited_for(
    postgres_places: Places, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic()
    with a_place(postgres_places) as address, open_ledger(address) as ledger:
        record(ledger, facts(1))
        with running(address, *options(kafka_broker, topic)) as relaying:
            until(lambda: len(published(kafka_broker, topic)) == 4, "nobody relays")
            with plain_connection(address) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' "
                    "AND pid <> pg_backend_pid()"
                )
            record(ledger, [order("Z", "3.00", "2026-01-07T10:00:00Z")])
            until(lambda: len(published(kafka_broker, topic)) == 5, "it does not go on")
            relaying.terminate()
            _, err = relaying.communicate(timeout=PATIENCE_SECONDS)
    told = [json.loads(line)["event"] for line in err.splitlines()]
    assert told == ["relaying", "waiting", "relaying"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--type", "nothing.*"), "no type of the catalogue"),
        (("--type", "order.complete.v1"), "did you mean order.completed.v1"),
        (("--kind", "Customer!"), "a kind of subject"),
        (("--name", "a/b"), "letters, digits"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    to = ("--topic", "t", "--bootstrap-servers", "127.0.0.1:1")
    ran = Shell(tmp_path)("relay", *to, *arguments)
    assert (ran.code, words in ran.err) == (2, True), ran.err


def test_what_was_relayed_makes_an_equal_ledger(
    places: Places, ledger: Ledger, relay: Relay, kafka_broker: Broker, new_topic: NewTopic,
    tmp_path: Path,
) -> None:  # fmt: skip
    record(ledger, facts())
    topic = new_topic(2)
    assert relay(topic, "--personal").code == 0
    with a_place(places) as other:
        ran = Shell(tmp_path, other)(
            "-o", "json", "consume", "--topic", topic, "--group", "copy", "--once", "--no-follow",
            "--bootstrap-servers", kafka_broker.servers,
        )  # fmt: skip
        assert (ran.code, ran.json["recorded"]) == (0, 12), ran.err
        with open_ledger(other) as copy:
            assert sorted(in_clear(copy).values()) == sorted(in_clear(ledger).values())
