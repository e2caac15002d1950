"""The Segment API on a real server: every form that clients need, and nothing lost or counted
twice."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings

from ledger.ledger import Ledger
from schemas.replay import decode
from tests.ledger.sending import positions, waiting
from tests.web.segment.shapes import Call, call, track
from tests.web.segment.test_calls import ANYTHING, CALLS
from tests.web.serving import Client, Running, basic, serving
from web.segment.calls import touchpoints
from web.segment.endpoints import (
    BATCH_BYTES_MAX,
    BATCH_CALLS_MAX,
    CALL_BYTES_MAX,
    CONTEXTS_BYTES_MAX,
    SHORT,
)
from web.settings import Settings

HISTORY = "archive"


@pytest.fixture
def running(ledger: Ledger) -> Iterator[Running]:
    with serving(ledger, Settings(historical=frozenset({HISTORY}))) as found:
        yield found


@pytest.fixture
def shop(running: Running) -> Iterator[Client]:
    with running.client() as client:
        yield client


def nth(number: int, **fields: Any) -> Call:
    return call("track", **{"event": "Did", "messageId": f"m-{number}", **fields})


def counts(answer: Call) -> dict[str, int]:
    """What is not zero of the receipt."""
    names = ("recorded", "duplicate", "conflict", "quarantined")
    found = {name: answer[name] for name in names if answer[name]}
    assert answer["success"] is True
    assert answer["received"] == sum(found.values())
    return found


def opened(ledger: Ledger) -> list[Any]:
    """The touchpoints of the log, in clear."""
    return ledger.vault.reveal(decode(s.topic, s.state) for s in ledger.log.page(0, 1_000))


def test_a_batch_is_answered_call_by_call_and_a_bad_one_spoils_nothing(
    shop: Client, ledger: Ledger
) -> None:
    batch = [
        nth(1),
        nth(2, userId=None),
        "no call",
        call("identify", messageId="m-3", anonymousId="a-9", traits={"email": "a@b.example"}),
        nth(1),
        nth(1, event="Did something else"),
        nth(4, event="x" * CALL_BYTES_MAX),
    ]
    reply = shop.post("/v1/batch", {"batch": batch, "sentAt": "2026-01-05T10:00:00Z"})
    assert reply.status == 200
    items = reply.json()["items"]
    kept = "quarantined"
    assert [item["status"] for item in items] == [
        "recorded", kept, kept, "recorded", "duplicate", "conflict", kept,
    ]  # fmt: skip
    assert items[1] == {
        "status": "quarantined", "entry": items[1]["entry"], "code": "missing", "path": "userId",
        "message": "a call needs a userId or an anonymousId",
    }  # fmt: skip
    assert [one["position"] for one in items[3]["touchpoints"]] == [2, 3]
    assert counts(reply.json()) == {"recorded": 3, "duplicate": 1, "conflict": 1, "quarantined": 3}
    assert {entry.reason for entry in waiting(ledger)} == {
        "missing", "object_type", "conflict", "too_large",
    }  # fmt: skip
    assert {event.source for event in opened(ledger)} == {"shop"}


def test_what_cannot_be_read_in_a_call_is_its_own(shop: Client, ledger: Ledger) -> None:
    """Cut texts, numbers that nothing can hold, contexts, faults of ours: the others go on."""
    good, half = (
        json.dumps(nth(1)).encode(),
        b'{"type":"track","userId":"1","messageId":"h","event":',
    )
    calls = [good, half + b'"a\\ud83d"}'] + [
        half + b'"x","n":%b,"writeKey":"tst_live"}' % bad for bad in (b"1E400", b"7" * 5000, b"NaN")
    ]
    order = b'{"order_id":"A1","total":1e-99999999999999999999}'
    calls.append(half.replace(b'"h"', b'"o"') + b'"Order Completed","properties":%b}' % order)
    raw = b'{"batch":[%b],"sentAt":1E400,"context":{"a":"\\udc00"}}' % b",".join(calls)
    reply = shop.post("/v1/batch", raw)
    assert counts(reply.json()) == {"recorded": 3, "quarantined": 3}
    assert [item["status"] for item in reply.json()["items"]][2:5] == ["quarantined"] * 3
    found = opened(ledger)
    assert [event.data.name for event in found] == ["Did", "a\ufffd", "Order Completed"]
    assert found[0].data.extra["context"] == {"a": "\ufffd"}
    entries = waiting(ledger)
    with ledger.store.cursor() as cursor:
        kept = [ledger.quarantine.bytes_of(entry.entry, cursor) for entry in entries]
    assert kept == [call.replace(b"tst_live", b"") for call in calls[2:5]]
    single = shop.post("/v1/track", calls[2])
    assert counts(single.json()) == {"quarantined": 1}
    unread = shop.post("/v1/batch", b'{"batch":[%b],"context":{"a":1E400}}' % good)
    assert (unread.status, unread.json()["path"]) == (400, "context")


def test_a_fault_of_ours_is_that_of_one_call(
    shop: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(fields: Call, *rest: Any) -> list[bytes]:
        if fields["event"] == "fails":
            raise AttributeError("it quotes what came")
        return touchpoints(fields, *rest)

    monkeypatch.setattr("web.segment.endpoints.touchpoints", failing)
    with structlog.testing.capture_logs() as logs:
        reply = shop.post("/v1/batch", {"batch": [nth(1), nth(2, event="fails"), nth(3)]})
    assert counts(reply.json()) == {"recorded": 2, "quarantined": 1}
    assert [entry.reason for entry in waiting(ledger)] == ["fault"]
    (told,) = (log for log in logs if log["event"] == "a call was not read")
    assert told["error"] == "AttributeError"
    assert "quotes" not in str(logs)


def test_a_retry_is_a_duplicate_though_it_is_sent_at_another_time(
    shop: Client, ledger: Ledger
) -> None:
    """The clock of the sender is hours off: each attempt is put right by another amount."""
    at = "2019-12-31T23:59:00Z"
    calls = [nth(1, timestamp=at), nth(2, timestamp=None), nth(3, timestamp=at, sentAt=at)]
    first = shop.post("/v1/batch", {"batch": calls, "sentAt": "2020-01-01T00:00:00Z"}).json()
    assert counts(first) == {"recorded": 3}
    for sent_at in ("2020-01-01T00:00:09.123Z", "2031-01-01T00:00:00Z", None):
        again = shop.post("/v1/batch", {"batch": calls, "sentAt": sent_at}).json()
        assert counts(again) == {"duplicate": 3}
    assert positions(ledger) == [1, 2, 3]
    event = opened(ledger)[0]
    assert event.time > "2026"  # when the server's clock says that it was
    assert event.extensions["originaltimestamp"] == at
    assert event.extensions["sentat"] == "2020-01-01T00:00:00Z"


def test_history_is_timed_as_it_was_told(running: Running, ledger: Ledger) -> None:
    batch = {"batch": [nth(1, timestamp="1997-01-01T00:00:00Z")], "sentAt": "2020-01-01T00:00:00Z"}
    with running.client(source=HISTORY) as archive, running.client() as shop:
        archive.post("/v1/batch", batch)
        shop.post("/v1/import", batch)
        assert counts(shop.post("/v1/batch", batch).json()) == {"duplicate": 1}
    assert [event.time for event in opened(ledger)] == ["1997-01-01T00:00:00Z"] * 2


def test_the_secret_may_come_in_any_form_that_clients_have(running: Running) -> None:
    secret = running.secret()
    forms: list[tuple[dict[str, str], dict[str, str]]] = [
        (basic(secret), {}),
        (basic(secret), {"writeKey": "something else"}),
        ({"Authorization": f"Bearer {secret}"}, {}),
        ({"X-Write-Key": f"KEYID:{secret}"}, {"writeKey": "KEYID:***"}),
        ({"X-Write-Key": secret}, {}),
        ({}, {"writeKey": secret}),
    ]
    with running.client(role=None) as client:
        for number, (headers, body) in enumerate(forms):
            sent = {"batch": [nth(number)], **body}
            assert counts(client.post("/v1/batch", sent, headers).json()) == {"recorded": 1}
        proxied = {"Authorization": "Bearer eyJhbGciOi.of.a.proxy"}  # and the key in the body
        through = client.post("/v1/batch", {"batch": [nth(98)], "writeKey": secret}, proxied)
        assert counts(through.json()) == {"recorded": 1}
        wrong = client.post("/v1/batch", {"batch": [nth(97)], "writeKey": "tst_wrong"}, proxied)
        assert wrong.status == 401
        single = client.post("/v1/t", {**nth(99), "writeKey": secret})
        assert counts(single.json()) == {"recorded": 1}
        assert b"tst_" not in single.body


def test_nobody_and_who_may_not_are_turned_away_and_nothing_is_kept(
    running: Running, ledger: Ledger
) -> None:
    with running.client(role=None) as client, running.client(role="analyst") as analyst:
        for body in ({"batch": [nth(1)]}, {**nth(1), "writeKey": "tst_wrong"}, b"{", [1]):
            reply = client.post("/v1/batch", body)
            assert reply.status == 401
            assert {"code", "message"} <= reply.json().keys()
            assert reply.headers["access-control-allow-origin"] == "*"
        assert analyst.post("/v1/batch", {"batch": [nth(1)]}).status == 403
    assert positions(ledger) == []
    assert waiting(ledger) == []


def test_json_is_read_whatever_it_is_called_and_however_it_is_packed(shop: Client) -> None:
    for number, named in enumerate(
        ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8", "")
    ):
        raw = json.dumps({"batch": [nth(number)]}).encode()
        for packed, coding in ((gzip.compress(raw), "gzip"), (raw, "identity")):
            headers = {"Content-Type": named, "Content-Encoding": coding}
            reply = shop.post("/v1/b", packed, headers)
            assert (reply.status, reply.json()["received"]) == (200, 1)


def test_every_path_of_every_client_leads_to_its_call(running: Running, ledger: Ledger) -> None:
    """Those of Segment, long and short, and those of Jitsu, whose calls come alone."""
    fields = {"anonymousId": "a-9", "previousId": "anon-1", "groupId": "g", "name": "n"}
    sent = {name: {"event": "x", **fields, **call(name)} for name in SHORT.values()}
    with running.client() as shop:
        for short, kind in SHORT.items():
            body = sent[kind]
            paths = (f"/v1/{kind}", f"/v1/{short}", f"/api/s/{kind}", f"/api/s/s2s/{kind}")
            for number, path in enumerate(paths):
                body = {**body, "messageId": f"{kind}-{number}"}
                del body["type"]  # the path says it
                assert counts(shop.post(path, body).json()).keys() == {"recorded"}, path
                body["type"] = kind
        event = shop.post("/api/s/event", {**sent["page"], "messageId": "e"})
        assert counts(event.json()) == {"recorded": 1}
        assert shop.post("/api/s/nothing", {}).status == 404
    found = {(event.id.partition("-")[0], event.type) for event in opened(ledger)}
    assert found == {
        ("identify", "customer.linked.v1"), ("track", "event.tracked.v1"),
        ("page", "page.viewed.v1"), ("screen", "event.tracked.v1"), ("e", "page.viewed.v1"),
        ("group", "customer.described.v1"), ("alias", "customer.linked.v1"),
    }  # fmt: skip


def test_what_is_no_json_is_kept_whole_and_answered_with_code_and_message(
    shop: Client, ledger: Ledger
) -> None:
    for number, (raw, code) in enumerate(
        (
            (b'{"writeKey": "", "batch": [', "json_invalid"),
            (b"[1]", "object_type"),
            (b'{"batch": 1}', "list_type"),
        )
    ):
        secret = f'"writeKey": "{shop.secret}"'.encode()
        reply = shop.post("/v1/batch", raw.replace(b'"writeKey": ""', secret))
        problem = reply.json()
        assert (reply.status, problem["code"]) == (400, code)
        assert problem["message"]
        entry = waiting(ledger)[number]
        assert problem["entry"] == entry.entry
        with ledger.store.cursor() as cursor:
            assert ledger.quarantine.bytes_of(entry.entry, cursor) == raw


def test_what_is_too_much_is_refused_before_it_is_read(shop: Client, ledger: Ledger) -> None:
    large = nth(1, event="x" * CALL_BYTES_MAX)
    assert shop.post("/v1/track", large).status == 413
    assert (
        shop.post(
            "/v1/batch", gzip.compress(b" " * (BATCH_BYTES_MAX + 1)), {"Content-Encoding": "gzip"}
        ).status
        == 413
    )
    many: list[Call] = [{}] * (BATCH_CALLS_MAX + 1)
    assert shop.post("/v1/batch", {"batch": many}).status == 413
    assert positions(ledger) == []
    assert counts(shop.post("/v1/batch", {"batch": []}).json()) == {}
    for size, calls in ((CALL_BYTES_MAX, 1), (CONTEXTS_BYTES_MAX // 600, 601)):
        context = {"a": "x" * size}
        reply = shop.post("/v1/batch", {"batch": [{}] * calls, "context": context})
        assert (reply.status, reply.json()["code"]) == (413, "too_large")
    many_more = f"[{','.join(['1e15'] * 6_000)}]"  # each of them becomes 1000000000000000.0
    raw = json.dumps({"batch": [nth(1, properties={"n": [0]})], "context": {"n": [0]}})
    (swollen,) = shop.post("/v1/batch", raw.replace("[0]", many_more)).json()["items"]
    assert swollen["code"] == "too_large"


def test_nobody_is_known_before_more_than_the_secret_is_read(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("web.segment.endpoints.batch", read)
    with running.client(role=None) as client:
        for headers in ({}, {"Authorization": "Bearer tst_wrong"}):
            sent = {"batch": [nth(1)], "writeKey": "tst_wrong"}
            assert client.post("/v1/batch", sent, headers).status == 401


def test_a_batch_is_taken_that_is_larger_than_segment_allows(shop: Client) -> None:
    large = [nth(number, properties={"text": "x" * 20_000}) for number in range(30)]
    assert counts(shop.post("/v1/batch", {"batch": large}).json()) == {"recorded": 30}


def test_what_is_nested_without_end_is_kept_and_harms_nobody(shop: Client, ledger: Ledger) -> None:
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    raw = (
        b'{"batch":[' + json.dumps(nth(1)).encode() + b',{"userId":"1","type":"track","event":"x",'
    )
    raw += b'"properties":' + deep + b"}]}"
    reply = shop.post("/v1/batch", raw)
    assert reply.status in (200, 400)
    assert waiting(ledger)


def test_a_page_of_any_site_may_send(shop: Client) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    for path in ("/v1/t", "/v1/batch", "/api/s/track"):
        allowed = shop.ask("OPTIONS", path, headers=asked)
        assert allowed.status == 200
        assert allowed.headers["access-control-allow-origin"] == "*"
        assert "x-write-key" in allowed.headers["access-control-allow-headers"]
    sent = shop.post("/v1/t", nth(1), {"Origin": "https://shop.example"})
    assert sent.headers["access-control-allow-origin"] == "*"


def test_a_token_for_any_source_reports_for_the_door(running: Running, ledger: Ledger) -> None:
    with running.client(source="*") as client:
        client.post("/v1/track", nth(1))
    assert opened(ledger)[0].source == "segment"


def test_an_order_is_the_same_in_the_log_as_one_that_was_appended(
    shop: Client, ledger: Ledger
) -> None:
    sent = track("Order Completed", order_id="A1", total=59.9, currency="EUR")
    assert counts(shop.post("/v1/track", sent).json()) == {"recorded": 1}
    (event,) = opened(ledger)
    assert (event.type, event.subject, event.data.order_id) == (
        "order.completed.v1", "customer:42", "A1",
    )  # fmt: skip
    assert event.data.total.amount == "59.9"


@settings(max_examples=8, suppress_health_check=list(HealthCheck), deadline=None)
@given(batches=CALLS | ANYTHING)
def test_whatever_comes_is_answered_for(running: Running, batches: Any) -> None:
    batch = [batches, nth(1), batches]
    with running.client() as shop:
        reply = shop.post("/v1/batch", json.dumps({"batch": batch}).encode())
    if reply.status == 200:
        assert len(reply.json()["items"]) == len(batch)
        counts(reply.json())
    else:
        assert reply.json()["code"] == "json_invalid"
