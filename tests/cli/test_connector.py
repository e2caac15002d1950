"""`touchstone connector`, and what the other commands do with connectors."""

import json
from pathlib import Path

import pytest

from cli.mending import mended
from ledger.intake import append
from ledger.ledger import Ledger, open_ledger
from ledger.quarantine import Received
from schemas.door import Refused
from tests.cli.running import Shell
from tests.web.webhooks.signing import Sent
from web.webhooks.connector import load_connector, shipped, shipped_path
from web.webhooks.payload import digest_of
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
    payload = shell.write(
        "body.json", b'{"id": 1, "order_number": 1, "line_items": [], "customer": {"id": 2}}'
    )
    arguments = ("connector", "test", "shopify", "--payload", payload, "-o", "json")
    ran = shell(*arguments, "--header", "X-Shopify-Topic: orders/create")
    assert (ran.code, ran.json[0]["quarantined"], ran.json[0]["path"]) == (3, "row", "time")
    ran = shell(*arguments, "--header", "X-Shopify-Topic: refunds/create")
    assert (ran.code, ran.json) == (0, [])
    ran = shell(*arguments)
    assert (ran.code, ran.json[0]["quarantined"]) == (3, "unmapped")
    assert "the connector reads the headers x-shopify-topic" in ran.err
    assert shell(*arguments, "--header", "no colon").code == 2


def _stripe() -> str:
    path = shipped_path("stripe")
    assert path is not None
    return path.read_text()


def _brought(shell: Shell, connector: str, kind: str = "customer.discovered") -> None:
    """Put into quarantine what a webhook brings that its connector does not know."""
    event = EVENT | {"type": kind}
    path = Path(shell.write(f"{connector}.toml", _stripe().encode()))
    items = translated(load_connector(path), Sent(json.dumps(event).encode()).received(), "eu")
    with open_ledger(shell.address) as ledger:
        append(ledger, [item for item in items if isinstance(item, tuple)])


def test_what_is_mended_gets_the_ids_that_the_server_gives(ledger: Ledger) -> None:
    """They are digests by the ledger's key."""
    row = {
        "field": "messages", "from": "393331234567", "customer": "phone:+393331234567",
        "id": "wamid.1", "timestamp": "1767607200", "type": "text", "_digest": "d",
    }  # fmt: skip
    context = {
        "connector": "whatsapp",
        "source": "wa",
        "received": "2026-01-05T10:00:01Z",
        "item": 1,
    }
    received = Received(json.dumps(row).encode(), "webhook", context)
    told = Refused("row", "", "")
    with ledger.store.cursor(write=True) as cursor:
        number = ledger.quarantine.keep(received, told, ledger.log.clock(), cursor)
        entry = ledger.quarantine.entry(number, cursor)
    assert entry is not None
    (made,) = mended("whatsapp").again(ledger)(received, entry)
    assert isinstance(made, Received)
    touchpoint = json.loads(b"".join(made.parts()))
    assert touchpoint["id"] == digest_of(b"wamid.1", ledger.vault.content_key())


def test_two_touchpoints_that_would_conflict_are_told(shell: Shell) -> None:
    """Of what a vendor sends twice in one delivery nothing is wrong."""
    text = _stripe().replace('id = "{id}"', 'id = "always"')
    other = EVENT | {"id": "evt_2", "data": {"object": {"id": "cus_2", "name": "Eva"}}}
    arguments = ("connector", "test", shell.write("own.toml", text.encode()), "-o", "json")
    payload = shell.write("two.json", json.dumps([EVENT, other]).encode())
    ran = shell(*arguments, "--payload", payload)
    assert (ran.code, len(ran.json)) == (3, 2)
    assert "touchpoints 1 and 2 have the same source and id (stripe, always)" in ran.err
    payload = shell.write("same.json", json.dumps([EVENT, EVENT]).encode())
    ran = shell(*arguments, "--payload", payload)
    assert (ran.code, ran.err) == (0, "")


def test_what_a_webhook_brought_is_retried_with_a_mended_connector(shell: Shell) -> None:
    assert shell("init").code == 0
    _brought(shell, "stripe")
    (entry,) = shell("quarantine", "list", "-o", "json").json
    assert (entry["door"], entry["reason"], entry["context"]["delivery"]) == (
        "webhook", "unmapped", "evt_1",
    )  # fmt: skip

    ran = shell("quarantine", "retry", "1")
    assert ran.code == 3
    assert "by the connector stripe: give stripe, or its mended file stripe.toml" in ran.err
    assert shell("quarantine", "retry", "1", "--mapping", "stripe").code == 3
    mended = shell.write("stripe.toml", MENDED.encode())
    ran = shell("quarantine", "retry", "--all", "--mapping", mended)
    assert (ran.code, ran.json["recorded"]) == (0, 1)
    (touchpoint,) = shell("log", "list", "-o", "json").json
    assert (touchpoint["id"], touchpoint["source"]) == ("evt_1", "eu")


MENDED = _stripe().replace("['customer.created', ", "['customer.discovered', ")
MAPPING = b"""
source = "till"
[[touchpoint]]
type = "event.tracked.v1"
id = "{row}"
subject = "customer:{customer}"
time = "{day}"
data = { name = "visit" }
"""


@pytest.fixture
def three(shell: Shell) -> Shell:
    """A ledger with entries of two connectors and of an import in quarantine."""
    assert shell("init").code == 0
    _brought(shell, "stripe")
    _brought(shell, "parcel", "customer.lost")
    rows = shell.write("till.csv", b"customer,day\n1,yesterday\n")
    assert shell("import", rows, "--mapping", shell.write("map.toml", MAPPING)).code == 3
    return shell


def _waiting(shell: Shell) -> list[int]:
    return [entry["entry"] for entry in shell("quarantine", "list", "-o", "json").json]


def test_all_takes_only_the_entries_that_a_file_is_for(three: Shell) -> None:
    before = _waiting(three)
    everything = MENDED.replace(
        "'customer.discovered', ", "'customer.discovered', 'customer.lost', "
    )
    ran = three(
        "quarantine", "retry", "--all", "--mapping", three.write("stripe.toml", everything.encode())
    )
    assert (ran.code, ran.json["received"], ran.json["recorded"]) == (0, 1, 1)
    assert "2 entries passed over, which" in ran.err
    assert "stripe.toml (the connector stripe) is not for" in ran.err
    assert _waiting(three) == before[1:]
    rows = MAPPING.replace(b"{day}", b"2026-01-05T10:00:00Z")
    ran = three("quarantine", "retry", "--all", "--mapping", three.write("map.toml", rows))
    assert (ran.code, ran.json["received"], ran.json["recorded"]) == (0, 1, 1)
    assert "1 entry passed over, which" in ran.err
    assert _waiting(three) == before[1:2]


def test_an_entry_that_is_named_is_refused_to_the_file_of_another(three: Shell) -> None:
    """Before anything is done, also to those that the file is for."""
    before = _waiting(three)
    first, second, third = map(str, before)
    mended = three.write("stripe.toml", MENDED.encode())
    ran = three("quarantine", "retry", first, second, "--mapping", mended)
    assert ran.code == 2
    assert (
        f"entry {second}, which came by the connector parcel: give its mended file parcel.toml"
        in ran.err
    )
    ran = three("quarantine", "retry", third, "--mapping", "stripe")
    assert ran.code == 2
    assert f"entry {third}, which came by an import of" in ran.err
    assert "till.csv: give its mapping" in ran.err
    ran = three("quarantine", "retry", first, "--mapping", three.write("map.toml", MAPPING))
    assert ran.code == 2
    assert f"entry {first}, which came by the connector stripe: give stripe, or" in ran.err
    assert _waiting(three) == before
    assert three("log", "list", "-o", "json").json == []


def test_a_touchpoint_takes_no_mapping(shell: Shell) -> None:
    assert shell("init").code == 0
    assert shell("append", stdin=b"{}").code == 3
    ran = shell("quarantine", "retry", "1", "--mapping", "stripe")
    assert ran.code == 2
    assert "entry 1, which came as a touchpoint (append): retry it without --mapping" in ran.err


def test_without_a_file_an_entry_says_which_one_it_takes(three: Shell) -> None:
    ran = three("quarantine", "retry", "--all")
    assert ran.code == 3
    assert (
        "it came by the connector parcel: give its mended file parcel.toml by --mapping" in ran.err
    )
    assert "give the mended mapping by --mapping" in ran.err


def test_a_file_of_webhooks_given_as_a_mapping_is_told(three: Shell) -> None:
    for text in (b"[[webhook]]\n", b"[[webhooks]]\n"):
        file = three.write("webhooks.toml", text)
        ran = three("quarantine", "retry", "--all", "--mapping", file)
        assert (ran.code, "are for a file of `serve --webhooks`" in ran.err) == (2, True)
    ran = three("quarantine", "retry", "--all", "--mapping", "strpie")
    assert (ran.code, "no connector strpie; did you mean stripe?" in ran.err) == (2, True)


def test_serve_logs_each_webhook_at_its_start(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell("init").code == 0
    monkeypatch.setattr("cli.commands.serve.collect_seldom", lambda: None)
    monkeypatch.setattr("cli.commands.serve.serve", lambda *_: None)
    monkeypatch.setenv("STRIPE_SECRET_OF_TESTS", "very-secret")
    file = shell.write(
        "webhooks.toml",
        b'[[webhook]]\npath = "eu"\nconnector = "stripe"\n'
        b'secrets = ["env:STRIPE_SECRET_OF_TESTS"]\n',
    )
    ran = shell("serve", "--no-follow", "--webhooks", file)
    assert ran.code == 0
    (told,) = [json.loads(line) for line in ran.err.splitlines()]
    assert (told["event"], told["name"], told["connector"], told["path"]) == (
        "webhook", "eu", "stripe", "/v1/webhooks/eu",
    )  # fmt: skip


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
