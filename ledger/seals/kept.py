"""What is kept of seals in the ledger: leaf hashes in blocks, and the heads that were signed."""

from collections.abc import Iterator
from typing import NamedTuple

from ledger.errors import LedgerError
from ledger.seals.heads import SealedHead
from ledger.seals.leaves import count_of
from ledger.seals.tree import HASH_BYTES, Frontier
from ledger.store import Cursor
from schemas.fields import rfc3339

BLOCK_LEAVES = 1_024
"""No row of leaf hashes reaches over a multiple of so many. Part of the storage format."""
_BLOCK_BYTES = BLOCK_LEAVES * HASH_BYTES


class Damaged(LedgerError):
    """What is kept does not agree with itself or with the log."""


class KeptSeal(NamedTuple):
    """A head as it is kept, with the roots of its full subtrees."""

    number: int
    head: SealedHead
    roots: bytes

    def frontier(self) -> Frontier:
        """The tree at this head, to go on from. Raises Damaged when it is not that of its root."""
        roots = [self.roots[at : at + HASH_BYTES] for at in range(0, len(self.roots), HASH_BYTES)]
        try:
            found = Frontier(self.head.size, roots)
        except ValueError:
            found = Frontier()
        if found.size != self.head.size or found.root() != self.head.root:
            raise Damaged(f"the seal {self.number} was changed: see `touchstone audit verify`")
        return found


_SEALS = "SELECT number, size, root, roots, sealed_at, key_id, signature FROM seals"


def seals(cursor: Cursor) -> list[KeptSeal]:
    """All heads that were signed, in their order."""
    ledger_id = ledger_id_of(cursor)
    return [_kept(ledger_id, row) for row in cursor.execute(f"{_SEALS} ORDER BY number").fetchall()]


def last_seal(cursor: Cursor) -> KeptSeal | None:
    """The newest head; None when nothing was sealed yet."""
    row = cursor.execute(f"{_SEALS} ORDER BY number DESC LIMIT 1").fetchone()
    return _kept(ledger_id_of(cursor), row) if row else None


def ledger_id_of(cursor: Cursor) -> str:
    """The id of the ledger."""
    ledger_id: str = cursor.execute("SELECT ledger_id FROM head").fetchone()[0]
    return ledger_id


def keep_seal(seal: KeptSeal, sealed_at: int, cursor: Cursor) -> None:
    """Keep a new head."""
    head = seal.head
    cursor.insert_rows(
        "seals",
        [(seal.number, head.size, head.root, seal.roots, sealed_at, head.key_id, head.signature)],
    )


def keep_hashes(first: int, hashes: bytes, cursor: Cursor) -> None:
    """Keep the leaf hashes, packed, of the positions from `first` on."""
    cursor.insert_rows("leaf_hashes", _blocks(first, hashes))


def kept_until(cursor: Cursor) -> int:
    """The last position whose leaf hash is kept."""
    row = cursor.execute(
        "SELECT first, hashes FROM leaf_hashes ORDER BY first DESC LIMIT 1"
    ).fetchone()
    return row[0] - 1 + count_of(row[1]) if row else 0


def hashes_between(first: int, last: int, cursor: Cursor) -> bytes:
    """The kept leaf hashes of these positions, both included, packed: up to the first gap."""
    block = (first - 1) // BLOCK_LEAVES * BLOCK_LEAVES + 1
    rows = cursor.execute(
        "SELECT first, hashes FROM leaf_hashes WHERE first BETWEEN ? AND ? ORDER BY first",
        (block, last),
    )
    found, following = list[bytes](), block
    for at, hashes in rows:
        if at != following:
            break
        found.append(hashes)
        following += count_of(hashes)
    return b"".join(found)[(first - block) * HASH_BYTES : (last - block + 1) * HASH_BYTES]


def _kept(ledger_id: str, row: tuple[int, int, bytes, bytes, int, str, bytes]) -> KeptSeal:
    number, size, root, roots, sealed_at, key_id, signature = row
    head = SealedHead(
        ledger_id=ledger_id,
        size=size,
        root=root,
        time=_time(sealed_at),
        key_id=key_id,
        signature=signature,
    )
    return KeptSeal(number, head, roots)


def _time(at: int) -> str:
    """Nothing for a time that nobody has signed."""
    try:
        return rfc3339(at)
    except (OverflowError, ValueError):
        return ""


def _blocks(first: int, hashes: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(hashes):
        room = _BLOCK_BYTES - (first - 1) * HASH_BYTES % _BLOCK_BYTES
        part = hashes[at : at + room]
        yield first, part
        first, at = first + count_of(part), at + room
