"""Requests that mean harm are answered with problems, keep nothing that may not be kept, and leave
the server as it was."""

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zstandard
from psycopg import sql
from structlog.testing import capture_logs

from ledger.access import create_token, revoke_token
from ledger.address import Address, parse_url
from ledger.ledger import Ledger, create_ledger, open_ledger
from tests.crash.launching import wait_until
from tests.ledger.sending import line, order, orders, positions, waiting
from tests.places import SQLitePlaces, a_place, held
from tests.servers.postgres import Server
from tests.web.raw import head, raw
from tests.web.serving import Client, Reply, Running, basic, serving
from web.registry import ENDPOINTS
from web.settings import Settings

PATH = "/v1/events"
MARK = "qzmark"
LINES = {"Content-Type": "application/x-ndjson"}
MEBIBYTE = 1_048_576
HOSTILE = (
    "' OR '1'='1", "customer:1'; DROP TABLE stored_events; --", "1; SELECT pg_sleep(9)--",
    "../../../../etc/passwd", "..%2f..%2fkeys", "a\x00b", "\x1b]0;x\x07", "{{7*7}}", "\ud7ff" * 99,
)  # fmt: skip


@pytest.fixture
def running(ledger: Ledger) -> Iterator[Running]:
    with serving(ledger, Settings(requests_per_second=0)) as found:
        yield found


@pytest.fixture
def on_file(sqlite_places: SQLitePlaces) -> Iterator[Address]:
    """A ledger for what does not come to the store at all."""
    with a_place(sqlite_places) as address:
        yield address


def is_refused(reply: Reply, *statuses: int) -> None:
    """A problem of one of these statuses, as every problem has to be."""
    told = reply.json()
    assert reply.status in statuses, told
    assert reply.headers["content-type"] == "application/problem+json"
    assert told["status"] == reply.status
    assert told["code"]
    assert told["message"] == told["detail"]


def escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8"))


def test_who_is_turned_away_is_in_the_log_by_his_token_and_never_by_its_secret(
    running: Running,
) -> None:
    """FAULTS 24: refused, and audited; a line a second of each."""
    secret = running.secret("analyst")
    with capture_logs() as logs, running.client(secret=secret) as reader:
        for _ in range(3):
            assert reader.post("/v1/events", order()).status == 403
        for _ in range(2):
            assert reader.ask("POST", "/v1/events", headers=basic("tst_wrong")).status == 401
    told = [(log["code"], "token" in log) for log in logs if log["event"] == "request refused"]
    assert list(dict.fromkeys(told)) == [("no_right", True), ("unknown_token", False)]
    assert secret not in str(logs)


def test_whatever_stands_in_a_path_a_query_or_a_header_is_a_text_or_refused(
    running: Running, ledger: Ledger
) -> None:
    """FAULTS 14 and 24: SQL, traversal, control characters, in every parameter there is."""
    with running.client("privacy_officer", "*") as client:
        for number, endpoint in enumerate(each for each in ENDPOINTS if each.method == "GET"):
            for parameter in endpoint.parameters:
                hostile = HOSTILE[number % len(HOSTILE)]
                reply = asked_with(client, endpoint.path, parameter.name, parameter.where, hostile)
                assert reply.status < 500, (endpoint.path, parameter.name, hostile)
                assert hostile not in reply.body.decode() or reply.status == 200
        for hostile in HOSTILE:
            for path in ("/v1/customers/", "/v1/tickets/", "/v1/webhooks/", "/", "/v1/events/"):
                assert client.get(path + escaped(hostile)).status in (400, 404, 405), path
        for path in ("/..", "//healthz", "/v1/../metrics", "/openapi.json/../metrics"):
            is_refused(client.get(path), 404)
    assert positions(ledger) == []


def test_the_server_is_told_statements_without_anything_of_a_request(
    postgres_server: Server, postgres_database: str, tmp_path: Path
) -> None:
    """FAULTS 14: values are parameters. What PostgreSQL logs of statements has none of them."""
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        for setting in ("log_statement = 'all'", "log_parameter_max_length = 0"):
            connection.execute(sql.SQL(f"ALTER DATABASE {{}} SET {setting}").format(name))
    address = parse_url(postgres_database, tmp_path / "keys")
    create_ledger(address)
    before = postgres_server.log.stat().st_size
    with open_ledger(address) as ledger, serving(ledger, Settings(requests_per_second=0)) as found:
        with found.client("privacy_officer", "*") as client:
            for endpoint in (each for each in ENDPOINTS if each.method == "GET"):
                for parameter in endpoint.parameters:
                    for hostile in HOSTILE:
                        value = f"{hostile} {MARK}"
                        asked_with(client, endpoint.path, parameter.name, parameter.where, value)
        with found.client(source=MARK) as client:
            for number, hostile in enumerate(HOSTILE):
                subject = f"customer:{hostile}{MARK}"
                client.post(PATH, order(f"{number}{MARK}", source=MARK, subject=subject))
        assert positions(ledger)
    with postgres_server.log.open("rb") as log:
        log.seek(before)
        told = log.read()
    assert b"FROM stored_events" in told
    assert MARK.encode() not in told


def asked_with(client: Client, path: str, name: str, where: str, value: str) -> Reply:
    """Ask at the path with one hostile value; the rest of it is harmless."""
    if where == "path":
        path = path.replace(f"{{{name}}}", escaped(value))
    path = path.replace("{subject}", "customer:1").replace("{id}", "T1").replace("{name}", "x")
    if where == "query":
        path += f"?{escaped(name)}={escaped(value)}"
    plain = "".join(character for character in value if " " <= character < "\x7f")
    return client.get(path, {name: plain} if where == "header" else None)


def with_number(number: str) -> bytes:
    return line(order()).replace(b'"10.00"', number.encode())


DEEP = 10_000
BODIES: tuple[bytes, ...] = (
    b"[" * DEEP, b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"data":' + b"[" * DEEP + b"]" * DEEP + b"}",
    with_number("1e999"), with_number("-1e999999999"), with_number("9" * 5_000), with_number("NaN"),
    with_number("0" * 300 + "1"), with_number("1." + "0" * 5_000 + "1"),
    line(order())[:-9] + b"\xff\xfe" + line(order())[-9:], b"\xef\xbb\xbf" + line(order("bom")),
    line(order("nul\x00")), line(order(subject="customer:a\x00b")), line(order("\ud800")),
    line(order(source="\x00")), line(order(time="0000-00-00T00:00:00Z")),
    line(order(time="9999-12-31T23:59:59.999999-23:59")), line(order(sequence=2**63)),
    b'{"__proto__":{"x":1},"constructor":{"prototype":1}}', b"null", b"true", b'"x"', b"1", b"{}",
    b"\x00" * 100, b"\x1f\x8b\x08\x00", b"--x\r\nContent-Disposition: form-data\r\n\r\n1",
    b"!!python/object/apply:os.system ['true']\n", b"\x80\x04\x95\x00.", b"<?xml version='1.0'?>",
    b"a=1&data[x]=%ff&" + b"b=" * 5_000,
)  # fmt: skip


def test_whatever_stands_in_a_body_is_answered_for_and_kept_or_refused(
    running: Running, ledger: Ledger
) -> None:
    """FAULTS 9 over HTTP, at every endpoint that takes a body, under each of its content types."""
    takers = [each for each in ENDPOINTS if each.takes and len(each.path) > len("/v1/x")]
    with running.client("operator", "*") as client:
        for number, raw_body in enumerate(BODIES):
            for form in (
                "application/json",
                "application/x-ndjson",
                "application/cloudevents+json",
                "application/cloudevents-batch+json",
            ):
                reply = client.post(PATH, raw_body, {"Content-Type": form})
                assert reply.status in (200, 409, 422), (raw_body[:40], reply.status)
            for endpoint in takers[number % 4 :: 4]:
                path = endpoint.path.replace("{subject}", "customer:1").replace("{type}", "track")
                headers = {"Idempotency-Key": "1", "Content-Type": "application/json"}
                assert client.post(path, raw_body, headers).status < 500, (path, raw_body[:40])
        assert client.get("/readyz").status == 200


def test_of_two_values_under_one_name_no_source_slips_past_the_token(
    running: Running, ledger: Ledger
) -> None:
    event = line(order("d", source="till"))
    with running.client("emitter", "shop") as shop:
        for twice in (b'{"source":"shop",' + event[1:], event[:-1] + b',"source":"shop"}'):
            shop.post(PATH, twice)
        assert shop.get("/healthz").status == 200
    assert not ledger.log.identified("d", "till")


def test_no_old_and_no_foreign_token_opens_a_door(
    running: Running, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 24: none, unknown, expired, revoked, without the right, for another source."""
    monkeypatch.setattr("web.tokens.KNOWN_SECONDS", 0.05)
    now = ledger.log.clock()
    expired, _ = create_token(ledger.store, now - 2, role="emitter", source="shop",
                              expires_at=now - 1)  # fmt: skip
    revoked, token = create_token(ledger.store, now, role="emitter", source="shop")
    wrong = ("", "Bearer", "Bearer ", "Bearer tst_x", f"Bearer {expired}", "Basic !!", "Basic Og==",
             f"bearer{revoked}", "Bearer " + "x" * 10_000, "Digest a=b", "Bearer \xff")  # fmt: skip
    with running.client(None) as client:
        for authorization in wrong:
            reply = client.post(PATH, order(), {"Authorization": authorization})
            is_refused(reply, 401)
            assert "www-authenticate" in reply.headers
        for endpoint in ENDPOINTS:
            if endpoint.needs:
                path = endpoint.path.replace("{subject}", "customer:1").replace("{type}", "track")
                is_refused(client.ask(endpoint.method, path, b"{}"), 401)
        headers = {"Authorization": f"Bearer {revoked}"}
        assert client.post(PATH, order("before"), headers).status == 200
        revoke_token(ledger.store, token.id, ledger.log.clock())
        wait_until(lambda: client.get("/v1/customers", headers).status == 401)
        is_refused(client.post(PATH, order("behind"), headers), 401)
    with running.client("emitter", "till") as other, running.client("analyst", "*") as reader:
        is_refused(other.post(PATH, order("foreign")), 403)
        is_refused(other.get("/v1/customers"), 403)
        is_refused(reader.post(PATH, order("read")), 403)
    assert len(positions(ledger)) == 1
    assert [entry.reason for entry in waiting(ledger)] == ["not_allowed"]


def test_nothing_of_a_request_becomes_a_header_of_an_answer(on_file: Address) -> None:
    with open_ledger(on_file) as ledger, serving(ledger) as running:
        for evil in (b"a\x01b", b"a\x7fb", b"%0d%0aSet-Cookie: x=1", b"\xe9", b"a\tb"):
            with raw(running.url) as connection:
                begun = b"OPTIONS /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                connection.send(begun, b"WebHook-Request-Origin: " + evil + b"\r\n\r\n")
                said = connection.rest()
                assert said.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 ")), evil
                assert b"\r\nSet-Cookie" not in said
                assert b"\x01" not in said
        with running.client() as shop:
            for hidden in ("1%0d%0aX: y", "1%00", "%ff", "1\x01"):
                headers = {f"ce-{name}": str(value) for name, value in order().items()}
                reply = shop.post(PATH, b"{}", {**headers, "ce-id": hidden})
                is_refused(reply, 400, 422)


def test_bytes_of_a_header_that_are_utf_8_are_read_so_and_others_refused(on_file: Address) -> None:
    event = order(subject="customer:Z\u00fcrich")
    headers = {f"ce-{name}": str(value) for name, value in event.items() if name != "data"}
    with open_ledger(on_file) as ledger, serving(ledger) as running, running.client() as shop:
        assert shop.post(PATH, event).json()["status"] == "recorded"
        body = json.dumps(event["data"]).encode()
        headers["ce-subject"] = event["subject"].encode().decode("latin-1")
        assert shop.post(PATH, body, headers).json()["status"] == "duplicate"
        is_refused(shop.post(PATH, body, {**headers, "ce-subject": event["subject"]}), 422)


def test_methods_that_nobody_asked_for(on_file: Address) -> None:
    with open_ledger(on_file) as ledger, serving(ledger) as running, running.client() as shop:
        for method in ("TRACE", "PUT", "PATCH", "DELETE", "GET", "HEAD"):
            reply = shop.ask(method, PATH)
            assert reply.status == 405
            assert reply.headers["allow"] == "OPTIONS, POST"
        reply = shop.ask("HEAD", "/healthz")
        assert (reply.status, reply.body) == (200, b"")
        assert shop.ask("OPTIONS", "*").status in (400, 404)


def test_a_token_that_comes_too_often_waits_and_others_do_not(on_file: Address) -> None:
    settings = Settings(requests_per_second=0.01)
    with open_ledger(on_file) as ledger, serving(ledger, settings) as running:
        with running.client() as often, running.client() as other:
            assert often.post(PATH, order()).status == 200
            reply = often.post(PATH, order("2"))
            is_refused(reply, 429)
            assert 90 < int(reply.headers["retry-after"]) <= 100
            assert other.post(PATH, order("3")).status == 200
            assert often.get("/healthz").status == 200
        assert len(positions(ledger)) == 2


def test_more_than_can_be_done_at_once_is_asked_to_come_back(on_file: Address) -> None:
    """Slow bodies take no place from others; requests that wait for the ledger do."""
    settings = Settings(waiting_max=2)
    with open_ledger(on_file) as ledger, serving(ledger, settings) as running, ExitStack() as stack:
        secret = running.secret()
        for number in range(5):
            slow = stack.enter_context(raw(running.url))
            slow.send(head(f"POST {PATH}", secret, Content_Length=100), b"{")
            wait_until(lambda: running.watch.reading == number + 1)  # noqa: B023 - at once
        shop = stack.enter_context(running.client(secret=secret))
        assert shop.post(PATH, order()).status == 200
        found: list[int] = []

        def post(number: int) -> None:
            with running.client(secret=secret) as client:
                found.append(client.post(PATH, order(f"w{number}")).status)

        threads = [threading.Thread(target=post, args=(number,)) for number in range(2)]
        with held(on_file):
            for thread in threads:
                thread.start()
            wait_until(lambda: running.watch.under_way - running.watch.reading == 2)
            reply = shop.post(PATH, order("too much"))
            is_refused(reply, 503)
            assert int(reply.headers["retry-after"]) >= 1
        for thread in threads:
            thread.join()
        assert found == [200, 200]
        assert shop.post(PATH, order("later")).status == 200
        assert len(positions(ledger)) == 4


def test_bodies_of_all_requests_together_are_bounded(on_file: Address) -> None:
    settings = Settings(bodies_max=10_000)
    with open_ledger(on_file) as ledger, serving(ledger, settings) as running:
        with raw(running.url) as first, running.client() as shop:
            first.send(head(f"POST {PATH}", shop.secret, Content_Length=9_000), b" " * 6_000)
            wait_until(lambda: running.watch.held_bytes == 6_000)
            is_refused(shop.post(PATH, b" " * 6_000), 503)
            first.send(b" " * 3_000)
            is_refused(first.reply(), 400)
            assert shop.post(PATH, b" " * 6_000 + line(order())).status == 200
        wait_until(lambda: not running.watch.under_way)
        assert running.watch.held_bytes == 0


def test_bodies_of_strangers_leave_room_for_those_who_are_known(on_file: Address) -> None:
    """Small bodies that unpack to large ones, and then stay, with secrets that are yet to come."""
    settings = Settings(strangers_max=10_000)
    packed = zlib.compress(b" " * 6_000)
    begun = head("POST /v1/track", Content_Length=9_000, Content_Encoding="deflate") + packed
    with open_ledger(on_file) as ledger, serving(ledger, settings) as running:
        watch = running.watch
        with raw(running.url) as first, raw(running.url) as second, running.client() as shop:
            first.send(begun)
            wait_until(lambda: watch.held_bytes == 6_000)
            second.send(begun)
            is_refused(second.reply(), 503)
            assert shop.post(PATH, b" " * 11_000 + line(order())).status == 200
            call = b'{"userId":"1","event":"Signed Up","messageId":"m1"}'
            assert shop.post("/v1/track", b" " * 11_000 + call).status == 200
        wait_until(lambda: not watch.under_way)
        assert (watch.held_bytes, watch.held_of_strangers) == (0, 0)


def test_a_body_that_is_held_has_an_end_however_it_comes(on_file: Address) -> None:
    """Each part is in time, and the rate would do."""
    settings = Settings(body_seconds_max=0.3)
    with (
        open_ledger(on_file) as ledger,
        serving(ledger, settings) as running,
        raw(running.url) as slow,
    ):
        slow.send(head(f"POST {PATH}", running.secret(), Content_Length=9_000), b"{")
        reply = slow.reply()
        is_refused(reply, 408)
        assert reply.json()["code"] == "too_slow"


def gzip_members(body: bytes) -> bytes:
    return b"".join(gzip.compress(body[start : start + 9]) for start in range(0, len(body), 9))


def zstd_frames(body: bytes) -> bytes:
    return zstandard.compress(body[:50]) + zstandard.compress(body[50:])


PARTS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip_members, "zstd": zstd_frames}


def test_a_body_packed_in_parts_is_whole(on_file: Address) -> None:
    with open_ledger(on_file) as ledger, serving(ledger) as running, running.client() as shop:
        for coding, packed in PARTS.items():
            reply = shop.post(PATH, packed(line(order(coding))), {"Content-Encoding": coding})
            assert reply.json()["status"] == "recorded"
            many = b"\n".join(line(order(f"{coding}{number}")) for number in range(100))
            reply = shop.post(PATH, packed(many), {**LINES, "Content-Encoding": coding})
            assert reply.lines()[-1]["receipt"]["recorded"] == 100


def test_what_is_packed_otherwise_or_twice_is_refused(on_file: Address) -> None:
    twice = gzip.compress(gzip.compress(line(order())))
    with open_ledger(on_file) as ledger, serving(ledger) as running, running.client() as shop:
        for coding in (
            "br",
            "compress",
            "gzip, gzip",
            "gzip,deflate",
            "x",
            "\xe9",
            "identity, gzip",
        ):
            reply = shop.post(PATH, twice, {"Content-Encoding": coding})
            is_refused(reply, 415)
            assert "gzip" in reply.headers["accept-encoding"]
        with raw(running.url) as connection:
            codings = b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"
            begun = head(f"POST {PATH}", shop.secret, Content_Length=len(twice))
            connection.send(begun[:-2], codings, b"\r\n", twice)
            is_refused(connection.reply(), 415)
        assert (positions(ledger), waiting(ledger)) == ([], [])
        for broken in (zlib.compress(b"{}"), b"\x1f\x8b\x08\x00" + b"x" * 50, b"x"):
            is_refused(shop.post(PATH, broken, {"Content-Encoding": "gzip"}), 400)


def test_a_stream_may_be_long_and_unpacks_to_no_more_than_it_could_well_be(
    on_file: Address,
) -> None:
    """What is made of repeated lines is let be; what is made of nothing is not."""
    bomb = gzip.compress(b"\n" * 9_000_000)
    settings = Settings(body_max=100_000)
    with (
        open_ledger(on_file) as ledger,
        serving(ledger, settings) as running,
        running.client() as shop,
    ):
        is_refused(shop.post(PATH, bomb, {**LINES, "Content-Encoding": "gzip"}), 413)
        many: Any = b"\n".join(map(line, orders(range(3_000)))) + b"\n" * 90_000
        reply = shop.post(PATH, gzip.compress(many), {**LINES, "Content-Encoding": "gzip"})
        assert reply.lines()[-1]["receipt"]["received"] == 3_000
        assert json.loads(reply.body.splitlines()[0]) == {"status": "recorded", "position": 1}


def test_a_stream_ends_where_it_holds_more_than_may_be_kept_of_what_is_no_touchpoint(
    on_file: Address,
) -> None:
    """One line is as much as a request may be; so are all long ones together."""
    long = b'"' + b"x" * MEBIBYTE + b'"'
    settings = Settings(body_max=int(2.5 * MEBIBYTE))
    with open_ledger(on_file) as ledger, serving(ledger, settings) as running:
        with running.client() as shop:
            one = (line(order("a")), long * 3, line(order("behind")))
            many = (line(order("b")), long, long, line(order("c")), long, line(order("behind")))
            array = b"[" + b",".join((line(order("d")), long * 3, line(order("behind"))))
            for body, kept, quarantined in (
                (b"\n".join(one), 1, 0),
                (b"\n".join(many), 2, 1),  # they are the same
                (array, 1, 0),
            ):
                reply = shop.post(PATH, gzip.compress(body), {**LINES, "Content-Encoding": "gzip"})
                is_refused(reply, 413)
                assert reply.json()["receipt"]["recorded"] == kept
                assert len(waiting(ledger)) == quarantined or body is array
        assert len(positions(ledger)) == 4
