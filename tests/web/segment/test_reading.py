"""Bodies are cut into calls: each is read alone, and the secret is found first and kept nowhere."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.door import Refused
from tests.web.segment.test_calls import ANYTHING
from web.segment.reading import TooMany, batch, secret_of, single, value_of, without_secret

SECRET = "tst_" + "k" * 43
BLANKS = st.sampled_from([(",", ":"), (" ,\n", " : ")])


@given(st.lists(ANYTHING, max_size=5), ANYTHING, st.booleans(), BLANKS)
def test_a_batch_is_cut_where_its_calls_end(
    calls: list[Any], context: Any, ascii_only: bool, blanks: tuple[str, str]
) -> None:
    whole = {"n": context, "batch": calls, "context": context, "sentAt": "x"}
    raw = json.dumps(whole, ensure_ascii=ascii_only, separators=blanks, indent=1)
    body = batch(raw.encode("utf-8", "surrogatepass"), len(calls))
    assert [json.loads(call) for call in body.calls] == calls
    assert json.loads(body.context) == context
    assert body.sent_at == "x"
    if calls:
        with pytest.raises(TooMany):
            batch(raw.encode(), len(calls) - 1)


@pytest.mark.parametrize("bad", [b'"\\ud83d"', b"1E400", b"7" * 5000, b"NaN", b'"\xff"', b'"\n"'])
def test_what_is_wrong_in_a_call_does_not_end_the_cutting(bad: bytes) -> None:
    raw = b'\xef\xbb\xbf{"batch":[{"a":%b} , {"b":1}],"sentAt":%b}' % (bad, bad)
    assert batch(raw, 2).calls == (b'{"a":%b}' % bad, b'{"b":1}')
    assert single(b'{"a":%b}' % bad).calls == (b'{"a":%b}' % bad,)


@pytest.mark.parametrize(
    "raw",
    [b"", b"1", b"[]", b"{", b'{"batch":[', b'{"batch":[1 2]}', b'{"batch":[1],}', b'{batch:[1]}',
     b'{"batch":[1]} {}', b'{"batch" [1]}', b'{"batch":[{]}', b'{"batch":[],"batch":1}', b"{}",
     b'{"batch":' + b"[" * 20_000 + b"]" * 20_000 + b"}"],
)  # fmt: skip
def test_what_is_no_batch_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        batch(raw, 9)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'"\ud83d"', "\ufffd"),
        (r'"a\uD83Db\uDE00"', "a\ufffdb\ufffd"),
        (r'"\ud83d\ud83d\ude00\ude00"', "\ufffd\U0001f600\ufffd"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'"\\\ud83d\n\u00e9"', "\\\ufffd\né"),
    ],
)
def test_half_a_character_is_read_as_none(written: str, read: str) -> None:
    assert value_of(written.encode()) == read


@pytest.mark.parametrize(
    "raw",
    [
        f'{{"writeKey":"{SECRET}","batch":[]}}',
        f'{{"batch":[{{"writeKey":"other"}}], "writeKey" : "{SECRET}"}}',
        f'{{"batch":[{{"a":NaN}}],"writeKey":"{SECRET}"}}',
        f'{{"writeKey":"{SECRET}","batch":[',
        f'{{"writeKey":"{SECRET}","writeKey":"{SECRET}"}}',
        '{"write\\u004bey":"' + SECRET.replace("t", "\\u0074") + '"}',
        f'{{"a":"{SECRET}","writeKey":"{SECRET}',
    ],
)
def test_the_secret_is_found_without_reading_and_kept_nowhere(raw: str) -> None:
    assert secret_of(raw.encode()) == SECRET
    kept = without_secret(raw.encode())
    assert b"k" * 43 not in kept
    assert not secret_of(kept)


@pytest.mark.parametrize("raw", [b"", b"[1]", b"{}", b'{"writeKey":7}', b'{"writeKey":"\\ud83d"}'])
def test_a_body_may_have_no_secret(raw: bytes) -> None:
    assert secret_of(raw) is None
    assert without_secret(raw) == raw.replace(b"\\ud83d", b"")
