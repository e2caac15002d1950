"""Signals: the group in hand is finished, then the command ends with 130 or 143."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ledger.intake import Stop, StopRequested

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Turn the first signal into a request to stop; a second one ends the process at once."""
    stop = Stop()

    def request(number: int, _: FrameType | None) -> None:
        for name in SIGNALS:
            signal.signal(name, signal.SIG_DFL)
        stop.signal = number
        if stop.waiting:
            raise StopRequested

    before = {name: signal.signal(name, request) for name in SIGNALS}
    try:
        yield stop
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
