"""Following: brings all views up to the head of the log, in whichever way is quickest."""

from collections.abc import Sequence

from ledger.intake import Stop
from ledger.ledger import Ledger
from ledger.progress import Report, silent
from projections.follower import PAGE_TOUCHPOINTS, Follower, Overtaken, RestateNeeded
from projections.generations import Generation
from projections.rebuild import Interrupted, rebuild
from projections.view import View

REBUILD_BACKLOG_MIN = 20_000
"""A backlog of this many touchpoints, if it is most of the log, is rebuilt, not followed."""


def follow(
    ledger: Ledger,
    views: Sequence[View],
    *,
    workers: int = 1,
    batch: int = PAGE_TOUCHPOINTS,
    report: Report = silent,
    stop: Stop | None = None,
) -> None:
    """Bring these views up to where the log ends now.

    Views that another version of their code built are left as they are. A long backlog, or a
    rule that was published for the past, makes the views concerned be rebuilt beside.
    Raises Interrupted when a stop is requested.
    """
    head = ledger.log.head().position
    follower = Follower(ledger, views, batch)
    while behind := [g for g in follower.positions() if g.position < head]:
        if stop is not None and stop.requested:
            raise Interrupted("following was interrupted; `projection run` goes on with it")
        lowest = min(g.position for g in behind)
        report("following", lowest, head)
        group = [g for g in behind if g.position == lowest]
        if head - lowest >= REBUILD_BACKLOG_MIN and 2 * lowest < head:
            _rebuild(ledger, follower, group, workers, report, stop)
            continue
        until = min((g.position for g in behind if g.position > lowest), default=head)
        try:
            follower.advance(group, until)
        except Overtaken:
            continue
        except RestateNeeded as needed:
            depending = [g for g in group if g.view in needed.views]
            _rebuild(ledger, follower, depending, workers, report, stop)


def _rebuild(
    ledger: Ledger,
    follower: Follower,
    group: Sequence[Generation],
    workers: int,
    report: Report,
    stop: Stop | None,
) -> None:
    views = [follower.views[generation.view] for generation in group]
    rebuild(ledger, views, workers=workers, report=report, stop=stop)
