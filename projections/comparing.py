"""Comparing two replays: which keys of which view are in one alone, and what differs in others."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from ledger.errors import LedgerError
from projections.replay_file import FORMAT

ONLY_A, ONLY_B, DIFFERS = "only in A", "only in B", "differs"


class NotComparable(LedgerError):
    """A file is no replay, or not one that this version can read, or not of the same ledger."""


class Difference(msgspec.Struct, kw_only=True):
    """A key that two replays do not show alike. `fields` are those of the state that differ, with
    a point between what is nested; none where the key is in one of the two alone."""

    view: str
    key: str
    difference: str
    fields: list[str]


class Compared(msgspec.Struct, kw_only=True):
    """How one view of two replays compares, in rows."""

    view: str
    a: int = 0
    b: int = 0
    only_a: int = 0
    only_b: int = 0
    differing: int = 0

    def count(self, difference: Difference) -> None:
        match difference.difference:
            case "only in A":
                self.only_a += 1
            case "only in B":
                self.only_b += 1
            case _:
                self.differing += 1


class Comparison:
    """Two files of replays, side by side. What depends on the moment alone is not compared."""

    def __init__(self, a: sqlite3.Connection, b: sqlite3.Connection, only: Sequence[str]) -> None:
        self._a, self._b = a, b
        rows_a, rows_b = _views(a), _views(b)
        names = [name for name in rows_a if name in rows_b and (not only or name in only)]
        self.left_out = sorted((rows_a.keys() ^ rows_b.keys()) & set(only or rows_a | rows_b))
        """The views that only one of the two has."""
        missing = sorted(set(only) - (rows_a.keys() | rows_b.keys()))
        if missing:
            raise NotComparable(f"neither of the two has the view {', '.join(missing)}")
        self.views = {name: Compared(view=name, a=rows_a[name], b=rows_b[name]) for name in names}
        """The counts, complete when the differences have been walked."""

    def differences(self) -> Iterator[Difference]:
        """Every difference, by view and key; read as they are asked for."""
        for view, compared in self.views.items():
            both = merge(_rows(self._a, view, 0), _rows(self._b, view, 1))
            for key, rows in groupby(both, itemgetter(0)):
                found = _difference(view, key, [(side, state) for _, side, state in rows])
                if found is not None:
                    compared.count(found)
                    yield found


@contextmanager
def compared(a: Path, b: Path, only: Sequence[str] = ()) -> Iterator[Comparison]:
    """Two replays, opened for comparing. Raises NotComparable."""
    with _opened(a) as left, _opened(b) as right:
        if _ledger_of(left) != _ledger_of(right):
            raise NotComparable(f"{a} and {b} are replays of different ledgers")
        yield Comparison(left, right, only)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        with closing(connection):
            (form,) = connection.execute("SELECT format FROM replay").fetchone()
            if form != FORMAT:
                raise NotComparable(f"{path} was written by another version: replay it again")
            yield connection
    except sqlite3.Error:
        raise NotComparable(f"{path} is no replay: `touchstone replay --into` makes one") from None


def _ledger_of(connection: sqlite3.Connection) -> str:
    (ledger,) = connection.execute("SELECT ledger FROM replay").fetchone()
    return str(ledger)


def _views(connection: sqlite3.Connection) -> dict[str, int]:
    """The rows of each view. Their names are put into SQL, and a file may come from anywhere."""
    found: dict[str, int] = dict(connection.execute("SELECT name, rows FROM views").fetchall())
    for name in found:
        if not (isinstance(name, str) and name.isidentifier()):
            raise NotComparable("one of the two names a view that cannot be one")
    return found


def _rows(connection: sqlite3.Connection, view: str, side: int) -> Iterator[tuple[str, int, str]]:
    for key, state in connection.execute(f'SELECT key, state FROM "{view}" ORDER BY key'):
        yield key, side, state


def _difference(view: str, key: str, rows: list[tuple[int, str]]) -> Difference | None:
    if len(rows) == 1:
        where = ONLY_B if rows[0][0] else ONLY_A
        return Difference(view=view, key=key, difference=where, fields=[])
    (_, mine), (_, others) = rows
    if mine == others:
        return None
    fields = list(_fields(msgspec.json.decode(mine), msgspec.json.decode(others), ""))
    return Difference(view=view, key=key, difference=DIFFERS, fields=fields)


def _fields(mine: Any, others: Any, path: str) -> Iterator[str]:
    """The paths at which two documents differ; a list is one value."""
    if not (isinstance(mine, dict) and isinstance(others, dict)):
        if mine != others:
            yield path
        return
    for name in sorted(mine.keys() | others.keys()):
        inner = f"{path}.{name}" if path else name
        one, other = mine.get(name), others.get(name)
        if isinstance(one or other, dict):
            yield from _fields(one or {}, other or {}, inner)
        elif one != other:
            yield inner
