"""A process that consumes as `touchstone consume` does, tells what it takes, and fails on order."""

import json
import os
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

import consumers.confluent
import consumers.kafka_python  # noqa: F401 - both imported once, before the children are forked
from cli import exits
from cli.logs import logging_to_people
from cli.stopping import stopping
from consumers.client import Client, Holder, Message, Partition, Subscription, client_named
from consumers.cluster import Cluster
from consumers.connection import Connection
from consumers.consuming import Consuming
from consumers.watch import Watch
from ledger.address import parse_url
from ledger.errors import LedgerError
from ledger.intake import Stop
from ledger.ledger import Ledger, open_ledger
from ledger.log import Appended, Log
from ledger.receipt import Receipt

FREEZING_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a consumer is to do, and at which point it is to fail; 0 is never.

    `kill_at_commit` counts the times that Kafka is told of an offset: at that one the process is
    killed, with its group in the ledger. `freeze_at_append` counts groups: before that one goes
    into the ledger the process stands still until it is let go on. With `from_committed` it
    begins where the group has committed, wherever the ledger stands.
    """

    servers: str
    topics: Sequence[str]
    group: str
    client: str = "kafka-python"
    instance: str | None = None
    session_seconds: float = 1.0
    records: int = 20
    once: bool = False
    skip_lost: bool = False
    kill_at_commit: int = 0
    freeze_at_append: int = 0
    from_committed: bool = False

    def told(self) -> dict[str, Any]:
        """The plan as it goes to another process."""
        return asdict(self)


def consume(url: str, keys: str, told: Mapping[str, Any]) -> int:
    """Consume until a signal comes, or to the end; the exit code is that of the command."""
    plan = Plan(**told)
    try:
        with (
            logging_to_people(quiet=False),
            open_ledger(parse_url(url, Path(keys))) as ledger,
            Cluster(Connection(servers=plan.servers)) as cluster,
            stopping() as stop,
        ):
            code = _consume(plan, ledger, cluster, stop)
    except LedgerError as error:
        os.write(2, f"Error: {error}\n".encode())
        return exits.code_of(error) or exits.FAILED
    return exits.SIGNAL_BASE + stop.signal if stop.signal is not None else code


def _consume(plan: Plan, ledger: Ledger, cluster: Cluster, stop: Stop) -> int:
    if plan.freeze_at_append:
        _freeze_at(plan.freeze_at_append, ledger.log)
    subscription = Subscription(
        connection=Connection(servers=plan.servers),
        topics=tuple(plan.topics),
        group=plan.group,
        instance=plan.instance,
        records=plan.records,
        session_seconds=plan.session_seconds,
    )

    def opened(subscription: Subscription, holder: Holder) -> Client:
        if plan.from_committed:
            holder = _FromCommitted(holder, cluster.committed(plan.group))
        client = client_named(plan.client)(subscription, holder)
        return _Killing(client, plan.kill_at_commit) if plan.kill_at_commit else client

    consuming = Consuming(
        ledger,
        cluster,
        subscription,
        opened,
        watch=_Telling(),
        stop=stop,
        skip_lost=plan.skip_lost,
    )
    try:
        consuming.run(once=plan.once)
    finally:
        _tell(ended=_counts(consuming.taken.receipt, consuming.taken.skipped))
    return exits.DONE if consuming.taken.receipt.complete or not plan.once else exits.PARTLY


class _Telling(Watch):
    """Tells each group that was taken, and how the process is whenever that is looked at."""

    def took(self, receipt: Receipt, skipped: int, seconds: float) -> bool:
        news = super().took(receipt, skipped, seconds)
        _tell(took=_counts(receipt, skipped))
        return news

    def sees(self, partitions: Mapping[Partition, tuple[int, int]]) -> bool:
        news = super().sees(partitions)
        self._tell_state()
        return news

    def lost(self, reason: str) -> bool:
        news = super().lost(reason)
        self._tell_state()
        return news

    def _tell_state(self) -> None:
        health = self.health()
        held = {f"{p.topic}/{p.partition}": p.lag for p in health.partitions}
        _tell(state=health.state, held=held, cpu=time.process_time(), at=time.monotonic())


class _Killing:
    """A client that kills its process when it is told to commit for the nth time."""

    def __init__(self, client: Client, left: int) -> None:
        self._client = client
        self._left = left

    def poll(self, seconds: float) -> Sequence[Message]:
        return self._client.poll(seconds)

    def position(self, partition: Partition) -> int:
        return self._client.position(partition)

    def seek(self, partition: Partition, offset: int) -> None:
        self._client.seek(partition, offset)

    def commit(self, positions: Mapping[Partition, int], *, wait: bool = False) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._client.commit(positions, wait=wait)

    def close(self) -> None:
        self._client.close()


class _FromCommitted:
    """A holder that is deaf to where the ledger stands, the first time that it is asked."""

    def __init__(self, holder: Holder, committed: Mapping[Partition, int]) -> None:
        self._holder = holder
        self._committed = dict(committed)

    def place(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        placed = dict(self._holder.place(partitions))
        for partition in partitions:
            placed[partition] = self._committed.pop(partition, placed[partition])
        return placed

    def give_up(self, partitions: Collection[Partition]) -> None:
        self._holder.give_up(partitions)

    def lose(self, partitions: Collection[Partition]) -> None:
        self._holder.lose(partitions)


def _freeze_at(number: int, log: Log) -> None:
    """Let the process stand still when it has the nth group in hand."""
    append, left = log.append, number

    def freezing(*arguments: Any) -> Appended:
        nonlocal left
        left -= 1
        if not left:
            _tell(frozen=True)
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(FREEZING_SECONDS)  # it reaches each thread in its own time
        return append(*arguments)

    setattr(log, "append", freezing)  # noqa: B010 - a method of this one log


def _counts(receipt: Receipt, skipped: int) -> dict[str, int]:
    counts: dict[str, int] = msgspec.to_builtins(receipt)
    return {**counts, "skipped": skipped}


def _tell(**fields: object) -> None:
    os.write(1, json.dumps(fields).encode() + b"\n")
