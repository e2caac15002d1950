"""A connector file: what is wrong in it is said with its place, and the reference is right."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from ledger.mapping_file import MappingInvalid
from ledger.quarantine import Received
from tests.house.sources import ROOT
from tests.ledger.sending import SECOND
from tests.web.webhooks.signing import Sent, configured, receive, text_secret
from web.webhooks.connector import load_connector, shipped, shipped_path
from web.webhooks.signature_table import SCHEMES

REFERENCE = (ROOT / "docs" / "WEBHOOKS.md").read_text(encoding="utf-8")
HEAD = 'title = "Probe"\nlink = "https://probe.example"\nsource = "probe"\n'
HMAC = '[signature]\nscheme = "hmac"\nheader = "X-S"\n'
TOUCHPOINT = """
[[touchpoint]]
type = "event.tracked.v1"
id = "{_delivery}"
subject = "customer:1"
time = "{_received}"
data = { name = "probe" }
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "title: is missing"),
        (HEAD, "signature: is missing"),
        ("[[webhook]]\n", "for a file of `serve --webhooks`"),
        (HEAD + "signature = []\n", "signature: is missing"),
        (HEAD + '[signature]\nscheme = "hamc"\n', "signature, scheme: expected one of hmac"),
        (HEAD + '[signature]\nscheme = "hmac"\n', "signature: expected one of header, query"),
        (HEAD + HMAC + 'alogrithm = "sha1"\n', "unknown key; did you mean algorithm?"),
        (HEAD + HMAC + 'algorithm = "md5"\n', "algorithm: expected one of sha256"),
        (HEAD + HMAC + 'signed = "{boby}"\n', "{boby} is no part of a request"),
        (HEAD + HMAC + 'signed = "{timestamp}{body}"\n', "{timestamp} needs one"),
        (HEAD + HMAC + 'timestamp = { header = "X-T" }\n', "a timestamp has to be signed"),
        (HEAD + HMAC + 'signed = "{url}"\n', "does not cover the body"),
        (HEAD + HMAC + 'signed = "{secret}{body}"\n', "{secret} belongs into"),
        (HEAD + HMAC.replace("hmac", "hash"), "{secret} belongs into"),
        (HEAD + HMAC + "tolerance_seconds = 0\n", "expected 1 to 86400"),
        (HEAD + 2 * HMAC.replace("[signature]", "[[signature]]"), "each need a name"),
        (HEAD + HMAC, "touchpoint: expected 1 to 100"),
        (HEAD + HMAC + "[delivery]\n" + TOUCHPOINT, "delivery: expected one of header"),
        (HEAD + HMAC + '[payload]\nform = "xml"\n' + TOUCHPOINT, "payload.form: expected one of"),
        (HEAD + HMAC + '[payload]\nitems = "a["\n' + TOUCHPOINT, "payload.items: not a JMESPath"),
        (HEAD + HMAC + "[payload]\nitems = 5\n" + TOUCHPOINT, "payload.items: expected"),
        (HEAD + 'ignore = "a["\n' + HMAC + TOUCHPOINT, "ignore: not a JMESPath"),
        (HEAD + 'otherwise = "refuse"\n' + HMAC + TOUCHPOINT, "otherwise: expected one of"),
        (HEAD + HMAC + '[[handshake]]\nmethod = "PUT"\n' + TOUCHPOINT, "handshake 1, method"),
        (HEAD + HMAC + "[[handshake]]\n" + TOUCHPOINT, "handshake 1, when: is missing"),
        (
            HEAD + HMAC + '[[handshake]]\nwhen = "a"\nvisit = "b"\n' + TOUCHPOINT,
            "handshake: visit is for the scheme sns alone",
        ),
        (HEAD + HMAC + TOUCHPOINT + "[sender]\n", "sender: unknown key"),
        (
            HEAD + HMAC + TOUCHPOINT.replace("customer:1", "customer:{_headers.X-Who}"),
            "is not in headers of [payload]",
        ),
        (HEAD + HMAC + TOUCHPOINT.replace("name =", "nmae ="), "did you mean name?"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "probe.toml"
    path.write_text(text)
    with pytest.raises(MappingInvalid) as invalid:
        load_connector(path)
    assert said in str(invalid.value)
    assert str(invalid.value).startswith(str(path))


def test_all_that_is_shipped_can_be_loaded_and_says_where_it_is_from() -> None:
    names = list(shipped())
    assert {"stripe", "shopify", "hubspot", "standard_webhooks"} <= set(names)
    for name in names:
        path = shipped_path(name)
        assert path is not None
        connector = load_connector(path)
        assert connector.link.startswith("https://")
        assert connector.types


def _example(folder: Path) -> Path:
    """The connector that the reference shows, as a file."""
    (example,) = re.findall(r"```toml\n(title.*?)```", REFERENCE, re.DOTALL)
    path = folder / "parcel.toml"
    path.write_text(example)
    return path


def test_what_the_reference_signs_by_hand_is_authentic(tmp_path: Path) -> None:
    (recipe,) = re.findall(r"```sh\n(body=.*?)```", REFERENCE, re.DOTALL)
    secret = text_secret("parcel")
    printed = subprocess.run(
        ["sh", "-euc", "curl() { printf '%s\\n' \"$@\"; }\n" + recipe],
        env={**os.environ, "PARCEL_SECRET": secret.ours},
        capture_output=True, check=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    body = printed[printed.index("--data-binary") + 1].encode()
    headers = dict(printed[n + 1].split(": ") for n, word in enumerate(printed) if word == "-H")
    webhook = configured(tmp_path, _example(tmp_path), [secret])
    at = int(headers["X-Parcel-Time"]) * SECOND
    found = receive(webhook, Sent(body, headers=headers).received(at))
    assert isinstance(found, list)
    assert [isinstance(item, Received) for item in found] == [True]


def test_the_reference_names_every_key_and_its_example_works(tmp_path: Path) -> None:
    assert load_connector(_example(tmp_path)).types == ("event.tracked.v1",)
    for scheme in SCHEMES:
        assert f"| `{scheme}` |" in REFERENCE
    code = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "web" / "webhooks").glob("*.py")
    )
    keys = re.findall(
        r'(?:section|inner|top)\.(?:text|texts|choice|count|table|take|required_text)\(\s*"(\w+)"',
        code,
    )
    assert len(keys) > 20
    assert [key for key in keys if not re.search(rf"\b{key}\b", REFERENCE)] == []
