"""Waiting for what will pass: longer each time, and no longer than until a stop is requested."""

import random
import time
from collections.abc import Iterator

from ledger.intake import Stop
from ledger.store import Listening

DELAY_SECONDS_MIN, DELAY_SECONDS_MAX = 0.1, 5.0
STANDBY_SECONDS = 0.5
"""How often a process that stands by tries to take over."""
SLICE_SECONDS = 0.1
"""How soon a request to stop is noticed."""


def delays() -> Iterator[float]:
    """Seconds between attempts: doubled each time, and by chance less, so that not all who wait
    for a server come at once."""
    seconds = DELAY_SECONDS_MIN
    while True:
        yield random.uniform(seconds / 2, seconds)
        seconds = min(2 * seconds, DELAY_SECONDS_MAX)


def pause(seconds: float, stop: Stop) -> None:
    """Wait so long, or until a stop is requested."""
    until = time.monotonic() + seconds
    while not stop.requested and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, SLICE_SECONDS))


def stand_by(session: Listening) -> None:
    """Wait until it is time to try again, whatever happens in the log meanwhile."""
    until = time.monotonic() + STANDBY_SECONDS
    while (left := until - time.monotonic()) > 0:
        session.wait(left)
