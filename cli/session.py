"""What every command starts from: the ledger, the form of the output, the zone, and notes."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.output import Printer
from cli.progress import progress, say
from cli.rights import rights_for
from ledger.access import ANY_SOURCE, OWNER, Access, Right, authenticate
from ledger.address import Address, parse_url
from ledger.errors import Denied, LedgerError
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
    token: str | None = field(default=None, repr=False)
    known: Access | None = field(default=None, init=False)
    needs: tuple[Right, ...] | None = field(default=None, init=False)

    @property
    def address(self) -> Address:
        """Where the ledger is.

        Raises Denied when the token is empty, or comes along for the owner's work.
        """
        if self.token == "":
            raise Denied(
                "the token is empty (TOUCHSTONE_TOKEN is set, and empty, or --token is): give the "
                "secret of a token, or unset the variable to come without one"
            )
        if self.token is not None and self._wanted == (Right.OWN,):
            raise Denied(
                "no token gives the right to this: it takes the owner of the ledger, who comes "
                "without one (leave out --token, and TOUCHSTONE_TOKEN)"
            )
        return parse_url(self.url, self.keys)

    @property
    def printer(self) -> Printer:
        return Printer(self.form, plain_csv=self.plain_csv)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The open ledger, closed again whatever happens.

        Raises Denied when a token comes along whose role has no right to the command.
        """
        opened = open_ledger(self.address)
        try:
            self.admit(opened)
            self._tell_unheeded(opened.unheeded)
            yield opened
        finally:
            opened.close()

    def _tell_unheeded(self, subjects: int) -> None:
        if subjects:
            self.note(
                f"note: this ledger is older than its keys, and still has traces of {subjects:,} "
                "erased subjects; they go when its owner opens it (`touchstone doctor`)"
            )

    def admit(self, ledger: Ledger) -> None:
        """Find out who asks, and whether he may. Raises Denied."""
        if self.token is None:
            self.known = Access("", system_user(), OWNER, ANY_SOURCE)
            return
        self.known = authenticate(self.token, ledger.store, ledger.log.clock())
        if self._wanted:
            self.known.need(*self._wanted)

    @property
    def access(self) -> Access:
        """Who asks; once the ledger is open."""
        if self.known is None:
            raise RuntimeError("nobody knows who asks before the ledger is open")
        return self.known

    @property
    def _wanted(self) -> tuple[Right, ...]:
        """The rights of which the running command needs one, whatever others it calls."""
        if self.needs is None:
            running = click.get_current_context(silent=True)
            path = running.command_path.split()[1:] if running else []
            self.needs = rights_for(" ".join(path))
        return self.needs

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


def system_user() -> str:
    """Who runs this process, as the system knows him; variables could claim to be anybody."""
    if sys.platform == "win32":
        import getpass

        return getpass.getuser()
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may have users without a name
        return f"uid-{os.getuid()}"


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


def agreed(session: Session, question: str, *, yes: bool) -> bool:
    """Ask, where somebody can answer, before something that can be taken back."""
    if yes or not sys.stdin.isatty() or click.confirm(question, err=True):
        return True
    session.note("left as it was")
    return False


def confirm(session: Session, question: str, *, yes: bool) -> None:
    """Ask before something is destroyed; without a terminal only `--yes` says yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Without a terminal this needs --yes.")
    if not click.confirm(question, err=True):
        session.note("left as it was")
        raise click.exceptions.Exit(1)
