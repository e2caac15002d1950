"""`touchstone projection`: how the views stand, and rebuilding them from the log."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import click
import msgspec

from cli import exits
from cli.moments import shown_time
from cli.output import Column
from cli.session import Session, confirm, pass_session, workers_default
from cli.stopping import stopping
from ledger.intake import Stop
from ledger.ledger import Ledger
from ledger.progress import Report
from projections.follow import follow
from projections.follower import PAGE_TOUCHPOINTS, retry_parked
from projections.generations import refresh_analyst_views
from projections.parking import all_parked
from projections.query import standings
from projections.rebuild import Interrupted, rebuild, rollback
from projections.registry import BY_NAME, PROJECTIONS
from projections.verify import verify, verify_sample
from projections.view import View

workers_option = click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=workers_default,
    show_default="the number of processors",
    help="How many processes fold.",
)
all_option = click.option("--all", "every", is_flag=True, help="All views.")
SAMPLE_MAX = 100_000
names_argument = click.argument("names", nargs=-1, metavar="NAME...")


@click.group()
def command() -> None:
    """The views: tables folded from the log, disposable and rebuilt at any time.

    \b
    touchstone projection list
    touchstone projection rebuild customers loyalty
    touchstone projection verify --all
    """


def chosen_views(names: tuple[str, ...], every: bool) -> tuple[View, ...]:
    if every == bool(names):
        raise click.UsageError("either name the views or say --all")
    for name in names:
        if name not in BY_NAME:
            raise exits.NotFound(f"there is no view {name}; there are {', '.join(BY_NAME)}")
    return PROJECTIONS if every else tuple(BY_NAME[name] for name in dict.fromkeys(names))


@contextmanager
def _working(session: Session) -> Iterator[tuple[Ledger, Stop, Report]]:
    """Long work on the views, which shows progress."""
    with (
        session.ledger() as ledger,
        until_interrupted(session) as stop,
        session.progress() as report,
    ):
        yield ledger, stop, report


@contextmanager
def until_interrupted(session: Session) -> Iterator[Stop]:
    """Work on the views that when interrupted ends with 130 or 143."""
    with stopping() as stop:
        try:
            yield stop
        except Interrupted as interrupted:
            session.complain(str(interrupted))
            number = stop.signal or signal.SIGINT
            raise click.exceptions.Exit(exits.SIGNAL_BASE + number) from None


@command.command("list")
@pass_session
def list_(session: Session) -> None:
    """Show each view: its version, how far it has come, and how far it is behind."""
    with session.ledger() as ledger:
        found = [msgspec.structs.asdict(s) for s in standings(ledger, PROJECTIONS)]
    columns = [
        Column("view", lambda r: r["name"], style="bold"),
        Column("version", lambda r: r["version"], number=True),
        Column("state", lambda r: r["state"]),
        Column("position", lambda r: r["position"], number=True),
        Column("head", lambda r: r["head"], number=True),
        Column("lag", lambda r: r["lag"], number=True),
        Column("seconds", lambda r: f"{r['lag_seconds']:,.1f}", number=True),
        Column("rows", lambda r: r["rows"], number=True),
        Column("parked", lambda r: r["parked"], number=True),
    ]
    session.printer.records(found, columns)


@command.command("run")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@workers_option
@click.option(
    "--batch",
    type=click.IntRange(1, 100_000),
    default=PAGE_TOUCHPOINTS,
    show_default=True,
    help="Touchpoints in one transaction.",
)
@pass_session
def run(session: Session, names: tuple[str, ...], workers: int, batch: int) -> int:
    """Follow the log to its end, then stop. Without names, all views."""
    views = chosen_views(names, every=not names)
    with _working(session) as (ledger, stop, report):
        refresh_analyst_views(views, ledger.store)
        follow(ledger, views, workers=workers, batch=batch, report=report, stop=stop)
    ctx = click.get_current_context()
    ctx.invoke(list_)
    return exits.DONE


@command.command("rebuild")
@names_argument
@all_option
@workers_option
@pass_session
def rebuild_(session: Session, names: tuple[str, ...], every: bool, workers: int) -> int:
    """Fold views afresh, beside the live ones, and switch when they have caught up.

    Readers are served from the old tables until then. An interrupted rebuild goes on where it
    stopped when the same command is given again; `rollback` puts the old tables back.
    """
    views = chosen_views(names, every)
    with _working(session) as (ledger, stop, report):
        done = rebuild(ledger, views, workers=workers, report=report, stop=stop)
    columns = [
        Column("view", lambda r: r["name"], style="bold"),
        Column("touchpoints", lambda r: r["touchpoints"], number=True),
        Column("rows", lambda r: r["rows"], number=True),
        Column("seconds", lambda r: f"{r['seconds']:,.2f}", number=True),
        Column("touchpoints/s", lambda r: r["touchpoints_per_second"], number=True),
    ]
    session.printer.records([msgspec.structs.asdict(d) for d in done], columns)
    return exits.DONE


@command.command("verify")
@names_argument
@all_option
@workers_option
@click.option(
    "--sample",
    type=click.IntRange(1, SAMPLE_MAX),
    help="Compare about so many rows, chosen by chance, instead of all.",
)
@pass_session
def verify_(
    session: Session, names: tuple[str, ...], every: bool, workers: int, sample: int | None
) -> int:
    """Compare live tables with a fresh fold of the log; exit code 5 when they differ."""
    views = chosen_views(names, every)
    found: list[dict[str, Any]] = []
    with _working(session) as (ledger, stop, report):
        for view in views:
            one = (
                verify(ledger, view, workers=workers, report=report, stop=stop)
                if sample is None
                else verify_sample(ledger, view, sample, Random())
            )
            found.append(msgspec.structs.asdict(one))
    columns = [
        Column("view", lambda r: r["name"], style="bold"),
        Column("position", lambda r: r["position"], number=True),
        Column("rows", lambda r: r["rows"], number=True),
        Column("differences", lambda r: r["differences"], number=True),
        Column("first keys that differ", lambda r: ", ".join(r["keys"][:3]), wraps=True),
    ]
    session.printer.records(found, columns)
    different = any(record["differences"] for record in found)
    return exits.VERIFICATION_FAILED if different else exits.DONE


@command.command("rollback")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@pass_session
def rollback_(session: Session, name: str, yes: bool, dry_run: bool) -> None:
    """Serve the table before the last rebuild again, once it has caught up."""
    (view,) = chosen_views((name,), every=False)
    with session.ledger() as ledger:
        question = f"Put the earlier table of {name} in the place of the present one?"
        if dry_run:
            session.complain(f"would put the earlier table of {name} in the present one's place")
            return
        confirm(session, question, yes=yes)
        generation = rollback(ledger, view)
    record = {
        "name": name,
        "version": generation.version,
        "position": generation.position,
        "generation": generation.number,
    }
    text = f"{name} is served from generation {generation.number} again"
    session.printer.record(record, lambda: [text])


@command.command()
@click.option("--retry", is_flag=True, help="Fold the parked keys again, after a fix.")
@pass_session
def parked(session: Session, retry: bool) -> int:
    """List keys that wait because a fold failed on one of their touchpoints."""
    with session.ledger() as ledger:
        if retry:
            back, waiting = retry_parked(ledger, PROJECTIONS)
            session.note(f"{back:,} came back, {waiting:,} still wait")
        with ledger.store.cursor() as cursor:
            found = [msgspec.structs.asdict(p) for p in all_parked(cursor)]
    columns = [
        Column("view", lambda r: r["view"], style="bold"),
        Column("key", lambda r: r["key"]),
        Column("position", lambda r: r["position"], number=True),
        Column("since", lambda r: shown_time(r["parked_at"], session.zone)),
        Column("error", lambda r: r["error"], wraps=True),
    ]
    session.printer.records(found, columns, empty="no key is parked")
    return exits.DONE
