"""`touchstone relay`: what the ledger records goes out on a Kafka topic."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import click
from rich.text import Text

from cli import exits
from cli.asking import TypeName
from cli.health import health_options, watched
from cli.kafka_options import kafka_options
from cli.logs import logging_to_people
from cli.session import Session, pass_session
from cli.stopping import stopping
from consumers.cluster import Cluster
from consumers.connection import Connection
from consumers.producing import Producer
from consumers.relay import NAME, AlreadyBegun, Choice, Relay
from consumers.watch import RelayWatch
from ledger.access import Right
from ledger.intake import Stop
from ledger.ledger import Ledger
from schemas.registry import BY_TYPE

PARTITIONS_MAX = 10_000
KIND = re.compile(r"[a-z][a-z0-9_]{0,49}")
EXAMPLES = """\b
Examples:
  touchstone relay --topic recorded --bootstrap-servers localhost:9092
  touchstone relay --topic orders --name orders --type 'order.*' --kind customer
  touchstone relay --topic recorded --personal --once
"""


class TypePattern(TypeName):
    """Types of the catalogue by one name, such as order.completed.v1, or by order.* many."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str) or not value.endswith(".*"):
            return frozenset((super().convert(value, param, ctx),))
        found = frozenset(name for name in BY_TYPE if name.startswith(value.removesuffix("*")))
        if not found:
            self.fail(f"no type of the catalogue begins with {value[:-1]!r}", param, ctx)
        return found


def _fitting(pattern: re.Pattern[str], expected: str) -> Any:
    def callback(_: click.Context, __: click.Parameter, value: Any) -> Any:
        for each in value if isinstance(value, tuple) else (value,):
            if each is not None and not pattern.fullmatch(each):
                raise click.BadParameter(f"{each!r} is not {expected}")
        return value

    return callback


@click.command(epilog=EXAMPLES)
@click.option("--topic", required=True, metavar="TOPIC", help="Where to; made if it is missing.")
@kafka_options
@click.option(
    "--type", "types", multiple=True, type=TypePattern(), metavar="TYPE",
    help="Only this type of touchpoint, or all of 'order.*' (may be repeated).",
)  # fmt: skip
@click.option(
    "--kind", "kinds", multiple=True, metavar="KIND",
    callback=_fitting(KIND, "a kind of subject, such as customer"),
    help="Only what is about this kind of subject, such as customer (may be repeated).",
)  # fmt: skip
@click.option(
    "--personal", is_flag=True,
    help="Publish personal data too, in clear; without it they are left out.",
)  # fmt: skip
@click.option(
    "--name", metavar="NAME", callback=_fitting(NAME, "a name of letters, digits and . _ -"),
    help="Tells relays into the same topic apart: each has a position of its own.",
)  # fmt: skip
@click.option(
    "--from", "first", type=click.IntRange(min=1), metavar="POSITION",
    help="Begin with this position; only for a relay that has none yet.",
)  # fmt: skip
@click.option(
    "--partitions", type=click.IntRange(1, PARTITIONS_MAX), metavar="N",
    help="How many the topic gets if it is made.  [default: as the brokers are set]",
)  # fmt: skip
@click.option("--once", is_flag=True, help="Stop at the end that the log has now.")
@health_options
@pass_session
def command(
    session: Session,
    topic: str,
    connection: Connection,
    types: tuple[frozenset[str], ...],
    kinds: tuple[str, ...],
    personal: bool,
    name: str | None,
    first: int | None,
    partitions: int | None,
    once: bool,
    health_port: int | None,
    health_host: str,
) -> int:
    """Publish what the ledger records on a Kafka topic, in order, until interrupted.

    Each touchpoint is a CloudEvent in structured mode with its subject as key; the header
    touchstone_position tells its place. It is published at least once. Of several such processes
    one publishes; the others stand by. What cannot be reached is waited for.
    """
    wanted = _Wanted(
        topic=topic,
        connection=connection,
        choice=Choice(
            types=frozenset[str]().union(*types), kinds=frozenset(kinds), personal=personal
        ),
        name=name,
        first=first,
        partitions=partitions or -1,
        once=once,
        health=None if health_port is None else (health_host, health_port),
    )
    with logging_to_people(quiet=session.quiet), session.ledger() as ledger, stopping() as stop:
        if personal:
            session.access.need(Right.REVEAL)
        return _relay(session, ledger, wanted, stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What the options say."""

    topic: str
    connection: Connection
    choice: Choice
    name: str | None
    first: int | None
    partitions: int
    once: bool
    health: tuple[str, int] | None


def _relay(session: Session, ledger: Ledger, wanted: _Wanted, stop: Stop) -> int:
    watch = RelayWatch()
    with ExitStack() as run:
        run.enter_context(watched(watch, wanted.health, "relay"))
        cluster = run.enter_context(Cluster(wanted.connection))
        relay = Relay(
            ledger,
            cluster,
            run.enter_context(closing(Producer(wanted.connection))),
            wanted.topic,
            watch=watch,
            stop=stop,
            choice=wanted.choice,
            name=wanted.name,
            progress=session.progress,
        )
        try:
            relay.run(once=wanted.once, first=wanted.first, partitions=wanted.partitions)
        except AlreadyBegun as error:
            raise click.UsageError(str(error)) from None
    _print(session, relay)
    return exits.DONE if stop.signal is None else exits.SIGNAL_BASE + stop.signal


def _print(session: Session, relay: Relay) -> None:
    """How many touchpoints were published, and up to which position the log is relayed."""

    def layout() -> Iterator[Text]:
        yield Text(f"{relay.published:,} published, relayed up to position {relay.head:,}")

    session.printer.record({"published": relay.published, "head": relay.head}, layout)
