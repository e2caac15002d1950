"""Webhooks over HTTP: what is authentic is recorded once, and of anything else nothing is kept."""

import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from structlog.testing import capture_logs

from ledger.ledger import Ledger
from ledger.quarantine import WAITING
from ledger.retrying import retry
from schemas.replay import decode
from tests.ledger.sending import SECOND, positions, waiting
from tests.web.serving import Client, Reply, serving
from tests.web.webhooks.deliveries import DELIVERIES
from tests.web.webhooks.signing import (
    PUBLIC_URL,
    Pair,
    Sent,
    configured,
    hubspot_v3,
    sns,
    stripe,
    text_secret,
    topic,
    vendor_of,
)
from web.refusals import Refusals
from web.settings import Settings
from web.webhooks.connector import load_connector, shipped_path
from web.webhooks.payload import digest_of
from web.webhooks.receiving import Webhook, again
from web.webhooks.sns import Sns

OURS = text_secret("ours")
PATH = "/v1/webhooks/it"
CANARY = "canary@example.com"


def customer(event: str = "evt_1", kind: str = "customer.created") -> bytes:
    about = {"id": "cus_1", "email": CANARY, "name": "Ana"}
    return json.dumps(
        {"id": event, "type": kind, "created": 1_767_607_200, "data": {"object": about}}
    ).encode()


@contextmanager
def taking(ledger: Ledger, *webhooks: Webhook, public_url: str | None = None) -> Iterator[Client]:
    settings = Settings(webhooks=webhooks, public_url=public_url)
    with serving(ledger, settings) as running, running.client(role=None) as client:
        yield client


def deliver(client: Client, sent: Sent) -> Reply:
    return client.ask(sent.method, PATH, sent.body, sent.headers)


def test_an_authentic_delivery_is_recorded_once(ledger: Ledger, tmp_path: Path) -> None:
    now = ledger.log.clock()
    chat = replace(configured(tmp_path, "whatsapp", [OURS], 'tokens = ["env:0"]'), name="chat")
    with taking(ledger, configured(tmp_path, "stripe", [OURS]), chat) as client:
        first = deliver(client, stripe(Sent(customer(), at=now), OURS))
        assert (first.status, first.json()["recorded"]) == (200, 1)
        later = stripe(Sent(customer(), at=now + SECOND), OURS)
        assert deliver(client, later).json()["duplicate"] == 1
        changed = customer().replace(b"Ana", b"Eva")
        answered = deliver(client, stripe(Sent(changed, at=now), OURS))
        assert (answered.status, answered.json()["conflict"]) == (200, 1)
        assert positions(ledger) == [1]
        told = vendor_of("whatsapp", "").sign(DELIVERIES["whatsapp"], OURS)
        client.ask("POST", "/v1/webhooks/chat", told.body, told.headers)
    made = [decode(each.topic, each.state).id for each in ledger.log.page(1, 10)]
    key = ledger.vault.content_key()
    assert made == [digest_of(id_, key) for id_ in (b"wamid.0", b"wamid.1")]


def test_of_a_forged_delivery_nothing_is_kept_and_nothing_told(
    ledger: Ledger, tmp_path: Path
) -> None:
    now = ledger.log.clock()
    right = stripe(Sent(customer(), at=now), OURS)
    stale = stripe(Sent(customer(), at=now - 360 * SECOND), OURS)
    early = stripe(Sent(customer(), at=now + 360 * SECOND), OURS)
    forged = [
        (Sent(customer()), "signature_missing"),
        (stripe(Sent(customer(), at=now), text_secret("other")), "signature_wrong"),
        (replace(right, body=customer("evt_2")), "signature_wrong"),
        (stale, "signature_stale"),
        (early, "signature_from_future"),
    ]
    webhook = configured(tmp_path, "stripe", [OURS])
    with serving(ledger, Settings(webhooks=(webhook,))) as running, capture_logs() as logs:
        with running.client(role=None) as client:
            for sent, code in forged:
                answered = deliver(client, sent)
                assert (answered.status, answered.json()["code"]) == (401, code)
                assert CANARY not in answered.body.decode()
        told = running.watch.metrics.told()[0].decode()
    assert positions(ledger) == []
    assert waiting(ledger) == []
    assert 'refused_total{reason="webhook_signature_wrong"} 2.0' in told
    told_of = [log for log in logs if log["event"] == "webhook refused"]
    assert (told_of[0]["webhook"], told_of[0]["code"]) == ("it", "signature_missing")
    assert CANARY not in repr(logs)
    assert OURS.ours not in repr(logs)


def test_who_forges_does_not_use_up_what_the_vendor_may_send(
    ledger: Ledger, tmp_path: Path
) -> None:
    now = ledger.log.clock()
    forged = stripe(Sent(customer(), at=now), text_secret("other"))
    settings = Settings(
        webhooks=(configured(tmp_path, "stripe", [OURS]),), requests_per_second=0.01
    )
    with serving(ledger, settings) as running, running.client(role=None) as client:
        assert [deliver(client, forged).status for _ in range(3)] == [401, 429, 429]
        assert deliver(client, stripe(Sent(customer(), at=now), OURS)).status == 200
        often = deliver(client, stripe(Sent(customer("evt_2"), at=now), OURS))
        assert (often.status, often.json()["code"]) == (429, "too_many_requests")
        assert 90 < int(often.headers["retry-after"]) <= 100
    assert positions(ledger) == [1]


def test_the_log_has_a_line_a_second_of_what_is_refused() -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    with capture_logs() as logs:
        for second in (0.0, 0.1, 0.9, 1.0, 1.5, 9.0):
            now = second
            refusals.tell("it", "signature_wrong")
        refusals.tell("other", "signature_stale")
    assert [(log["webhook"], log["others"]) for log in logs] == [
        ("it", 0), ("it", 2), ("it", 1), ("other", 0),
    ]  # fmt: skip


def test_the_log_warns_of_what_is_not_recorded(ledger: Ledger, tmp_path: Path) -> None:
    """With the number of the entry, a line a second at most, and without anything personal."""
    now = ledger.log.clock()
    webhook = configured(tmp_path, "stripe", [OURS])
    with taking(ledger, webhook) as client, capture_logs() as logs:
        for body in (customer("evt_1", "customer.discovered"), customer("evt_2", "customer.lost")):
            deliver(client, stripe(Sent(body, at=now), OURS))
        assert deliver(client, stripe(Sent(customer("evt_3"), at=now), OURS)).json()["recorded"]
    told = [log for log in logs if log["event"] == "webhook item in quarantine"]
    assert told[0] == {
        "event": "webhook item in quarantine", "log_level": "warning", "webhook": "it",
        "code": "unmapped", "entry": waiting(ledger)[0].entry, "others": 0,
    }  # fmt: skip
    assert CANARY not in repr(logs)

    later = 0.0
    refusals = Refusals(lambda: later)
    with capture_logs() as logs:
        refusals.tell("it", "signature_wrong")
        refusals.kept("it", "conflict", 1)  # not hidden by who forges
        refusals.kept("it", "unmapped", 2)
        later = 1.0
        refusals.kept("it", "unmapped", 3)
    assert [(log["code"], log.get("entry"), log["others"]) for log in logs] == [
        ("signature_wrong", None, 0), ("conflict", 1, 0), ("unmapped", 3, 1),
    ]  # fmt: skip


def test_a_conflict_is_warned_of_too(ledger: Ledger, tmp_path: Path) -> None:
    now = ledger.log.clock()
    with (
        taking(ledger, configured(tmp_path, "stripe", [OURS])) as client,
        capture_logs() as logs,
    ):
        for body in (customer(), customer().replace(b"Ana", b"Eva")):
            deliver(client, stripe(Sent(body, at=now), OURS))
    told = [log for log in logs if log["event"] == "webhook item in quarantine"]
    assert [(log["code"], log["entry"]) for log in told] == [
        ("conflict", entry.entry) for entry in waiting(ledger)
    ]


def test_one_delivery_from_many_at_once_is_one_touchpoint(ledger: Ledger, tmp_path: Path) -> None:
    sent = stripe(Sent(customer(), at=ledger.log.clock()), OURS)
    with serving(ledger, Settings(webhooks=(configured(tmp_path, "stripe", [OURS]),))) as running:
        found: list[int] = []

        def one() -> None:
            with running.client(role=None) as client:
                found.append(deliver(client, sent).json()["items"][0]["position"])

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [1] * 8
    assert positions(ledger) == [1]


def test_what_has_no_mapping_waits_until_the_connector_is_mended(
    ledger: Ledger, tmp_path: Path
) -> None:
    now = ledger.log.clock()
    body = customer("evt_9", "customer.discovered")
    with taking(ledger, configured(tmp_path, "stripe", [OURS])) as client:
        for at in (now, now + SECOND):  # the vendor sends it again: still one entry
            answered = deliver(client, stripe(Sent(body, at=at), OURS))
            assert answered.status == 200
            assert answered.json()["items"][0]["code"] == "unmapped"
    (entry,) = waiting(ledger, WAITING)
    assert (entry.door, entry.reason, entry.times) == ("webhook", "unmapped", 2)
    assert entry.context["delivery"] == "evt_9"

    assert retry(ledger, entry).refused is not None  # nothing has changed
    shipped = shipped_path("stripe")
    assert shipped is not None
    text = shipped.read_text()
    mended = tmp_path / "mended.toml"
    mended.write_text(text.replace("['customer.created', ", "['customer.discovered', "))
    connector = load_connector(mended)
    retried = retry(ledger, entry, lambda r, e: again(r, e.reason, connector, b""))
    assert (retried.refused, retried.receipt.recorded) == (None, 1)
    assert waiting(ledger, WAITING) == []


def test_a_body_that_cannot_be_read_is_kept_whole(ledger: Ledger, tmp_path: Path) -> None:
    sent = stripe(Sent(b'{"id": ', at=ledger.log.clock()), OURS)
    with taking(ledger, configured(tmp_path, "stripe", [OURS])) as client:
        answered = deliver(client, sent)
    assert (answered.status, answered.json()["items"][0]["code"]) == (200, "payload")
    (entry,) = waiting(ledger)
    with ledger.store.cursor() as cursor:
        assert ledger.quarantine.bytes_of(entry.entry, cursor) == sent.body


def test_the_address_that_is_signed_is_the_public_one(ledger: Ledger, tmp_path: Path) -> None:
    event = {
        "eventId": 1, "subscriptionType": "contact.creation", "objectId": 5,
        "occurredAt": 1_767_607_200_000, "attemptNumber": 0,
    }  # fmt: skip
    with taking(ledger, configured(tmp_path, "hubspot", [OURS]), public_url=PUBLIC_URL) as client:
        first = Sent(json.dumps([event]).encode(), at=ledger.log.clock())
        assert deliver(client, hubspot_v3(first, OURS)).json()["recorded"] == 1
        event["attemptNumber"] = 1
        second = Sent(json.dumps([event]).encode(), at=ledger.log.clock())
        assert deliver(client, hubspot_v3(second, OURS)).json()["duplicate"] == 1
        elsewhere = replace(second, url="https://elsewhere.example/v1/webhooks/it")
        assert deliver(client, hubspot_v3(elsewhere, OURS)).status == 401


def test_a_vendor_that_takes_answers_for_instructions_is_given_none(
    ledger: Ledger, tmp_path: Path
) -> None:
    vendor = vendor_of("twilio", "form")
    sent = replace(vendor.sign(DELIVERIES["twilio"], OURS), at=ledger.log.clock())
    with taking(ledger, configured(tmp_path, "twilio", [OURS]), public_url=PUBLIC_URL) as client:
        reply = deliver(client, sent)
    assert (reply.status, reply.body) == (200, b"<Response/>")
    assert reply.headers["content-type"].startswith("text/xml")
    assert ledger.log.head().position > 0


def test_deliveries_share_the_room_for_bodies_of_those_who_are_not_known_yet(
    ledger: Ledger, tmp_path: Path
) -> None:
    settings = Settings(webhooks=(configured(tmp_path, "stripe", [OURS]),), strangers_max=8)
    with serving(ledger, settings) as running, running.client(role=None) as client:
        reply = client.ask("POST", PATH, customer())
    assert (reply.status, reply.json()["code"]) == (503, "busy")


HANDSHAKES = """
title = "Probe"
link = "https://probe.example"
source = "probe"

[signature]
scheme = "hmac"
header = "X-Signature"

[[handshake]]
method = "GET"
challenge = "hub.challenge"
token = "hub.verify_token"

[[handshake]]
when = "event == 'endpoint.url_validation'"
challenge = "payload.plainToken"
answer = { plainToken = "{challenge}", encryptedToken = "{hmac_hex}" }

[[touchpoint]]
type = "event.tracked.v1"
id = "{_delivery}"
subject = "customer:{customer}"
time = "{at}"
data = { name = "{event}" }
"""


def test_handshakes_are_answered_to_who_knows_the_secret(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "probe.toml").write_text(HANDSHAKES)
    webhook = configured(tmp_path, "probe.toml", [OURS], 'tokens = ["verify-me"]')
    with taking(ledger, webhook) as client:
        asked = client.get(f"{PATH}?hub.mode=subscribe&hub.challenge=42&hub.verify_token=verify-me")
        assert (asked.status, asked.body) == (200, b"42")
        assert asked.headers["content-type"].startswith("text/plain")
        wrong = client.get(f"{PATH}?hub.challenge=42&hub.verify_token=guess")
        assert (wrong.status, wrong.json()["code"]) == (401, "signature_wrong")
        assert client.get(f"{PATH}?hub.challenge=42").status == 401

        body = b'{"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}}'
        signature = hmac.new(OURS.theirs, body, "sha256").hexdigest()
        answered = client.ask("POST", PATH, body, {"X-Signature": signature})
        assert answered.json() == {
            "plainToken": "abc",
            "encryptedToken": hmac.new(OURS.theirs, b"abc", "sha256").hexdigest(),
        }
        assert client.ask("POST", PATH, body).status == 401

        assert client.get("/v1/webhooks/another").status == 404
    assert positions(ledger) == []
    assert waiting(ledger) == []


def test_a_webhook_without_a_handshake_takes_post_alone(ledger: Ledger, tmp_path: Path) -> None:
    with taking(ledger, configured(tmp_path, "stripe", [OURS])) as client:
        asked = client.get(PATH)
    assert (asked.status, asked.headers["allow"]) == (405, "POST")


SES = """
title = "Probe"
link = "https://probe.example"
source = "ses"
signature = { scheme = "sns" }
delivery = { column = "MessageId" }
payload = { embedded = ["Message"] }

[[handshake]]
when = "Type == 'SubscriptionConfirmation'"
visit = "SubscribeURL"

[[touchpoint]]
type = "event.tracked.v1"
id = "{_delivery}"
subject = "email:{Message.to}"
time = "{Timestamp}"
data = { name = "{Message.event}" }
"""


def test_amazon_is_let_in_by_its_topic_and_its_subscription_confirmed(
    ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "probe.toml").write_text(SES)
    ours: Pair = topic("ours")
    webhook = configured(tmp_path, "probe.toml", [ours])
    visited: list[str] = []
    (scheme,) = [scheme for scheme, _ in webhook.keys]
    assert isinstance(scheme, Sns)
    fetched = scheme.certificates.get
    scheme.certificates.get = lambda url: visited.append(url) or fetched(url)  # type: ignore[func-returns-value]
    sent = Sent(b'{"event": "send", "to": "ana@example.com"}', at=ledger.log.clock())
    confirm = {"Type": "SubscriptionConfirmation", "Token": "t"}
    with taking(ledger, webhook) as client:
        assert deliver(client, sns(sent, ours)).json()["recorded"] == 1
        assert deliver(client, sns(sent, topic("other"))).status == 401
        there = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
        asked = deliver(client, sns(sent, ours, SubscribeURL=there, **confirm))
        assert asked.status == 503  # what stands there cannot be had, and the vendor asks again
        elsewhere = "https://internal.example/?Action=ConfirmSubscription"
        assert deliver(client, sns(sent, ours, SubscribeURL=elsewhere, **confirm)).status == 422
    assert there in visited
    assert elsewhere not in visited
    assert positions(ledger) == [1]
    assert waiting(ledger) == []
