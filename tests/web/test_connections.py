"""Connections that mean harm: slow, idle, endless or crooked, they end, and others are answered."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from ledger.ledger import Ledger, open_ledger
from tests.crash.launching import wait_until
from tests.ledger.sending import line, order, positions
from tests.places import SQLitePlaces, a_place
from tests.web.raw import Raw, head, raw
from tests.web.serving import Running, serving
from web.connections import HEADERS_BYTES_MAX, PIPELINED_MAX
from web.settings import Settings

PATH = "/v1/events"
QUICK = Settings(header_seconds=0.5, body_seconds=1, idle_seconds=1, body_max=100_000)
IDLE = 300
OTHERS = 20
UNREAD, STILL = 60, 30


@pytest.fixture(scope="module")
def ledger(sqlite_places: SQLitePlaces) -> Iterator[Ledger]:
    """One for all: what matters here is in front of it."""
    with a_place(sqlite_places) as address, open_ledger(address) as opened:
        yield opened


@pytest.fixture(scope="module")
def running(ledger: Ledger) -> Iterator[Running]:
    """A server with little patience."""
    with serving(ledger, QUICK) as found:
        yield found


@contextmanager
def counted(ledger: Ledger, count: int) -> Iterator[None]:
    """So many touchpoints are recorded meanwhile."""
    before = len(positions(ledger))
    yield
    assert len(positions(ledger)) - before == count


def others_are_answered(running: Running) -> None:
    with running.client(None) as client:
        assert [client.get("/healthz").status for _ in range(OTHERS)] == [200] * OTHERS


SLOW_HEADS = (b"", b"\r\n\r\n", b"G", b"GET /healthz HTTP/1.1\r\nHost: touch")


def test_headers_that_do_not_come_are_not_waited_for(running: Running) -> None:
    """Slowloris: a byte now and then gives no more time."""
    with ExitStack() as stack:
        slow = [stack.enter_context(raw(running.url)) for _ in SLOW_HEADS]
        for connection, begun in zip(slow, SLOW_HEADS, strict=True):
            connection.send(begun)
        others_are_answered(running)
        dribbling = stack.enter_context(raw(running.url))
        with suppress(ConnectionError):
            for byte in (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 500).splitlines(keepends=True):
                dribbling.send(byte)
                time.sleep(0.01)
        assert [connection.rest() for connection in (*slow, dribbling)] == [b""] * 5


def test_a_body_that_does_not_come_is_a_problem_and_nothing_is_kept(
    running: Running, ledger: Ledger
) -> None:
    secret = running.secret()
    with counted(ledger, 0), raw(running.url) as slow:
        slow.send(head(f"POST {PATH}", secret, Content_Length=1_000), b"{")
        reply = slow.reply()
        assert (reply.status, reply.json()["code"]) == (408, "too_slow")


def test_hundreds_of_idle_connections_keep_nobody_out_and_are_closed(running: Running) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(raw(running.url)) for _ in range(IDLE)]
        for connection in idle[::3]:
            connection.send(b"GET /healthz HTTP/1.1\r\nx:")
        others_are_answered(running)
        assert {connection.rest() for connection in idle} == {b""}


def test_nothing_behind_an_answer_holds_a_connection(running: Running) -> None:
    """Neither empty lines, nor the rest of a body that was refused: it is passed over, so that
    the answer is read, and then the next request is answered."""
    refusing = head(f"POST {PATH}", Content_Length=10)
    with raw(running.url) as idle, raw(running.url) as refused, raw(running.url) as again:
        idle.send(head("GET /healthz"))
        for connection in (refused, again):
            connection.send(refusing, b"12345")
        assert [idle.reply().status, refused.reply().status, again.reply().status] == [
            200,
            401,
            401,
        ]
        idle.send(b"\r\n")
        refused.send(b"67890")
        again.send(b"67890", head("GET /healthz"))
        assert again.reply().status == 200
        assert [each.rest() for each in (idle, refused, again)] == [b""] * 3


def test_who_does_not_read_is_not_waited_for(running: Running) -> None:
    """Answers that nobody reads fill all buffers; then the connection ends."""
    watch, still = running.watch, 0

    def is_over() -> bool:
        nonlocal still  # between two answers there is nothing under way for a moment
        still = 0 if watch.under_way else still + 1
        return still > STILL

    with raw(running.url, receives_bytes=4_096) as unread:
        unread.send(head("GET /openapi.json") * UNREAD)
        wait_until(lambda: watch.under_way == 1)
        others_are_answered(running)
        wait_until(is_over)
        assert unread.rest().count(b'"openapi":') < UNREAD


def test_requests_without_end_that_wait_for_no_answer_are_cut_off(running: Running) -> None:
    sent = head("GET /metrics") * (PIPELINED_MAX * 100)
    with raw(running.url) as endless:
        assert sent_and_read(endless, sent).count(b"touchstone_http_taken") < PIPELINED_MAX * 10


def test_one_after_the_other_in_one_packet_they_are_answered_in_order(
    running: Running, ledger: Ledger
) -> None:
    body, secret = line(order("p")), running.secret()
    sent = head(f"POST {PATH}", secret, Content_Length=len(body)) + body
    with counted(ledger, 1), raw(running.url) as both:
        both.send(sent, sent, head("GET /nope"))
        said = [both.reply() for _ in range(3)]
        assert [reply.status for reply in said] == [200, 200, 404]
        assert [reply.json().get("status") for reply in said[:2]] == ["recorded", "duplicate"]


def test_a_slow_body_behind_another_request_has_its_time(
    running: Running, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the first is no reason to hang up on the second, whose body still comes."""
    monkeypatch.setattr("web.connections.LINGER_SECONDS", 0.001)
    body = line(order("q"))
    started = head(f"POST {PATH}", running.secret(), Content_Length=len(body))
    with counted(ledger, 1), raw(running.url) as both:
        both.send(head("GET /healthz"), started, body[:5])
        assert both.reply().status == 200
        with running.client(None) as other:  # it takes longer than that
            assert other.get("/openapi.json").status == 200
        both.send(body[5:])
        assert both.reply().json()["status"] == "recorded"


TOO_LARGE = b"x" * (HEADERS_BYTES_MAX * 8)
ENDLESS_HEADS = (
    b"GET /" + TOO_LARGE,
    b"GET /healthz HTTP/1.1\r\nx: " + TOO_LARGE,
    b"GET /healthz HTTP/1.1\r\n" + b"x: y\r\n" * HEADERS_BYTES_MAX,
)
CHUNKED = {"Transfer_Encoding": "chunked"}
ENDLESS_FRAMES = (
    b"0\r\n" + b"x: y\r\n" * HEADERS_BYTES_MAX,
    b"0\r\nx: " + TOO_LARGE,
    b"1;x=" + TOO_LARGE,
)


def test_heads_and_frames_without_end_are_cut_off(running: Running, ledger: Ledger) -> None:
    for endless in ENDLESS_HEADS:
        with raw(running.url) as connection:
            said = sent_and_read(connection, endless)
            assert said.startswith(b"HTTP/1.1 431 "), endless[:30]
    begun = head(f"POST {PATH}", running.secret(), **CHUNKED) + b"1\r\n{\r\n"
    with counted(ledger, 0):
        for endless in ENDLESS_FRAMES:
            with raw(running.url) as connection:
                said = sent_and_read(connection, begun + endless)
                assert b" 200 " not in said, endless[:10]


def sent_and_read(connection: Raw, sent: bytes) -> bytes:
    """What is answered, also while it is sent."""

    def send() -> None:
        with suppress(OSError):
            connection.send(sent)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        return connection.rest()
    finally:
        sending.join()


def test_small_chunks_are_no_frames_without_end(running: Running, ledger: Ledger) -> None:
    body = line(order("small")) + b" " * 90_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    begun = head(f"POST {PATH}", running.secret(), **CHUNKED)
    with counted(ledger, 1), raw(running.url) as connection:
        connection.send(begun, chunks, b"0\r\n\r\n")
        assert connection.reply().json()["status"] == "recorded"


def test_what_came_whole_is_answered_before_what_is_no_http(
    running: Running, ledger: Ledger
) -> None:
    """No client is told of one request what was wrong with the next."""
    body = line(order("whole"))
    whole = head(f"POST {PATH}", running.secret(), Content_Length=len(body)) + body
    with counted(ledger, 1):
        for crooked in NO_HTTP:
            with raw(running.url) as connection:
                connection.send(whole, whole, crooked)
                said = [connection.reply() for _ in range(2)]
                assert [reply.status for reply in said] == [200, 200]
                assert said[1].headers["connection"] == "close"
                assert connection.rest() == b""


SMUGGLED = head("GET /healthz")
CROOKED = (
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}  ",
    b"Content-Length: +4\r\n\r\n{}  ",
    b"Content-Length: -1\r\n\r\n",
    b"Content-Length: 4, 4\r\n\r\n{}  ",
    b"Content-Length: 99999999999999999999999999\r\n\r\n{}",
    b"Content-Length : 4\r\n\r\n{}  ",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}",
    b"X: y\rZ: w\r\n\r\n",
    b"X: a\x00b\r\n\r\n",
    b" folded: y\r\n\r\n",
)
NO_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\n\r\n",
    b"BREW /healthz HTTP/1.1\r\n\r\n",
    b"GET  HTTP/1.1\r\n\r\n",
    b"CONNECT example.com:80 HTTP/1.1\r\n\r\n",
    b"GET http:// HTTP/1.1\r\n\r\n",
)


def test_what_two_servers_could_read_in_two_ways_is_refused_and_nothing_behind_it_is_read(
    running: Running, ledger: Ledger
) -> None:
    """Request smuggling begins where a request does not end for one as it does for the other."""
    secret = running.secret().encode()
    begun = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" % secret
    with counted(ledger, 0):
        for crooked in (*(begun + each for each in CROOKED), *NO_HTTP):
            with raw(running.url) as connection:
                connection.send(crooked, SMUGGLED)
                said = connection.rest()
                assert said.startswith(b"HTTP/1.1 4"), crooked
                assert len(re.findall(rb"HTTP/1\.1 \d", said)) == 1, crooked
                assert b"application/problem+json" in said, crooked


def test_an_upgrade_that_nobody_offers_is_a_plain_request(running: Running) -> None:
    with raw(running.url) as connection:
        connection.send(head("GET /healthz", Connection="Upgrade", Upgrade="websocket"))
        assert connection.reply().status == 200
    others_are_answered(running)
