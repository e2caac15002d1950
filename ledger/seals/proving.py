"""Proofs: that a stored event is in the log of a signed head, and that a head goes on from another.

Both are documents that can be checked without a ledger (`checking.py`). They are made from the
leaf hashes that are kept, in one pass over these, and are checked before they are handed out.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any

from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.seals.checking import CONSISTENCY, INCLUSION, check_document
from ledger.seals.heads import SealedHead, pem_of, signing_key
from ledger.seals.kept import BLOCK_LEAVES, Damaged, hashes_between, last_seal
from ledger.seals.leaves import Leaf, count_of, leaf_of, rows_between
from ledger.seals.tree import HASH_BYTES, consistency_path, inclusion_path, node_hash, root_of
from ledger.store import Cursor

PASS_LEAVES = 64 * BLOCK_LEAVES
Document = dict[str, Any]


class Unsealed(LedgerError):
    """It stands behind the last seal."""


def prove(ledger: Ledger, positions: Sequence[int]) -> list[Document]:
    """A proof for each of these positions, by the newest head. Raises as `proofs` does."""
    return list(proofs(ledger, positions))


def proofs(ledger: Ledger, positions: Sequence[int]) -> Iterator[Document]:
    """A proof for each of these positions, all by one head, the newest; each made when its turn
    comes, quickest in the order of positions.

    Raises Unsealed when that head does not cover all of them, and Damaged when what is kept does
    not prove it.
    """
    with ledger.store.cursor() as cursor:
        head = _head_over(positions, cursor)
        tree = _Tree(head.size, cursor)
        for position in positions:
            rows = rows_between(position, position, cursor)
            if not rows:
                raise Damaged(
                    f"position {position} is not in the log: see `touchstone audit verify`"
                )
            path = inclusion_path(position - 1, head.size, tree.root)
            yield _checked(_inclusion(ledger, leaf_of(rows[0]), path, head))


def need_seal(ledger: Ledger, positions: Sequence[int]) -> None:
    """Raises Unsealed when the newest head does not cover all of these positions."""
    with ledger.store.cursor() as cursor:
        _head_over(positions, cursor)


def _head_over(positions: Sequence[int], cursor: Cursor) -> SealedHead:
    seal = last_seal(cursor)
    size = seal.head.size if seal else 0
    behind = [position for position in positions if position > size]
    if seal is None or behind:
        raise Unsealed(
            f"position {max(behind, default=1)} stands behind the last seal, which covers "
            f"{size:,}: `touchstone audit seal` makes another"
        )
    return seal.head


def prove_consistency(ledger: Ledger, old: SealedHead, new: SealedHead) -> Document:
    """A proof that the log of one head begins with the whole log of another, older one.

    Raises Unsealed when the newer covers more than is sealed, and Damaged when they are not
    consistent, or what is kept does not prove it.
    """
    with ledger.store.cursor() as cursor:
        seal = last_seal(cursor)
        if seal is None or seal.head.size < new.size:
            raise Unsealed(f"the ledger has no seal over {new.size:,} positions")
        path: list[bytes] = []
        if 0 < old.size < new.size:
            path = consistency_path(old.size, new.size, _Tree(new.size, cursor).root)
    return _checked(
        {
            "format": CONSISTENCY,
            "from": old.document(),
            "to": new.document(),
            "path": [node.hex() for node in path],
            "public_key": _public_key(ledger),
        }
    )


class _Tree:
    """The tree of a size, as it is kept: the roots of its blocks, and the leaves of one of them."""

    def __init__(self, size: int, cursor: Cursor) -> None:
        self._cursor = cursor
        self._size = size
        self._blocks = self._roots_of_blocks()
        self._number = -1
        self._leaves = b""

    def root(self, first: int, last: int) -> bytes:
        """The root of the leaves from an index up to, and without, another, as the RFC splits."""
        count = last - first
        number = first // BLOCK_LEAVES
        whole = count == BLOCK_LEAVES or last == self._size
        if count <= BLOCK_LEAVES and first % BLOCK_LEAVES == 0 and whole:
            return self._blocks[number]
        if count <= BLOCK_LEAVES:
            at = first % BLOCK_LEAVES * HASH_BYTES
            return root_of(self._block(number)[at : at + count * HASH_BYTES])
        middle = first + (1 << (count - 1).bit_length() - 1)
        return node_hash(self.root(first, middle), self.root(middle, last))

    def _block(self, number: int) -> bytes:
        if number != self._number:
            first = number * BLOCK_LEAVES + 1
            last = min(first + BLOCK_LEAVES - 1, self._size)
            self._number, self._leaves = number, self._kept(first, last)
        return self._leaves

    def _roots_of_blocks(self) -> list[bytes]:
        roots: list[bytes] = []
        step = BLOCK_LEAVES * HASH_BYTES
        for first in range(1, self._size + 1, PASS_LEAVES):
            hashes = self._kept(first, min(first + PASS_LEAVES - 1, self._size))
            roots += (root_of(hashes[at : at + step]) for at in range(0, len(hashes), step))
        return roots

    def _kept(self, first: int, last: int) -> bytes:
        hashes = hashes_between(first, last, self._cursor)
        if count_of(hashes) != last - first + 1:
            raise Damaged("leaf hashes are missing: see `touchstone audit verify`")
        return hashes


def _inclusion(ledger: Ledger, leaf: Leaf, path: Sequence[bytes], head: SealedHead) -> Document:
    return {
        "format": INCLUSION,
        "leaf": {
            "position": leaf.position,
            "recorded_at": leaf.recorded_at,
            "version": leaf.version,
            "topic": leaf.topic,
            "source": leaf.source,
            "id": leaf.id,
            "stream": leaf.stream,
            "digest": b64encode(leaf.digest).decode(),
            "state": b64encode(leaf.state).decode(),
        },
        "path": [node.hex() for node in path],
        "head": head.document(),
        "public_key": _public_key(ledger),
    }


def _public_key(ledger: Ledger) -> str:
    return pem_of(signing_key(ledger.keys.signing).public_key())


def _checked(proof: Document) -> Document:
    found = check_document(proof)
    if not found.ok:
        raise Damaged(
            f"what is kept proves nothing ({found.reason}): see `touchstone audit verify`"
        )
    return proof
