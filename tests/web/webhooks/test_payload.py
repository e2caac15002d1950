"""Bodies become rows: forms, texts that hold JSON, items and what stands above them."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.mapping_values import Expression
from ledger.rows import json_value
from tests.ledger.sending import NOW, SECOND
from tests.web.webhooks.signing import FORM, Sent
from web.webhooks.connector import Connector, DeliveryId, load_connector
from web.webhooks.payload import (
    TRIAL_KEY,
    PayloadForm,
    PayloadUnreadable,
    form_value,
    pseudo_json,
    written_json,
)
from web.webhooks.receiving import again, translated


def rows(form: PayloadForm, body: bytes | Any, **headers: str) -> list[dict[str, Any]]:
    """The rows of a body without what is beside them, but for `_parent`."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = form.rows(form.document(Sent(raw).plus(**headers).received()), {}, b"")
    return [{k: v for k, v in row.items() if k != "_digest"} for row in found]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        ("a[]=1", {"a": ["1"]}),
        ("data[email]=ana%40example.com&data[merges][F]=Ana&type=x",
         {"data": {"email": "ana@example.com", "merges": {"F": "Ana"}}, "type": "x"}),
        ("a[a][]=1&a[a][]=2", {"a": {"a": ["1", "2"]}}),
        ("", {}),
        ("=1", {"": "1"}),
    ],
)  # fmt: skip
def test_a_form_is_read_inwards(body: str, found: dict[str, Any]) -> None:
    assert form_value(body.encode()) == found


@pytest.mark.parametrize("body", [b"a=%ff", b"\xff=1", b"a=1&a[b]=2", b"a[b]=1&a=2"])
def test_a_form_that_contradicts_itself_is_none(body: bytes) -> None:
    with pytest.raises(ValueError, match="form"):
        form_value(body)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{ticket_action:created}", {"ticket_action": "created"}),
        ("{status:{from:2,to:4}}", {"status": {"from": "2", "to": "4"}}),
        ("{a:1,b:two words, c:}", {"a": "1", "b": "two words", "c": ""}),
        ("{status:{from:2,to:4}", "{status:{from:2,to:4}"),
        ("plain", "plain"),
        ("", ""),
        ("{}", {}),
        ("{a:1} and more", "{a:1} and more"),
    ],
)
def test_pseudo_json_is_read_or_left_as_it_is(text: str, found: Any) -> None:
    assert pseudo_json(text) == found


@pytest.mark.parametrize(
    "text", ["{" + " " * 9_999, "{" + " " * 10**6, "{a:" * 3_000, "{a:b," * 10**5]
)
def test_what_only_begins_as_pseudo_json_takes_no_time(text: str) -> None:
    began = time.thread_time()
    assert pseudo_json(text) == text
    assert time.thread_time() - began < 0.2


def test_a_text_that_holds_json_is_read() -> None:
    form = PayloadForm(embedded=("Message", "a.b"), pseudo=("p",), uppercase=("c",))
    body = {"Message": '{"n": 1.10}', "a": {"b": "[1]"}, "p": "{x:1}", "c": "eur"}
    (row,) = rows(form, body)
    assert row["Message"]["n"].digits == "1.10"
    assert (row["a"], row["p"], row["c"]) == ({"b": [1]}, {"x": "1"}, "EUR")
    assert rows(form, {"Message": "Hello", "a": 5}) == [{"Message": "Hello", "a": 5}]


def test_a_list_is_as_many_rows_and_items_remember_what_is_above() -> None:
    assert rows(PayloadForm(), [{"a": 1}, {"a": 2}]) == [{"a": 1}, {"a": 2}]
    steps = tuple(Expression(step) for step in ("entry", "changes", "value", "messages"))
    body = {
        "object": "o",
        "entry": [
            {"id": "e", "changes": [{"field": "f", "value": {"to": "t", "messages": [
                {"id": "m1"}, {"id": "m2"},
            ]}}]},
            {"id": "none", "changes": []},
        ],
    }  # fmt: skip
    first, second = rows(PayloadForm(items=steps), body)
    assert (first["id"], second["id"]) == ("m1", "m2")
    assert first["_parent"] == {
        "to": "t",
        "_parent": {"field": "f", "_parent": {"id": "e", "_parent": {"object": "o"}}},
    }


@pytest.mark.parametrize("body", [b"", b"5", b"[5]", b'"a"', b"null", b"[[]]", b"\xff", b"{"])
def test_what_holds_no_objects_is_said_to_hold_none(body: bytes) -> None:
    with pytest.raises(PayloadUnreadable):
        rows(PayloadForm(), body)


def test_depth_and_number_have_limits() -> None:
    with pytest.raises(PayloadUnreadable, match="deeper than 64"):
        rows(PayloadForm(), b'{"a":' * 80 + b"1" + b"}" * 80)
    with pytest.raises(PayloadUnreadable, match="more than 10,000 items"):
        rows(PayloadForm(), [{}] * 10_001)
    with pytest.raises(PayloadUnreadable):
        rows(PayloadForm(form="form"), urlencode([("a", "b")] * 2_001).encode())


def test_the_digest_is_of_the_content_that_lasts() -> None:
    form = PayloadForm(volatile=("attempt",))
    one = form.digest({"a": 1, "b": 2, "attempt": 1, "_received": "now"}, b"key")
    assert one == form.digest({"b": 2, "a": 1, "attempt": 2, "_received": "later"}, b"key")
    assert one != form.digest({"a": 1, "b": 3}, b"key")
    assert len(one) == 32


def test_without_the_key_of_the_ledger_no_guess_at_a_digest_is_shown_to_be_right() -> None:
    form = PayloadForm(keyed=("email", "about.phone", "other"))
    row = {"email": "ana@example.com", "about": {"phone": 39}, "other": None}
    (made,) = form.rows(row, {}, b"key")
    (elsewhere,) = form.rows(row, {}, b"another")
    assert made["_digest"] != elsewhere["_digest"]
    assert set(made["_keyed"]) == {"email", "about.phone"}
    for name, value in (("email", b"ana@example.com"), ("about.phone", b"39")):
        assert made["_keyed"][name] != elsewhere["_keyed"][name]
        assert made["_keyed"][name] != hashlib.sha256(value).hexdigest()[:32]
    whole = hashlib.sha256(json.dumps(row, sort_keys=True, separators=(",", ":")).encode())
    assert made["_digest"] != whole.hexdigest()[:32]
    body = Sent(b'{"email": "ana@example.com"}').received()
    assert DeliveryId().of(body, {}, b"key") != DeliveryId().of(body, {}, b"another")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["id", "type", "data", "at", "items", "_received", "_headers", "é"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(json_values)
def test_json_is_written_as_it_was_read(value: Any) -> None:
    raw = json.dumps(value).encode()
    assert written_json(json_value(raw)).decode() == json.dumps(
        json.loads(raw), ensure_ascii=False, separators=(",", ":")
    )


PROBE = """
title = "Probe"
link = "https://probe.example"
source = "probe"
ignore = "type == 'ping'"
signature = { scheme = "secret", header = "X-Key" }
delivery = { column = "id" }

[payload]
items = "items || [@]"
form = "either"
headers = ["X-Topic"]
query = ["shop"]
embedded = ["data"]

[[touchpoint]]
type = "event.tracked.v1"
when = "type || _headers.\\"x-topic\\""
id = "{id}-{row}"
subject = "customer:{data.customer}"
time = { column = "at", format = "unix" }
data = { name = "{type}", properties = { rest = "" } }
"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    path = tmp_path_factory.mktemp("probe") / "probe.toml"
    path.write_text(PROBE)
    return load_connector(path)


@given(body=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()),
       form=st.booleans())  # fmt: skip
def test_no_body_is_lost_whatever_it_is(probe: Connector, body: bytes, form: bool) -> None:
    """Each row gives touchpoints, or is kept, or is ignored; a body that is no rows is kept."""
    sent = Sent(body).plus(Content_Type=FORM if form else "text/plain", X_Topic="t")
    items = translated(probe, sent.received(), "here")
    later = translated(probe, sent.received(NOW + SECOND), "here")
    assert [raw_of(item) for item in items] == [raw_of(item) for item in later]
    for item in items:
        if isinstance(item, tuple):
            received, refused = item
            assert refused.reason in ("payload", "row", "unmapped")
            retried = again(received, refused.reason, probe, TRIAL_KEY)
            assert raw_of(retried[0]) == raw_of(item)


def raw_of(item: Any) -> bytes:
    received = item[0] if isinstance(item, tuple) else item
    return b"".join(received.parts())


def test_a_row_has_what_is_beside_the_payload_and_keeps_nothing_else(probe: Connector) -> None:
    sent = Sent(b'{"id": "d", "type": "a"}', url="https://x/?shop=s&secret=hidden").plus(
        X_Topic="t", X_Key="hidden", Cookie="hidden"
    )
    ((received, refused),) = translated(probe, sent.received(), "here")  # type: ignore[misc]
    assert (refused.reason, refused.path) == ("row", "subject")
    kept = json.loads(raw_of(received))
    assert kept["_headers"] == {"x-topic": "t"}
    assert kept["_query"] == {"shop": "s"}
    assert kept["_delivery"] == "d"
    assert "hidden" not in raw_of(received).decode() + repr(received.context)


def test_a_touchpoint_that_the_catalogue_refuses_keeps_its_row(probe: Connector) -> None:
    body = {"id": "d", "type": "a" * 300, "data": {"customer": 5}, "at": 1_767_607_200}
    ((received, refused),) = translated(probe, Sent(json.dumps(body).encode()).received(), "here")  # type: ignore[misc]
    assert (refused.reason, refused.path) == ("row", "data.name")
    assert json.loads(raw_of(received))["type"] == "a" * 300


def test_what_is_ignored_gives_nothing(probe: Connector) -> None:
    assert translated(probe, Sent(b'{"id": "1", "type": "ping"}').received(), "here") == []


def test_the_rest_of_a_row_holds_nothing_that_a_retry_changes(probe: Connector) -> None:
    body = {"id": "d", "type": "a", "data": {"customer": 5}, "at": 1_767_607_200, "more": "x"}
    sent = Sent(json.dumps(body).encode()).plus(X_Topic="t")
    (first,) = translated(probe, sent.received(), "here")
    assert json.loads(raw_of(first))["data"]["properties"] == {"more": "x"}
    assert json.loads(raw_of(first))["source"] == "here"


def test_a_secret_in_the_body_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "chat.toml"
    path.write_text(PROBE.replace('header = "X-Key"', 'column = "secret_key"'))
    connector = load_connector(path)
    for body in ({"secret_key": "hidden", "id": 1}, {"secret_key": "hidden", "items": [5]}):
        for item in translated(connector, Sent(json.dumps(body).encode()).received(), "here"):
            assert b"hidden" not in raw_of(item)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (rb'{"secret_key": "a\/hidden", "items": [5]}', b'{"items":[5]}'),
        (rb'{"secret_key": "x", "secret_key": "\u0068idden", "items": [5]}', b'{"items":[5]}'),
        (b'[{"secret_key": "hidden"}, 5]', b"[{},5]"),
        (b'{"id": 1, "secret_key": "hidden"', b""),
        (b'{"secret_key": "hidden", "p": ' + b"[" * 2_000 + b"]" * 2_000 + b"}", b""),
        (b"\xff hidden", b""),
    ],
)
def test_a_body_is_kept_without_its_secret_or_not_at_all(
    body: bytes, kept: bytes, tmp_path: Path
) -> None:
    """However the secret is written. Where its place cannot be told, only how much there was."""
    path = tmp_path / "chat.toml"
    path.write_text(PROBE.replace('header = "X-Key"', 'column = "secret_key"'))
    ((received, refused),) = translated(load_connector(path), Sent(body).received(), "here")  # type: ignore[misc]
    assert refused.reason == "payload"
    assert raw_of(received) == kept
    assert (f"{len(body):,} bytes" in refused.message) == (not kept)
