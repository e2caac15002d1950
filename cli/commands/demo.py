"""`touchstone demo`: a made-up year in a fresh ledger, then a tour of what can be asked."""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import click

from cli import exits
from cli.demo_year import CUSTOMERS_MAX, made_up_year
from cli.receipts import Intake, as_record, receipt_table, taking
from cli.session import Session, bring_up_to_date, pass_session
from cli.stopping import stopping
from domain.lots import balance
from domain.tickets import RESOLVED
from ledger.ledger import Ledger, create_ledger
from ledger.quarantine import Received
from projections import query
from projections.customers import CUSTOMERS
from projections.loyalty import LOYALTY

TIMELINE_TOUCHPOINTS = 14
STATEMENT_DAYS = 120
TICKETS_SHOWN = 8
VIOLATIONS_SHOWN = 5
REVEALED = ("--reveal", "demo")
"""Without it, names, titles and texts are masked."""


@click.command()
@click.option(
    "--customers", type=click.IntRange(1, CUSTOMERS_MAX), default=5_000, show_default=True,
    help="How many customers; there are about 20 touchpoints for each.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another year.")
@pass_session
def command(session: Session, customers: int, seed: int) -> None:
    """Fill a fresh ledger with a made-up but lifelike year, and look around in it.

    The year ends today. Some touchpoints arrive late, some twice, and a few lines are broken on
    purpose: those land in quarantine.
    """
    address = session.address
    if not address.is_new():
        raise click.UsageError(
            f"{address.place} is there already: the demo wants a fresh ledger; "
            "name another with --ledger sqlite:///demo.db"
        )
    create_ledger(address)
    session.note(f"A year of {customers:,} made-up customers (seed {seed}) into {address.place} …")
    with session.ledger() as ledger, stopping() as stop:
        with taking(session, ledger, stop, 0) as intake:
            intake.loud = False
            receipt = intake.run(_lines(customers, seed), lambda: 0)
        bring_up_to_date(session, ledger, stop)
        if stop.signal is not None:
            session.complain("interrupted; a demo wants a fresh ledger: name another with --ledger")
            raise click.exceptions.Exit(exits.SIGNAL_BASE + stop.signal)
        session.printer.record(as_record(receipt), lambda: [receipt_table(receipt)])
        if session.printer.for_people or not session.quiet:
            _tour(session, ledger, intake)


def _lines(customers: int, seed: int) -> Iterator[Received]:
    """The year's lines as if they came from a file. It ends with yesterday."""
    today = datetime.combine(datetime.now(UTC).date(), time.min, tzinfo=UTC)
    lines = made_up_year(customers, seed, end=today)
    for number, line in enumerate(lines, 1):
        yield Received(line, "demo", {"file": "made-up year", "line": number})


def _tour(session: Session, ledger: Ledger, intake: Intake) -> None:
    """Run some commands as anyone would type them."""
    customer = _interesting_customer(ledger)
    since = (datetime.now(UTC) - timedelta(days=STATEMENT_DAYS)).date().isoformat()
    refused = f"{intake.refused} lines could not be recorded; they are kept whole, with the reason"
    steps = (
        (refused, ["quarantine", "list"]),
        ("One customer, from all channels", ["customer", "show", customer, *REVEALED]),
        (
            "The last things that happened between us",
            ["customer", "timeline", customer, "-n", str(TIMELINE_TOUCHPOINTS), *REVEALED],
        ),
        ("The ticket board: what is open, most urgent first",
         ["ticket", "list", "--open", "-n", str(TICKETS_SHOWN), *REVEALED]),
        ("Who has looked at what is personal of the customer", ["customer", "looks", customer]),
        ("A loyalty account, movement by movement",
         ["loyalty", "statement", customer, "--since", since]),
        ("Marketing that was sent without consent, as far as is known today",
         ["consent", "violations", "-n", str(VIOLATIONS_SHOWN)]),
        ("How the views stand", ["projection", "list"]),
    )  # fmt: skip
    for title, arguments in steps:
        _step(session, title, arguments)
    _next_steps(session, customer)


def _step(session: Session, title: str, arguments: list[str]) -> None:
    from cli.main import touchstone

    click.echo()
    click.secho(title, bold=True)
    click.secho(f"$ {_command_line(session, arguments)}", dim=True)
    keys = ["--keys", str(session.keys)] if session.keys else []
    shared = ["--ledger", session.url, *keys, "-o", session.form or "table"]
    shared += ["--tz", str(session.zone)]
    touchstone.main([*shared, *arguments], prog_name="touchstone", standalone_mode=False)


def _command_line(session: Session, arguments: list[str]) -> str:
    """What somebody would type; the address is shown without a password."""
    keys = ["--keys", str(session.keys)] if session.keys else []
    return shlex.join(["touchstone", "--ledger", session.address.url, *keys, *arguments])


def _next_steps(session: Session, customer: str) -> None:
    click.echo()
    click.secho("What to try next", bold=True)
    for text, arguments in (
        ("spend points; the same --id never spends twice",
         ["loyalty", "redeem", customer, "30", "--id", "my-first-redemption"]),
        ("rebuild every view from the log, beside the live ones",
         ["projection", "rebuild", "--all"]),
        ("compare the views with a fresh fold", ["projection", "verify", "--all"]),
        ("the customer as it was a quarter ago",
         ["customer", "show", customer, "--as-of", "-90d"]),
        ("take everything out, as CloudEvents",
         ["log", "export", "export.ndjson", "--reveal", "a copy of mine"]),
        ("import your own data", ["import", "--help"]),
    ):  # fmt: skip
        click.echo(f"  {_command_line(session, arguments)}")
        click.secho(f"      {text}", dim=True)


def _interesting_customer(ledger: Ledger) -> str:
    """A customer with a bit of everything: orders, tickets, several channels, points."""
    now = ledger.log.clock()
    members = dict(query.listing(ledger, LOYALTY))

    def interest(listed: tuple[str, Any]) -> tuple[int, int]:
        key, state = listed
        member = members.get(key)
        points = [balance(account, now) for account in member.programmes.values()] if member else []
        kinds = sum((b.active >= 30) + (b.spent > 0) + (b.expired > 0) for b in points)
        resolved = sum(status in RESOLVED for status in state.tickets.values())
        return kinds + min(resolved, 2) + min(len(state.orders), 4), len(state.channels)

    listed = query.listing(ledger, CUSTOMERS)
    named = [entry for entry in listed if entry[0].startswith("customer:")]
    return max(named, key=interest)[0]
