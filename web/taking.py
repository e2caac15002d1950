"""Taking in: what requests bring goes through the intake, all that waits in one commit.

A request that finds nobody at work is taken in at once; those that come meanwhile are taken in
together, as soon as the group before is out of the hands of this interpreter: in those of another
process, or of the disk. More than one thread at work would spend their time on waiting for each
other.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from anyio import CapacityLimiter, to_thread

from ledger.access import Access
from ledger.appender import LANES
from ledger.errors import LedgerError
from ledger.intake import Append, Group
from ledger.log import Outcome
from ledger.quarantine import Item
from ledger.receipt import Receipt
from ledger.record import Duplicate, Recorded
from web.problems import come_back

STATUSES = ("recorded", "duplicate", "conflict", "quarantined")
GROUP_ITEMS_MAX = 2_500
"""In one group, unless a single request brings more."""

_log = structlog.get_logger("touchstone.serve")


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
    """Takes in for all requests of one server, in its event loop, by one way to append."""

    def __init__(self, appending: Append) -> None:
        self._appending = appending
        self._waiting: deque[_Brought] = deque()
        self._threads = CapacityLimiter(LANES)
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_at_work = False
        self._is_ending = False

    async def take(self, access: Access | None, items: Sequence[Item]) -> Taken:
        """What became of the items, once it is durable. Raises LedgerError.

        Whoever brings something else than a token (a webhook its signature) was judged before.
        """
        brought = _Brought(access, items)
        self._waiting.append(brought)
        self._go_on()
        return await brought.answer

    def _go_on(self) -> None:
        """Take in the next group if there is one, nobody is at work, and a lane is free."""
        if self._is_ending:
            return
        if self._waiting and not self._is_at_work and len(self._under_way) < LANES:
            self._is_at_work = True
            task = asyncio.create_task(self._take_together())
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._go_on()

    async def _take_together(self) -> None:
        """Take in all that waits by now, and let the next begin as soon as it may."""
        group = self._admitted()
        turn = _Turn(self._over)
        try:
            for brought, answer in zip(group, await self._taken(group, turn), strict=True):
                brought.tell(answer)
        except asyncio.CancelledError:  # the loop is about to end: no thread may begin now
            self._is_ending = True
            raise
        finally:
            turn.end()

    def _over(self) -> None:
        self._is_at_work = False
        self._go_on()

    def _admitted(self) -> list[_Brought]:
        """As many of those who wait as go together."""
        found = [self._waiting.popleft()]
        count = len(found[0].items)
        while self._waiting and (count := count + len(self._waiting[0].items)) <= GROUP_ITEMS_MAX:
            found.append(self._waiting.popleft())
        return found

    async def _taken(self, group: list[_Brought], turn: "_Turn") -> Sequence[Taken | Exception]:
        try:
            return await to_thread.run_sync(
                _take_all, self._appending, group, turn.end_from_thread, limiter=self._threads
            )
        except Exception as error:  # noqa: BLE001 - no thread, say; the next may find one
            _log.error("no group was taken in", error=type(error).__name__)
            return [come_back(503, "busy", "the server has its hands full: try again")] * len(group)


class _Turn:
    """One group's turn at the interpreter; it may be ended more than once."""

    def __init__(self, over: Callable[[], None]) -> None:
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._is_over = False

    def end(self) -> None:
        """Let the next begin."""
        if not self._is_over:
            self._is_over = True
            self._over()

    def end_from_thread(self) -> None:
        """The same, from outside of the loop."""
        with suppress(RuntimeError):  # the loop has ended, and with it all turns
            self._loop.call_soon_threadsafe(self.end)


def _take_all(
    appending: Append, group: Sequence[_Brought], written: Callable[[], None]
) -> list[Taken | Exception]:
    """What became of each of them. What is below us fails all alike; after any other error one
    of them may be guilty, and each is tried alone."""
    try:
        return list(_taken(appending, group, written))
    except LedgerError as error:
        return [error] * len(group)
    except Exception as error:  # noqa: BLE001 - it is raised to whom it belongs
        if len(group) == 1:
            return [error]
        return [answer for each in group for answer in _take_all(appending, [each], written)]


def _taken(
    appending: Append, group: Sequence[_Brought], written: Callable[[], None]
) -> list[Taken]:
    groups = [brought.group() for brought in group]
    together = [item for items in groups for item in items]
    receipt, outcomes = appending(together, written=written)
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
