"""Quarantine: what could not be recorded, kept whole and encrypted, with the reason.

The same bytes refused again at the same door are one entry that counts its times, so repeating
an import does not fill the table.
"""

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.keyring import derived
from ledger.personal import NONCE_BYTES
from ledger.store import Cursor
from schemas.door import Refused

PART_BYTES = 1_048_576
BESIDE = -1
"""The number of the part that holds what came beside the bytes."""

Headers = Sequence[tuple[str, bytes | None]]
"""Names with their values, in the order in which they came; a name may come again."""

WAITING, RECORDED, DISCARDED = "waiting", "recorded", "discarded"


class Received(msgspec.Struct, frozen=True):
    """Something that came through a door: its bytes (or a file that holds them) and from where.

    `door` is the name of the way in (append, import, kafka …), `context` where it stood there.
    `headers` and `key` are what a transport brought beside the bytes; they may be personal too.
    """

    raw: bytes | IO[bytes]
    door: str
    context: dict[str, Any] = {}
    headers: Headers = ()
    key: bytes | None = None

    def parts(self) -> Iterator[bytes]:
        """The bytes in pieces that fit into memory."""
        if isinstance(self.raw, bytes):
            for start in range(0, len(self.raw), PART_BYTES):
                yield self.raw[start : start + PART_BYTES]
            return
        self.raw.seek(0)
        while part := self.raw.read(PART_BYTES):
            yield part

    def close(self) -> None:
        """Give back the file that holds the bytes, if one does."""
        if not isinstance(self.raw, bytes):
            self.raw.close()


class _Beside(msgspec.Struct):
    """What came beside the bytes, as it is kept."""

    headers: list[tuple[str, bytes | None]]
    key: bytes | None = None


_read_beside = msgspec.json.Decoder(_Beside).decode

Item = Received | tuple[Received, Refused]
"""What came through a door, alone or with why it is refused already."""


class Entry(msgspec.Struct, kw_only=True):
    """One refused thing, without its bytes."""

    entry: int
    door: str
    context: dict[str, Any]
    reason: str
    path: str
    message: str
    size: int
    received_at: int
    times: int
    status: str
    note: str | None


EVERY = 2**62
"""More entries than there can be."""
_COLUMNS = "entry, door, context, reason, path, message, size, received_at, times, status, note"
_UPSERT = """
INSERT INTO quarantine (fingerprint, door, context, reason, path, message, size, received_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (fingerprint) DO UPDATE SET
    times = quarantine.times + 1, received_at = excluded.received_at, context = excluded.context,
    reason = excluded.reason, path = excluded.path, message = excluded.message,
    status = 'waiting'
RETURNING entry
"""


class Quarantine:
    """The table of refused things. Every call works in the caller's transaction."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(derived(key, b"bytes"))
        self._fingerprint_key = derived(key, b"fingerprint")

    def keep(self, received: Received, refused: Refused, now: int, cursor: Cursor) -> int:
        """Keep the bytes as received with the reason; returns the number of the entry."""
        fingerprint, size = self._fingerprint(received)
        (entry,) = cursor.execute(
            _UPSERT,
            (fingerprint, received.door, msgspec.json.encode(received.context).decode(),
             refused.reason, refused.path, refused.message, size, now),
        ).fetchone()  # fmt: skip
        kept = cursor.execute(
            "SELECT COUNT(*) FROM quarantine_parts WHERE entry = ?", (entry,)
        ).fetchone()[0]
        if not kept:
            sealed = ((entry, n, self._seal(entry, n, p)) for n, p in _numbered_parts(received))
            cursor.insert_rows("quarantine_parts", sealed)
        return int(entry)

    def entries(
        self,
        cursor: Cursor,
        status: str | None = WAITING,
        limit: int | None = None,
        *,
        after: int = 0,
        door: str | None = None,
    ) -> list[Entry]:
        """The entries behind a number in order, oldest first; of all statuses and doors when
        none is given."""
        rows = cursor.execute(
            f"SELECT {_COLUMNS} FROM quarantine WHERE entry > ? "
            "AND status = coalesce(?, status) AND door = coalesce(?, door) "
            "ORDER BY entry LIMIT ?",
            (after, status, door, limit or EVERY),
        )
        return [_entry(row) for row in rows]

    def entry(self, number: int, cursor: Cursor) -> Entry | None:
        """One entry, or None when there is none with this number."""
        row = cursor.execute(
            f"SELECT {_COLUMNS} FROM quarantine WHERE entry = ?", (number,)
        ).fetchone()
        return _entry(row) if row else None

    def bytes_of(self, number: int, cursor: Cursor) -> bytes:
        """What was received, whole; empty once it was discarded."""
        return b"".join(self._parts(number, "number > ?", cursor))

    def received(self, entry: Entry, cursor: Cursor) -> Received:
        """What was received, as it came in."""
        received = Received(self.bytes_of(entry.entry, cursor), entry.door, entry.context)
        for part in self._parts(entry.entry, "number = ?", cursor):
            beside = _read_beside(part)
            received = msgspec.structs.replace(received, headers=beside.headers, key=beside.key)
        return received

    def _parts(self, number: int, which: str, cursor: Cursor) -> Iterator[bytes]:
        parts = cursor.execute(
            f"SELECT number, bytes FROM quarantine_parts WHERE entry = ? AND {which} "
            "ORDER BY number",
            (number, BESIDE),
        )
        return (self._open(number, n, sealed) for n, sealed in parts)

    def settle(self, number: int, status: str, note: str | None, now: int, cursor: Cursor) -> None:
        """Close an entry: recorded after all, or discarded. Its bytes are removed."""
        cursor.execute(
            "UPDATE quarantine SET status = ?, note = ?, settled_at = ? WHERE entry = ?",
            (status, note, now, number),
        )
        cursor.execute("DELETE FROM quarantine_parts WHERE entry = ?", (number,))

    def _fingerprint(self, received: Received) -> tuple[bytes, int]:
        mac = hmac.new(self._fingerprint_key, received.door.encode(), hashlib.sha256)
        on_topic = received.raw or "offset" in received.context
        places = ("topic_id", "partition", "offset") if on_topic else ("file", "item")
        for name in places:
            mac.update(str(received.context.get(name, "")).encode() + b"\0")
        size = 0
        for part in received.parts():
            mac.update(part)
            size += len(part)
        return mac.digest(), size

    def _seal(self, entry: int, number: int, part: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, part, f"{entry}/{number}".encode())

    def _open(self, entry: int, number: int, sealed: bytes) -> bytes:
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return self._cipher.decrypt(nonce, rest, f"{entry}/{number}".encode())


def _numbered_parts(received: Received) -> Iterator[tuple[int, bytes]]:
    if received.headers or received.key is not None:
        beside = _Beside(list(received.headers), received.key)
        yield BESIDE, msgspec.json.encode(beside)
    yield from enumerate(received.parts())


def _entry(row: Iterable[Any]) -> Entry:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return Entry(**{**values, "context": msgspec.json.decode(values["context"])})
