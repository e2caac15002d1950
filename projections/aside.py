"""Folding the whole log, as of any two moments and under any rules, into tables of its own.

It is done by the engine of a rebuild, in a scratch file, and leaves the ledger as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from ledger.governance import Assumed
from ledger.intake import Stop
from ledger.ledger import Ledger
from ledger.progress import Report, silent
from ledger.sqlite.connections import SQLiteLedgerCursor
from ledger.sqlite.scratch import scratch_cursor
from projections import tables
from projections.fold import Failure
from projections.query import Cut, until
from projections.ranges import Plan, Scope, fold_ranges, ranges_for
from projections.reading import Reader
from projections.rebuild import Interrupted, to_be_joined
from projections.refolding import Refolder
from projections.view import View


@dataclass(frozen=True, slots=True)
class Labour:
    """How a fold of the whole log is done: in how many processes, who is told, who may stop it."""

    workers: int = 1
    report: Report = silent
    stop: Stop | None = None

    def check_stop(self) -> None:
        """Raise Interrupted when a stop is requested."""
        if self.stop is not None and self.stop.requested:
            raise Interrupted("interrupted; nothing was written, and the ledger is as it was")


@dataclass(slots=True)
class Aside:
    """Views that were folded aside: the touchpoints that count, and the keys that failed."""

    touchpoints: int = 0
    failures: dict[str, dict[str, Failure]] = field(default_factory=dict)
    joined: dict[str, list[str]] = field(default_factory=dict)
    """The keys of each view that were folded again from several streams."""


def plan_of(
    ledger: Ledger, views: Sequence[View], cut: Cut, assumed: Sequence[Assumed] = ()
) -> Plan:
    """What there is to fold for a cut; without `as_of`, what has occurred by now.

    These are the states that `query.states_of` gives for the same cut.
    """
    last = until(ledger, cut)
    moment = ledger.log.clock() if cut.as_of is None else cut.as_of
    scope = Scope(moment, cut.as_of, tuple(assumed))
    return Plan(ledger.address, tuple(views), last, ranges_for(last), scope=scope)


@contextmanager
def scratch_in(folder: Path | None = None) -> Iterator[SQLiteLedgerCursor]:
    """A cursor on a file that is gone afterwards; in the system's folder unless one is given."""
    with TemporaryDirectory(dir=folder) as inside, scratch_cursor(Path(inside) / "folded") as made:
        yield made


def table_of(view: View, prefix: str = "folded") -> str:
    """The scratch table that a view is folded into."""
    return f"{prefix}_{view.name}"


def fold_aside(
    ledger: Ledger,
    plan: Plan,
    scratch: SQLiteLedgerCursor,
    labour: Labour,
    prefix: str = "folded",
    kept: Callable[[int], None] = lambda number: None,
) -> Aside:
    """Fold the views of a plan into scratch tables, a row a key, found by key.

    `kept` is told of each range that is folded. Raises Interrupted when a stop is requested.
    """
    found = Aside(failures={view.name: {} for view in plan.views})
    for view in plan.views:
        tables.create_table(table_of(view, prefix), scratch)
    done = 0
    labour.report("folding", 0, plan.until)
    for folded in fold_ranges(plan, range(plan.ranges), labour.workers):
        scratch.execute("BEGIN")
        for view in plan.views:
            rows, failures = folded.rows[view.name]
            tables.add_rows(table_of(view, prefix), rows, scratch)
            found.failures[view.name].update((failure.key, failure) for failure in failures)
        scratch.execute("COMMIT")
        kept(folded.number)
        found.touchpoints += folded.counted
        done += folded.touchpoints
        labour.report("folding", min(done, plan.until), plan.until)
        labour.check_stop()
    for view in plan.views:
        if not view.by_person:
            _join_spanning_keys(ledger, plan, view, table_of(view, prefix), found, scratch)
        tables.index_table(table_of(view, prefix), scratch)
        labour.check_stop()
    return found


def _join_spanning_keys(
    ledger: Ledger, plan: Plan, view: View, table: str, found: Aside, scratch: SQLiteLedgerCursor
) -> None:
    """Fold keys that came out of more than one stream again, from all their streams."""
    failures = found.failures[view.name]
    tables.index_for_joining(table, scratch)
    spanning = dict(to_be_joined(table, failures.values(), scratch))
    found.joined[view.name] = list(spanning)
    with ledger.store.cursor() as cursor:
        known = plan.scope.governance(plan.until, cursor)
        refolder = Refolder(Reader([view]), known, plan.until, cursor)
        for key, row in refolder.rows(view, spanning):
            failures.pop(key, None)
            if isinstance(row, Failure):
                failures[key] = row
            fresh = None if isinstance(row, Failure) else row
            tables.replace_spanning_key(table, key, fresh, scratch)
