"""Reading the log again, range by range: each row against the leaf hash that is kept of it."""

import gc
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from ledger.address import Address
from ledger.seals.kept import BLOCK_LEAVES, hashes_between
from ledger.seals.leaves import count_of, first_missing, hashes_of, rows_between
from ledger.seals.tree import HASH_BYTES, Frontier
from ledger.store import Store
from ledger.working import in_workers

RANGE_LEAVES = 16 * BLOCK_LEAVES
"""A power of two, so that each range but the last is a full subtree."""
PAGE_ROWS = 2 * BLOCK_LEAVES
IN_PROCESS_MAX = 16 * RANGE_LEAVES
"""A shorter log is read sooner by one process than two have started and read it."""

Subtrees = list[tuple[bytes, int]]
"""Roots of full subtrees, each with how many leaves it has, one behind the other."""


class Range(NamedTuple):
    """Positions to be read again, both included. `sealed` is the last that was sealed; `sizes`
    are those of heads that end in this range."""

    first: int
    last: int
    sealed: int
    sizes: tuple[int, ...]


class Found(NamedTuple):
    """What a range is like: the first position that is not as it was, and why, if one is not; its
    subtrees up to each of the sizes; and those of the whole range."""

    last: int
    bad: int | None
    reason: str
    at_sizes: dict[int, Subtrees]
    subtrees: Subtrees


class _Reader:
    """Reads ranges on a store of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, wanted: Range) -> Found:
        tree = Frontier()
        at_sizes: dict[int, Subtrees] = {}
        ends = sorted({*wanted.sizes, *range(wanted.first + PAGE_ROWS - 1, wanted.last, PAGE_ROWS)})
        at = wanted.first
        with self._store.cursor() as cursor:
            for end in (*(end for end in ends if end < wanted.last), wanted.last):
                rows = rows_between(at, end, cursor)
                missing = first_missing(rows, at, end)
                hashes = hashes_of(rows if missing is None else rows[: missing - at])
                kept = hashes_between(at, end, cursor)
                bad, reason = _first_bad(at, hashes, kept, missing, wanted.sealed)
                if bad is not None:
                    return Found(wanted.last, bad, reason, at_sizes, [])
                tree.extend(hashes)
                if end in wanted.sizes:
                    at_sizes[end] = _subtrees(tree)
                at = end + 1
        return Found(wanted.last, None, "", at_sizes, _subtrees(tree))


def reread(
    address: Address, store: Store, ranges: Sequence[Range], workers: int
) -> Generator[Found, None, None]:
    """Read ranges again, in their order. Closing the iterator ends the work."""
    if workers <= 1 or not ranges or ranges[-1].last <= IN_PROCESS_MAX:
        reader = _Reader(store)
        for wanted in ranges:
            with _without_collecting():
                found = reader.read(wanted)
            yield found
    else:
        yield from in_workers(_read_in_worker, ranges, workers, _start_worker, address)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """There are no cycles to find among rows, and looking for them takes a tenth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


_address: Address | None = None
_reader: _Reader | None = None


def _start_worker(address: Address) -> None:
    global _address
    gc.disable()
    _address = address


def _read_in_worker(wanted: Range) -> Found:
    global _reader
    if _address is None:
        raise RuntimeError("the worker was not started with an address")
    if _reader is None:  # only now: an error at the start would be told as the end of the worker
        _reader = _Reader(_address.store())
    return _reader.read(wanted)


def _first_bad(
    first: int, hashes: bytes, kept: bytes, missing: int | None, sealed: int
) -> tuple[int | None, str]:
    """The first of these positions that differs from what is kept of it, or is missing."""
    same = min(len(hashes), len(kept))
    if hashes[:same] != kept[:same]:
        at = next(
            at for at in range(0, same, HASH_BYTES)
            if hashes[at : at + HASH_BYTES] != kept[at : at + HASH_BYTES]
        )  # fmt: skip
        return first + at // HASH_BYTES, "the row is another than the one that was sealed"
    unkept = first + count_of(kept)
    if missing is not None and missing <= unkept:
        return missing, "the row is missing"
    if unkept <= sealed and len(kept) < len(hashes):
        return unkept, "the leaf hash that was kept of the row is missing"
    return missing, "the row is missing" if missing is not None else ""


def _subtrees(tree: Frontier) -> Subtrees:
    sizes = [1 << bit for bit in range(tree.size.bit_length()) if tree.size >> bit & 1]
    return list(zip(tree.roots, reversed(sizes), strict=True))
