"""Taking in: what requests bring goes through the intake, all that waits in one commit.

A request that finds nobody at work is taken in at once; those that come meanwhile are taken in
together, as soon as the group before has only its commit to wait for. More than one thread at work
would spend their time on waiting for each other: there is one interpreter, and the store has one
writer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from anyio import CapacityLimiter, to_thread

from ledger.access import Access
from ledger.errors import LedgerError
from ledger.intake import append
from ledger.ledger import Ledger
from ledger.log import Outcome
from ledger.quarantine import Item, Received
from ledger.receipt import Receipt
from ledger.record import Duplicate, Recorded
from schemas.door import Refused
from web.problems import come_back

STATUSES = ("recorded", "duplicate", "conflict", "quarantined")
GROUP_ITEMS_MAX = 2_500
"""In one group, unless a single request brings more."""

_log = structlog.get_logger("touchstone.serve")

Group = list[tuple[Received, Refused | None]]


@dataclass(frozen=True, slots=True)
class Taken:
    """The receipt of a request, and what became of each item, in their order."""

    receipt: Receipt
    outcomes: list[Outcome]

    def results(self) -> list[dict[str, Any]]:
        """What is answered of each item."""
        return [item_result(outcome) for outcome in self.outcomes]


@dataclass(slots=True)
class _Brought:
    """What one request brings, who brings it, and the answer that it waits for."""

    access: Access | None
    items: Sequence[Item]
    answer: asyncio.Future[Taken] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def tell(self, answer: Taken | Exception) -> None:
        """Answer who waits; its client may have gone, or the server be about to end."""
        if self.answer.done():
            return
        if isinstance(answer, Taken):
            self.answer.set_result(answer)
        else:
            self.answer.set_exception(answer)

    def group(self) -> Group:
        """The items, but for what the token may not report, which is refused and kept."""
        allowed = self.items if self.access is None else self.access.screened(self.items)
        return [item if isinstance(item, tuple) else (item, None) for item in allowed]


class Taking:
    """Takes in for all requests of one server, in its event loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[_Brought] = deque()
        self._threads = CapacityLimiter(2)  # one of them waits for a commit
        self._turn = asyncio.Semaphore(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_work = False

    async def take(self, access: Access | None, items: Sequence[Item]) -> Taken:
        """What became of the items, once it is durable. Raises LedgerError.

        Whoever brings something else than a token (a webhook its signature) was judged before.
        """
        brought = _Brought(access, items)
        self._waiting.append(brought)
        if not self._at_work:
            self._at_work = True
            self._begin(self._work())
        return await brought.answer

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        """The loop itself does not hold on to a task."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _admitted(self) -> list[_Brought]:
        """As many of those who wait as go together."""
        found = [self._waiting.popleft()]
        count = len(found[0].items)
        while self._waiting and (count := count + len(self._waiting[0].items)) <= GROUP_ITEMS_MAX:
            found.append(self._waiting.popleft())
        return found

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._turn.acquire()
                self._begin(self._take_together(self._admitted()))
        finally:
            self._at_work = False

    async def _take_together(self, group: list[_Brought]) -> None:
        turn = _Turn(self._turn)
        try:
            for brought, answer in zip(group, await self._taken(group, turn), strict=True):
                brought.tell(answer)
        finally:
            turn.end()

    async def _taken(self, group: list[_Brought], turn: "_Turn") -> Sequence[Taken | Exception]:
        try:
            return await to_thread.run_sync(
                _take_all, self._ledger, group, turn.end_from_thread, limiter=self._threads
            )
        except Exception as error:  # noqa: BLE001 - no thread, say; the next may find one
            _log.error("no group was taken in", error=type(error).__name__)
            return [come_back(503, "busy", "the server has its hands full: try again")] * len(group)


class _Turn:
    """One group's turn at the interpreter; it may be ended more than once."""

    def __init__(self, turns: asyncio.Semaphore) -> None:
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._is_over = False

    def end(self) -> None:
        """Let the next begin."""
        if not self._is_over:
            self._is_over = True
            self._turns.release()

    def end_from_thread(self) -> None:
        """The same, from outside of the loop."""
        with suppress(RuntimeError):  # the loop has ended, and with it all turns
            self._loop.call_soon_threadsafe(self.end)


def _take_all(
    ledger: Ledger, group: Sequence[_Brought], written: Callable[[], None]
) -> list[Taken | Exception]:
    """What became of each of them. What is below us fails all alike; after any other error one
    of them may be guilty, and each is tried alone."""
    try:
        return list(_taken(ledger, group, written))
    except LedgerError as error:
        return [error] * len(group)
    except Exception as error:  # noqa: BLE001 - it is raised to whom it belongs
        if len(group) == 1:
            return [error]
        return [answer for brought in group for answer in _take_all(ledger, [brought], written)]


def _taken(ledger: Ledger, group: Sequence[_Brought], written: Callable[[], None]) -> list[Taken]:
    groups = [brought.group() for brought in group]
    together = [item for items in groups for item in items]
    receipt, outcomes = append(ledger, together, written=written)
    for received, _ in together:
        received.close()
    found, start = [], 0
    for items in groups:
        part = outcomes[start : start + len(items)]
        start += len(items)
        found.append(Taken(_receipt(part, receipt.head), part))
    return found


def _receipt(outcomes: Sequence[Outcome], head: int) -> Receipt:
    receipt = Receipt(received=len(outcomes), head=head)
    for outcome in outcomes:
        status = _status(outcome)
        setattr(receipt, status, getattr(receipt, status) + 1)
    return receipt


def _status(outcome: Outcome) -> str:
    """One of STATUSES."""
    if isinstance(outcome, Recorded):
        return "recorded"
    if isinstance(outcome, Duplicate):
        return "duplicate"
    return "conflict" if outcome.refused.reason == "conflict" else "quarantined"


def item_result(outcome: Outcome) -> dict[str, Any]:
    """What became of one item: where it is in the log, or why it is in quarantine and there as
    what."""
    if isinstance(outcome, Recorded | Duplicate):
        return {"status": _status(outcome), "position": outcome.position}
    refused = outcome.refused
    return {
        "status": _status(outcome),
        "entry": outcome.entry,
        "code": refused.reason,
        "path": refused.path,
        "message": refused.message,
    }
