"""What every command starts from: the ledger, the form of the output, the zone, and notes."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.output import Printer
from cli.progress import progress, say
from ledger.address import Address, parse_url
from ledger.errors import LedgerError
from ledger.intake import Stop
from ledger.ledger import Ledger, open_ledger
from ledger.progress import Report

DEFAULT_URL = "sqlite:///touchstone.db"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Session:
    """The options that all commands share."""

    url: str = DEFAULT_URL
    keys: Path | None = None
    form: str | None = None
    quiet: bool = False
    zone: tzinfo = UTC
    plain_csv: bool = False

    @property
    def address(self) -> Address:
        return parse_url(self.url, self.keys)

    @property
    def printer(self) -> Printer:
        return Printer(self.form, plain_csv=self.plain_csv)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The open ledger, closed again whatever happens."""
        opened = open_ledger(self.address)
        try:
            yield opened
        finally:
            opened.close()

    @contextmanager
    def progress(self, unit: str = "touchpoints") -> Iterator[Report]:
        with progress(unit, quiet=self.quiet) as report:
            yield report

    def note(self, text: str) -> None:
        """A remark for people, on standard error."""
        if not self.quiet:
            say(text)

    def complain(self, text: str) -> None:
        """What went wrong, on standard error, also when quiet."""
        say(text)


no_follow_option = click.option(
    "--no-follow",
    is_flag=True,
    help="Leave the views as they are; `projection run` brings them up to date.",
)
pass_session = click.make_pass_decorator(Session, ensure=True)


def workers_default() -> int:
    """As many processes as there are processors for this one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bring_up_to_date(session: Session, ledger: Ledger, stop: Stop | None = None) -> None:
    """Follow to the end of the log, so that what was just written can be read."""
    from projections.follow import follow
    from projections.rebuild import Interrupted
    from projections.registry import PROJECTIONS

    with session.progress() as report:
        try:
            follow(ledger, PROJECTIONS, workers=workers_default(), report=report, stop=stop)
        except Interrupted as error:
            session.note(f"the views are not up to date yet: {error}")
        except LedgerError as error:  # what was written is recorded, and is to be told
            session.complain(f"the views are not up to date yet: {error}")


def warn_if_behind(session: Session, ledger: Ledger) -> None:
    """Say so when a view that is about to be read does not show the whole log."""
    from projections.query import standings
    from projections.registry import PROJECTIONS

    for standing in standings(ledger, PROJECTIONS):
        if standing.lag:
            session.note(
                f"note: the view {standing.name} is {standing.lag:,} touchpoints behind the log "
                f"({standing.state}); `touchstone projection run` brings it up to date"
            )


def confirm(session: Session, question: str, *, yes: bool) -> None:
    """Ask before something is destroyed; without a terminal only `--yes` says yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Without a terminal this needs --yes.")
    if not click.confirm(question, err=True):
        session.note("left as it was")
        raise click.exceptions.Exit(1)
