"""Taking in from the command line: progress, complaints with line and field, the receipt."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.table import Table

from cli import exits
from cli.output import clean
from cli.session import Session, bring_up_to_date
from ledger.intake import Stop, take
from ledger.ledger import Ledger
from ledger.log import Outcome, Quarantined
from ledger.progress import Report
from ledger.quarantine import Item, Received
from ledger.receipt import Receipt

COMPLAINTS_MAX = 20
"""How many refusals are told one by one; the rest is counted."""


class Intake:
    """One run of a command that takes in: what came, what was refused, whether it was stopped."""

    def __init__(self, session: Session, ledger: Ledger, stop: Stop, report: Report) -> None:
        self._session = session
        self._ledger = ledger
        self._report = report
        self.stop = stop
        self.refused = 0
        self.total = 0
        self.loud = True

    def run(self, items: Iterable[Item], position: Callable[[], int]) -> Receipt:
        """Take in all items; `position` says how far the input has been read, in bytes."""

        def on_group(receipt: Receipt) -> None:
            self._report("reading", position() if self.total else receipt.received, self.total)

        allowed = self._session.access.screened(items)
        return take(self._ledger, allowed, stop=self.stop, on_outcome=self._tell, on_group=on_group)

    def _tell(self, received: Received, outcome: Outcome) -> None:
        if not isinstance(outcome, Quarantined):
            return
        self.refused += 1
        if self.loud and self.refused <= COMPLAINTS_MAX:
            place = where(received)
            self._session.complain(
                f"{place}: {outcome.refused} (kept in quarantine as {outcome.entry})"
            )


def where(received: Received) -> str:
    """`orders.ndjson, line 12`: where in its file something stood."""
    context = received.context
    for unit in ("line", "item", "row"):
        if unit in context:
            return f"{clean(context.get('file', '-'))}, {unit} {context[unit]}"
    return received.door


@contextmanager
def taking(session: Session, ledger: Ledger, stop: Stop, size: int) -> Iterator[Intake]:
    """An intake with its progress: in bytes when the size is known."""
    with session.progress("bytes" if size else "touchpoints") as report:
        intake = Intake(session, ledger, stop, report)
        intake.total = size
        yield intake


def finish(
    session: Session,
    ledger: Ledger,
    receipt: Receipt,
    intake: Intake,
    name: str,
    *,
    empty: bool,
    follow: bool,
) -> int:
    """Bring the views up to date, print the receipt, and say how it went by the exit code.

    A file that is `empty` is taken for a mistake; a pipe may well have nothing to say.
    """
    if intake.refused > COMPLAINTS_MAX:
        more = intake.refused - COMPLAINTS_MAX
        session.complain(f"… and {more:,} more; `touchstone quarantine list` shows them all")
    cut_short = intake.stop.requested
    if follow and not cut_short:
        bring_up_to_date(session, ledger, intake.stop)
    session.printer.record(as_record(receipt), lambda: [receipt_table(receipt)])
    if cut_short:
        session.complain("interrupted: the group in hand was recorded; run the same command again")
    if intake.stop.signal is not None:
        return exits.SIGNAL_BASE + intake.stop.signal
    if empty:
        session.complain(f"{name}: there are no touchpoints in it")
        return exits.DONE if name == "-" else exits.USAGE
    return exits.DONE if receipt.complete else exits.PARTLY


def as_record(receipt: Receipt) -> dict[str, int]:
    return {name: getattr(receipt, name) for name in receipt.__struct_fields__}


def receipt_table(receipt: Receipt) -> Table:
    """The receipt as people see it."""
    grid = Table.grid(padding=(0, 2))
    for name, count in as_record(receipt).items():
        style = "yellow" if name in ("conflict", "quarantined") and count else None
        grid.add_row(name, f"{count:,}", style=style)
    grid.columns[1].justify = "right"
    return grid
