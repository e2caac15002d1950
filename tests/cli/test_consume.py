"""`touchstone consume`, as people and service managers run it, against a real broker."""

import gc
import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka import KafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from consumers.client import CLIENTS
from projections.registry import PROJECTIONS
from tests.cli.running import Shell, order_line, program
from tests.servers.guarding import free_port
from tests.servers.kafka import Broker, NewTopic

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 40
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
CANARIES = ("canary-in-key", "canary-in-header", "canary-in-value")
QUICK: dict[str, float] = {
    "consumers.consuming.LOOK_SECONDS": 0.3,
    "consumers.consuming.POLL_SECONDS": 0.1,
    "consumers.ends.ASK_SECONDS": 0.1,
}
"""Where there is nothing to do, it is looked often, so that no test waits for it."""
SECURED = ("--security-protocol", "SASL_SSL", "--sasl-mechanism", "SCRAM-SHA-256")


class Record(NamedTuple):
    """What is put on a topic."""

    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    key: bytes | None = None
    partition: int = 0


def put(broker: Broker, topic: str, *records: Record) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.servers)
    for record in records:
        producer.send(
            topic, record.value, record.key, list(record.headers), partition=record.partition
        )
    producer.flush()
    producer.close()


def binary(number: int) -> Record:
    """An order in binary mode: the attributes in headers, the data as value."""
    event = json.loads(order_line(number))
    data = json.dumps(event.pop("data")).encode()
    headers = [(f"ce_{name}", str(value).encode()) for name, value in event.items()]
    return Record(data, [*headers, ("content-type", b"application/json")])


def orders(numbers: range, partitions: int = 1) -> list[Record]:
    return [Record(order_line(n), STRUCTURED, partition=n % partitions) for n in numbers]


REFUSED = Record(
    b'{"specversion":"1.0","id":"canary-in-value"',
    [("who", b"canary-in-header")],
    b"canary-in-key",
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for place, seconds in QUICK.items():
        monkeypatch.setattr(place, seconds)


@pytest.fixture
def made(shell: Shell) -> Shell:
    """A shell, with its ledger made."""
    assert shell("init").code == 0
    return shell


@pytest.fixture
def consume(made: Shell, kafka_broker: Broker) -> Callable[..., Any]:
    """Runs consume on topics of the broker."""

    def run(topic: str, *more: str, servers: str = kafka_broker.servers) -> Any:
        return made(
            "consume", "--topic", topic, "--group", topic, "--bootstrap-servers", servers, *more
        )

    return run


def logged(err: str) -> list[dict[str, Any]]:
    """Standard error, of which each line must be JSON."""
    return [json.loads(line) for line in err.splitlines()]


@pytest.mark.parametrize("client", CLIENTS)
def test_once_takes_what_is_there_in_every_form_and_brings_the_views_up_to_date(
    made: Shell, kafka_broker: Broker, new_topic: NewTopic, consume: Callable[..., Any], client: str
) -> None:
    topic = new_topic(2)
    put(
        kafka_broker,
        topic,
        Record(order_line(1), STRUCTURED, b"customer:42"),
        binary(2),
        Record(order_line(3), partition=1),
        Record(None, key=b"customer:42"),
    )
    ran = consume(topic, "--once", "--client", client)
    assert ran.code == 0, ran.err
    assert ran.json == {
        "received": 3, "recorded": 3, "duplicate": 0, "conflict": 0, "quarantined": 0,
        "head": 3, "skipped": 1,
    }  # fmt: skip
    ids = {touchpoint["id"] for touchpoint in made("log", "list", "-o", "json").json}
    assert ids == {"1", "2", "3"}
    assert [view["lag"] for view in made("projection", "list").json] == [0] * len(PROJECTIONS)
    again = consume(topic, "--once", "--client", client)
    assert (again.code, again.json["received"], again.json["skipped"]) == (0, 0, 0)


def test_once_leaves_the_views_when_it_is_told_to(
    made: Shell, kafka_broker: Broker, new_topic: NewTopic, consume: Callable[..., Any]
) -> None:
    topic = new_topic()
    put(kafka_broker, topic, *orders(range(3)))
    assert consume(topic, "--once", "--no-follow").code == 0
    assert [view["lag"] for view in made("projection", "list").json] == [3] * len(PROJECTIONS)


def test_what_cannot_be_recorded_is_told_with_its_place_and_is_exit_code_3(
    made: Shell, kafka_broker: Broker, new_topic: NewTopic, consume: Callable[..., Any]
) -> None:
    topic = new_topic()
    put(kafka_broker, topic, *orders(range(2)), REFUSED)
    ran = consume(topic, "--once", "-q")
    assert (ran.code, ran.json["recorded"], ran.json["quarantined"]) == (3, 2, 1)
    (told,) = (line for line in logged(ran.err) if "library" not in line)
    assert told["level"] == "warning"
    place = (told["topic"], told["partition"], told["offset"], told["reason"])
    assert (told["event"], *place) == ("quarantined", topic, 0, 2, "json_invalid")
    assert not any(canary in ran.err + ran.out for canary in CANARIES)
    (entry,) = made("quarantine", "list", "-o", "json").json
    assert entry["entry"] == told["entry"]
    assert (entry["context"]["topic"], entry["context"]["offset"]) == (topic, 2)


def test_numbers_without_a_country_code_are_of_the_region_that_is_named(
    kafka_broker: Broker, new_topic: NewTopic, consume: Callable[..., Any]
) -> None:
    topic = new_topic()
    put(kafka_broker, topic, Record(order_line(1, "phone:333 1234567"), STRUCTURED))
    ran = consume(topic, "--once", "--no-follow", "--region", "IT")
    assert (ran.code, ran.json["recorded"]) == (0, 1)


def test_a_conflict_is_exit_code_3(
    kafka_broker: Broker, new_topic: NewTopic, consume: Callable[..., Any]
) -> None:
    topic = new_topic()
    put(kafka_broker, topic, Record(order_line(1)), Record(order_line(1, total="99.00")))
    ran = consume(topic, "--once")
    assert (ran.code, ran.json["recorded"], ran.json["conflict"]) == (3, 1, 1)


def test_dead_letters_are_published_with_the_reason(
    kafka_broker: Broker, new_topic: NewTopic, consume: Callable[..., Any]
) -> None:
    topic, dead = new_topic(), new_topic()
    put(kafka_broker, topic, REFUSED)
    assert consume(topic, "--once", "--dead-letter-topic", dead).code == 3
    (found,) = consume(dead, "--status", "-o", "json").json
    assert found["end"] == 1


def test_status_says_how_far_each_partition_is_read(
    kafka_broker: Broker, new_topic: NewTopic, consume: Callable[..., Any]
) -> None:
    topic = new_topic(2)
    put(kafka_broker, topic, *orders(range(5), 2))
    before = consume(topic, "--status", "-o", "json")
    assert (before.code, before.json) == (0, [
        {"topic": topic, "partition": 0, "begin": 0, "end": 3, "position": 0,
         "committed": None, "lag": 3},
        {"topic": topic, "partition": 1, "begin": 0, "end": 2, "position": 0,
         "committed": None, "lag": 2},
    ])  # fmt: skip
    assert consume(topic, "--once").code == 0
    after = [
        (found["position"], found["committed"], found["lag"])
        for found in consume(topic, "--status", "-o", "json").json
    ]
    assert after == [(3, 3, 0), (2, 2, 0)]
    assert re.search(r"0\s+0\s+3\s+3\s+3\s+0", consume(topic, "--status", "-o", "table").out)
    assert consume(topic, "--status", "-o", "csv").out.splitlines()[1] == f"{topic},0,0,3,3,3,0"


@pytest.mark.parametrize("how", ["--status", "--once"])
def test_a_topic_that_is_not_there_is_exit_code_4(
    file_shell: Shell, kafka_broker: Broker, how: str
) -> None:
    where = ("--bootstrap-servers", kafka_broker.servers)
    ran = file_shell("consume", "--topic", "nowhere", "--group", "g", *where, how)
    assert (ran.code, ran.out) == (4, "")
    assert "there is no topic nowhere" in ran.err


@pytest.fixture
def _leaking() -> Iterator[None]:
    """kafka-python leaves the sockets of failed attempts to be closed by who finds them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.usefixtures("_leaking")
@pytest.mark.parametrize("how", ["--status", "--once"])
def test_brokers_that_do_not_answer_are_exit_code_7_and_named(
    file_shell: Shell, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHSTONE_KAFKA_PASSWORD", "canary-password")
    monkeypatch.setattr("consumers.kafka_python.REQUEST_SECONDS", 1)
    servers = f"127.0.0.1:{free_port()}"
    where = ("--bootstrap-servers", servers, *SECURED, "--username", "u")
    ran = file_shell("consume", "--topic", "orders", "--group", "g", *where, how)
    assert (ran.code, ran.out) == (7, "")
    assert f"Error: no broker answers at {servers}" in ran.err
    assert len(ran.err.splitlines()) < 10  # the library says the same at each attempt
    assert "canary" not in ran.err


class TestSecured:
    @pytest.fixture(autouse=True)
    def environment(self, kafka_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {
            "BOOTSTRAP_SERVERS": kafka_broker.secured,
            "SECURITY_PROTOCOL": "SASL_SSL",
            "SASL_MECHANISM": "SCRAM-SHA-256",
            "USERNAME": kafka_broker.username,
            "PASSWORD": kafka_broker.password,
            "TLS_CA": str(kafka_broker.ca),
        }.items():
            monkeypatch.setenv(f"TOUCHSTONE_KAFKA_{name}", value)

    @pytest.mark.parametrize("client", CLIENTS)
    def test_all_that_leads_there_may_stand_in_the_environment(
        self, file_shell: Shell, kafka_broker: Broker, kafka_topic: str, client: str
    ) -> None:
        put(kafka_broker, kafka_topic, *orders(range(3)))
        ran = file_shell(
            "consume", "--topic", kafka_topic, "--group", "g", "--once", "--client", client
        )
        assert (ran.code, ran.json["recorded"]) == (0, 3), ran.err

    def test_a_password_in_a_file_goes_before_that_in_the_environment(
        self,
        file_shell: Shell,
        kafka_broker: Broker,
        kafka_topic: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("TOUCHSTONE_KAFKA_PASSWORD", "wrong")
        file = file_shell.write("password", f"{kafka_broker.password}\n".encode())
        where = ("consume", "--topic", kafka_topic, "--group", "g", "--status")
        assert file_shell(*where, "--password-file", file).code == 0
        empty = file_shell(*where, "--password-file", file_shell.write("empty", b"\n"))
        assert (empty.code, "no password in it" in empty.err) == (2, True)

    @pytest.mark.parametrize("how", ["--status", "--once"])
    def test_a_wrong_password_is_exit_code_9(
        self, file_shell: Shell, kafka_topic: str, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        monkeypatch.setenv("TOUCHSTONE_KAFKA_PASSWORD", "canary-password")
        ran = file_shell("consume", "--topic", kafka_topic, "--group", "g", how)
        assert (ran.code, "Error: Kafka refuses" in ran.err) == (9, True), ran.err
        assert "canary" not in ran.err

    def test_the_doctor_looks_at_the_brokers_of_the_environment(
        self, file_shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ran = file_shell("doctor", "-o", "json")
        assert (ran.code, ran.json[-1]["check"], ran.json[-1]["ok"]) == (0, "kafka", True)
        assert re.fullmatch(r"cluster [\w-]{22}, 1 broker", ran.json[-1]["detail"])
        monkeypatch.setenv("TOUCHSTONE_KAFKA_PASSWORD", "wrong")
        ran = file_shell("doctor", "-o", "json")
        assert (ran.code, ran.json[-1]["ok"]) == (1, False)
        assert "Kafka refuses" in ran.json[-1]["detail"]
        monkeypatch.delenv("TOUCHSTONE_KAFKA_PASSWORD")
        assert "--password-file" in file_shell("doctor", "-o", "json").json[-1]["detail"]


def test_the_doctor_says_nothing_of_kafka_where_the_environment_does_not(file_shell: Shell) -> None:
    assert "kafka" not in {found["check"] for found in file_shell("doctor", "-o", "json").json}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--bootstrap-servers", "host"), "HOST:PORT"),
        (("--bootstrap-servers", "host:1,,host:2"), "HOST:PORT"),
        (("--security-protocol", "SASL_SSL"), "--sasl-mechanism, --username, the password"),
        ((*SECURED, "--username", "u"), "TOUCHSTONE_KAFKA_PASSWORD"),
        (("--sasl-mechanism", "PLAIN"), "needs --security-protocol SASL_SSL"),
        (("--username", "u"), "nobody logs in"),
        (("--tls-ca", __file__), "nothing is encrypted"),
        (("--tls-ca", "no/such/file"), "no/such/file"),
        (("--security-protocol", "SSL", "--tls-key", __file__), "give both"),
        (("--once", "--status"), "give one of them"),
        (("--batch", "0"), "--batch"),
        (("--dead-letter-topic", "t"), "would come back for ever"),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_to_do(
    file_shell: Shell, arguments: tuple[str, ...], words: str
) -> None:
    where = ("consume", "--topic", "t", "--group", "g", "--bootstrap-servers", "127.0.0.1:1")
    ran = file_shell(*where, *arguments)
    assert (ran.code, words in ran.err) == (2, True), ran.err


class Process:
    """A consumer of its own, as a service manager starts it."""

    def __init__(self, shell: Shell, broker: Broker, topic: str, *arguments: str) -> None:
        self.port = free_port()
        self.popen = subprocess.Popen(
            [*program(QUICK), *shell.place, "consume", "--topic", topic,
             "--group", topic, "--bootstrap-servers", broker.servers,
             "--health-port", str(self.port), *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def fetched(self, path: str) -> tuple[int, str]:
        """Status and text; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as told:
                return told.status, told.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    def health(self) -> dict[str, Any]:
        _, text = self.fetched("/readyz")
        found: dict[str, Any] = json.loads(text) if text else {"state": None}
        return found

    def metrics(self) -> dict[tuple[str, str], float]:
        """Values by name and the value of one of their labels."""
        families = text_string_to_metric_families(self.fetched("/metrics")[1])
        return {
            (sample.name, sample.labels.get("partition", sample.labels.get("outcome", ""))):
                sample.value
            for family in families
            for sample in family.samples
        }  # fmt: skip

    def becomes(self, reached: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            ended = self.popen.poll()
            assert ended is None, f"it ended with {ended}: {self.popen.communicate()}"
            assert time.monotonic() < deadline, f"{otherwise}: {self.health()}"
            time.sleep(0.05)

    def catches_up(self) -> None:
        self.becomes(lambda: self.health()["state"] == "caught_up", "it does not catch up")

    def ended(self, number: signal.Signals) -> tuple[int, str, str]:
        self.popen.send_signal(number)
        out, err = self.popen.communicate(timeout=PATIENCE_SECONDS)
        return self.popen.returncode, out, err


@contextmanager
def process(shell: Shell, broker: Broker, topic: str, *arguments: str) -> Iterator[Process]:
    started = Process(shell, broker, topic, *arguments)
    try:
        yield started
    finally:
        started.popen.kill()
        started.popen.communicate()


def test_it_consumes_until_it_is_told_to_stop_and_can_be_watched_meanwhile(
    made: Shell, kafka_broker: Broker, new_topic: NewTopic
) -> None:
    topic = new_topic(2)
    put(kafka_broker, topic, *orders(range(50), 2), REFUSED, Record(None, key=b"customer:42"))
    with process(made, kafka_broker, topic) as consumer:
        consumer.catches_up()
        assert consumer.fetched("/readyz")[0] == 200
        put(kafka_broker, topic, *orders(range(40, 60), 2))
        consumer.becomes(
            lambda: consumer.metrics()["touchstone_received_total", ""] == 71, "it takes no more"
        )
        consumer.becomes(
            lambda: consumer.metrics()["touchstone_consumer_position", "1"] == 35, "no new look"
        )
        found = consumer.metrics()
        health = consumer.health()
        assert consumer.fetched("/else")[0] == 404
        code, out, err = consumer.ended(signal.SIGTERM)
    assert [found["touchstone_consumer_lag", number] for number in "01"] == [0, 0]
    outcomes = ("recorded", "duplicate", "conflict", "quarantined")
    counts = [found["touchstone_consumed_total", outcome] for outcome in outcomes]
    assert counts == [60, 10, 0, 1]
    assert (found["touchstone_skipped_total", ""], found["touchstone_up", ""]) == (1, 1)
    assert [partition["lag"] for partition in health["partitions"]] == [0, 0]
    assert (code, json.loads(out)) == (143, {
        "received": 71, "recorded": 60, "duplicate": 10, "conflict": 0, "quarantined": 1,
        "head": 60, "skipped": 1,
    })  # fmt: skip
    assert {"answers", "holds", "quarantined"} <= {line["event"] for line in logged(err)}
    assert all(line["timestamp"].endswith("Z") and line["level"] for line in logged(err))
    assert not any(canary in err + out for canary in CANARIES)


def test_one_with_the_same_instance_takes_over_and_the_first_stops_with_its_receipt(
    file_shell: Shell, kafka_broker: Broker, kafka_topic: str
) -> None:
    put(kafka_broker, kafka_topic, *orders(range(5)))
    with process(file_shell, kafka_broker, kafka_topic, "--instance", "a") as first:
        first.catches_up()
        with process(file_shell, kafka_broker, kafka_topic, "--instance", "a") as second:
            out, err = first.popen.communicate(timeout=PATIENCE_SECONDS)
            second.catches_up()
            code, *_ = second.ended(signal.SIGINT)
    assert (first.popen.returncode, json.loads(out)["recorded"]) == (6, 5)
    assert "taken over" in err.splitlines()[-1]
    assert code == 130
