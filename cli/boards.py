"""Whole tables of views at any moment, as the lists of windows want them."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import click

from cli import exits
from cli.output import clean
from cli.session import Session, workers_default
from cli.stopping import stopping
from ledger.ledger import Ledger
from projections.aside import Labour
from projections.boards import Boards, boards_at
from projections.query import Cut
from projections.rebuild import Interrupted
from projections.view import View


@contextmanager
def boards(session: Session, ledger: Ledger, views: Sequence[View], cut: Cut) -> Iterator[Boards]:
    """Whole tables of views as a cut shows them; it says what could not be folded.

    Of another moment than now they are folded first, with progress; a signal ends that with its
    exit code.
    """
    with ExitStack() as kept:
        with stopping() as stop, session.progress() as report:
            labour = Labour(workers_default(), report, stop)
            try:
                folded = kept.enter_context(boards_at(ledger, views, cut, labour))
            except Interrupted as interrupted:
                session.complain(str(interrupted))
                number = stop.signal or signal.SIGINT
                raise click.exceptions.Exit(exits.SIGNAL_BASE + number) from None
        for view, key in folded.failed:
            session.note(f"note: {clean(key)} of the view {view} cannot be folded, and is missing")
        yield folded
