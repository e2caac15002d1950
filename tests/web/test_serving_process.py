"""A real `touchstone serve`: its memory is bounded, its log is clean, its disk may be full."""

import gzip
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard

from ledger.ledger import Ledger, open_ledger
from ledger.sqlite.address import SQLiteAddress
from tests.cli.running import program
from tests.crash.launching import family, spawned, wait_until
from tests.ledger.sending import Event, line, order, positions
from tests.places import SQLitePlaces
from tests.web.raw import head, raw
from tests.web.serving import Client, Running
from web.watch import Watch

PATH = "/v1/events"
MEBIBYTE = 1_048_576
LIMIT = 24 * MEBIBYTE
LARGE = 50 * MEBIBYTE
CANARY = "qzcanary"
LINES = {"Content-Type": "application/x-ndjson"}
ROOM_BYTES = 2 * MEBIBYTE
BATCH, BATCHES = 500, 16
"""More than there is room for."""
IMPATIENT = {"ledger.appender.START_SECONDS": 2, "web.server.STOP_SECONDS": 2}


@dataclass(frozen=True)
class Process:
    """A server in processes of its own, and the ledger that it serves, as we see it."""

    running: Running
    pid: int
    err: Path

    @property
    def most_memory(self) -> int:
        """What its processes have had in memory at most, in bytes."""
        return sum(map(_most_memory, family(self.pid)))

    def limit_files(self, size: int | str) -> None:
        """Let none of its processes write a file any longer than this."""
        for pid in family(self.pid):
            subprocess.run(["prlimit", "--pid", str(pid), f"--fsize={size}:"], check=True)


def _most_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (found,) = (text.split()[1] for text in status.splitlines() if text.startswith("VmHWM"))
    return int(found) * 1_024


@contextmanager
def started(
    address: SQLiteAddress, folder: Path, tuned: Mapping[str, float] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The command, when it answers, and the file that it writes its log to."""
    err = folder / "err"
    options = ("--port", "0", "--rate", "0", "--body-limit", str(LIMIT))
    command = [*program(tuned or {}), "--ledger", address.url, "serve", *options]
    with (
        err.open("wb") as said,
        subprocess.Popen(command, stderr=said) as popen,
    ):
        try:
            wait_until(lambda: b'"url"' in err.read_bytes() or popen.poll() is not None)
            yield popen, err
        finally:
            popen.kill()


def running_of(err: Path, ledger: Ledger) -> Running:
    """The server that has written this log."""
    return Running(json.loads(err.read_text().splitlines()[0])["url"], ledger, Watch())


@contextmanager
def process(ledger: Ledger, address: SQLiteAddress, folder: Path) -> Iterator[Process]:
    with started(address, folder) as (popen, err):
        yield Process(running_of(err, ledger), popen.pid, err)
        popen.send_signal(signal.SIGTERM)
        assert popen.wait(60) == 128 + signal.SIGTERM, err.read_text()


@pytest.fixture(scope="module")
def served(
    sqlite_places: SQLitePlaces, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    """One for all: it takes a second to start."""
    address = sqlite_places.taken()
    with (
        open_ledger(address) as ledger,
        process(ledger, address, tmp_path_factory.mktemp("serve")) as found,
    ):
        yield found


@pytest.fixture
def shop(served: Process) -> Iterator[Client]:
    with served.running.client() as client:
        assert client.post(PATH, order("first")).status == 200
        yield client


def bombs() -> Iterator[tuple[str, bytes]]:
    """A gibibyte in a mebibyte and less, in the ways that there are."""
    part = bytes(10 * MEBIBYTE)
    yield "gzip", gzip.compress(part) * 100
    yield "zstd", zstandard.compress(part) * 100
    yield "deflate", b"x\x9c" + gzip.compress(part)[10:-8]
    yield "gzip", gzip.compress(gzip.compress(part) * 100)


def test_what_is_too_large_is_refused_and_takes_no_memory(served: Process, shop: Client) -> None:
    """FAULTS 11 and 12: of whatever length, said or not, packed or not."""
    for coding in ("gzip", "zstd", "deflate"):  # what is loaded at the first time is no body
        for form in ({}, LINES):
            shop.post(PATH, b"none", {**form, "Content-Encoding": coding})
    shop.post(PATH, b"{}\n" * 10, LINES)
    before = served.most_memory
    with raw(served.running.url) as said_before:
        said_before.send(head(f"POST {PATH}", shop.secret, Content_Length=LARGE))
        assert said_before.reply().status == 413  # nothing of the body has been sent
    with raw(served.running.url) as chunked:
        chunked.send(head(f"POST {PATH}", shop.secret, Transfer_Encoding="chunked"))
        chunked.send(b"%x\r\n" % (LIMIT + 1), bytes(LIMIT + 1))
        assert chunked.reply().status == 413  # and no more of it has to be sent
    assert shop.post(PATH, bytes(LARGE)).json()["code"] == "too_large"
    parts = (bytes(MEBIBYTE) for _ in range(LARGE // MEBIBYTE))
    headers = {"Authorization": f"Bearer {shop.secret}"}
    shop.connection.request("POST", PATH, parts, headers, encode_chunked=True)
    answer = shop.connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (413, "too_large")
    for coding, bomb in bombs():
        for form in ({}, LINES):
            reply = shop.post(PATH, bomb, {**form, "Content-Encoding": coding})
            assert reply.status in (400, 413, 422) or b'"recorded":0' in reply.body, coding
    assert served.most_memory - before < 2 * LIMIT
    assert shop.post(PATH, order("behind")).status == 200


def canary(number: int) -> str:
    return f"{CANARY}{number:03}x"


def test_no_log_and_no_metric_holds_anything_of_what_was_sent(
    served: Process, shop: Client
) -> None:
    """FAULTS 20: secrets and personal data, in every part of requests that fail and that do not."""
    secret = f"tst_{CANARY}"
    word = canary(1)
    described = order(type="customer.described.v1", subject=f"email:{word}@example.com",
                      data={"traits": {"name": word, word: word}})  # fmt: skip
    bodies = (line(described), word.encode(), line(order(word, data={"order_id": word})),
              line(order(word, type=word)), b'{"' + word.encode() * 99, b"[" * 5_000)  # fmt: skip
    for body in bodies:
        shop.post(PATH, body)
        shop.post(PATH, body, {"ce-id": word, "ce-type": "%", f"x-{word}": word})
        shop.post(f"/v1/track?writeKey={secret}&{word}={word}", body)
        shop.post(f"/v1/{word}/{word}", body, {"Content-Encoding": word})
        shop.post("/v1/webhooks/" + word, body, {"Content-Type": f"text/{word}"})
        shop.post(PATH, body, {"Authorization": f"Bearer {secret}"})
        shop.get(
            f"/v1/customers/email:{word}@example.com?as_of={word}", {"Touchstone-Reveal": word}
        )
        shop.ask(word.upper(), "/" + word)
        with raw(served.running.url) as crooked:
            crooked.send(b"GET /" + word.encode() + b" " + word.encode() * 2 + b"\r\n\r\n")
            crooked.rest()
    metrics = shop.get("/metrics").body.decode().lower()
    assert "touchstone_http_requests_total" in metrics
    assert CANARY not in metrics
    said = served.err.read_text().lower()
    assert "invalid http request" in said
    assert CANARY not in said
    assert secret not in said


def test_a_full_disk_acknowledges_nothing_stays_readable_and_goes_on_with_room(
    served: Process, shop: Client
) -> None:
    """FAULTS 8: nothing is lost that was acknowledged."""
    ledger = served.running.ledger
    before = len(positions(ledger))
    served.limit_files(ROOM_BYTES)
    try:
        statuses = [shop.post(PATH, batch(f"{CANARY}{number}")).status for number in range(BATCHES)]
        assert shop.get("/readyz").json()["state"] == "ready"
        assert shop.get("/v1/customers").status == 403  # the token was looked up
    finally:
        served.limit_files("unlimited")
    assert set(statuses) == {200, 507}
    assert len(positions(ledger)) == before + BATCH * statuses.count(200)
    last = f"{CANARY}{BATCHES - 1}"
    assert not ledger.log.identified(f"{last}-0", "shop")
    assert shop.post(PATH, batch(last)).json()["recorded"] == BATCH
    assert ledger.log.identified(f"{last}-0", "shop")
    said = served.err.read_text()
    assert '"code":"storage"' in said
    assert CANARY not in said


def test_an_appender_that_was_ended_is_a_reason_to_come_back(served: Process, shop: Client) -> None:
    for pid in spawned(served.pid):
        os.kill(pid, signal.SIGKILL)
    reply = shop.post(PATH, order("meanwhile"))
    assert (reply.status, reply.json()["code"]) == (503, "unreachable")
    assert "retry-after" in reply.headers
    assert shop.post(PATH, order("meanwhile")).status == 200
    assert len(served.running.ledger.log.identified("meanwhile", "shop")) == 1


def test_signals_are_left_to_the_parent(sqlite_places: SQLitePlaces, tmp_path: Path) -> None:
    """A terminal sends them to all processes, and so does whoever looks after services."""
    address = sqlite_places.taken()
    with (
        open_ledger(address) as ledger,
        started(address, tmp_path) as (popen, err),
        running_of(err, ledger).client() as client,
    ):
        for number in (signal.SIGINT, signal.SIGTERM):
            for pid in spawned(popen.pid):
                os.kill(pid, number)
            assert client.post(PATH, order(f"behind {number}")).status == 200


def test_a_server_ends_whatever_its_appender_does(
    sqlite_places: SQLitePlaces, tmp_path: Path
) -> None:
    """One that is stopped while it starts answers nobody."""
    address = sqlite_places.taken()
    with open_ledger(address) as ledger, started(address, tmp_path, IMPATIENT) as (popen, err):
        running = running_of(err, ledger)
        (first,) = spawned(popen.pid)
        os.kill(first, signal.SIGKILL)
        with running.client() as client:
            assert client.post(PATH, order()).status == 503
        secret = running.secret()
        with ExitStack() as stack:
            for _ in range(4):
                asking = stack.enter_context(raw(running.url))
                body = line(order())
                asking.send(head(f"POST {PATH}", secret, Content_Length=len(body)) + body)
            wait_until(lambda: bool(spawned(popen.pid)))
            for pid in spawned(popen.pid):
                os.kill(pid, signal.SIGSTOP)
            popen.send_signal(signal.SIGTERM)
            assert popen.wait(30) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_a_server_is_the_end_of_its_appender(
    sqlite_places: SQLitePlaces, tmp_path: Path, number: signal.Signals
) -> None:
    with started(sqlite_places.taken(), tmp_path) as (popen, _):
        beside = [Path(f"/proc/{pid}") for pid in spawned(popen.pid)]
        assert beside
        popen.send_signal(number)
        popen.wait(60)
        wait_until(lambda: not any(map(Path.exists, beside)))


def batch(name: str) -> list[Event]:
    return [order(f"{name}-{number}") for number in range(BATCH)]
