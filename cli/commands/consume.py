"""`touchstone consume`: records of Kafka topics into the ledger, each once."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import click
from msgspec.structs import asdict
from rich.table import Table

from cli import exits
from cli.health import health_options, watched
from cli.kafka_options import kafka_options
from cli.logs import logging_to_people
from cli.output import Column
from cli.receipts import as_record, receipt_table
from cli.region import region_option
from cli.session import Session, bring_up_to_date, no_follow_option, pass_session
from cli.stopping import stopping
from consumers.client import CLIENTS, GROUP_RECORDS, Open, Subscription, client_named
from consumers.cluster import Cluster
from consumers.connection import Connection
from consumers.consuming import Consuming, Taken
from consumers.dead_letters import DeadLetters
from consumers.producing import Producer
from consumers.status import PartitionStatus, statuses
from consumers.watch import Watch
from ledger.errors import LedgerError
from ledger.intake import Stop
from ledger.ledger import Ledger

GROUP_RECORDS_MAX = 10_000


@click.command()
@click.option(
    "--topic", "topics", multiple=True, required=True, metavar="TOPIC",
    help="A topic to consume; may be repeated.",
)  # fmt: skip
@click.option(
    "--group", required=True, metavar="NAME", help="The consumer group that shares the partitions."
)
@kafka_options
@click.option(
    "--client", type=click.Choice(tuple(CLIENTS)), default="kafka-python", show_default=True,
    help="The client library; confluent-kafka is an extra.",
)  # fmt: skip
@click.option(
    "--instance", metavar="NAME", envvar="TOUCHSTONE_CONSUMER_INSTANCE", show_envvar=True,
    help="A name that only this process has: started again at once, it keeps its partitions.",
)  # fmt: skip
@click.option("--once", is_flag=True, help="Stop at the end that the topics have now.")
@click.option("--status", is_flag=True, help="Only say how far the partitions are read.")
@click.option(
    "--dead-letter-topic", metavar="TOPIC",
    help="Publish there what is put into quarantine, with the reason; made if missing.",
)  # fmt: skip
@click.option(
    "--batch", type=click.IntRange(1, GROUP_RECORDS_MAX), default=GROUP_RECORDS, show_default=True,
    help="Records in one transaction, at most.",
)  # fmt: skip
@click.option(
    "--skip-lost", is_flag=True,
    help="Go on behind records that Kafka has removed before they were read.",
)  # fmt: skip
@region_option
@health_options
@no_follow_option
@pass_session
def command(
    session: Session,
    topics: tuple[str, ...],
    group: str,
    connection: Connection,
    client: str,
    instance: str | None,
    once: bool,
    status: bool,
    dead_letter_topic: str | None,
    batch: int,
    skip_lost: bool,
    region: str | None,
    health_port: int | None,
    health_host: str,
    no_follow: bool,
) -> int:
    """Consume touchpoints from Kafka: CloudEvents, structured or binary, until interrupted.

    Each is recorded once, however often it is delivered and however this ends. What cannot be
    recorded is kept in quarantine, and its partition goes on. What cannot be reached is waited
    for. A record without a value is skipped.
    """
    if once and status:
        raise click.UsageError("--status only looks and --once consumes: give one of them")
    if dead_letter_topic in topics:
        raise click.UsageError(
            f"--dead-letter-topic {dead_letter_topic} is one of the topics: dead letters would "
            "come back for ever; publish them on another"
        )
    if status:
        return _show_status(session, connection, topics, group)
    wanted = _Wanted(
        subscription=Subscription(
            connection=connection, topics=topics, group=group, instance=instance, records=batch
        ),
        open_client=client_named(client),
        once=once,
        dead_letter_topic=dead_letter_topic,
        skip_lost=skip_lost,
        region=region,
        health=None if health_port is None else (health_host, health_port),
        follow=once and not no_follow,
    )
    with logging_to_people(quiet=session.quiet), session.ledger() as ledger, stopping() as stop:
        return _consume(session, ledger, wanted, stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What the options say."""

    subscription: Subscription
    open_client: Open
    once: bool
    dead_letter_topic: str | None
    skip_lost: bool
    region: str | None
    health: tuple[str, int] | None
    follow: bool


def _consume(session: Session, ledger: Ledger, wanted: _Wanted, stop: Stop) -> int:
    watch = Watch()
    with ExitStack() as run:
        run.enter_context(watched(watch, wanted.health, "consume"))
        connection = wanted.subscription.connection
        cluster = run.enter_context(Cluster(connection))
        letters = None
        if wanted.dead_letter_topic is not None:
            producer = run.enter_context(closing(Producer(connection)))
            letters = DeadLetters(ledger, cluster, producer, wanted.dead_letter_topic)
        consuming = Consuming(
            ledger,
            cluster,
            wanted.subscription,
            wanted.open_client,
            watch=watch,
            stop=stop,
            skip_lost=wanted.skip_lost,
            region=wanted.region,
            dead_letters=letters,
            report=run.enter_context(session.progress("records")),
        )
        try:
            consuming.run(once=wanted.once)
        except LedgerError:
            if consuming.taken.receipt.received:
                _print(session, consuming.taken)
            raise
    if wanted.follow and not stop.requested:
        bring_up_to_date(session, ledger, stop)
    _print(session, consuming.taken)
    if stop.signal is not None:
        return exits.SIGNAL_BASE + stop.signal
    return exits.DONE if consuming.taken.receipt.complete or not wanted.once else exits.PARTLY


def _print(session: Session, taken: Taken) -> None:
    """The receipt, and how many records had no value."""
    record = {**as_record(taken.receipt), "skipped": taken.skipped}

    def layout() -> Iterator[Table]:
        table = receipt_table(taken.receipt)
        table.add_row("skipped", f"{taken.skipped:,}")
        yield table

    session.printer.record(record, layout)


def _show_status(
    session: Session, connection: Connection, topics: tuple[str, ...], group: str
) -> int:
    with session.ledger() as ledger, Cluster(connection) as cluster:
        found = statuses(ledger, cluster, topics, group)
    columns = [
        Column("topic", lambda r: r["topic"], style="bold"),
        *(_number(name) for name in PartitionStatus.__struct_fields__ if name != "topic"),
    ]
    session.printer.records((asdict(status) for status in found), columns)
    return exits.DONE


def _number(name: str) -> Column:
    return Column(name, lambda record: record[name], number=True)
