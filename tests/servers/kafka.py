"""A real Apache Kafka broker for tests and benchmarks: fetched, started, shared and stopped here.

It is also a pytest plugin: the fixtures `kafka_broker`, `kafka_topic` and `new_topic` start one
broker for a whole run, of all its workers, when the first test asks for it.
"""

import base64
import fcntl
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pytest

from tests.servers.guarding import (
    alone,
    free_port,
    guarded_folder,
    is_held,
    make_folder_of_run,
    wait,
)
from tests.servers.kafka_certificates import write_certificates
from tests.servers.kafka_installation import Installation, installed

with warnings.catch_warnings():
    # It reads its own files in a way that Python 3.11 and 3.12 call out of date, and 3.13 does not.
    warnings.filterwarnings("ignore", "(open|read)_text is deprecated", DeprecationWarning)
    from kafka import KafkaAdminClient

Settings = Mapping[str, str | int]

NUMBER = "broker.pid"
"""The file in a broker's folder with the number of its process."""

ANSWER_SECONDS = 5

DEFAULTS: Settings = {
    "auto.create.topics.enable": "false",
    "delete.topic.enable": "true",
    "min.insync.replicas": 1,
    "offsets.topic.num.partitions": 4,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 4,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1_000,  # a test will not wait longer for a consumer to expire
    "broker.heartbeat.interval.ms": 200,  # a start waits for some of them
    "log.segment.delete.delay.ms": 1_000,
    "log.cleaner.dedupe.buffer.size": 8 << 20,  # of the heap
    "num.network.threads": 2,
    "num.io.threads": 4,
    "background.threads": 2,
}

SOON_BACK: Settings = {"broker.session.timeout.ms": 2_000}
"""One that was killed may come back after this time, which is 9 seconds otherwise: until then its
controller holds it for another of the same number. A busy machine may exceed it now and then, and
clients see a partition without a leader for a moment."""

JAVA_OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # compile fast rather than well: it starts in half the time
    "-XX:-UsePerfData",  # which would be outside of the folder
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS",
)

LAUNCH = """sh -c 'echo $$ >"$1" && shift && exec "$@"' broker "$@" &"""
"""Leaves a process that is nobody's child, once its number is in the file."""

QUESTION = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""Which versions of the protocol the broker speaks: the least that one may ask."""


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A broker that is its own controller, all in a folder; any process may hold one and use it.

    It listens on 127.0.0.1 only, and on `secured_port`, if any, with TLS and passwords. `settings`
    go over DEFAULTS, with the names of server.properties, and `options` are for its Java; they
    count from the next start.
    """

    folder: Path
    port: int
    controller_port: int
    secured_port: int | None = None
    settings: Settings = field(default_factory=dict)
    options: tuple[str, ...] = ()

    username: ClassVar[str] = "touchstone"
    password: ClassVar[str] = "known-to-every-test"
    """By SASL PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, at the secured port."""

    def start(self, program: Installation | None = None) -> None:
        """Start it, and return when it answers. The data folder is made if there is none.

        Does nothing more if it runs. Raises RuntimeError with the end of its log if it will not,
        and those of `installed` when there is nothing to run.
        """
        with alone(self._alive):
            if not self.running:
                self._launch(program or installation())
            wait(self._answers_or_ended, f"the broker in {self.folder} does not answer")

    def stop(self) -> None:
        """End it in order; return when it is gone."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would, with SIGKILL; return when it is gone."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it stand still: connections to it stay, and nothing is answered until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        """Whether its process is there, frozen or not."""
        return is_held(self._alive)

    @property
    def servers(self) -> str:
        """Where it is reached without any ado, as clients want it told."""
        return f"127.0.0.1:{self.port}"

    @property
    def secured(self) -> str:
        """Where it is reached by SASL_SSL, with `ca`, `username` and `password`."""
        if self.secured_port is None:
            raise RuntimeError(f"the broker in {self.folder} has no secured port")
        return f"127.0.0.1:{self.secured_port}"

    @property
    def ca(self) -> Path:
        """The certificate, as PEM, of the authority that vouches for the secured port."""
        return self.folder / "ca.pem"

    @property
    def log(self) -> Path:
        return self.folder / "broker.log"

    def create_topic(
        self, name: str, partitions: int = 1, settings: Settings | None = None
    ) -> None:
        """Create a topic, and return when each partition of it may be used."""
        wanted = {"num_partitions": partitions, "replication_factor": 1}
        configs = {key: str(value) for key, value in (settings or {}).items()}
        with self.administration() as administration:
            administration.create_topics(
                {name: {**wanted, "configs": configs}}, wait_for_metadata=True
            )

    def delete_topics(self, *names: str) -> None:
        with self.administration() as administration:
            administration.delete_topics(list(names))

    @contextmanager
    def administration(self) -> Iterator[KafkaAdminClient]:
        """A connection by which an administrator asks and orders."""
        client = KafkaAdminClient(bootstrap_servers=self.servers)
        try:
            yield client
        finally:
            client.close()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _configuration(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _number(self) -> Path:
        return self.folder / NUMBER

    @property
    def _certificate(self) -> Path:
        return self.folder / "server.pem"

    @property
    def _alive(self) -> Path:
        """Locked by the process of the broker, which inherits it."""
        return self.folder / "alive"

    def _launch(self, program: Installation) -> None:
        self._configure()
        if not (self._data / "meta.properties").exists():  # written last
            self._make_data(program)
        self._number.unlink(missing_ok=True)
        command = self._command(program, "kafka.Kafka", *self.options)
        with self._alive.open("w") as held, self.log.open("a") as log:
            fcntl.flock(held, fcntl.LOCK_EX)
            subprocess.run(
                ["sh", "-c", LAUNCH, "launch", str(self._number), *command, self._configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                check=True,
                pass_fds=[held.fileno()],
                start_new_session=True,  # an interrupt from the terminal is not for it
            )

    def _command(self, program: Installation, main: str, *options: str) -> list[str]:
        if program.archive.exists():
            options = (f"-XX:SharedArchiveFile={program.archive}", *options)
        return [
            *(str(program.java), *JAVA_OPTIONS, *options),
            *(f"-Djava.io.tmpdir={self.folder}", f"-XX:ErrorFile={self.folder}/crash.log"),
            *("-cp", program.class_path, main),
        ]

    def _make_data(self, program: Installation) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        cluster = base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode().rstrip("=")
        user = f"[name={self.username},password={self.password}]"
        done = subprocess.run(
            [
                *self._command(program, "kafka.tools.StorageTool"),
                *("format", "--cluster-id", cluster, "--config", str(self._configuration)),
                *("--add-scram", f"SCRAM-SHA-256={user}", "--add-scram", f"SCRAM-SHA-512={user}"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )
        if done.returncode:
            raise RuntimeError(f"Kafka could not format {self._data}: {done.stderr}{done.stdout}")

    def _configure(self) -> None:
        settings = {**DEFAULTS, **self._places(), **self._secured_settings(), **self.settings}
        escaped = ((name, str(value).replace("\\", r"\\")) for name, value in settings.items())
        text = "".join(f"{name}={value}\n" for name, value in escaped)
        self._configuration.touch(0o600)
        self._configuration.write_text(text, "latin-1", "backslashreplace")

    def _places(self) -> Settings:
        listeners = {"PLAINTEXT": self.port, "CONTROLLER": self.controller_port}
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
        if self.secured_port is not None:
            listeners["SECURED"], protocols["SECURED"] = self.secured_port, "SASL_SSL"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": ",".join(f"{name}://127.0.0.1:{at}" for name, at in listeners.items()),
            "listener.security.protocol.map": ",".join(map(":".join, protocols.items())),
            "log.dirs": str(self._data),
        }

    def _secured_settings(self) -> Settings:
        if self.secured_port is None:
            return {}
        if not self.ca.exists():  # written last
            write_certificates(self.ca, self._certificate)
        modules = "org.apache.kafka.common.security"
        scram = f"{modules}.scram.ScramLoginModule required;"
        settings = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._certificate),
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "plain.sasl.jaas.config": (
                f'{modules}.plain.PlainLoginModule required user_{self.username}="{self.password}";'
            ),
            "scram-sha-256.sasl.jaas.config": scram,
            "scram-sha-512.sasl.jaas.config": scram,
        }
        return {f"listener.name.secured.{name}": value for name, value in settings.items()}

    def _answers_or_ended(self) -> bool:
        if not self.running:
            last = self.log.read_text(errors="replace")[-2_000:]
            raise RuntimeError(f"Kafka did not start in {self.folder}: {last}")
        return self._answers()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), ANSWER_SECONDS) as client:
                client.sendall(QUESTION)
                return bool(client.recv(1))
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        if self.running:
            self._signal(how)
            self._signal(signal.SIGCONT)  # a frozen one would not notice
            wait(lambda: not self.running, f"the broker in {self.folder} did not end")
        self._number.unlink(missing_ok=True)  # it may be another's by now

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.kill(int(self._number.read_text()), number)
        except (FileNotFoundError, ProcessLookupError):
            if self.running:
                raise


def installation() -> Installation:
    """Apache Kafka, fetched if it is not there yet, and run once for the archive of its classes."""
    found = installed()
    if not found.archive.exists():
        with alone(found.archive):
            if not found.archive.exists():
                _archive_classes(found)
    return found


def _archive_classes(program: Installation) -> None:
    with _guarded_folder() as folder:
        made = folder / "classes.jsa"
        broker = _broker_in(folder, _free_ports(), options=(f"-XX:ArchiveClassesAtExit={made}",))
        broker.start(program)
        broker.create_topic("archived")
        broker.stop()
        partial = program.archive.with_suffix(".partial")
        shutil.copyfile(made, partial)
        partial.replace(program.archive)


@contextmanager
def temporary_broker(
    settings: Settings | None = None, options: tuple[str, ...] = ()
) -> Iterator[Broker]:
    """A running broker of one's own, whose data is removed at the end.

    It may be stopped, killed, frozen and started again; it ends with this process in any case.
    """
    with _guarded_folder() as folder:
        broker = _broker_in(folder, _free_ports(), {**SOON_BACK, **(settings or {})}, options)
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()


def _guarded_folder() -> AbstractContextManager[Path]:
    return guarded_folder("kafka", NUMBER, "KILL")


def _free_ports() -> list[int]:
    ports: set[int] = set()
    while len(ports) < 3:
        ports.add(free_port())
    return list(ports)


def _broker_in(
    folder: Path,
    ports: list[int],
    settings: Settings | None = None,
    options: tuple[str, ...] = (),
) -> Broker:
    port, controller_port, secured_port = ports
    return Broker(
        folder=folder,
        port=port,
        controller_port=controller_port,
        secured_port=secured_port,
        settings=settings or {},
        options=options,
    )


# --- One broker for a run of pytest -----------------------------------------------------------

RUN_FOLDER = pytest.StashKey[Path]()
"""Where the run's broker is, or will be: the first process makes it, and tells its workers."""

_WORKER_INPUT = "touchstone_kafka_folder"


def shared_broker(config: pytest.Config) -> Broker:
    """The broker of this run of pytest, started by whichever worker asks for it first."""
    folder = config.stash[RUN_FOLDER]
    told = folder / "ports"
    with alone(told):
        if told.exists():
            return _broker_in(folder, [int(port) for port in told.read_text().split()])
        ports = _free_ports()
        broker = _broker_in(folder, ports)
        broker.start()
        told.write_text(" ".join(map(str, ports)))
        return broker


def pytest_configure(config: pytest.Config) -> None:
    """Make the place for a broker, guarded by the process whose end is the run's end."""
    make_folder_of_run(config, RUN_FOLDER, _WORKER_INPUT, _guarded_folder())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the run's broker is."""
    node.workerinput[_WORKER_INPUT] = str(node.config.stash[RUN_FOLDER])


@pytest.fixture(scope="session")
def kafka_broker(pytestconfig: pytest.Config) -> Broker:
    """The Kafka broker of the run. It is shared: no test may stop or freeze it."""
    return shared_broker(pytestconfig)


class NewTopic(Protocol):
    """Creates a topic of the run's broker; its name. `settings` are written with underscores."""

    def __call__(self, partitions: int = 1, **settings: str | int) -> str: ...


@pytest.fixture
def new_topic(kafka_broker: Broker) -> Iterator[NewTopic]:
    """Creates topics of the test's own, as `new_topic(12, max_message_bytes=100)`."""
    made: list[str] = []

    def create(partitions: int = 1, **settings: str | int) -> str:
        name = f"test-{uuid.uuid4().hex}"
        dotted = {key.replace("_", "."): value for key, value in settings.items()}
        kafka_broker.create_topic(name, partitions, dotted)
        made.append(name)
        return name

    yield create
    if made:
        kafka_broker.delete_topics(*made)


@pytest.fixture
def kafka_topic(new_topic: NewTopic) -> str:
    """The name of a topic of the test's own, which has one partition."""
    return new_topic()
