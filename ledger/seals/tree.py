"""The Merkle tree of RFC 6962, section 2.1: roots, inclusion and consistency, over leaf hashes.

Leaf hashes come packed: 32 bytes each, one behind the other.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()
"""The root of a tree without leaves."""
LEAF, NODE = b"\x00", b"\x01"
"""What is hashed before a leaf and before two nodes, so that neither is taken for the other."""

RootOf = Callable[[int, int], bytes]
"""The root of the leaves from one index up to, and without, another."""


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf with this content."""
    return sha256(LEAF + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node above two others."""
    return sha256(NODE + left + right).digest()


def root_of(hashes: bytes) -> bytes:
    """The root of the tree of these leaf hashes.

    Level by level, the last node of an odd number going up as it is: that is the same tree as the
    one that the RFC defines by splitting at the largest power of two.
    """
    if not hashes:
        return EMPTY_ROOT
    pair = 2 * HASH_BYTES
    while len(hashes) > HASH_BYTES:
        paired = len(hashes) // pair * pair
        above = [sha256(NODE + hashes[at : at + pair]).digest() for at in range(0, paired, pair)]
        hashes = b"".join((*above, hashes[paired:]))
    return hashes


class Frontier:
    """A tree that grows at its end, of which the roots of its full subtrees are kept.

    There are as many of them as the size has ones as a binary number, the largest first.
    """

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        """Raises ValueError when there cannot be as many full subtrees in a tree of this size."""
        if size < 0 or size.bit_count() != len(roots):
            raise ValueError(f"{len(roots)} full subtrees do not make a tree of {size}")
        self.size = size
        self.roots = list(roots)

    def extend(self, hashes: bytes) -> None:
        """Put leaf hashes, packed, behind those that are there."""
        at = 0
        while at < len(hashes):
            rest = (len(hashes) - at) // HASH_BYTES
            count = _largest_power(rest)
            if self.size:
                count = min(count, self.size & -self.size)
            end = at + count * HASH_BYTES
            self._push(root_of(hashes[at:end]), count)
            at = end

    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self.roots:
            return EMPTY_ROOT
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = node_hash(left, root)
        return root

    def copy(self) -> "Frontier":
        """The tree as it is now."""
        return Frontier(self.size, self.roots)

    def add_subtree(self, root: bytes, count: int) -> None:
        """Put a full subtree of so many leaves, a power of two, behind what is there.

        Raises ValueError where such a subtree cannot begin.
        """
        if count & (count - 1) or self.size % count:
            raise ValueError(f"no subtree of {count} begins at {self.size}")
        self._push(root, count)

    def _push(self, root: bytes, count: int) -> None:
        size = self.size
        self.size += count
        while size & count:
            root = node_hash(self.roots.pop(), root)
            count *= 2
        self.roots.append(root)


def inclusion_path(index: int, size: int, root: RootOf) -> list[bytes]:
    """PATH of the RFC: what has to be known beside a leaf to come to the root of a tree.

    `index` counts from 0. The hashes beside the leaf come first.
    """
    path: list[bytes] = []
    first, last = 0, size
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            path.append(root(middle, last))
            last = middle
        else:
            path.append(root(first, middle))
            first = middle
    return path[::-1]


def consistency_path(old: int, size: int, root: RootOf) -> list[bytes]:
    """PROOF of the RFC: what shows that a tree begins with the leaves of an older one.

    Nothing is needed where the older one is as large, or has no leaves.
    """
    path: list[bytes] = []
    first, last = 0, size
    while 0 < old < last:
        middle = first + _split(last - first)
        if old <= middle:
            path.append(root(middle, last))
            last = middle
        else:
            path.append(root(first, middle))
            first = middle
    if first and old:
        path.append(root(first, last))
    return path[::-1]


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root to which a leaf hash leads by this path (RFC 9162, section 2.1.3.2).

    Raises ValueError when the path cannot be one of this leaf in a tree of this size.
    """
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    node, last, found = index, size - 1, leaf
    for beside in path:
        if not last:
            raise ValueError("the path is too long")
        if node & 1 or node == last:
            found = node_hash(beside, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        node, last = node >> 1, last >> 1
    if last:
        raise ValueError("the path is too short")
    return found


def roots_from_consistency(
    old: int, size: int, old_root: bytes, path: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """The roots of the older and of the newer tree to which the path leads (RFC 9162, 2.1.4.2).

    The trees are consistent if both are what they should be. `old_root` is what the path begins
    with where the older tree is a full subtree of the newer. Raises ValueError when the path
    cannot be one between two trees of these sizes.
    """
    if not 0 < old < size:
        raise ValueError(f"a tree of {old} does not come before one of {size}")
    hashes = list(path)
    if not old & (old - 1):
        hashes.insert(0, old_root)
    if not hashes:
        raise ValueError("the path is too short")
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = hashes[0]
    for beside in hashes[1:]:
        if not last:
            raise ValueError("the path is too long")
        if node & 1 or node == last:
            before, after = node_hash(beside, before), node_hash(beside, after)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            after = node_hash(after, beside)
        node, last = node >> 1, last >> 1
    if last:
        raise ValueError("the path is too short")
    return before, after


def _split(count: int) -> int:
    """The largest power of two below a number of at least 2: where the RFC splits."""
    return 1 << (count - 1).bit_length() - 1


def _largest_power(count: int) -> int:
    """The largest power of two that is not above a number of at least 1."""
    return 1 << count.bit_length() - 1
