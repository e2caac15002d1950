"""Whole tables of views for lists: of now as they stand, of another moment folded for it."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ledger.intake import Stop
from ledger.ledger import Ledger
from projections.aside import Labour
from projections.boards import Boards, boards_at
from projections.query import Cut
from projections.rebuild import Interrupted
from projections.view import View
from web.problems import Problem, come_back

FOLD_SECONDS = 30.0
"""In which the log has to be folded for a list of another moment."""
BUSY_SECONDS = 5.0

_folding = threading.Lock()


class _Deadline(Stop):
    """Asks to stop once the time is up."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._until = time.monotonic() + seconds

    @property
    def requested(self) -> bool:
        return time.monotonic() > self._until


@contextmanager
def boards(ledger: Ledger, views: Sequence[View], cut: Cut) -> Iterator[Boards]:
    """Whole tables of views as a cut shows them.

    Another moment than now takes a fold of the whole log, of which one is done at a time. Raises a
    Problem: 503 while another is under way, 422 where it takes too long.
    """
    if cut.now:
        with boards_at(ledger, views, cut, Labour()) as folded:
            yield folded
        return
    if not _folding.acquire(blocking=False):
        raise come_back(503, "busy", "another list is being folded: try again", BUSY_SECONDS)
    try:
        with boards_at(ledger, views, cut, Labour(stop=_Deadline(FOLD_SECONDS))) as folded:
            yield folded
    except Interrupted:
        raise Problem(
            422,
            "too_long",
            f"to fold the whole log takes more than {FOLD_SECONDS:g} seconds: leave out as_of and "
            "known_at, or ask `touchstone replay --into FILE` for tables of another moment",
        ) from None
    finally:
        _folding.release()
