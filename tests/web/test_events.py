"""`/v1/events`: CloudEvents in every mode are recorded once, and each is answered for."""

import gzip
import json
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import zstandard

from ledger.ledger import Ledger
from tests.ledger.sending import Event, line, order, orders, positions, waiting
from tests.web.serving import Client, Running, basic, serving

PATH = "/v1/events"
STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def running(ledger: Ledger) -> Iterator[Running]:
    with serving(ledger) as found:
        yield found


@pytest.fixture
def shop(running: Running) -> Iterator[Client]:
    with running.client() as client:
        yield client


def binary(event: Event) -> tuple[bytes, dict[str, str]]:
    headers = {f"ce-{name}": str(value) for name, value in event.items() if name != "data"}
    return json.dumps(event["data"]).encode(), {**headers, "Content-Type": "application/json"}


def test_the_three_modes_and_plain_json_are_one_event(shop: Client, ledger: Ledger) -> None:
    event = order()
    assert shop.post(PATH, line(event), STRUCTURED).json() == {"status": "recorded", "position": 1}
    again = {"status": "duplicate", "position": 1}
    assert shop.post(PATH, *binary(event)).json() == again
    without_type = binary(event)[1]
    del without_type["Content-Type"]  # as the Python library of CloudEvents sends it
    assert shop.post(PATH, binary(event)[0], without_type).json() == again
    assert shop.post(PATH, event).json() == again
    assert shop.post(PATH, line(event), {"Content-Type": "text/plain"}).json() == again
    assert shop.post(f"{PATH}/", event).json() == again
    (item,) = shop.post(PATH, [event], BATCH).json()["items"]
    assert item == again
    assert positions(ledger) == [1]


def test_a_batch_is_answered_item_by_item_and_loses_nothing(shop: Client, ledger: Ledger) -> None:
    broken = order("2", data={"order_id": "A2"})
    other = order("1", data={"order_id": "other", "total": {"amount": "1", "currency": "EUR"}})
    answered = shop.post(PATH, [order(), broken, other, order()]).json()
    assert [item["status"] for item in answered["items"]] == [
        "recorded", "quarantined", "conflict", "duplicate",
    ]  # fmt: skip
    assert answered["items"][1]["path"] == "data.total"
    counts = {name: answered[name] for name in ("received", "recorded", "conflict")}
    assert counts == {"received": 4, "recorded": 1, "conflict": 1}
    assert [entry.reason for entry in waiting(ledger)] == ["missing", "conflict"]


REFUSED = (
    (line(order(subject="nobody")), 422, "subject"),
    (line(order(type="order.eaten.v1")), 422, "unknown_type"),
    (line(order(source="till")), 403, "not_allowed"),
    (b"{", 422, "json_invalid"),
    (line(order())[:-9] + b"\xff" + line(order())[-9:], 422, "json_invalid"),
)


def test_what_is_no_event_is_told_why_and_kept_whole(shop: Client, ledger: Ledger) -> None:
    for raw, status, code in REFUSED:
        reply = shop.post(PATH, raw)
        told = reply.json()
        assert (reply.status, told["code"]) == (status, code), raw
        assert reply.headers["content-type"] == "application/problem+json"
        assert told["message"] == told["detail"]
        where = f"{told['path']}: " if told["path"] else ""
        assert told["message"].startswith(where)
        assert told["message"].endswith(f" (kept in quarantine as {told['entry']})")
        entry = waiting(ledger)[-1]
        assert (entry.entry, entry.reason, entry.size) == (told["entry"], code, len(raw))


def test_a_message_says_where_and_for_what_source(shop: Client) -> None:
    without = shop.post(PATH, order(data={"order_id": "A2"})).json()
    assert without["message"] == "data.total: this field is required (kept in quarantine as 1)"
    foreign = shop.post(PATH, order(source="till")).json()
    assert "source: the token may report for the source shop only" in foreign["message"]


def test_an_empty_body_is_told_to_be_and_leaves_nothing(shop: Client, ledger: Ledger) -> None:
    for form in ({}, STRUCTURED, BATCH, {"Content-Type": "application/json"}):
        for body in (b"", b" \r\n"):
            reply = shop.post(PATH, body, form)
            assert (reply.status, reply.json()["code"]) == (400, "empty"), form
            assert reply.json()["message"] == "the body is empty"
    assert waiting(ledger) == []
    headers = {name: value for name, value in binary(order())[1].items() if name != "Content-Type"}
    assert shop.post(PATH, b"", headers).json()["code"] == "missing"  # an event without data


def test_a_batch_of_too_many_is_refused_whole(shop: Client, ledger: Ledger) -> None:
    for body in (b"[" + b"{}," * 10_000 + b"{}]", b"[" + b'{"a":{"a":{}}},' * 200_000 + b"{}]"):
        reply = shop.post(PATH, body, {"Content-Type": "application/json"})
        assert (reply.status, reply.json()["code"]) == (413, "too_many")
    assert waiting(ledger) == []


def test_the_same_id_with_other_content_is_a_conflict(shop: Client) -> None:
    assert shop.post(PATH, order()).status == 200
    changed = order(data={"order_id": "A9", "total": {"amount": "1", "currency": "EUR"}})
    assert shop.post(PATH, changed).status == 409


def test_attributes_in_headers_are_unquoted_and_decoded_once(shop: Client, ledger: Ledger) -> None:
    body, headers = binary(order(subject="customer:Z\u00fcrich 100%"))
    headers["ce-subject"] = '"customer:Z%c3%bcrich\\ 100%25"'
    assert shop.post(PATH, body, headers).json()["status"] == "recorded"
    for wrong in ("customer:%C0%A0", "customer:100%"):
        reply = shop.post(PATH, body, {**headers, "ce-subject": wrong})
        assert (reply.status, reply.json()["path"]) == (422, "ce-subject")


def test_a_stream_of_lines_is_answered_line_by_line(shop: Client, ledger: Ledger) -> None:
    sent = [*map(line, orders(range(2_500))), b"{broken", line(order("0", subject="customer:0"))]

    def parts() -> Iterator[bytes]:
        for raw in sent:
            yield raw + b"\n"

    shop.connection.request(
        "POST", PATH, parts(), {**LINES, "Authorization": f"Bearer {shop.secret}"},
        encode_chunked=True,
    )  # fmt: skip
    answered = [json.loads(told) for told in shop.connection.getresponse().read().splitlines()]
    statuses = Counter(item.get("status") for item in answered)
    assert statuses == {"recorded": 2_500, "quarantined": 1, "duplicate": 1, None: 1}
    assert answered[-1]["receipt"]["received"] == 2_502
    assert positions(ledger) == list(range(1, 2_501))


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress, "identity": bytes,
}  # fmt: skip


def test_a_packed_body_is_unpacked(shop: Client) -> None:
    for number, (coding, packed) in enumerate(CODINGS.items()):
        whole = packed(line(order(str(number))))
        reply = shop.post(PATH, whole, {"Content-Encoding": coding})
        assert reply.json()["status"] == "recorded", coding
        reply = shop.post(PATH, whole[:-9], {"Content-Encoding": coding})
        assert reply.status in (400, 422), coding


def test_secrets_come_in_any_of_the_usual_headers(running: Running) -> None:
    secret = running.secret()
    with running.client(None) as nobody:
        for headers in (
            {"Authorization": f"Bearer {secret}"}, basic(secret), basic("", secret),
            {"X-Write-Key": secret}, {"X-Write-Key": f"key:{secret}"},
        ):  # fmt: skip
            assert nobody.post(PATH, order(), headers).status == 200
        for headers in ({}, {"Authorization": "Bearer tst_wrong"}, basic("tst_wrong")):
            reply = nobody.post(PATH, order("2"), headers)
            assert (reply.status, "www-authenticate" in reply.headers) == (401, True)
    with running.client("analyst", "*") as reader:
        assert reader.post(PATH, order("2")).status == 403
    assert positions(running.ledger) == [1]


def test_the_handshake_of_web_hooks(shop: Client) -> None:
    headers = {"WebHook-Request-Origin": "eventemitter.example.com"}
    reply = shop.ask("OPTIONS", PATH, headers=headers)
    assert reply.status == 200
    assert reply.headers["webhook-allowed-origin"] == "eventemitter.example.com"
    assert int(reply.headers["webhook-allowed-rate"]) > 0
    assert "POST" in reply.headers["allow"]


def test_fifty_clients_with_the_same_event_get_the_same_position(running: Running) -> None:
    """FAULTS 3, and that all of them are answered for."""
    secret = running.secret()
    replies: list[dict[str, object]] = []

    def send() -> None:
        with running.client(secret=secret) as client:
            replies.append(client.post(PATH, order()).json())

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(reply["status"] for reply in replies) == {"recorded": 1, "duplicate": 49}
    assert {reply["position"] for reply in replies} == {1}
    told = running.watch.metrics.told()[0].decode()
    assert 'touchstone_http_taken_total{door="events",outcome="duplicate"} 49.0' in told


def test_problems_of_paths_and_methods(shop: Client) -> None:
    for method, path, status in (("GET", "/nope", 404), ("DELETE", PATH, 405),
                                 ("POST", "/v1/nope", 404)):  # fmt: skip
        reply = shop.ask(method, path)
        assert (reply.status, reply.json()["status"]) == (status, status)
        assert "/openapi.json" in reply.json()["message"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "server" not in reply.headers
