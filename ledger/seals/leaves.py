"""Leaves: a stored event as the bytes of which its leaf hash is made. docs/AUDIT.md has them too.

A leaf begins with three integers of 8 bytes (signed): position, recorded_at in microseconds since
1970, version in its stream. Six of 4 bytes (unsigned) follow: how many bytes topic, source, id,
stream, digest and state have. Then come these, in this order, without anything between them. All
integers are big-endian; texts are UTF-8; the stream is its UUID as 32 hexadecimal digits.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from struct import Struct

import msgspec

from ledger.seals.tree import HASH_BYTES, LEAF
from ledger.store import Cursor

Row = tuple[int, int, int, bytes, bytes, bytes, bytes, bytes, bytes]
"""Position, recorded_at, version, topic, source, id, stream, digest, state."""
_pack_leaf = Struct(">3q6I").pack
_pack_hashed = Struct(">x3q6I").pack
"""The same behind the byte that tells a leaf from a node."""
if LEAF != b"\x00":  # pragma: no cover
    raise AssertionError("the pad byte of the struct is the mark of a leaf")


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """A stored event as a proof carries it; `recorded_at` in microseconds since 1970."""

    position: int
    recorded_at: int
    topic: str
    source: str
    id: str
    stream: str
    version: int
    state: bytes
    digest: bytes

    def content(self) -> bytes:
        """The bytes of the leaf. Raises ValueError where a number is out of its range."""
        texts = [text.encode() for text in (self.topic, self.source, self.id, self.stream)]
        parts = [*texts, self.digest, self.state]
        numbers = (self.position, self.recorded_at, self.version)
        if any(not -(2**63) <= number < 2**63 for number in numbers):
            raise ValueError("a number of the leaf is out of range")
        return _pack_leaf(*numbers, *map(len, parts)) + b"".join(parts)


def leaf_of(row: Row) -> Leaf:
    """A row as people and proofs have it."""
    position, recorded_at, version, topic, source, id_, stream, digest, state = row
    return Leaf(
        position=position,
        recorded_at=recorded_at,
        topic=topic.decode(),
        source=source.decode(),
        id=id_.decode(),
        stream=stream.decode(),
        version=version,
        state=state,
        digest=digest,
    )


def hashes_of(rows: Iterable[Row]) -> bytes:
    """The leaf hashes of rows, packed. This is what sealing and verifying spend their time on."""
    pack, join = _pack_hashed, b"".join
    return join(
        [
            sha256(
                join(
                    (
                        pack(at, recorded, version, len(topic), len(source), len(id_),
                             len(stream), len(digest), len(state)),
                        topic, source, id_, stream, digest, state,
                    )
                )
            ).digest()
            for at, recorded, version, topic, source, id_, stream, digest, state in rows
        ]
    )  # fmt: skip


def rows_between(first: int, last: int, cursor: Cursor) -> list[Row]:
    """The stored events of these positions, both included, in their order."""
    return cursor.sealed_rows(first, last)


def first_missing(rows: Sequence[Row], first: int, last: int) -> int | None:
    """The first of these positions, both included, that has no row; None when all have."""
    if len(rows) == last - first + 1:
        return None
    here = (position for position, row in enumerate(rows, first) if row[0] != position)
    return next(here, first + len(rows))


def count_of(hashes: bytes) -> int:
    """How many leaf hashes are packed here."""
    return len(hashes) // HASH_BYTES
