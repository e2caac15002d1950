"""Bodies: read part by part, unpacked as they come, and never beyond a limit.

A body is limited before and after it is unpacked, so that a small one cannot become a large one.
Only one coding is taken: codings inside of codings are for those who mean harm.
"""

import asyncio
import math
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Protocol

import zstandard
from starlette.requests import Request
from starlette.types import Scope

from web.problems import Problem, come_back
from web.service import service_of
from web.watch import Watch

PART_BYTES_MAX = 65_536
"""Of what is unpacked at a time."""
ZLIB_SLICE_BYTES = 4_096
"""Given to zlib at a time: what is left behind each of many small members is copied."""
ZSTD_SLICE_BYTES = 32
"""Given to zstd at a time: each block of it, of 4 bytes at least, becomes 128 KiB at most."""
ZSTD_WINDOW_BYTES_MAX = 8 * 1_024 * 1_024
UNPACKED_TIMES_MAX = 200
"""How many times what has come a stream may unpack to, beyond the size of a body."""
GRACE_SECONDS = 5.0
"""Before the rate of a body counts."""
HELD_IN_SCOPE = "touchstone.held_bytes"
OF_STRANGERS_IN_SCOPE = "touchstone.held_bytes_of_strangers"


class _Unpacker(Protocol):
    def unpacked(self, part: bytes) -> Iterator[bytes]:
        """What this part of a body becomes, piece by piece."""

    @property
    def whole(self) -> bool:
        """Whether what has come so far can be the end of it."""


async def body_of(request: Request, limit: int | None = None, *, known: bool = True) -> bytes:
    """The whole body, unpacked, of at most `limit` bytes (`Settings.body_max` by default).

    Where it has to be read before anybody is `known`, there is less room for it, and those who
    are known have theirs. Raises a Problem: 413 too large, 415 an unknown coding, 400 a broken
    one, 408 too slow, 503 no room.
    """
    most = service_of(request).settings.body_max if limit is None else limit
    found = bytearray()
    async with aclosing(parts_of(request, most)) as parts:
        async for part in parts:
            if len(found) + len(part) > most:
                raise too_large(most)
            _hold(request, len(part), known=known)
            found += part
    return bytes(found)


def _hold(request: Request, size: int, *, known: bool) -> None:
    """Keep so many bytes more in memory, if there is room beside all other requests."""
    watch, settings, scope = service_of(request).watch, service_of(request).settings, request.scope
    watch.held_bytes += size
    scope[HELD_IN_SCOPE] = scope.get(HELD_IN_SCOPE, 0) + size
    if not known:
        watch.held_of_strangers += size
        scope[OF_STRANGERS_IN_SCOPE] = scope.get(OF_STRANGERS_IN_SCOPE, 0) + size
    is_crowded = not known and watch.held_of_strangers > settings.strangers_max
    if is_crowded or watch.held_bytes > settings.bodies_max:
        watch.refused("busy")
        raise come_back(503, "busy", "the server has its hands full: try again")


def let_go(scope: Scope, watch: Watch) -> None:
    """A request is over, and what it has held is gone."""
    watch.held_bytes -= scope.pop(HELD_IN_SCOPE, 0)
    watch.held_of_strangers -= scope.pop(OF_STRANGERS_IN_SCOPE, 0)


async def parts_of(request: Request, limit: int | None = None) -> AsyncGenerator[bytes, None]:
    """The body as it comes, unpacked; with a limit, its packed bytes and its time have one too."""
    settings = service_of(request).settings
    unpacker = _unpacker(",".join(request.headers.getlist("content-encoding")))
    declared = request.headers.get("content-length", "")
    if limit is not None and declared.isdecimal() and int(declared) > limit:
        raise too_large(limit)
    received = unpacked = 0
    async for part in _timed(request, math.inf if limit is None else settings.body_seconds_max):
        received += len(part)
        if limit is not None and received > limit:
            raise too_large(limit)
        for piece in _unpacked(unpacker, part):
            unpacked += len(piece)
            if unpacked > settings.body_max + received * UNPACKED_TIMES_MAX:
                raise _bomb()
            yield piece
    if received and not unpacker.whole:
        raise _broken()


def too_large(limit: int) -> Problem:
    """A body beyond a limit."""
    return Problem(
        413, "too_large", f"the body is larger than {limit:,} bytes: send less at a time"
    )


def _bomb() -> Problem:
    return Problem(413, "too_large", "the body unpacks to far more than was sent: send it plain")


def _unpacked(unpacker: _Unpacker, part: bytes) -> Iterator[bytes]:
    try:
        yield from unpacker.unpacked(part)
    except (zlib.error, zstandard.ZstdError):
        raise _broken() from None


def _broken() -> Problem:
    return Problem(400, "coding_invalid", "the body is not packed as Content-Encoding says")


async def _timed(request: Request, seconds_max: float) -> AsyncIterator[bytes]:
    """The parts of a body, each of which has to come in time, and all of them at some rate and
    within `seconds_max`."""
    settings, watch = service_of(request).settings, service_of(request).watch
    started, received = time.monotonic(), 0
    stream = request.stream()
    while True:
        watch.reading += 1
        left = started + seconds_max - time.monotonic()
        try:
            async with asyncio.timeout(min(settings.body_seconds, left)):
                part = await anext(stream, None)
        except TimeoutError:
            raise _too_slow() from None
        finally:
            watch.reading -= 1
        if part is None:
            return
        received += len(part)
        lasted = time.monotonic() - started - GRACE_SECONDS
        if lasted > 0 and received < lasted * settings.body_rate_min:
            raise _too_slow()
        yield part


def _too_slow() -> Problem:
    return Problem(408, "too_slow", "the body does not come: send it again, all at once")


def _unpacker(coding: str) -> _Unpacker:
    named = coding.strip().lower()
    if named in ("", "identity"):
        return _Plain()
    if named in ("gzip", "x-gzip"):
        return _Zlib(zlib.MAX_WBITS | 16)
    if named == "deflate":
        return _Zlib(zlib.MAX_WBITS)
    if named == "zstd":
        return _Zstd()
    raise Problem(
        415,
        "coding_unknown",
        "Content-Encoding may be gzip, deflate, zstd or identity, and one of them at a time",
        headers={"Accept-Encoding": "gzip, deflate, zstd"},
    )


class _Plain:
    whole = True

    def unpacked(self, part: bytes) -> Iterator[bytes]:
        yield part


class _Zlib:
    """Gzip, of one member or several, and deflate."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._object = zlib.decompressobj(window)

    @property
    def whole(self) -> bool:
        return self._object.eof

    def unpacked(self, part: bytes) -> Iterator[bytes]:
        for start in range(0, len(part), ZLIB_SLICE_BYTES):
            left = part[start : start + ZLIB_SLICE_BYTES]
            while left:
                if self._object.eof:
                    self._object = zlib.decompressobj(self._window)
                yield self._object.decompress(left, PART_BYTES_MAX)
                left = self._object.unconsumed_tail or self._object.unused_data


class _Zstd:
    """Zstandard, of one frame or several."""

    def __init__(self) -> None:
        self._unpacking = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
        self._object = self._unpacking.decompressobj()

    @property
    def whole(self) -> bool:
        return self._object.eof

    def unpacked(self, part: bytes) -> Iterator[bytes]:
        for start in range(0, len(part), ZSTD_SLICE_BYTES):
            left = part[start : start + ZSTD_SLICE_BYTES]
            while left:
                if self._object.eof:
                    self._object = self._unpacking.decompressobj()
                yield self._object.decompress(left)
                left = self._object.unused_data
