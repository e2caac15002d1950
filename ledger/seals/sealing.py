"""Sealing: the tree grows up to the head of the log, and its root is signed.

It is never part of an append. Leaf hashes are made from what stands in the log, and are kept in
large transactions of their own; one that is killed leaves hashes behind, from which the next goes
on.
"""

from collections.abc import Iterator

from ledger.intake import Stop, StopRequested
from ledger.ledger import Ledger
from ledger.log import Head
from ledger.progress import Report, silent
from ledger.seals.heads import SealedHead, key_id_of, signed, signing_key
from ledger.seals.kept import (
    BLOCK_LEAVES,
    Damaged,
    KeptSeal,
    hashes_between,
    keep_hashes,
    keep_seal,
    kept_until,
    last_seal,
)
from ledger.seals.leaves import count_of, first_missing, hashes_of, rows_between
from ledger.seals.tree import Frontier
from schemas.fields import rfc3339

PAGE_ROWS = 4 * BLOCK_LEAVES
"""Read and hashed at a time."""
KEPT_AT_ONCE = 64 * BLOCK_LEAVES
"""Leaf hashes that are written in one transaction: 2 MiB."""
SEALING = "seal"
"""The name under which only one process seals at a time."""


def seal(ledger: Ledger, report: Report = silent, stop: Stop | None = None) -> SealedHead:
    """Sign the head of the log as it is now. When it returns, the head is kept durably.

    Raises Locked while another process seals, StopRequested between two pages, and Damaged when a
    position is missing or the last seal was changed.
    """
    with ledger.store.exclusively(SEALING):
        end = ledger.log.head()
        with ledger.store.cursor() as cursor:
            before = last_seal(cursor)
        frontier = _frontier_of(ledger, before)
        if frontier.size > end.position:
            raise Damaged(
                f"the log ends at {end.position}, but was sealed up to {frontier.size}: "
                "see `touchstone audit verify`"
            )
        for hashes in _new_hashes(ledger, frontier.size, end.position, report, stop):
            frontier.extend(hashes)
        return _sign(ledger, frontier, end, before.number + 1 if before else 1)


def _frontier_of(ledger: Ledger, before: KeptSeal | None) -> Frontier:
    """The tree at the last seal, which is only gone on from if it is one of ours."""
    if before is None:
        return Frontier()
    if not before.head.is_signed_by(signing_key(ledger.keys.signing).public_key()):
        raise Damaged(f"the seal {before.number} was changed: see `touchstone audit verify`")
    return before.frontier()


def _new_hashes(
    ledger: Ledger, sealed: int, until: int, report: Report, stop: Stop | None
) -> Iterator[bytes]:
    """The leaf hashes behind the last seal: those that are kept already, then those to be made."""
    with ledger.store.cursor() as cursor:
        kept = kept_until(cursor)
    at = sealed
    while at < min(kept, until):
        last = min(at + KEPT_AT_ONCE, kept, until)
        with ledger.store.cursor() as cursor:
            hashes = hashes_between(at + 1, last, cursor)
        if count_of(hashes) != last - at:
            raise Damaged(
                f"the leaf hash of position {at + 1 + count_of(hashes)} is gone: "
                "see `touchstone audit verify`"
            )
        yield hashes
        at = last
    while at < until:
        last = min(at // KEPT_AT_ONCE * KEPT_AT_ONCE + KEPT_AT_ONCE, until)
        hashes = b"".join(_hashed(ledger, at, last, report, until, stop))
        with ledger.store.cursor(write=True, durable=False) as cursor:
            keep_hashes(at + 1, hashes, cursor)
        yield hashes
        at = last


def _hashed(
    ledger: Ledger, at: int, last: int, report: Report, until: int, stop: Stop | None
) -> Iterator[bytes]:
    """Hash the positions behind `at`, up to `last`, page by page."""
    while at < last:
        if stop is not None and stop.requested:
            raise StopRequested
        page = min(at + PAGE_ROWS, last)
        with ledger.store.cursor() as cursor:
            rows = rows_between(at + 1, page, cursor)
        missing = first_missing(rows, at + 1, page)
        if missing is not None:
            raise Damaged(f"position {missing} is not in the log: see `touchstone audit verify`")
        yield hashes_of(rows)
        at = page
        report("sealing", at, until)


def _sign(ledger: Ledger, frontier: Frontier, end: Head, number: int) -> SealedHead:
    key = signing_key(ledger.keys.signing)
    sealed_at = max(ledger.log.clock(), end.recorded_at)
    head = signed(
        SealedHead(
            ledger_id=ledger.keys.ledger_id,
            size=frontier.size,
            root=frontier.root(),
            time=rfc3339(sealed_at),
            key_id=key_id_of(key.public_key()),
        ),
        key,
    )
    with ledger.store.cursor(write=True) as cursor:
        keep_seal(KeptSeal(number, head, b"".join(frontier.roots)), sealed_at, cursor)
    return head
