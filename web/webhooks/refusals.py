"""Refusals in the log: whoever forges deliveries does not fill it."""

import time
from collections.abc import Callable

import structlog

QUIET_SECONDS = 1.0
"""Between two lines about one webhook."""

_log = structlog.get_logger("touchstone.serve")


class Refusals:
    """Logs deliveries that are not authentic; for the event loop alone.

    Of each webhook a line a second at most. It says how many others have come since the line
    before it; the metrics have all of them, by their reason.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def tell(self, webhook: str, code: str) -> None:
        """A delivery was refused; `webhook` is a configured one, so that there are only so many."""
        quiet_until, others = self._told.get(webhook, (float("-inf"), 0))
        now = self._clock()
        if now < quiet_until:
            self._told[webhook] = quiet_until, others + 1
            return
        self._told[webhook] = now + QUIET_SECONDS, 0
        _log.warning("webhook refused", webhook=webhook, code=code, others=others)
