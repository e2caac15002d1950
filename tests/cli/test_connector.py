"""`touchstone connector`, and what the other commands do with connectors."""

import json
from pathlib import Path

import pytest

from ledger.intake import append
from ledger.ledger import open_ledger
from tests.cli.running import Shell
from tests.web.webhooks.signing import Sent
from web.webhooks.connector import load_connector, shipped, shipped_path
from web.webhooks.receiving import translated

EVENT = {
    "id": "evt_1", "type": "customer.created", "created": 1_767_607_200,
    "data": {"object": {"id": "cus_1", "name": "Ana"}},
}  # fmt: skip


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder; these commands look at no ledger."""
    return Shell(tmp_path)


def test_list_says_how_each_is_signed_and_what_it_gives(shell: Shell) -> None:
    listed = shell("connector", "list", "-o", "json").json
    assert {entry["connector"] for entry in listed} == set(shipped())
    titles = [entry["title"].casefold() for entry in listed]
    assert titles == sorted(titles)
    stripe = next(entry for entry in listed if entry["connector"] == "stripe")
    assert stripe["signatures"] == ["hmac-sha256 in Stripe-Signature"]
    assert "order.completed.v1" in stripe["types"]
    hubspot = next(entry for entry in listed if entry["connector"] == "hubspot")
    assert hubspot["signatures"][0] == "v3: hmac-sha256 in X-HubSpot-Signature-v3"
    page = shell("connector", "list", "-o", "table").out
    assert "Stripe" in page
    assert "Stripe-Signature" in shell("connector", "test", "stripe", "-o", "table").out


def test_show_prints_a_file_that_is_a_connector_again(shell: Shell) -> None:
    shown = shell("connector", "show", "stripe").out
    own = shell.write("own.toml", shown.encode())
    assert shell("connector", "test", own, "-o", "json").json["connector"] == "own"
    ran = shell("connector", "show", "strip")
    assert (ran.code, "did you mean stripe?" in ran.err) == (4, True)


def test_a_file_that_is_wrong_is_told_with_its_place(shell: Shell) -> None:
    path = shell.write("own.toml", b'title = "Own"\n')
    ran = shell("connector", "test", path)
    assert ran.code == 2
    assert f"{path}: link: is missing" in ran.err
    ran = shell("connector", "test", "strpie")
    assert (ran.code, "no connector strpie; did you mean stripe?" in ran.err) == (2, True)
    ran = shell("connector", "test", "nowhere.toml")
    assert (ran.code, "nowhere.toml: cannot be read" in ran.err) == (2, True)
    ran = shell("connector", "test", shell.write("mapping.toml", MAPPING))
    assert (ran.code, "mapping.toml: title: is missing" in ran.err) == (2, True)


def test_a_payload_shows_what_would_be_recorded(shell: Shell) -> None:
    ran = shell(
        "connector", "test", "stripe", "--payload", "-", "-o", "json",
        stdin=json.dumps(EVENT).encode(),
    )  # fmt: skip
    assert ran.code == 0
    (touchpoint,) = ran.json
    assert (touchpoint["type"], touchpoint["subject"]) == ("customer.described.v1", "stripe:cus_1")
    assert touchpoint["data"]["traits"] == {"name": "Ana"}


def test_a_payload_shows_what_would_go_to_quarantine(shell: Shell) -> None:
    payload = shell.write("body.json", b'{"id": 1, "customer": {"id": 2}}')
    arguments = ("connector", "test", "shopify", "--payload", payload, "-o", "json")
    ran = shell(*arguments, "--header", "X-Shopify-Topic: orders/create")
    assert (ran.code, ran.json[0]["quarantined"], ran.json[0]["path"]) == (3, "row", "time")
    ran = shell(*arguments, "--header", "X-Shopify-Topic: refunds/create")
    assert (ran.code, ran.json) == (0, [])
    ran = shell(*arguments)
    assert (ran.code, ran.json[0]["quarantined"]) == (3, "unmapped")
    assert "the connector reads the headers x-shopify-topic" in ran.err
    assert shell(*arguments, "--header", "no colon").code == 2


def test_what_a_webhook_brought_is_retried_with_a_mended_connector(shell: Shell) -> None:
    """And rows of an import are not, nor the other way round."""
    assert shell("init").code == 0
    path = shipped_path("stripe")
    assert path is not None
    event = EVENT | {"type": "customer.discovered"}
    items = translated(load_connector(path), Sent(json.dumps(event).encode()).received(), "eu")
    with open_ledger(shell.address) as ledger:
        append(ledger, [item for item in items if isinstance(item, tuple)])
    (entry,) = shell("quarantine", "list", "-o", "json").json
    assert (entry["door"], entry["reason"], entry["context"]["delivery"]) == (
        "webhook", "unmapped", "evt_1",
    )  # fmt: skip

    mapping = shell.write("map.toml", MAPPING)
    assert shell("quarantine", "retry", "1", "--mapping", mapping).code == 3
    assert shell("quarantine", "retry", "1", "--mapping", str(path)).code == 3
    text = path.read_text().replace("['customer.created', ", "['customer.discovered', ")
    mended = shell.write("mended.toml", text.encode())
    ran = shell("quarantine", "retry", "--all", "--mapping", mended)
    assert (ran.code, ran.json["recorded"]) == (0, 1)
    (touchpoint,) = shell("log", "list", "-o", "json").json
    assert (touchpoint["id"], touchpoint["source"]) == ("evt_1", "eu")


MAPPING = b"""
source = "till"
[[touchpoint]]
type = "event.tracked.v1"
id = "{row}"
subject = "customer:{customer}"
time = "{day}"
data = { name = "visit" }
"""


def test_a_row_of_an_import_is_not_for_a_connector(shell: Shell) -> None:
    assert shell("init").code == 0
    rows = shell.write("till.csv", b"customer,day\n1,yesterday\n")
    assert shell("import", rows, "--mapping", shell.write("map.toml", MAPPING)).code == 3
    path = shipped_path("stripe")
    assert shell("quarantine", "retry", "1", "--mapping", str(path)).code == 3


def test_serve_says_what_is_wrong_with_its_webhooks_before_it_starts(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shell.write(
        "webhooks.toml",
        b'[[webhook]]\npath = "a"\nconnector = "stripe"\nsecrets = ["env:STRIPE_SECRET_OF_TESTS"]\n'
        b'[[webhook]]\npath = "b"\nconnector = "stripe"\nsecrets = ["file:not-there"]\n',
    )
    ran = shell("serve", "--webhooks", file)
    assert ran.code == 2
    assert "webhook 1, secrets[0]: the environment variable STRIPE_SECRET_OF_TESTS" in ran.err
    monkeypatch.setenv("STRIPE_SECRET_OF_TESTS", "very-secret")
    ran = shell("serve", "--webhooks", file)
    assert ran.code == 2
    assert "webhook 2, secrets[0]" in ran.err
    assert "not-there cannot be read" in ran.err
    assert "very-secret" not in ran.err
