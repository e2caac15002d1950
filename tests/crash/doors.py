"""What processes do that are stopped, killed and cut off: append, consume, follow, a command."""

import json
import os
from pathlib import Path
from random import Random

import projections.ranges
import projections.rebuild  # noqa: F401 - imported once, before the children are forked
from cli import exits
from cli.commands import append as _append
from cli.commands import audit as _audit
from cli.commands import keys as _keys
from cli.commands import projection as _projection
from cli.commands import serve as _serve
from cli.main import run
from ledger.address import parse_url
from ledger.errors import LedgerError
from ledger.intake import append
from ledger.ledger import open_ledger
from ledger.log import Quarantined
from ledger.quarantine import Received
from tests.crash.consuming_door import consume

__all__ = [
    "_append", "_audit", "_keys", "_projection", "_serve",
    "command", "consume", "follow_on", "take_lines",
]  # fmt: skip
FULLEST_GROUP = 20


def command(*arguments: str) -> int:
    """A command of the command line."""
    return run(list(arguments))


def follow_on(*arguments: str) -> int:
    """`projection run`, again and again, until it fails."""
    while not (code := run([*arguments, "-q", "projection", "run", "--workers", "1"])):
        pass
    return code


def take_lines(url: str, keys: str, path: str, start: int, fullest: int = FULLEST_GROUP) -> int:
    """Append lines of a file from `start` on, in groups, and acknowledge each group.

    An acknowledgement is written when the group is recorded: the first line of it, how many
    lines, its receipt, and the positions of those lines that are in the log.
    """
    lines = Path(path).read_bytes().splitlines()
    try:
        with open_ledger(parse_url(url, Path(keys))) as ledger:
            while start < len(lines):
                group = lines[start : start + group_size(start, fullest)]
                received = [(Received(raw, "append"), None) for raw in group]
                receipt, outcomes = append(ledger, received)
                _acknowledge(
                    first=start,
                    count=len(group),
                    recorded=receipt.recorded,
                    duplicate=receipt.duplicate,
                    conflict=receipt.conflict,
                    quarantined=receipt.quarantined,
                    positions=[
                        None if isinstance(o, Quarantined) else o.position for o in outcomes
                    ],
                )
                start += len(group)
    except LedgerError as error:
        os.write(2, f"Error: {error}\n".encode())
        return exits.code_of(error) or exits.FAILED
    return exits.DONE


def group_size(start: int, fullest: int) -> int:
    """How many lines the group takes that begins here: the same whenever it is tried again."""
    return Random(start).randint(1, fullest)


def _acknowledge(**fields: object) -> None:
    os.write(1, json.dumps(fields).encode() + b"\n")
