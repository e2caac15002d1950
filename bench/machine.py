"""The machine that the figures are of: without it they mean nothing."""

import os
import platform
import sqlite3
from importlib.metadata import version

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """What the rates depend on most. `load` is the load average when the run began."""

    cores: int
    processor: str
    system: str
    python: str
    sqlite: str
    eventsourcing: str
    load: float

    def __str__(self) -> str:
        return (
            f"{self.cores} cores ({self.processor}), load {self.load:.1f} at the start, "
            f"{self.system}, Python {self.python}, SQLite {self.sqlite}, "
            f"eventsourcing {self.eventsourcing}"
        )


def this_machine() -> Machine:
    return Machine(
        cores=os.cpu_count() or 1,
        processor=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        eventsourcing=version("eventsourcing"),
        load=os.getloadavg()[0],
    )
