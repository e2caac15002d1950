"""What a consumer does when the ledger refuses its group: it ends, or goes on, by what it knows.

The client plays a part, poll by poll, since no broker gives a member up at a moment of ours. The
ledger that refuses is real, and so is the cluster; tests/crash freezes consumers of real groups.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from consumers.client import Holder, Message, Partition
from consumers.cluster import Cluster
from consumers.consuming import Consuming
from consumers.errors import Fenced
from consumers.placing import tracking_of
from consumers.watch import Watch
from ledger.intake import Stop
from ledger.ledger import Ledger
from ledger.log import Move
from ledger.receipt import Receipt
from tests.consumers.topics import new_group, produce, subscription
from tests.ledger.sending import line, orders, positions, send
from tests.servers.kafka import Broker, NewTopic

LINES = [line(order) for order in orders(range(6))]
HALF = 3
Poll = Callable[[Holder], Sequence[Message]]


class Player:
    """A client whose polls are a play. It is a member of its group whenever somebody asks."""

    def __init__(self, holder: Holder, polls: Iterator[Poll]) -> None:
        self._holder = holder
        self._polls = polls

    def poll(self, seconds: float) -> Sequence[Message]:
        return next(self._polls)(self._holder)

    def position(self, partition: Partition) -> int:
        return 0

    def seek(self, partition: Partition, offset: int) -> None:
        pass

    def commit(self, positions: Mapping[Partition, int], *, wait: bool = False) -> None:
        pass

    def close(self) -> None:
        pass


class Stage:
    """A partition with LINES on it, a ledger, and what can happen between them in a poll."""

    def __init__(self, ledger: Ledger, cluster: Cluster, broker: Broker, topic: str) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._broker = broker
        self._there = Partition(topic, 0)
        self._stop = Stop()

    def play(self, *polls: Poll) -> Receipt:
        """Let a consumer poll; what it has taken in at the end."""
        consuming = Consuming(
            self._ledger,
            self._cluster,
            subscription(self._broker.servers, self._there.topic, new_group()),
            lambda _, holder: Player(holder, iter([*polls, self._end])),
            watch=Watch(),
            stop=self._stop,
        )
        consuming.run()
        return consuming.taken.receipt

    def first_half(self, holder: Holder) -> Sequence[Message]:
        holder.place([self._there])
        return self._messages(0, HALF)

    def other_half(self, holder: Holder) -> Sequence[Message]:
        return self._messages(HALF, len(LINES))

    def taken_by_another(self, poll: Poll) -> Poll:
        """The same poll; before it returns, another consumer takes in what it delivers."""

        def polled(holder: Holder) -> Sequence[Message]:
            messages = poll(holder)
            begin, end = messages[0].offset, messages[-1].offset + 1
            topic_id = self._cluster.topics([self._there.topic])[self._there.topic].id
            name = tracking_of(self._cluster.id, topic_id, self._there.number)
            send(self._ledger, *LINES[begin:end], moves=[Move(name, begin, end)])
            return messages

        return polled

    def lost(self, holder: Holder) -> Sequence[Message]:
        holder.lose([self._there])
        return []

    def lost_and_held_again(self, holder: Holder) -> Sequence[Message]:
        holder.lose([self._there])
        holder.place([self._there])
        return []

    def handed_over(self, holder: Holder) -> Sequence[Message]:
        holder.give_up([self._there])
        return []

    def nothing(self, holder: Holder) -> Sequence[Message]:
        return []

    def _messages(self, begin: int, end: int) -> list[Message]:
        return [Message(self._there, n, None, LINES[n], ()) for n in range(begin, end)]

    def _end(self, holder: Holder) -> Sequence[Message]:
        self._stop.signal = 15
        return []


@pytest.fixture
def stage(ledger: Ledger, cluster: Cluster, kafka_broker: Broker, new_topic: NewTopic) -> Stage:
    topic = new_topic()
    produce(kafka_broker.servers, topic, *LINES)
    return Stage(ledger, cluster, kafka_broker, topic)


def test_one_that_was_given_up_and_is_refused_ends(ledger: Ledger, stage: Stage) -> None:
    with pytest.raises(Fenced, match="another consumer has taken over"):
        stage.play(stage.taken_by_another(stage.first_half), stage.lost)
    assert positions(ledger) == [1, 2, 3]


def test_it_ends_although_it_is_in_the_group_again(ledger: Ledger, stage: Stage) -> None:
    with pytest.raises(Fenced, match="another consumer has taken over"):
        stage.play(stage.taken_by_another(stage.first_half), stage.lost_and_held_again)
    assert positions(ledger) == [1, 2, 3]


def test_one_that_was_given_up_goes_on_where_nobody_has_read_on(
    ledger: Ledger, stage: Stage
) -> None:
    taken = stage.play(stage.first_half, stage.lost_and_held_again, stage.other_half)
    assert (taken.recorded, taken.duplicate) == (6, 0)
    assert positions(ledger) == [1, 2, 3, 4, 5, 6]


def test_what_it_reads_after_that_is_judged_anew(ledger: Ledger, stage: Stage) -> None:
    """Whoever had the partition in between may still have moved it: that is no reason to end."""
    taken = stage.play(
        stage.first_half,
        stage.lost_and_held_again,
        stage.taken_by_another(stage.other_half),
        stage.nothing,
    )
    assert (taken.received, taken.recorded) == (3, 3)
    assert positions(ledger) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("then", ["nothing", "handed_over"])
def test_one_that_is_refused_and_was_not_given_up_goes_on(
    ledger: Ledger, stage: Stage, then: str
) -> None:
    """The group still knows it: the other one was before it, and had that group in hand."""
    taken = stage.play(stage.taken_by_another(stage.first_half), getattr(stage, then))
    assert taken.received == 0
    assert positions(ledger) == [1, 2, 3]
