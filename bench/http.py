"""The HTTP door with 64 connections, against the same server that only parses and answers."""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

import uvloop

from bench.load import percentile
from bench.material import Year
from bench.measuring import Goal, Line, Note, Result, alternately, compared, left_alone
from ledger.access import create_token
from ledger.address import Address
from ledger.appender import Appender
from ledger.intake import Group, Stop
from ledger.ledger import open_ledger
from ledger.log import Outcome
from ledger.receipt import Receipt
from ledger.record import Duplicate
from ledger.working import collect_seldom
from schemas.door import parse
from web.app import application
from web.server import Place, serve
from web.settings import Settings
from web.watch import Watch

CONNECTIONS = 64
BATCH = 100
BATCH_SAMPLE_MAX, SINGLE_SAMPLE_MAX = 64_000, 6_400
PATIENCE_SECONDS = 60
PERCENTS = (50, 95, 99)
HTTP_GOAL = Goal(0.5)
OK = b"HTTP/1.1 200 "

OURS = {
    BATCH: f"HTTP, batches of {BATCH}, {CONNECTIONS} connections",
    1: f"HTTP, one touchpoint a request, {CONNECTIONS} connections",
}
PARSING = {
    BATCH: f"parsing and answering alone, batches of {BATCH}",
    1: "parsing and answering alone, one a request",
}


class Served(NamedTuple):
    """Touchpoints per second, and the milliseconds of each request, sorted."""

    rate: float
    delays: list[float]


def http_sample(touchpoints: int, batch: int) -> int:
    """How many touchpoints are sent in a round: so many whole batches for each connection."""
    most = BATCH_SAMPLE_MAX if batch > 1 else SINGLE_SAMPLE_MAX
    each = CONNECTIONS * batch
    return each * max(1, min(most, touchpoints // 10) // each)


def sent_later(touchpoints: int) -> int:
    """How many lines a round takes from the year."""
    return 2 * sum(http_sample(touchpoints, batch) for batch in OURS)


def compare_http(year: Year, rounds: int, note: Note) -> list[Result]:
    """Rates of both servers in turn, and the percentiles of how long a request takes."""
    secret, _ = create_token(
        year.ledger.store, year.ledger.log.clock(), role="operator", source="*"
    )
    results = []
    with _server(year.ledger.address, False) as whole, _server(year.ledger.address, True) as parse:
        for batch in OURS:
            seen: dict[str, list[Served]] = {OURS[batch]: [], PARSING[batch]: []}
            ways = {
                PARSING[batch]: partial(_round, year, parse, secret, batch, seen[PARSING[batch]]),
                OURS[batch]: partial(_round, year, whole, secret, batch, seen[OURS[batch]]),
            }
            figures = alternately(ways, rounds, note)
            goal = HTTP_GOAL if batch > 1 else Goal()
            results.append(
                compared(OURS[batch], OURS[batch], Line((PARSING[batch],), goal), figures)
            )
            results += _percentiles(batch, seen)
    return results


def _percentiles(batch: int, seen: dict[str, list[Served]]) -> Iterator[Result]:
    for percent in PERCENTS:
        rounds = {
            name: [percentile(served.delays, percent) for served in all_]
            for name, all_ in seen.items()
        }
        theirs, ours = median(rounds[PARSING[batch]]), median(rounds[OURS[batch]])
        yield Result(
            work=f"{OURS[batch]}, p{percent} of a request", to_beat=PARSING[batch], unit="ms",
            theirs=theirs, ours=ours, ratio=ours / theirs, at_most=True, rounds=rounds,
        )  # fmt: skip


def _round(year: Year, port: int, secret: str, batch: int, seen: list[Served]) -> float:
    lines = year.next_lines(http_sample(year.size.touchpoints, batch))
    requests = [
        _request(lines[start : start + batch], batch, secret)
        for start in range(0, len(lines), batch)
    ]
    with left_alone():
        began = time.perf_counter()
        delays = uvloop.run(_send_all(port, requests))
        lasted = time.perf_counter() - began
    seen.append(Served(len(lines) / lasted, sorted(delays)))
    return seen[-1].rate


def _request(lines: Sequence[bytes], batch: int, secret: str) -> bytes:
    body = lines[0] if batch == 1 else b"[" + b",".join(lines) + b"]"
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _send_all(port: int, requests: Sequence[bytes]) -> list[float]:
    shares = [requests[number::CONNECTIONS] for number in range(CONNECTIONS)]
    delays = await asyncio.gather(*(_send(port, share) for share in shares if share))
    return [delay for share in delays for delay in share]


async def _send(port: int, requests: Sequence[bytes]) -> list[float]:
    """Send requests one behind the other; the milliseconds that each took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    delays = []
    for request in requests:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        delays.append((time.perf_counter() - began) * 1_000)
        if not head.startswith(OK):
            raise RuntimeError(f"the server should take all of it: {head!r} {body!r}")
    writer.close()
    return delays


@contextmanager
def _server(address: Address, parses_only: bool) -> Iterator[int]:
    """A server in a process of its own; gives its port."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(address, parses_only, theirs))
    process.start()
    try:
        if not mine.poll(PATIENCE_SECONDS):
            raise RuntimeError("the server did not start")
        yield urlsplit(mine.recv()).port or 0
    finally:
        process.terminate()
        process.join(PATIENCE_SECONDS)


def _serve(address: Address, parses_only: bool, told: Connection) -> None:
    settings = Settings(requests_per_second=0)
    with open_ledger(address) as ledger, ExitStack() as stack:
        way_in = _parsed if parses_only else stack.enter_context(Appender(ledger)).append
        app = application(ledger, settings, Watch(), way_in)
        collect_seldom()
        serve(app, settings, Place(host="127.0.0.1", port=0), Stop(), told.send)


def _parsed(
    group: Group, *, written: Callable[[], None] | None = None
) -> tuple[Receipt, list[Outcome]]:
    """What a server does that only parses: bytes become checked touchpoints, and no more."""
    for received, _refused in group:
        parse(b"".join(received.parts()))
    if written is not None:
        written()
    return Receipt(received=len(group), duplicate=len(group)), [Duplicate(0)] * len(group)
