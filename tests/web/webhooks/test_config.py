"""The file of `serve --webhooks`: what is wrong in it is said, and secrets never are."""

from pathlib import Path

import pytest

from ledger.mapping_file import MappingInvalid
from tests.web.webhooks.signing import whpk, whsec
from web.webhooks.config import SecretMissing, load_webhooks
from web.webhooks.receiving import Webhook

SECRET = "hunter2-very-secret"
HEAD = '[[webhook]]\npath = "it"\n'


def secret_of(written: str, folder: Path) -> str:
    if written == "env:UNSET":
        raise SecretMissing("the environment variable UNSET is not set")
    return {
        "env:EMPTY": " ",
        "env:SHARED": whsec("a").ours,
        "env:PUBLIC": whpk("a").ours,
    }.get(written, SECRET)


def loaded(folder: Path, text: str, public_url: str | None = None) -> tuple[Webhook, ...]:
    file = folder / "webhooks.toml"
    file.write_text(text)
    return load_webhooks(file, secret_of, public_url)


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("", "webhook", "expected 1 to"),
        ("webhook = 5", "webhook", "expected 1 to"),
        ("webhook = [5]", "webhook", "expected tables"),
        ("a = 1\n" + HEAD, "a", "unknown key"),
        ("[[webhooks]]\n", "webhooks", "unknown key; did you mean webhook?"),
        (HEAD, "connector", "is missing"),
        ('[[webhook]]\npath = "../a"\n', "path", "expected letters"),
        (HEAD + 'connector = "strip"\n', "connector", "did you mean stripe?"),
        (HEAD + 'connector = "own.toml"\n', "own.toml", "cannot be read"),
        (HEAD + 'connector = "stripe"\n', "secrets", "is missing"),
        (HEAD + 'connector = "stripe"\nsecrets = "env:A"\n', "secrets", "a list of texts"),
        (
            HEAD + 'connector = "stripe"\nsecrets = ["env:UNSET"]\n',
            "secrets[0]",
            "UNSET is not set",
        ),
        (HEAD + 'connector = "stripe"\nsecrets = ["env:EMPTY"]\n', "secrets[0]", "is empty"),
        (
            HEAD + f'connector = "stripe"\nsecrets = ["text:{SECRET}"]\n',
            "secrets[0]",
            "is written in the file",
        ),
        (
            HEAD + f'connector = "standard_webhooks"\nsecrets = ["text:{whsec("a").ours}"]\n',
            "secrets[0]",
            "is written in the file",
        ),
        (
            HEAD + 'connector = "standard_webhooks"\nsecrets = ["env:A"]\n',
            "secrets[0]",
            "expected Base64",
        ),
        (HEAD + 'connector = "stripe"\nsecrets = ["env:A"]\nsource = ""\n', "source", "1 to 200"),
        (HEAD + 'connector = "stripe"\nsecrets = ["env:A"]\nregion = "XY"\n', "region", "country"),
        (
            HEAD + 'connector = "hubspot"\nsecrets = ["env:A"]\nschemes = ["v4"]\n',
            "schemes",
            "no such scheme; expected one of: v1, v2, v3",
        ),
        (
            HEAD + 'connector = "stripe"\nsecrets = ["env:A"]\ncertificate = "a.pem"\n',
            "certificate",
            "cannot be read",
        ),
        (HEAD + 'connector = "hubspot"\nsecrets = ["env:A"]\n', "connector", "give --public-url"),
        (
            2 * (HEAD + 'connector = "stripe"\nsecrets = ["env:A"]\n'),
            "webhook 2, path",
            "another webhook has this path",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    text: str, where: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(MappingInvalid) as invalid:
        loaded(tmp_path, text)
    message = str(invalid.value)
    assert message.startswith(str(tmp_path))
    assert where in message
    assert said in message
    assert SECRET not in message
    assert whsec("a").ours not in message


def test_a_webhook_has_the_source_of_its_own_and_shows_no_secret(tmp_path: Path) -> None:
    text = HEAD + 'connector = "stripe"\nsource = "shop-eu"\nsecrets = ["env:A", "file:b"]\n'
    (webhook,) = loaded(tmp_path, text)
    assert (webhook.name, webhook.source) == ("it", "shop-eu")
    assert SECRET not in repr(webhook)


def test_without_a_public_address_only_schemes_that_need_none_are_let_in(tmp_path: Path) -> None:
    text = HEAD + 'connector = "hubspot"\nsecrets = ["env:A"]\n'
    assert loaded(tmp_path, text, "https://crm.example.com")
    assert loaded(tmp_path, text + 'schemes = ["v1"]\n')


TWO = """
title = "Probe"
link = "https://probe.example"
source = "probe"
[[signature]]
name = "shared"
scheme = "hmac"
header = "X-S"
[[signature]]
name = "public"
scheme = "ed25519"
header = "X-P"
key_prefix = "whpk_"
[[touchpoint]]
type = "event.tracked.v1"
id = "{_delivery}"
subject = "customer:1"
time = "{_received}"
data = { name = "probe" }
"""


def test_a_public_key_is_never_taken_for_a_secret(tmp_path: Path) -> None:
    """Everybody knows it, and could sign with it."""
    (tmp_path / "probe.toml").write_text(TWO)
    text = HEAD + 'connector = "probe.toml"\nsecrets = ["env:PUBLIC"]\n'
    (webhook,) = loaded(tmp_path, text)
    assert [len(keys) for _, keys in webhook.keys] == [0, 1]
    with pytest.raises(MappingInvalid, match="none of the schemes"):
        loaded(tmp_path, text + 'schemes = ["shared"]\n')


@pytest.mark.parametrize(
    ("secrets", "schemes"),
    [('["env:SHARED"]', [1, 0]), ('["env:PUBLIC"]', [0, 1]),
     ('["env:SHARED", "env:PUBLIC"]', [1, 1]), (f'["text:{whpk("a").ours}"]', [0, 1])],
)  # fmt: skip
def test_a_secret_is_for_the_scheme_that_its_prefix_names(
    secrets: str, schemes: list[int], tmp_path: Path
) -> None:
    text = HEAD + f'connector = "standard_webhooks"\nsecrets = {secrets}\n'
    (webhook,) = loaded(tmp_path, text)
    assert [len(keys) for _, keys in webhook.keys] == schemes
