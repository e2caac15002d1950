"""CloudEvents in headers and bodies: every mode gives the same touchpoint, or says why not."""

import json

import pytest

from ledger.cloudevents import cloud_event, structured
from ledger.ledger import Ledger
from ledger.quarantine import Headers, Received
from schemas.door import Refused, parse
from tests.ledger.sending import line, order, send, waiting

EVENT = order("7", subject="email:ana@example.com", sequence=3)
BODY = json.dumps(EVENT["data"]).encode()


def in_headers(mark: str = "ce_", **changes: object) -> list[tuple[str, bytes | None]]:
    """The attributes of the event as a producer in binary mode sends them."""
    attributes = {name: value for name, value in EVENT.items() if name != "data"} | changes
    return [(mark + name, str(value).encode()) for name, value in attributes.items()]


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (line(EVENT), []),
        (line(EVENT), [("x-trace", b"1"), ("empty", None)]),
        (line(EVENT), [("content-type", b"application/json")]),
        (line(EVENT), [("content-type", b"application/cloudevents+json; charset=UTF-8")]),
        (line(EVENT), [("Content-Type", b"Application/CloudEvents+JSON")]),
        (BODY, in_headers()),
        (BODY, [("content-type", b"application/json; charset=utf-8"), *in_headers()]),
        (BODY, [("content-type", b"application/vnd.shop+json"), *in_headers()]),
        (line(EVENT), [("ce-id", b"of another transport")]),
        (BODY, in_headers(mark="CE_")),
    ],
)
def test_every_mode_gives_the_same_touchpoint(raw: bytes, headers: Headers) -> None:
    assert parse(structured(raw, headers)) == parse(line(EVENT))


@pytest.mark.parametrize(
    ("raw", "headers", "reason", "path"),
    [
        (BODY, [("content-type", b"application/cloudevents+avro")], "content_type", "content-type"),
        (BODY, [("content-type", b"application/cloudevents-batch+json")], "content_type",
         "content-type"),
        (BODY, [("content-type", b"text/plain"), *in_headers()], "content_type", "content-type"),
        (b"{", in_headers(), "json_invalid", "data"),
        (b'{}, "id": "8"', in_headers(), "json_invalid", "data"),
        (b"[" * 100_000, in_headers(), "json_invalid", "data"),
        (BODY, [("ce_id", b"\xff")], "encoding", "ce_id"),
        (BODY, [("ce_\0x", b"\xff")], "encoding", "ce_?x"),
        (BODY, [("ce_" + "x" * 1_000, b"\xff")], "encoding", "ce_" + "x" * 57 + "…"),
        (BODY, [("ce_" + "x." * 1_000, b"\xff")], "encoding", "ce_x" + ".x" * 39),
        (BODY, [*in_headers(), ("CE_ID", b"7")], "repeated", "ce_id"),
        (BODY, [*in_headers(), ("ce_data", b"{}")], "unknown_field", "data"),
    ],
)  # fmt: skip
def test_what_is_neither_is_refused(raw: bytes, headers: Headers, reason: str, path: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(structured(raw, headers))
    assert (refused.value.reason, refused.value.path) == (reason, path)


@pytest.mark.parametrize(
    ("raw", "headers", "path"),
    [(b"", in_headers(), "data"), (BODY, in_headers()[1:], "specversion"),
     (BODY, [("ce_id", b"7")], "type")],
)  # fmt: skip
def test_what_is_not_there_is_named(raw: bytes, headers: Headers, path: str) -> None:
    with pytest.raises(Refused, match=r"required|no type") as refused:
        parse(structured(raw, headers))
    assert refused.value.path == path


def test_what_goes_out_comes_in_again() -> None:
    envelope = parse(line(EVENT))
    assert parse(cloud_event(envelope)) == envelope


def test_what_came_beside_the_bytes_is_kept_unseen_and_comes_back(ledger: Ledger) -> None:
    key, headers = b"email:canary@example.com", [("ce_id", b"canary\xff"), ("none", None)]
    refused = Received(b"", "kafka", {"offset": 5}, headers, key)
    send(ledger, refused)
    (entry,) = waiting(ledger)
    with ledger.store.cursor() as cursor:
        assert ledger.quarantine.received(entry, cursor) == refused
        assert ledger.quarantine.bytes_of(entry.entry, cursor) == b""
        kept = cursor.execute("SELECT bytes FROM quarantine_parts").fetchall()
    assert b"canary" not in b"".join(part for (part,) in kept)
    assert "canary" not in str(entry)


def test_records_of_a_topic_are_told_apart_by_their_offsets(ledger: Ledger) -> None:
    for offset in (1, 2, 2):
        send(ledger, Received(b"", "kafka", {"topic_id": "t", "partition": 0, "offset": offset}))
    assert [entry.times for entry in waiting(ledger)] == [1, 2]
