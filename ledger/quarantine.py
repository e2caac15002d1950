"""Quarantine: what could not be recorded, kept whole and encrypted, with the reason.

The same bytes refused again at the same door are one entry that counts its times, so repeating
an import does not fill the table.
"""

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.personal import NONCE_BYTES, derived
from ledger.store import Cursor
from schemas.door import Refused

PART_BYTES = 1_048_576

WAITING, RECORDED, DISCARDED = "waiting", "recorded", "discarded"


@dataclass(frozen=True, slots=True)
class Received:
    """Something that came through a door: its bytes (or a file that holds them) and from where.

    `door` is the name of the way in (append, import, kafka …), `context` where it stood there.
    """

    raw: bytes | IO[bytes]
    door: str
    context: dict[str, Any] = field(default_factory=dict)

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
            sealed = ((entry, n, self._seal(entry, n, p)) for n, p in enumerate(received.parts()))
            cursor.insert_rows("quarantine_parts", sealed)
        return int(entry)

    def entries(
        self, cursor: Cursor, status: str | None = WAITING, limit: int | None = None
    ) -> list[Entry]:
        """The entries in order, oldest first; every status when `status` is None."""
        rows = cursor.execute(
            f"SELECT {_COLUMNS} FROM quarantine WHERE status = coalesce(?, status) "
            "ORDER BY entry LIMIT ?",
            (status, limit or EVERY),
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
        parts = cursor.execute(
            "SELECT number, bytes FROM quarantine_parts WHERE entry = ? ORDER BY number", (number,)
        )
        return b"".join(self._open(number, n, sealed) for n, sealed in parts)

    def settle(self, number: int, status: str, note: str | None, now: int, cursor: Cursor) -> None:
        """Close an entry: recorded after all, or discarded. Its bytes are removed."""
        cursor.execute(
            "UPDATE quarantine SET status = ?, note = ?, settled_at = ? WHERE entry = ?",
            (status, note, now, number),
        )
        cursor.execute("DELETE FROM quarantine_parts WHERE entry = ?", (number,))

    def _fingerprint(self, received: Received) -> tuple[bytes, int]:
        mac = hmac.new(self._fingerprint_key, received.door.encode(), hashlib.sha256)
        places = ("topic_id", "partition", "offset") if received.raw else ("file", "item")
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


def _entry(row: Iterable[Any]) -> Entry:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return Entry(**{**values, "context": msgspec.json.decode(values["context"])})
