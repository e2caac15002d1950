"""Taking in: what requests bring goes through the intake, all that waits in one commit.

A request that finds nobody at work is taken in at once; those that come meanwhile are taken in
together. Two groups may be under way: one is parsed and encrypted while the other waits for the
disk. A thread for each request would spend its time on waiting for the others.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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

STATUSES = ("recorded", "duplicate", "conflict", "quarantined")
GROUPS = 2
GROUP_ITEMS_MAX = 2_500
"""In one group, unless a single request brings more."""

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

    def group(self) -> Group:
        """The items, but for what the token may not report, which is refused and kept."""
        allowed = self.items if self.access is None else self.access.screened(self.items)
        return [item if isinstance(item, tuple) else (item, None) for item in allowed]


class Taking:
    """Takes in for all requests of one server, in its event loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[_Brought] = deque()
        self._threads = CapacityLimiter(GROUPS)
        self._at_work: set[asyncio.Task[None]] = set()

    async def take(self, access: Access | None, items: Sequence[Item]) -> Taken:
        """What became of the items, once it is durable. Raises LedgerError.

        Whoever brings something else than a token (a webhook its signature) was judged before.
        """
        brought = _Brought(access, items)
        self._waiting.append(brought)
        self._go()
        return await brought.answer

    def _go(self) -> None:
        while self._waiting and len(self._at_work) < GROUPS:
            task = asyncio.create_task(self._work(self._admitted()))
            self._at_work.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        self._go()

    def _admitted(self) -> list[_Brought]:
        """As many of those who wait as go together."""
        found = [self._waiting.popleft()]
        count = len(found[0].items)
        while self._waiting and (count := count + len(self._waiting[0].items)) <= GROUP_ITEMS_MAX:
            found.append(self._waiting.popleft())
        return found

    async def _work(self, group: list[_Brought]) -> None:
        found = await to_thread.run_sync(_take_all, self._ledger, group, limiter=self._threads)
        for brought, answer in zip(group, found, strict=True):
            if brought.answer.done():  # its client has gone, or the server is about to end
                continue
            if isinstance(answer, Taken):
                brought.answer.set_result(answer)
            else:
                brought.answer.set_exception(answer)


def _take_all(ledger: Ledger, group: Sequence[_Brought]) -> list[Taken | Exception]:
    """What became of each of them. What is below us fails all alike; after any other error one
    of them may be guilty, and each is tried alone."""
    try:
        return list(_taken(ledger, group))
    except LedgerError as error:
        return [error] * len(group)
    except Exception as error:  # noqa: BLE001 - it is raised to whom it belongs
        if len(group) == 1:
            return [error]
        return [answer for brought in group for answer in _take_all(ledger, [brought])]


def _taken(ledger: Ledger, group: Sequence[_Brought]) -> list[Taken]:
    groups = [brought.group() for brought in group]
    together = [item for items in groups for item in items]
    receipt, outcomes = append(ledger, together)
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
