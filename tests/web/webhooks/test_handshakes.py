"""Handshakes: what is answered to a vendor that asks whether it may send, and to nobody else."""

import base64
import hmac
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ledger.mapping_file import MappingInvalid
from tests.web.webhooks.signing import Sent, configured, receive, text_secret
from web.webhooks.connector import load_connector
from web.webhooks.handshakes import CHALLENGE, Answered
from web.webhooks.receiving import answer
from web.webhooks.schemes import Unauthentic

OURS = text_secret("ours")
TABLES = """
title = "Probe"
link = "https://probe.example"
source = "probe"
{tables}
[[touchpoint]]
type = "event.tracked.v1"
id = "{{_delivery}}"
subject = "customer:1"
time = "{{_received}}"
data = {{ name = "probe" }}
"""
BY_QUERY = '[signature]\nscheme = "secret"\nquery = "key"\n'
BY_HEADER = '[signature]\nscheme = "secret"\nheader = "X-Key"\n'


def probe(folder: Path, tables: str) -> str:
    (folder / "probe.toml").write_text(TABLES.format(tables=tables))
    return "probe.toml"


def test_a_check_without_a_challenge_is_answered_with_nothing(tmp_path: Path) -> None:
    """As Mailchimp asks, with the secret in the address."""
    name = probe(tmp_path, BY_QUERY + '[[handshake]]\nmethod = "GET"\n')
    webhook = configured(tmp_path, name, [OURS])
    right = Sent(b"", method="GET", url="https://x/?key=secret-ours")
    assert answer(webhook, right.received()) == Answered(b"", "text/plain; charset=utf-8")
    for url in ("https://x/?key=guess", "https://x/", "https://x/?key="):
        with pytest.raises(Unauthentic):
            answer(webhook, Sent(b"", method="GET", url=url).received())


def test_a_challenge_may_be_answered_with_its_hash(tmp_path: Path) -> None:
    table = """
[[handshake]]
method = "GET"
challenge = "crc_token"
answer = { response_token = "sha256={hmac_base64}" }
"""
    webhook = configured(tmp_path, probe(tmp_path, BY_HEADER + table), [OURS])
    found = answer(webhook, Sent(b"", method="GET", url="https://x/?crc_token=a").received())
    made = base64.b64encode(hmac.new(OURS.theirs, b"a", "sha256").digest()).decode()
    assert found == Answered(
        b'{"response_token":"sha256=' + made.encode() + b'"}', "application/json"
    )
    assert answer(webhook, Sent(b"", method="GET", url="https://x/").received()) is None


HASHED = """
[[handshake]]
method = "GET"
challenge = "crc"
answer = { response_token = "sha256={hmac_hex}" }
"""


@pytest.mark.parametrize(
    "challenge",
    ['{"id":"forged"}', "[]", "12", "-1e5", "true", "a=1", "a b", "é", "٣a", "a\n", "a" * 201],
)
def test_nobody_gets_a_delivery_signed_by_asking(challenge: str, tmp_path: Path) -> None:
    """The vendor signs bodies with the key that challenges are answered with."""
    signed = '[signature]\nscheme = "hmac"\nheader = "X-Sign"\n'
    webhook = configured(tmp_path, probe(tmp_path, signed + HASHED), [OURS])
    fit, unfit = (
        Sent(b"", method="GET", url=f"https://x/?{urlencode({'crc': text})}")
        for text in ("MTg5ZjE0-_ZTc", challenge)
    )
    assert isinstance(answer(webhook, fit.received()), Answered)
    with pytest.raises(Unauthentic) as refused:
        answer(webhook, unfit.received())
    assert refused.value.code == CHALLENGE


@pytest.mark.parametrize(
    ("signature", "payload", "is_safe"),
    [
        ("", "", True),
        ("", 'payload = { form = "either" }', False),
        ('signed = "{form}"', 'payload = { form = "form" }', False),
        ('signed = "{url}{form}"', 'payload = { form = "form" }', True),
        ('signed = "v0:{form}"', 'payload = { form = "form" }', True),
        ('signed = "{header.X-Hash}"\nbody_hash = { header = "X-Hash" }', "", False),
    ],
)
def test_a_connector_that_would_sign_for_anybody_is_refused(
    signature: str, payload: str, is_safe: bool, tmp_path: Path
) -> None:
    signed = f'{payload}\n[signature]\nscheme = "hmac"\nheader = "X-Sign"\n{signature}\n'
    path = tmp_path / probe(tmp_path, signed + HASHED)
    if is_safe:
        load_connector(path)
    else:
        with pytest.raises(MappingInvalid, match="whoever asks by GET"):
            load_connector(path)


def test_a_payload_may_ask_for_its_challenge_back(tmp_path: Path) -> None:
    table = '[[handshake]]\nwhen = "type == \'url_verification\'"\nchallenge = "challenge"\n'
    webhook = configured(tmp_path, probe(tmp_path, BY_HEADER + table), [OURS])
    asked = Sent(b'{"type": "url_verification", "challenge": "{hmac_hex}<b>"}')
    found = receive(webhook, asked.plus(X_Key="secret-ours").received())
    assert found == Answered(b"{hmac_hex}<b>", "text/plain; charset=utf-8")
    with pytest.raises(Unauthentic):
        receive(webhook, asked.received())
    (item,) = receive(webhook, Sent(b'{"type": "a"}').plus(X_Key="secret-ours").received())  # type: ignore[misc]
    assert not isinstance(item, tuple)


def test_a_challenge_does_not_get_at_the_secret(tmp_path: Path) -> None:
    """Holes are filled in the connector's texts, and not in what the challenge brings."""
    table = """
[[handshake]]
method = "GET"
challenge = "c"
answer = { a = "{challenge}" }
"""
    webhook = configured(tmp_path, probe(tmp_path, BY_HEADER + table), [OURS])
    asked = Sent(b"", method="GET", url="https://x/?c=%7Bhmac_hex%7D")
    found = answer(webhook, asked.received())
    assert found == Answered(b'{"a":"{hmac_hex}"}', "application/json")


def test_a_token_that_a_handshake_needs_has_to_be_configured(tmp_path: Path) -> None:
    table = '[[handshake]]\nmethod = "GET"\nchallenge = "c"\ntoken = "t"\n'
    with pytest.raises(ValueError, match="tokens: is missing"):
        configured(tmp_path, probe(tmp_path, BY_HEADER + table), [OURS])
