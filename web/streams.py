"""Streams: lines of touchpoints, of any number, recorded in groups while they come.

What becomes of each is written down in a file, and answered at the end: a client that sends and
does not read yet would wait for a server that waits for him.
"""

import tempfile
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from typing import IO, cast

import msgspec
from anyio import from_thread, to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ledger.access import Access
from ledger.intake import take
from ledger.lines import TooLong, read_touchpoints
from ledger.log import Outcome
from ledger.quarantine import Item, Received
from web.bodies import parts_of
from web.problems import Problem, come_back
from web.service import Service, service_of
from web.taking import item_result

LINE_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
MEMORY_BYTES_MAX = 1_048_576
PART_BYTES = 65_536
NAME = "request"


class _Ending:
    """Items, until what is too long for them to be kept; then they end, and it is remembered, so
    that what came before is recorded all the same."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self.is_early = False

    def __iter__(self) -> Iterator[Item]:
        try:
            yield from self._items
        except TooLong:
            self.is_early = True


class _Arriving:
    """A body that is still coming, as a file for a thread that reads it."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts
        self._ahead = BytesIO()

    def read(self, size: int) -> bytes:
        found = self._ahead.read(size)
        return self._ahead.read(size) if not found and self._fetch() else found

    def readline(self, limit: int) -> bytes:
        line = self._ahead.readline(limit)
        if line.endswith(b"\n"):
            return line
        pieces = [line]
        while (left := limit - sum(map(len, pieces))) > 0 and self._fetch():
            pieces.append(self._ahead.readline(left))
            if pieces[-1].endswith(b"\n"):
                break
        return b"".join(pieces)

    def _fetch(self) -> bool:
        """Wait for the next part, where there is nothing left of the one before."""
        part = from_thread.run(self._next)
        self._ahead = BytesIO(part or b"")
        return part is not None

    async def _next(self) -> bytes | None:
        """The next part that is not empty; None at the end."""
        async for part in self._parts:
            if part:
                return part
        return None


async def take_lines(request: Request, access: Access, door: str) -> Response:
    """Record what comes, and answer a line for each item and the receipt as the last one."""
    service = service_of(request)
    if service.streams.available_tokens < 1:
        raise come_back(503, "busy", "too many streams are being read: try again")
    arriving = _Arriving(parts_of(request))
    results = tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX)  # noqa: SIM115 - closed by `_told`
    try:
        await to_thread.run_sync(
            _take, service, access, arriving, results, door, limiter=service.streams
        )
    except BaseException:
        results.close()
        raise
    return StreamingResponse(_told(cast(IO[bytes], results)), media_type=LINE_TYPES[0])


def _take(
    service: Service,
    access: Access,
    arriving: _Arriving,
    results: tempfile.SpooledTemporaryFile[bytes],
    door: str,
) -> None:
    def write(_: Received, outcome: Outcome) -> None:
        results.write(msgspec.json.encode(item_result(outcome)) + b"\n")

    long_max = service.settings.body_max
    source = cast(IO[bytes], arriving)
    items = _Ending(read_touchpoints(source, door, NAME, long_max=long_max))
    receipt = take(
        service.ledger, access.screened(items), on_outcome=write, appending=service.appending
    )
    service.watch.took(door, receipt)
    if items.is_early:
        raise Problem(
            413,
            "too_large",
            f"what is longer than a touchpoint may be takes more than {long_max:,} bytes: what "
            "came before is recorded, and nothing behind it",
            receipt=receipt,
        )
    results.write(msgspec.json.encode({"receipt": receipt}) + b"\n")
    results.seek(0)


async def _told(results: IO[bytes]) -> AsyncIterator[bytes]:
    with results:
        while part := results.read(PART_BYTES):
            yield part
