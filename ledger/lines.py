"""Cuts a stream of bytes into touchpoints: one a line (NDJSON), or the items of a JSON array.

Nothing is parsed here, so a broken item costs only itself, and memory is bounded: what is
longer than a touchpoint may be goes to a temporary file and from there to quarantine.
"""

import math
import re
import tempfile
from collections.abc import Iterator
from io import BytesIO
from typing import IO

import msgspec

from ledger.quarantine import Item, Received
from schemas.door import TOUCHPOINT_BYTES_MAX, Refused

CHUNK_BYTES = 65_536
UNSOUND_BYTES_MAX = 262_144
"""Of an array in memory that no parser reads, to be cut at its commas all the same."""
_BLANK = b" \t\r\n"
_UNSOUND = Refused(
    "json_invalid", "", "the array is broken: send lines, each of which stands alone"
)
_STRUCTURE = re.compile(rb'["\[\]{},]')
_STRING = re.compile(rb'["\\]')
_BOM = b"\xef\xbb\xbf"


class TooLong(Exception):
    """What is longer than a touchpoint may be has more bytes, all together, than may come."""


def read_touchpoints(
    stream: IO[bytes], door: str, name: str, *, long_max: float = math.inf
) -> Iterator[Item]:
    """The items of a file or pipe, each with where it stood. `name` is shown in errors.

    Items that are longer than a touchpoint may be have `long_max` bytes together. Raises TooLong
    beyond that, after all items before.
    """
    first = _first_line(stream)
    spools = _Spools(long_max)
    if _begins_array(first.lstrip(_BLANK)):
        yield from _items(_Joined(first, stream), door, name, spools)
    else:
        yield from _lines(_Joined(first, stream), door, name, spools)


def touchpoints_in(body: bytes, door: str, name: str) -> Iterator[Item]:
    """The items of something that is in memory already; as `read_touchpoints`, and quicker.

    An array that is sound is cut by a parser that is made for it. One that is not is cut as a
    stream is, unless it is so long that this would take seconds: then it is refused as one item.
    """
    if _begins_array(body.lstrip(_BLANK)):
        try:
            found = _array(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            if len(body) > UNSOUND_BYTES_MAX:
                yield Received(body, door, {"file": name}), _UNSOUND
                return
        else:
            spools = _Spools(math.inf)
            for number, raw in enumerate(map(bytes, found), start=1):
                whole = raw if len(raw) <= TOUCHPOINT_BYTES_MAX else spools.begun(raw)
                yield Received(whole, door, {"file": name, "item": number})
            return
    yield from read_touchpoints(BytesIO(body), door, name)


_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _begins_array(start: bytes) -> bool:
    """Whether these first bytes begin an array of objects, rather than a broken line."""
    return start[:1] == b"[" and start[1:].lstrip(_BLANK)[:1] in (b"", b"{", b"]")


def _first_line(stream: IO[bytes]) -> bytes:
    """The first line that is not blank (or its beginning), with the blank ones before it.

    The byte order mark that some programs begin a file with is left out.
    """
    read = bytearray()
    while part := stream.readline(CHUNK_BYTES):
        read += part if read else part.removeprefix(_BOM)
        if part.removeprefix(_BOM).strip(_BLANK) or len(read) > TOUCHPOINT_BYTES_MAX:
            break
    return bytes(read)


def _lines(joined: "_Joined", door: str, name: str, spools: "_Spools") -> Iterator[Received]:
    number = 0
    while line := joined.readline(TOUCHPOINT_BYTES_MAX + 1):
        number += 1
        context = {"file": name, "line": number}
        if len(line) > TOUCHPOINT_BYTES_MAX and not line.endswith(b"\n"):
            yield Received(_spooled_line(line, joined, spools), door, context)
        elif stripped := line.strip(_BLANK):
            yield Received(stripped, door, context)


def _spooled_line(start: bytes, stream: "_Joined", spools: "_Spools") -> IO[bytes]:
    spool = spools.begun(start)
    while part := stream.readline(CHUNK_BYTES):
        spools.write(spool, part.rstrip(b"\n") if part.endswith(b"\n") else part)
        if part.endswith(b"\n"):
            break
    return spool


class _Spools:
    """Temporary files, with so many bytes in all of them together. They have no names: they are
    gone with the process, whatever happens to it."""

    def __init__(self, bytes_max: float) -> None:
        self._left = bytes_max

    def begun(self, start: bytes) -> IO[bytes]:
        spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by its reader
        self.write(spool, start)
        return spool

    def write(self, spool: IO[bytes], part: bytes) -> None:
        self._left -= len(part)
        if self._left < 0:
            spool.close()
            raise TooLong
        spool.write(part)


class _Joined:
    """Bytes that were read ahead, followed by the stream that they were read from."""

    def __init__(self, ahead: bytes, stream: IO[bytes]) -> None:
        self._ahead = BytesIO(ahead)
        self._stream = stream

    def readline(self, limit: int) -> bytes:
        line = self._ahead.readline(limit)
        if line.endswith(b"\n") or len(line) == limit:
            return line
        return line + self._stream.readline(limit - len(line))

    def read(self, size: int) -> bytes:
        return self._ahead.read(size) or self._stream.read(size)


def _items(stream: _Joined, door: str, name: str, spools: _Spools) -> Iterator[Item]:
    """The items of a JSON array, cut at its own commas; a missing end is refused as one more."""
    cutter = _ArrayCutter(spools)
    number = 0
    while chunk := stream.read(CHUNK_BYTES):
        for raw in cutter.feed(chunk):
            number += 1
            yield Received(raw, door, {"file": name, "item": number})
    left = list(cutter.rest())
    for raw in left:
        number += 1
        yield Received(raw, door, {"file": name, "item": number})
    if cutter.between_items and all(_is_object(raw) for raw in left):
        lost = Received(b"", door, {"file": name, "item": number + 1})
        yield lost, Refused("cut_off", "", "the array has no closing bracket: is the file whole?")


def _is_object(raw: bytes | IO[bytes]) -> bool:
    """Whether an item that ends the input looks whole; otherwise it will be refused itself."""
    return isinstance(raw, bytes) and raw.endswith(b"}")


class _ArrayCutter:
    """Follows quotes and brackets, and gives out what stands between the outermost commas.

    What follows the end of the array, or what an array without an end leaves over, is given out
    too: it is refused later, whole.
    """

    def __init__(self, spools: _Spools) -> None:
        self._spools = spools
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._closed = False
        self._item = bytearray()
        self._spool: IO[bytes] | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes | IO[bytes]]:
        position = 0
        if self._escaped and chunk:
            self._escaped, position = False, 1
            self._keep(chunk[:1])
        while position < len(chunk):
            if self._closed:
                self._keep(chunk[position:])
                return
            found = (_STRING if self._in_string else _STRUCTURE).search(chunk, position)
            if found is None:
                self._keep(chunk[position:])
                return
            end, mark = found.end(), found.group()
            if self._in_string:
                position = self._through_string(chunk, position, end, mark)
                continue
            boundary = (self._depth == 1 and mark in b",]") or (self._depth == 0 and mark == b"[")
            self._keep(chunk[position : end - 1] if boundary else chunk[position:end])
            position = end
            self._depth += (mark in b"[{") - (mark in b"]}")
            self._in_string = mark == b'"'
            if boundary:
                self._closed = self._depth == 0
                yield from self._taken()

    def _through_string(self, chunk: bytes, start: int, end: int, mark: bytes) -> int:
        if mark == b'"':
            self._in_string = False
        elif end < len(chunk):
            end += 1  # the escaped character
        else:
            self._escaped = True
        self._keep(chunk[start:end])
        return end

    def rest(self) -> Iterator[bytes | IO[bytes]]:
        yield from self._taken()

    @property
    def between_items(self) -> bool:
        """Whether the bytes so far end inside the array, but inside none of its objects."""
        return self._depth == 1 and not self._in_string

    def _keep(self, part: bytes) -> None:
        if self._spool is not None:
            self._spools.write(self._spool, part)
            return
        self._item += part
        if len(self._item) > TOUCHPOINT_BYTES_MAX:
            self._spool = self._spools.begun(bytes(self._item))
            self._item.clear()

    def _taken(self) -> Iterator[bytes | IO[bytes]]:
        spool, item = self._spool, bytes(self._item).strip(_BLANK)
        self._spool, self._item = None, bytearray()
        if spool is not None:
            yield spool
        elif item:
            yield item
