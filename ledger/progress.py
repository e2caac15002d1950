"""Progress of long work: who does it reports, and whoever started it shows it or not."""

from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Told the phase, how much of it is done, and of how much."""

FAR_TOUCHPOINTS = 20_000
"""A service that is so far behind shows progress."""


def silent(phase: str, done: int, total: int) -> None:
    """A report to nobody."""
