"""The Kafka broker of the tests: it answers, keeps what it promised, and leaves nothing."""

import logging
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError

from tests.servers import kafka_installation
from tests.servers.guarding import free_port
from tests.servers.kafka import Broker, NewTopic, temporary_broker
from tests.servers.kafka_installation import installed
from tests.servers.kafka_local import main

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60

RUN = """
import os
import time
from pathlib import Path

import pytest

from tests.servers.kafka import RUN_FOLDER


@pytest.mark.parametrize("number", range(4))
def test_broker(kafka_broker, kafka_topic, number):
    Path(f"broker-{os.getpid()}").write_text(f"{kafka_broker.port} {kafka_broker.folder}")
    time.sleep(0.2)  # so that each of two workers gets some


def test_ending():
    while len(list(Path().glob("broker-*"))) < 2:
        time.sleep(0.01)
    Path("reached").touch()
    time.sleep(60)


def test_plain(pytestconfig):
    assert list(pytestconfig.stash[RUN_FOLDER].iterdir()) == []
"""


@pytest.fixture(scope="module")
def own_broker() -> Iterator[Broker]:
    with temporary_broker() as broker:
        yield broker


@pytest.fixture
def broker(own_broker: Broker) -> Broker:
    """A running broker of this file's own, which its tests may stop."""
    own_broker.start()
    return own_broker


@pytest.fixture
def topic(broker: Broker) -> str:
    name = uuid.uuid4().hex
    broker.create_topic(name)
    return name


def write(broker: Broker, topic: str, *words: str) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.servers)
    try:
        for sent in [producer.send(topic, word.encode()) for word in words]:
            sent.get(PATIENCE_SECONDS)
    finally:
        producer.close()


def words(broker: Broker, topic: str) -> list[str]:
    """All that is in the topic's only partition."""
    consumer = KafkaConsumer(bootstrap_servers=broker.servers, group_id=None)
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        found: list[str] = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while consumer.position(partition) < end:
            assert time.monotonic() < deadline, "it does not give what it has"
            for records in consumer.poll(timeout_ms=100).values():
                found += [record.value.decode() for record in records]
        return found
    finally:
        consumer.close()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


class TestBroker:
    def test_gives_back_what_was_written(self, broker: Broker, topic: str) -> None:
        write(broker, topic, "one")
        assert words(broker, topic) == ["one"]

    def test_makes_no_topic_that_nobody_asked_for(self, broker: Broker, topic: str) -> None:
        producer = KafkaProducer(bootstrap_servers=broker.servers, max_block_ms=300)
        with pytest.raises(KafkaError):
            producer.send("other", b"word").get(PATIENCE_SECONDS)
        producer.close()
        with pytest.raises(TopicAlreadyExistsError):
            broker.create_topic(topic)

    def test_starting_a_running_broker_changes_nothing(self, broker: Broker) -> None:
        began = (broker.folder / "broker.pid").read_text()
        broker.start()
        assert (broker.folder / "broker.pid").read_text() == began

    def test_what_was_written_survives_every_way_to_end(self, broker: Broker, topic: str) -> None:
        write(broker, topic, "stopped")
        broker.stop()
        broker.start()
        write(broker, topic, "killed")
        broker.kill()
        broker.start()
        assert words(broker, topic) == ["stopped", "killed"]

    @pytest.mark.parametrize("end", [Broker.stop, Broker.kill])
    def test_nothing_is_left_running_after_its_end(
        self, broker: Broker, end: Callable[[Broker], None]
    ) -> None:
        assert (broker.running, listens(broker.port)) == (True, True)
        end(broker)
        assert (broker.running, listens(broker.port)) == (False, False)
        end(broker)  # once more is no error

    def test_answers_nothing_while_it_is_frozen(self, broker: Broker, topic: str) -> None:
        broker.freeze()
        try:
            with pytest.raises(KafkaError):
                KafkaAdminClient(bootstrap_servers=broker.servers, bootstrap_timeout_ms=500)
            assert broker.running
        finally:
            broker.thaw()
        write(broker, topic, "thawed")
        assert words(broker, topic) == ["thawed"]

    def test_listens_to_this_machine_alone(self, broker: Broker) -> None:
        for port in (broker.port, broker.controller_port, broker.secured_port):
            assert port is not None
            with socket.socket() as other:  # nobody has the port at another address
                other.bind(("127.0.0.2", port))

    def test_a_broker_that_cannot_start_says_why(self) -> None:
        wrong = temporary_broker({"num.io.threads": "many"})
        with pytest.raises(RuntimeError, match=r"many for configuration num\.io\.threads"):
            wrong.__enter__()


class TestSecuredPort:
    @pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
    def test_lets_in_who_knows_the_password_and_nobody_else(
        self, broker: Broker, topic: str, mechanism: str
    ) -> None:
        told: list[confluent_kafka.KafkaError] = []
        known: dict[str, Any] = {
            "bootstrap.servers": broker.secured,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": mechanism,
            "ssl.ca.location": str(broker.ca),
            "sasl.username": broker.username,
            "sasl.password": broker.password,
            "error_cb": told.append,
            "logger": logging.getLogger(__name__),
        }
        assert topic in AdminClient(known).list_topics(timeout=PATIENCE_SECONDS).topics
        stranger = AdminClient({**known, "sasl.password": "guessed"})
        with pytest.raises(confluent_kafka.KafkaException):
            stranger.list_topics(timeout=1)
        stranger.poll(0)
        assert "_AUTHENTICATION" in [error.name() for error in told]

    def test_lets_in_kafka_python_too(self, broker: Broker, topic: str) -> None:
        administration = KafkaAdminClient(
            bootstrap_servers=broker.secured,
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-256",
            ssl_cafile=str(broker.ca),
            sasl_plain_username=broker.username,
            sasl_plain_password=broker.password,
        )
        assert topic in administration.list_topics()
        administration.close()


class TestInstallation:
    @pytest.fixture(autouse=True)
    def _found_anew(self) -> Iterator[None]:
        installed.cache_clear()
        yield
        installed.cache_clear()

    def test_a_fetch_that_was_killed_is_done_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        half = tmp_path / f"kafka-{kafka_installation.VERSION}.half.partial"
        half.mkdir()
        broken = tmp_path / "mvn"
        broken.write_text("#!/bin/sh\necho the network is down\nexit 1\n")
        broken.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        with pytest.raises(RuntimeError, match=r"could not fetch .* the network is down"):
            installed(tmp_path)
        assert not half.exists()
        assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".lock"]

    def test_without_java_the_message_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        with pytest.raises(RuntimeError, match=r"needs Java 17 or newer.*install one"):
            installed(tmp_path)

    def test_without_maven_the_message_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JAVA_HOME", str(installed().java.resolve().parents[1]))
        installed.cache_clear()
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(RuntimeError, match=r"no mvn on the PATH: install it"):
            installed(tmp_path)


def environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    return {**own, "PYTHONPATH": os.pathsep.join([str(ROOT), own.get("PYTHONPATH", "")])}


class TestSharedBroker:
    def test_topics_are_made_as_a_test_wants_them(
        self, kafka_broker: Broker, new_topic: NewTopic
    ) -> None:
        name = new_topic(3, max_message_bytes=100)
        with kafka_broker.administration() as administration:
            (described,) = administration.describe_topics([name])
        assert len(described["partitions"]) == 3
        with pytest.raises(MessageSizeTooLargeError):
            write(kafka_broker, name, "x" * 200)

    def test_workers_share_one_that_ends_when_the_run_is_killed(self, tmp_path: Path) -> None:
        with self.run(tmp_path, "broker or ending", "-n", "2") as run:
            wait_until((tmp_path / "reached").exists)
            told = {path.read_text() for path in tmp_path.glob("broker-*")}
            run.kill()
        assert len(told) == 1
        port, folder = told.pop().split()
        wait_until(lambda: not listens(int(port)) and not Path(folder).exists())

    def test_a_run_that_needs_none_starts_none(self, tmp_path: Path) -> None:
        with self.run(tmp_path, "plain") as run:
            assert "1 passed" in run.communicate(timeout=PATIENCE_SECONDS)[0]

    def run(self, folder: Path, selected: str, *options: str) -> "subprocess.Popen[str]":
        (folder / "conftest.py").write_text('pytest_plugins = ["tests.servers.kafka"]\n')
        (folder / "test_run.py").write_text(RUN)
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *("-k", selected, *options),
            ],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


class TestLocalBroker:
    """That of `make kafka-up` and `make kafka-down`, in another folder."""

    @pytest.fixture
    def command(self, tmp_path: Path) -> Iterator[list[str]]:
        options = ["--folder", str(tmp_path / "kafka"), "--port"]
        yield options
        main(["down", *options, "0"])

    def test_it_stays_until_it_is_told_to_stop_and_comes_back_with_its_records(
        self, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        port = free_port()
        local = Broker(folder=tmp_path / "kafka", port=port, controller_port=0)
        subprocess.run(
            [sys.executable, "-m", "tests.servers.kafka_local", "up", *command, str(port)],
            env=environment(),
            check=True,
        )
        write(local, "made-by-writing", "one")
        assert main(["up", *command, str(free_port())]) == 0
        assert f"answers on 127.0.0.1:{port}." in capsys.readouterr().out
        local.kill()
        assert main(["up", *command, str(port)]) == 0
        assert words(local, "made-by-writing") == ["one"]
        assert main(["down", *command, str(port)]) == 0
        assert not local.running

    def test_down_says_when_there_is_none(
        self, command: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["down", *command, "0"]) == 0
        assert "No broker runs" in capsys.readouterr().out

    def test_a_port_that_is_taken_is_named(
        self, command: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            assert main(["up", *command, str(port)]) == 1
        assert f"something else listens on 127.0.0.1:{port}" in capsys.readouterr().err
