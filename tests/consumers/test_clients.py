"""What a client of each library promises (consumers/client.py), against a real broker."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from confluent_kafka import Producer
from kafka import KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove

from consumers.client import Message, Partition, Subscription, client_named
from consumers.cluster import Cluster
from consumers.connection import SASL_SSL, Connection
from consumers.errors import Fenced, OutOfRange
from ledger.errors import Denied, LedgerError, Unreachable
from tests.consumers.conftest import Join
from tests.consumers.topics import (
    Book,
    Member,
    numbered,
    produce,
    producing,
    subscription,
    take_turns,
)
from tests.servers.guarding import free_port
from tests.servers.kafka import Broker, NewTopic, temporary_broker

SHORT_SESSION_SECONDS = 1.5
DAMAGED = "damaged"


def test_everything_is_delivered_once_and_in_order_from_where_it_was_placed(
    kafka_broker: Broker, new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic(3)
    for number in range(3):
        produce(kafka_broker.servers, topic, *numbered(200), partition=number)
    begins = {Partition(topic, number): 50 * number for number in range(3)}
    member = join(topic, Book(nexts=dict(begins)), records=70)

    take_turns(member, until=lambda: member.book.count >= 450)
    member.turn(0.5)

    assert member.book.values == {p: numbered(200 - at, at) for p, at in begins.items()}
    assert {p: member.client.position(p) for p in begins} == dict.fromkeys(begins, 200)
    assert not member.book.wrongs


def test_a_group_has_no_more_records_than_was_asked_for(
    kafka_broker: Broker, new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic()
    produce(kafka_broker.servers, topic, *numbered(100))
    member = join(topic, records=7)
    sizes: list[int] = []

    while sum(sizes) < 100:
        sizes.append(len(member.turn(1)))

    assert max(sizes) == 7


def test_a_poll_does_not_wait_for_more_when_something_has_come(
    kafka_broker: Broker, new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic()
    member = join(topic)
    take_turns(member, until=lambda: bool(member.held))
    produce(kafka_broker.servers, topic, b"one")

    started = time.monotonic()
    messages = member.turn(10)

    assert [message.value for message in messages] == [b"one"]
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_however_records_were_compressed_they_can_be_read(
    kafka_broker: Broker, new_topic: NewTopic, join: Join, codec: str
) -> None:
    topic = new_topic()
    producer = Producer(
        {"bootstrap.servers": kafka_broker.servers, "compression.type": codec, "linger.ms": 100}
    )
    for value in numbered(300):
        producer.produce(topic, value)
    assert producer.flush(10) == 0
    member = join(topic)

    take_turns(member, until=lambda: member.book.count >= 300)

    assert member.book.values == {Partition(topic, 0): numbered(300)}


def test_records_arrive_as_they_were_sent(
    kafka_broker: Broker, new_topic: NewTopic, join: Join
) -> None:
    headers: list[tuple[str, str | bytes | None]] = [
        ("ce_id", b"1"),
        ("ce_id", b"2"),
        ("nothing", None),
        ("empty", b""),
        ("bytes", b"\xff\x00"),
        ("größe", b"5"),
    ]
    topic = new_topic()
    producer = Producer({"bootstrap.servers": kafka_broker.servers})
    producer.produce(topic, key=None, value=None, headers=headers)
    producer.produce(topic, key=b"", value=b"")
    producer.produce(topic, key=b"\xfe", value=b"\xff" * 200_000, headers=[])
    assert producer.flush(10) == 0
    member = join(topic)
    got: list[Message] = []

    while len(got) < 3:
        got += member.turn(1)

    assert [(m.offset, m.key, m.value, list(m.headers)) for m in got] == [
        (0, None, None, headers),
        (1, b"", b"", []),
        (2, b"\xfe", b"\xff" * 200_000, []),
    ]


class Misnamed(str):
    """The name of a header as a careless producer sends it: bytes that are no UTF-8."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


def test_the_name_of_a_header_that_is_no_text_loses_no_record(
    kafka_broker: Broker, new_topic: NewTopic, join: Join, client_name: str
) -> None:
    topic = new_topic()
    with producing(kafka_broker.servers) as producer:
        for name in ("good", Misnamed("bad"), "good"):
            producer.send(topic, value=b"{}", headers=[(name, b"x")])
            producer.flush()
    member = join(topic)

    if client_name == "confluent-kafka":
        take_turns(member, until=lambda: member.book.count == 3)
    else:  # it stops in front of it, and says so again and again
        for _ in range(3):
            with pytest.raises(LedgerError, match="cannot read"):
                take_turns(member, until=lambda: member.book.count == 3)
        member.settle()
        assert member.book.count == member.client.position(Partition(topic, 0)) == 1


def test_nothing_is_delivered_before_it_is_placed_however_often_that_fails(
    kafka_broker: Broker, new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic(2)
    produce(kafka_broker.servers, topic, *numbered(10), partition=1)
    member = join(topic, Book(nexts={Partition(topic, 1): 4}))
    member.refusal = Unreachable("the ledger is away")

    for _ in range(3):
        with pytest.raises(Unreachable, match="the ledger is away"):
            take_turns(member, until=lambda: bool(member.in_hand))
    assert not member.placed
    member.refusal = None
    take_turns(member, until=lambda: member.book.count == 6)

    assert member.placed == [[Partition(topic, 0), Partition(topic, 1)]]
    assert member.book.values == {Partition(topic, 1): numbered(6, 4)}


def test_members_come_and_go_and_every_partition_goes_on_where_the_last_one_stood(
    kafka_broker: Broker, new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic(6)
    book = Book()
    members = [join(topic, book, records=5), join(topic, book, records=5)]
    with producing(kafka_broker.servers) as producer:
        flow = Flow(producer, topic)
        take_turns(*members, until=lambda: flow.sends_until(_shares(members) == [3, 3]))
        before = [set(member.held) for member in members]

        members.append(join(topic, book, records=5))
        take_turns(*members, until=lambda: flow.sends_until(_shares(members) == [2, 2, 2]))
        assert all(set(m.held) < b for m, b in zip(members, before, strict=False))

        leaving = members.pop(0)
        leaving.client.close()
        assert not leaving.held
        take_turns(*members, until=lambda: flow.sends_until(_shares(members) == [3, 3]))
        producer.flush()
        take_turns(*members, until=lambda: book.count == 6 * flow.sent)

    assert book.values == {Partition(topic, n): numbered(flow.sent) for n in range(6)}
    assert not book.wrongs
    assert not any(member.lost for member in (leaving, *members))


def _shares(members: list[Member]) -> list[int]:
    return sorted(len(member.held) for member in members)


class Flow:
    """Records that go to each of six partitions, some in a second."""

    def __init__(self, producer: KafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._next_at = 0.0
        self.sent = 0

    def sends_until(self, reached: bool) -> bool:
        """Send one to each now and then, unless it is reached."""
        if not reached and time.monotonic() > self._next_at:
            self._next_at = time.monotonic() + 0.1
            for number in range(6):
                self._producer.send(self._topic, value=b"%d" % self.sent, partition=number)
            self.sent += 1
        return reached


def test_libraries_share_a_group(
    kafka_broker: Broker, new_topic: NewTopic, join: Join, client_name: str
) -> None:
    topic = new_topic(4)
    book = Book()
    first = join(topic, book)
    take_turns(first, until=lambda: len(first.held) == 4)
    for number in range(4):
        produce(kafka_broker.servers, topic, *numbered(10), partition=number)

    other = "kafka-python" if client_name == "confluent-kafka" else "confluent-kafka"
    second = join(topic, book, client=other)
    take_turns(first, second, until=lambda: len(first.held) == len(second.held) == 2)
    take_turns(first, second, until=lambda: book.count == 40)

    assert not book.wrongs


def test_a_static_member_restarts_and_nobody_else_loses_anything(
    kafka_broker: Broker, new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic(2)
    book = Book()
    staying = join(topic, book, instance="staying")
    leaving = join(topic, book, instance="leaving")
    take_turns(staying, leaving, until=lambda: len(staying.held) == len(leaving.held) == 1)
    held, given_up = leaving.held, list(staying.given_up)

    leaving.client.close()
    take_turns(staying, until=_after(1.0))
    again = join(topic, book, instance="leaving")
    take_turns(staying, again, until=lambda: again.held == held)
    take_turns(staying, again, until=_after(0.5))

    assert staying.given_up == given_up
    assert len(staying.held) == 1
    assert not book.wrongs


def _after(seconds: float) -> "_Later":
    return _Later(time.monotonic() + seconds)


class _Later:
    def __init__(self, moment: float) -> None:
        self.moment = moment

    def __call__(self) -> bool:
        return time.monotonic() >= self.moment


def test_who_was_frozen_longer_than_a_session_is_fenced(
    kafka_broker: Broker, new_topic: NewTopic, join: Join, client_name: str, group: str
) -> None:
    topic = new_topic()
    with _process(client_name, kafka_broker.servers, topic, group) as frozen:
        assert _told(frozen) == "holds"
        assert _asked(frozen) == "committed"
        frozen.send_signal(signal.SIGSTOP)
        successor = join(topic, session_seconds=SHORT_SESSION_SECONDS)
        take_turns(successor, until=lambda: bool(successor.held))
        frozen.send_signal(signal.SIGCONT)

        assert _asked(frozen) == "Fenced"


@contextmanager
def _process(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.consumers.topics", *arguments, str(SHORT_SESSION_SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _asked(process: "subprocess.Popen[str]") -> str:
    assert process.stdin is not None
    process.stdin.write("commit\n")
    process.stdin.flush()
    return _told(process)


def _told(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_who_is_put_out_of_the_group_loses_what_it_held_and_may_join_again(
    kafka_broker: Broker, new_topic: NewTopic, join: Join, group: str
) -> None:
    topic = new_topic(2)
    both = [Partition(topic, 0), Partition(topic, 1)]
    member = join(topic, instance="one", session_seconds=SHORT_SESSION_SECONDS)
    take_turns(member, until=lambda: member.held == both)

    with kafka_broker.administration() as admin:
        admin.remove_group_members(group, [MemberToRemove(group_instance_id="one")])
    take_turns(member, until=lambda: len(member.placed) == 2)

    assert (member.lost, member.given_up, member.placed) == ([both], [both], [both, both])
    assert not member.book.wrongs


def test_a_second_member_of_the_same_name_fences_the_first(
    kafka_broker: Broker, new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic()
    first = join(topic, instance="one")
    take_turns(first, until=lambda: bool(first.held))
    second = join(topic, instance="one")
    take_turns(second, until=lambda: bool(second.held))

    with pytest.raises(Fenced):
        first.client.commit({Partition(topic, 0): 0}, wait=True)
    second.client.commit({Partition(topic, 0): 0}, wait=True)


def test_who_is_fenced_learns_it_by_polling_after_a_commit(
    kafka_broker: Broker, new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic()
    first = join(topic, instance="one")
    take_turns(first, until=lambda: bool(first.held))
    second = join(topic, instance="one")
    take_turns(second, until=lambda: bool(second.held))

    with pytest.raises(Fenced):  # noqa: PT012
        first.client.commit({Partition(topic, 0): 0})
        take_turns(first, until=_after(10))


def test_what_is_committed_is_known_to_kafka(
    kafka_broker: Broker, new_topic: NewTopic, join: Join, group: str
) -> None:
    topic = new_topic(2)
    one, two = Partition(topic, 0), Partition(topic, 1)
    produce(kafka_broker.servers, topic, *numbered(9))
    member = join(topic)
    take_turns(member, until=lambda: member.book.count == 9)

    member.client.commit({one: 3, two: 0}, wait=True)
    with Cluster(Connection(servers=kafka_broker.servers)) as cluster:
        assert cluster.committed(group) == {one: 3, two: 0}
        member.client.commit({one: 9})
        take_turns(member, until=lambda: cluster.committed(group) == {one: 9, two: 0})


def test_seeking_back_delivers_again(kafka_broker: Broker, new_topic: NewTopic, join: Join) -> None:
    topic = new_topic(2)
    one, two = Partition(topic, 0), Partition(topic, 1)
    for number in range(2):
        produce(kafka_broker.servers, topic, *numbered(100), partition=number)
    member = join(topic, records=10)
    while not member.turn():  # with more of it fetched already
        pass

    member.settle()
    member.client.seek(one, 0)
    member.client.seek(two, 90)
    member.book.nexts, member.book.values = {one: 0, two: 90}, {}
    assert (member.client.position(one), member.client.position(two)) == (0, 90)
    take_turns(member, until=lambda: member.book.count == 110)
    member.turn(0.5)

    assert member.book.values == {one: numbered(100), two: numbered(10, 90)}
    assert not member.book.wrongs


def test_what_is_not_held_is_not_sought_and_has_no_position(
    new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic()
    member = join(topic)

    member.client.seek(Partition(topic, 0), 5)
    assert member.client.position(Partition(topic, 0)) == 0


def test_a_position_goes_behind_the_marks_of_transactions_and_what_was_aborted_does_not_come(
    kafka_broker: Broker, new_topic: NewTopic, join: Join, group: str
) -> None:
    topic = new_topic()
    partition = Partition(topic, 0)
    member = join(topic)
    with producing(kafka_broker.servers, transactional_id=group) as producer:
        producer.init_transactions()
        for number, commit in enumerate((True, False, True, False)):
            producer.begin_transaction()
            for _ in range(5):
                producer.send(topic, value=b"%d" % number, partition=0)
            producer.flush()
            if commit:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
    got: list[bytes | None] = []

    deadline = time.monotonic() + 15
    while not member.held or member.client.position(partition) < 24:
        assert time.monotonic() < deadline
        got += [message.value for message in member.client.poll(0.2)]

    assert got == [b"0"] * 5 + [b"2"] * 5
    assert member.client.position(partition) == 24
    with Cluster(Connection(servers=kafka_broker.servers)) as cluster:
        assert cluster.ends([partition]) == {partition: 24}


def test_records_of_an_open_transaction_wait(
    kafka_broker: Broker, new_topic: NewTopic, join: Join, group: str
) -> None:
    topic = new_topic()
    produce(kafka_broker.servers, topic, b"before")
    member = join(topic)
    with producing(kafka_broker.servers, transactional_id=group) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, value=b"within", partition=0)
        producer.flush()
        take_turns(member, until=lambda: member.book.count == 1)
        take_turns(member, until=_after(0.5))
        assert member.client.position(Partition(topic, 0)) == 1
        producer.commit_transaction()
    take_turns(member, until=lambda: member.book.count == 2)

    assert member.book.values == {Partition(topic, 0): [b"before", b"within"]}


@pytest.mark.parametrize("gone", [7, 400])
def test_offsets_that_are_not_there_are_an_error_and_others_go_on_after_a_seek(
    kafka_broker: Broker, new_topic: NewTopic, join: Join, gone: int
) -> None:
    topic = new_topic(2)
    one, two = Partition(topic, 0), Partition(topic, 1)
    for number in range(2):
        produce(kafka_broker.servers, topic, *numbered(20), partition=number)
    with kafka_broker.administration() as admin:
        admin.delete_records({TopicPartition(*one): 10})
    member = join(topic, Book(nexts={one: gone}))

    with pytest.raises(OutOfRange):
        take_turns(member, until=lambda: False)
    member.settle()
    member.book.nexts[one] = 10
    for partition in (one, two):
        member.client.seek(partition, member.book.nexts.get(partition, 0))
    take_turns(member, until=lambda: member.book.count == 30)

    assert member.book.values == {one: numbered(10, 10), two: numbered(20)}
    assert not member.book.wrongs


def test_a_topic_that_is_deleted_is_no_error(kafka_broker: Broker, join: Join, group: str) -> None:
    kafka_broker.create_topic(topic := f"deleted-{group}")
    produce(kafka_broker.servers, topic, *numbered(3))
    member = join(topic)
    take_turns(member, until=lambda: member.book.count == 3)
    kafka_broker.delete_topics(topic)
    worked = time.process_time()

    take_turns(member, until=_after(1))

    assert time.process_time() - worked < 0.5


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_member_shows_its_password_over_tls(
    kafka_broker: Broker, new_topic: NewTopic, join: Join, mechanism: str
) -> None:
    topic = new_topic()
    produce(kafka_broker.servers, topic, b"one")
    member = join(topic, connection=_secured(kafka_broker, kafka_broker.password, mechanism))

    take_turns(member, until=lambda: member.book.count == 1)


def test_a_wrong_password_is_refused_and_not_told(
    kafka_broker: Broker, new_topic: NewTopic, client_name: str, group: str
) -> None:
    connection = _secured(kafka_broker, "not-this-one", "PLAIN")
    wanted = subscription("", new_topic(), group, connection=connection)

    with pytest.raises(Denied) as refused:
        _opened_and_polled(client_name, wanted)

    assert "not-this-one" not in str(refused.value)


def _secured(broker: Broker, password: str, mechanism: str) -> Connection:
    return Connection(
        servers=broker.secured,
        security=SASL_SSL,
        mechanism=mechanism,
        username=broker.username,
        password=password,
        ca=broker.ca,
    )


def _opened_and_polled(client_name: str, wanted: Subscription) -> None:
    """Open a client, which may fail, and poll until that fails, or for some seconds."""
    member = Member(Book())
    member.client = client_named(client_name)(wanted, member)
    try:
        take_turns(member, until=_after(3))
    finally:
        member.client.close()


def test_where_no_broker_listens_opening_says_so_or_nothing_comes(
    monkeypatch: pytest.MonkeyPatch, client_name: str, group: str
) -> None:
    monkeypatch.setattr("consumers.kafka_python.REQUEST_SECONDS", 2)
    wanted = subscription(f"127.0.0.1:{free_port()}", "nothing", group)
    started, worked = time.monotonic(), time.process_time()

    with suppress(Unreachable):
        _opened_and_polled(client_name, wanted)

    assert time.monotonic() - started < 8
    assert time.process_time() - worked < 2


@pytest.fixture(scope="module")
def own_broker() -> Iterator[Broker]:
    """A broker that may be killed. On one of its topics is a record that was damaged."""
    with temporary_broker() as broker:
        broker.create_topic(DAMAGED)
        produce(broker.servers, DAMAGED, b"it costs 12.50")
        broker.stop()
        (segment,) = broker.folder.rglob(f"{DAMAGED}-0/*.log")
        segment.write_bytes(segment.read_bytes().replace(b"12.50", b"92.50"))
        broker.start()
        yield broker


def test_a_record_that_was_damaged_on_its_way_is_not_delivered(
    own_broker: Broker, join: Join
) -> None:
    member = join(DAMAGED, servers=own_broker.servers)
    with pytest.raises(LedgerError, match="Kafka"):
        take_turns(member, until=lambda: member.book.count > 0)
    assert not member.book.values


def test_a_broker_that_goes_away_is_left_soon_or_waited_for_in_peace(
    own_broker: Broker, join: Join, client_name: str
) -> None:
    topics = [f"{client_name}-{name}" for name in ("leaves", "stays")]
    for topic in topics:
        own_broker.create_topic(topic)
        produce(own_broker.servers, topic, *numbered(5))
    leaving, staying = [
        join(
            topic,
            servers=own_broker.servers,
            group=topic,
            session_seconds=SHORT_SESSION_SECONDS,
        )
        for topic in topics
    ]
    take_turns(leaving, staying, until=lambda: leaving.book.count == staying.book.count == 5)

    own_broker.kill()
    for member in (leaving, staying):
        member.client.commit(member.book.nexts)
    leaving.turn(0.2)
    started = time.monotonic()
    leaving.client.close()
    assert time.monotonic() - started < 7

    worked, started = time.process_time(), time.monotonic()
    polls = 0
    while time.monotonic() - started < 2:
        assert not staying.turn(0.2)
        polls += 1
    assert polls < 20
    assert time.process_time() - worked < 0.5

    own_broker.start()
    produce(own_broker.servers, topics[1], *numbered(5, 5))
    take_turns(staying, until=lambda: staying.book.count == 10)
    assert staying.book.values == {Partition(topics[1], 0): numbered(10)}
