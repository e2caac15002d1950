"""The file of a backup: frames of rows one after the other, and a digest over all of it.

It begins with a line that says what it is. A frame is its length and its CRC-32 (big-endian),
then a packed pair (section, content) as MessagePack, compressed by zlib. A frame of length 0 ends
the file, with the SHA-256 of every byte before the digest. So the same content gives the same
bytes, a damaged file is known before it is used, and the CRC tells where the damage is.
"""

import fcntl
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from ledger.errors import BackupUnusable, LedgerError, Locked
from ledger.intake import Stop, StopRequested
from ledger.keyfile import sync_folder
from ledger.progress import Report

LEDGER = "Touchstone ledger backup"
KEYS = "Touchstone keys backup"
FORMAT = 1
HEADER, COUNTS = "header", "counts"
COMPRESSION = 1
"""Of zlib: the fastest, which makes the bodies of touchpoints about five times smaller."""

_FRAME = struct.Struct("!II")
_DIGEST_BYTES = hashlib.sha256().digest_size
_CHECK_BYTES = 16 * 1024 * 1024
"""After so many bytes the progress of checking is told."""


class _Frame(msgspec.Struct, array_like=True):
    section: str
    content: msgspec.Raw


_encode = msgspec.msgpack.Encoder().encode
_decode_frame = msgspec.msgpack.Decoder(_Frame).decode


class ArchiveWriter:
    """Writes frames into an open file, and counts the rows of each section."""

    def __init__(self, file: IO[bytes], kind: str) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._counts: dict[str, int] = {}
        self._write(f"{kind}, format {FORMAT}\n".encode())

    def header(self, header: msgspec.Struct) -> None:
        """What the file is of; it comes first."""
        self._frame(HEADER, header)

    def rows(self, section: str, rows: list[Any]) -> None:
        """A page of rows; those of one section come one after the other."""
        self._counts[section] = self._counts.get(section, 0) + len(rows)
        self._frame(section, rows)

    def end(self) -> None:
        """What was counted, and the digest."""
        self._frame(COUNTS, self._counts)
        self._write(_FRAME.pack(0, 0))
        self._file.write(self._digest.digest())

    def _frame(self, section: str, content: Any) -> None:
        packed = zlib.compress(_encode((section, content)), COMPRESSION)
        self._write(_FRAME.pack(len(packed), zlib.crc32(packed)))
        self._write(packed)

    def _write(self, raw: bytes) -> None:
        self._digest.update(raw)
        self._file.write(raw)


class Archive:
    """A file of frames to be read. Each way through it is checked to the end."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path = path
        self._kind = kind
        self._size = path.stat().st_size

    def header(self) -> msgspec.Raw:
        """What the file is of. Raises BackupUnusable."""
        section, content, _ = next(self._unpacked(), ("", msgspec.Raw(), 0))
        if section != HEADER:
            raise self.inconsistent()
        return content

    def check(self, report: Report, stop: Stop) -> None:
        """Read the whole file against its digest. Raises BackupUnusable or StopRequested."""
        told = 0
        for _, after in self._packed():
            if after - told >= _CHECK_BYTES:
                go_on(stop)
                told = after
                report("checking", after, self._size)

    def frames(self) -> Iterator[tuple[str, msgspec.Raw]]:
        """(section, rows) of every frame behind the header.

        Raises BackupUnusable, at the latest at the end, when the file is not as it was written,
        so nothing may be kept of it before the end is reached.
        """
        for section, content, _ in self._unpacked():
            if section != HEADER:
                yield section, content

    def damaged(self, at: int) -> BackupUnusable:
        """The error of a file that is not as it was written."""
        return BackupUnusable(
            f"{self._path} is damaged: it is cut short or was altered (noticed at byte {at:,} of "
            f"{self._size:,}). Nothing was taken from it; take another copy of this backup"
        )

    def inconsistent(self) -> BackupUnusable:
        """The error of a file that was written with this content, which no ledger has."""
        return BackupUnusable(
            f"{self._path} contradicts itself: it is not what `touchstone backup` wrote"
        )

    def _unpacked(self) -> Iterator[tuple[str, msgspec.Raw, int]]:
        for packed, after in self._packed():
            try:
                frame = _decode_frame(zlib.decompress(packed))
            except (zlib.error, msgspec.DecodeError):
                raise self.damaged(after) from None
            yield frame.section, frame.content, after

    def _packed(self) -> Iterator[tuple[bytes, int]]:
        """(the frame, where it ends) of each frame; the last of all, the digest is compared."""
        with self._path.open("rb") as file:
            opening = self._opening(file)
            digest = hashlib.sha256(opening)
            at = len(opening)
            while True:
                start = file.read(_FRAME.size)
                if len(start) < _FRAME.size:
                    raise self.damaged(at)
                length, checksum = _FRAME.unpack(start)
                digest.update(start)
                at += _FRAME.size
                if length == 0:
                    break
                # A length that was altered must not make this process reserve that much.
                packed = file.read(min(length, self._size - at))
                if len(packed) < length or zlib.crc32(packed) != checksum:
                    raise self.damaged(at)
                digest.update(packed)
                at += length
                yield packed, at
            if file.read(_DIGEST_BYTES + 1) != digest.digest():
                raise self.damaged(at)

    def _opening(self, file: IO[bytes]) -> bytes:
        line = file.readline(100)
        if line == f"{self._kind}, format {FORMAT}\n".encode():
            return line
        if line.startswith(f"{self._kind}, format ".encode()):
            raise BackupUnusable(
                f"{self._path} was made by another version of Touchstone: "
                "restore it with that one, then upgrade"
            )
        raise BackupUnusable(f"{self._path} is not a {self._kind}")


@contextmanager
def new_archive(path: Path, kind: str, *, overwrite: bool) -> Iterator[ArchiveWriter]:
    """Write an archive (mode 0600) beside its place; it gets its name when it is whole and durable.

    Raises LedgerError when something is there already, unless that is an archive of this kind
    and may be overwritten. Raises Locked when another process is writing this one.
    """
    _check_place(path, kind, overwrite)
    draft = path.with_name(path.name + ".partial")
    with _only_writer(draft) as file:
        try:
            writer = ArchiveWriter(file, kind)
            yield writer
            writer.end()
            file.flush()
            os.fsync(file.fileno())
            os.replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def go_on(stop: Stop) -> None:
    """Raises StopRequested when it is time to stop."""
    if stop.requested:
        raise StopRequested


def _check_place(path: Path, kind: str, overwrite: bool) -> None:
    if not path.exists():
        return
    if not path.is_file() or not _begins_as(path, kind):
        raise LedgerError(f"{path} is there already and is not a {kind}: it is left as it is")
    if not overwrite:
        raise LedgerError(f"{path} is there already")


def _begins_as(path: Path, kind: str) -> bool:
    with path.open("rb") as file:
        return file.read(len(kind)) == kind.encode()


@contextmanager
def _only_writer(draft: Path) -> Iterator[IO[bytes]]:
    """The empty draft, locked. What a killed process left of it is taken over."""
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who held the lock a moment ago may have given the file its name in the meantime.
            same = os.path.samestat(os.fstat(descriptor), os.stat(draft))
        except (BlockingIOError, FileNotFoundError):
            same = False
        if not same:
            raise Locked(f"another process is writing {draft}")
        os.fchmod(descriptor, 0o600)
        file.truncate()
        yield file
