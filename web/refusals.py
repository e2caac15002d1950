"""Refusals in the log: whoever comes without a right, forges deliveries, or sends what nothing
takes, is told of there, and does not fill it."""

import time
from collections.abc import Callable

import structlog

QUIET_SECONDS = 1.0
"""Between two lines about the same."""

_log = structlog.get_logger("touchstone.serve")


class Refusals:
    """Logs requests without a right, deliveries that are not authentic, and what is not recorded
    of those that are; for the event loop alone.

    Of each token and webhook a line a second of each at most. It says how many others have come
    since the line before it; the metrics have all of them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def tell(self, webhook: str, code: str) -> None:
        """A delivery was refused; `webhook` is a configured one, so that there are only so many."""
        self._tell("webhook refused", webhook, webhook=webhook, code=code)

    def turned_away(self, code: str, token: str | None = None) -> None:
        """A request came with no token that counts, or with one (by its id) that may not."""
        about = {} if token is None else {"token": token}
        self._tell("request refused", token or "", code=code, **about)

    def kept(self, webhook: str, code: str, entry: int) -> None:
        """An item of an authentic delivery is in quarantine, as this entry, or in conflict."""
        self._tell("webhook item in quarantine", webhook, webhook=webhook, code=code, entry=entry)

    def _tell(self, event: str, about: str, **said: str | int) -> None:
        quiet_until, others = self._told.get((event, about), (float("-inf"), 0))
        now = self._clock()
        if now < quiet_until:
            self._told[event, about] = quiet_until, others + 1
            return
        self._told[event, about] = now + QUIET_SECONDS, 0
        _log.warning(event, **said, others=others)
