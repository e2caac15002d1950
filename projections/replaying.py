"""Replay: every view as it was, or as it would have been, in an SQLite file of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from ledger.assuming import never_in_force
from ledger.governance import Assumed
from ledger.ledger import Ledger
from projections.aside import Aside, Labour, fold_aside, plan_of, scratch_in
from projections.fold import Failure
from projections.query import Cut
from projections.ranges import Plan
from projections.replay_file import Parts, ReplayFile
from projections.view import View


class Replayed(msgspec.Struct, kw_only=True):
    """What a replay wrote: the touchpoints that count, the rows of each view, the moment
    (microseconds since 1970) for which it holds, and the keys that could not be folded."""

    touchpoints: int
    views: dict[str, int]
    moment: int
    failed: list[tuple[str, str, str]]
    """(view, key, error) of each."""
    idle: list[tuple[str, int]]
    """(programme, version) of the assumed rules that are in force at no moment."""


def replay(
    ledger: Ledger,
    into: Path,
    views: Sequence[View],
    cut: Cut,
    *,
    assumed: Sequence[Assumed] = (),
    rules_digest: str | None = None,
    labour: Labour,
) -> Replayed:
    """Fold the views as a cut shows them, with the assumed rules, into a file that is empty.

    The ledger is only read. Raises Interrupted when a stop is requested.
    """
    head = ledger.log.head().position
    plan = plan_of(ledger, views, cut, assumed)
    moment = _moment_of(plan)
    with ledger.store.cursor() as cursor:
        rules = plan.scope.governance(plan.until, cursor).rules
    with TemporaryDirectory(dir=into.parent) as folder, scratch_in(into.parent) as scratch:
        parts = Parts(Path(folder), plan.views, moment)
        with ReplayFile(into, parts, scratch) as file:
            plan = replace(plan, keep=parts.keep)
            aside = fold_aside(ledger, plan, scratch, labour, kept=file.take)
            rows = _finished(file, plan, aside, labour)
            file.describe(_description(ledger, plan, cut, head, aside, rules_digest))
    return Replayed(
        touchpoints=aside.touchpoints,
        views=rows,
        moment=moment,
        failed=_listed(aside.failures),
        idle=list(never_in_force(assumed, rules)),
    )


def _finished(file: ReplayFile, plan: Plan, aside: Aside, labour: Labour) -> dict[str, int]:
    """Bring every view to its end; the rows of each."""
    rows: dict[str, int] = {}
    for number, view in enumerate(plan.views):
        labour.report("writing", plan.until * number // len(plan.views), plan.until)
        if aside.joined.get(view.name):
            file.replace(view, aside.joined[view.name])
        rows[view.name] = file.finish(view, aside.failures[view.name].values())
        labour.check_stop()
    return rows


def _moment_of(plan: Plan) -> int:
    if plan.scope.moment is None:
        raise RuntimeError("a replay is of a moment")
    return plan.scope.moment


def _description(
    ledger: Ledger, plan: Plan, cut: Cut, head: int, aside: Aside, rules_digest: str | None
) -> dict[str, int | str | None]:
    """What the one row of the table `replay` says; times in microseconds since 1970."""
    return {
        "ledger": ledger.keys.ledger_id,
        "as_of": cut.as_of,
        "known_at": cut.known_at,
        "moment": plan.scope.moment,
        "position": plan.until,
        "head": head,
        "touchpoints": aside.touchpoints,
        "rules": rules_digest,
        "made_at": ledger.log.clock(),
        "made_by": f"touchstone {version('touchstone')}",
    }


def _listed(failures: Mapping[str, Mapping[str, Failure]]) -> list[tuple[str, str, str]]:
    return [
        (view, failure.key, failure.error)
        for view, by_key in failures.items()
        for _, failure in sorted(by_key.items())
    ]
