"""What all endpoints share: the ledger, the settings, who is known, and what is counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from ledger.access import Access
from ledger.intake import Append
from ledger.ledger import Ledger
from ledger.quarantine import Item
from web.refusals import Refusals
from web.settings import Settings
from web.taking import Taken, Taking
from web.tokens import Tokens
from web.watch import Watch

THREADS = 64
"""Questions to the ledger at the same time."""
STREAMS = 16
"""Bodies of any length that are read at the same time."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Service:
    """One server; `threads` are those that may ask the ledger at the same time. What a request
    brings is appended by `taking`; `appending` is for streams, which bring groups of their own."""

    ledger: Ledger
    settings: Settings
    tokens: Tokens
    watch: Watch
    appending: Append
    taking: Taking
    threads: CapacityLimiter
    streams: CapacityLimiter
    refusals: Refusals

    async def take_in(self, access: Access | None, items: Sequence[Item], door: str) -> Taken:
        """Record what came in; it is durable when this returns. `door` is for the metrics."""
        taken = await self.taking.take(access, items)
        self.watch.took(door, taken.receipt)
        return taken

    def turned_away(self, code: str, token: str | None = None) -> None:
        """Count and log a request without a right; `token` is the id of one that has none to it."""
        self.watch.refused(code)
        self.refusals.turned_away(code, token)

    async def in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Whatever touches the ledger, which waits for a disk."""
        return await to_thread.run_sync(lambda: call(*args, **kwargs), limiter=self.threads)


def service_of(request: Request) -> Service:
    """The server that a request has come to."""
    found: Service = request.app.state.service
    return found
