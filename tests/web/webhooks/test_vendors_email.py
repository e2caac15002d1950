"""Senders of email: signed payloads in their shapes become touchpoints.

SendGrid, Mailchimp, Mandrill, Postmark, Mailjet, Amazon SES, Brevo and SparkPost.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.ledger.sending import NOW
from tests.web.webhooks.signing import FORM, Pair, Sent, Vendor, configured, receive, vendor_of
from web.webhooks.handshakes import Answered, ToVisit
from web.webhooks.receiving import Webhook, answer

SCHEME = {"brevo": "bearer"}
MOMENT = 1_767_607_200
TEN = "2026-01-05T10:00:00Z"

Given = Callable[..., list[dict[str, Any]]]


def form_of(document: Any, name: str = "") -> list[tuple[str, str]]:
    """The fields that Mailchimp writes: data[merges][FNAME]."""
    if not isinstance(document, dict):
        return [(name, str(document))]
    pairs = document.items()
    return [f for k, v in pairs for f in form_of(v, f"{name}[{k}]" if name else k)]


def body_of(vendor: str, payload: Any) -> tuple[bytes, str]:
    """A payload as the vendor writes it, and the content type."""
    if vendor == "mandrill":
        return urlencode({"mandrill_events": json.dumps(payload)}).encode(), FORM
    if vendor == "mailchimp":
        return urlencode(form_of(payload)).encode(), FORM
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return text.encode(), "application/json"


@pytest.fixture
def given(tmp_path: Path) -> Given:
    """What a signed delivery gives: touchpoints, or the reason why an item is kept."""

    def give(vendor: str, payload: Any, at: int = NOW) -> list[dict[str, Any]]:
        webhook, signs, pair = _account(vendor, tmp_path)
        body, content_type = body_of(vendor, payload)
        sent = signs.sign(Sent(body, headers={"Content-Type": content_type}, at=at), pair)
        items = receive(webhook, sent.received(at))
        assert isinstance(items, list)
        return [
            {"kept": item[1].reason, "path": item[1].path}
            if isinstance(item, tuple)
            else json.loads(b"".join(item.parts()))
            for item in items
        ]

    return give


def _account(vendor: str, folder: Path) -> tuple[Webhook, Vendor, Pair]:
    scheme = SCHEME.get(vendor, "")
    signs = vendor_of(vendor, scheme)
    pair = signs.secret("ours")
    extra = f'schemes = ["{scheme}"]\n' if scheme else ""
    return configured(folder, vendor, [pair], extra), signs, pair


def told(touchpoint: dict[str, Any]) -> tuple[str, str, str]:
    return touchpoint["type"], touchpoint["subject"], touchpoint["time"]


# SendGrid


def sendgrid_event(event: str, **more: Any) -> dict[str, Any]:
    return {
        "email": "Ana@Example.com", "timestamp": MOMENT, "event": event,
        "sg_event_id": "ev-1", "sg_message_id": "m1.filter-1", "smtp-id": "<m1@geopod>",
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("event", "more", "type_", "data"),
    [
        ("processed", {"marketing_campaign_id": 7}, "email.sent.v1", {"campaign": "7"}),
        ("delivered", {"response": "250 OK"}, "email.delivered.v1", {}),
        ("open", {"sg_machine_open": True}, "email.opened.v1", {}),
        ("click", {"url": "https://shop.example/a"}, "email.clicked.v1",
         {"url": "https://shop.example/a"}),
        ("bounce", {"type": "bounce", "bounce_classification": "Invalid Address"},
         "email.bounced.v1", {"reason": "bounce: Invalid Address"}),
        ("dropped", {"reason": "Unsubscribed Address"}, "email.bounced.v1",
         {"reason": "dropped: Unsubscribed Address"}),
        ("spamreport", {}, "email.unsubscribed.v1", {"reason": "marked as spam"}),
        ("group_unsubscribe", {"asm_group_id": 3}, "email.unsubscribed.v1",
         {"reason": "left a group"}),
    ],
)  # fmt: skip
def test_sendgrid_tells_what_became_of_an_email(
    given: Given, event: str, more: dict[str, Any], type_: str, data: dict[str, Any]
) -> None:
    (made,) = given("sendgrid", [sendgrid_event(event, **more)])
    assert told(made) == (type_, "email:Ana@Example.com", TEN)
    found = {name: value for name, value in made["data"].items() if name != "extra"}
    assert found == {"message_id": "m1.filter-1"} | data


def test_sendgrid_sends_again_under_another_event_id_and_it_is_the_same(given: Given) -> None:
    first = given("sendgrid", [sendgrid_event("open"), sendgrid_event("deferred", attempt="1")])
    again = given("sendgrid", [
        sendgrid_event("deferred", attempt="1", sg_event_id="ev-7"),
        sendgrid_event("open", sg_event_id="ev-8"),
    ])  # fmt: skip
    assert first == again[::-1]
    assert first[1]["type"] == "event.tracked.v1"
    assert first[1]["data"]["name"] == "sendgrid: deferred"
    assert first[0]["id"] != first[1]["id"]


def test_a_bounce_without_a_message_has_that_of_smtp_and_the_answer_is_personal(
    given: Given,
) -> None:
    bounce = sendgrid_event("bounce", status="5.1.1", reason="550 no ana@example.com here")
    (made,) = given("sendgrid", [bounce | {"sg_message_id": ""}])
    assert made["data"]["message_id"] == "<m1@geopod>"
    assert made["data"]["reason"] == "bounce: 5.1.1"
    assert made["data"]["extra"]["reason"] == "550 no ana@example.com here"


def test_sendgrid_an_account_is_no_customer(given: Given) -> None:
    event = {"event": "account_status_change", "type": "compliance_suspend", "timestamp": MOMENT}
    assert given("sendgrid", [event]) == [{"kept": "unmapped", "path": ""}]


# Mailchimp


def audience(type_: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": type_,
        "fired_at": "2026-01-05 10:00:00",
        "data": {"list_id": "L1", "email": "ana@example.com"} | data,
    }


def test_mailchimp_who_subscribes_consents_and_is_described(given: Given) -> None:
    merges = {
        "EMAIL": "ana@example.com", "FNAME": "Ana", "LNAME": "Bo", "PHONE": "+39 02 1234567",
        "ADDRESS": {"city": "Rome", "country": "IT"}, "SIZE": "M",
    }  # fmt: skip
    joined = audience("subscribe", {"ip_opt": "192.0.2.7", "merges": merges})
    consent, described = given("mailchimp", joined)
    assert told(consent) == ("consent.granted.v1", "email:ana@example.com", TEN)
    assert consent["data"] == {
        "channel": "email", "purpose": "marketing", "evidence": "list L1, confirmed from 192.0.2.7",
    }  # fmt: skip
    assert told(described) == ("customer.described.v1", "email:ana@example.com", TEN)
    assert described["id"] == f"{consent['id']}-described"
    assert described["data"]["traits"] == {
        "email": "ana@example.com", "name": "Ana Bo", "phone": "+39 02 1234567", "country": "IT",
    }  # fmt: skip
    assert described["data"]["extra"]["merges"]["SIZE"] == "M"


@pytest.mark.parametrize(
    ("type_", "data", "wanted", "kept"),
    [
        ("unsubscribe", {"reason": "manual", "campaign_id": "C9"}, "email.unsubscribed.v1",
         {"message_id": "C9", "campaign": "C9", "reason": "unsubscribed"}),
        ("unsubscribe", {"reason": "abuse", "campaign_id": ""}, "email.unsubscribed.v1",
         {"message_id": "L1", "reason": "marked as spam"}),
        ("cleaned", {"reason": "hard", "campaign_id": "C9"}, "email.bounced.v1",
         {"message_id": "C9", "campaign": "C9", "reason": "hard"}),
        ("cleaned", {"reason": "abuse", "campaign_id": "C9"}, "email.unsubscribed.v1",
         {"message_id": "C9", "campaign": "C9", "reason": "marked as spam"}),
    ],
)  # fmt: skip
def test_mailchimp_who_leaves_is_heard(
    given: Given, type_: str, data: dict[str, Any], wanted: str, kept: dict[str, Any]
) -> None:
    (made,) = given("mailchimp", audience(type_, data))
    assert told(made) == (wanted, "email:ana@example.com", TEN)
    assert {n: v for n, v in made["data"].items() if n != "extra"} == kept


def test_mailchimp_a_new_address_is_the_same_person(given: Given) -> None:
    moved = audience("upemail", {"old_email": "ana@example.com", "new_email": "ab@example.org"})
    (link,) = given("mailchimp", moved)
    assert told(link) == ("customer.linked.v1", "email:ana@example.com", TEN)
    assert link["data"]["other"] == "email:ab@example.org"
    assert given("mailchimp", audience("campaign", {"id": "C9", "status": "sent"})) == [
        {"kept": "unmapped", "path": ""}
    ]


def test_mailchimp_is_answered_when_it_asks_with_the_secret(tmp_path: Path) -> None:
    webhook, signs, pair = _account("mailchimp", tmp_path)
    asked = signs.sign(Sent(b"", method="GET"), pair)
    assert answer(webhook, asked.received()) == Answered(b"", "text/plain; charset=utf-8")


# Mandrill


def mandrill_event(event: str, msg: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    about = {"_id": "m1", "email": "ana@example.com", "subject": "Hello", "ts": MOMENT - 9}
    return {"event": event, "_id": "m1", "ts": MOMENT, "msg": about | (msg or {})} | more


@pytest.mark.parametrize(
    ("event", "msg", "more", "type_", "data"),
    [
        ("send", {}, {}, "email.sent.v1", {"subject_line": "Hello"}),
        ("open", {}, {"ip": "192.0.2.1"}, "email.opened.v1", {}),
        ("click", {}, {"url": "https://shop.example/"}, "email.clicked.v1",
         {"url": "https://shop.example/"}),
        ("hard_bounce", {"bounce_description": "bad_mailbox", "diag": "550 <ana@example.com>"}, {},
         "email.bounced.v1", {"reason": "hard_bounce: bad_mailbox"}),
        ("unsub", {}, {}, "email.unsubscribed.v1", {"reason": "unsubscribed"}),
    ],
)  # fmt: skip
def test_mandrill_tells_what_became_of_an_email(
    given: Given,
    event: str,
    msg: dict[str, Any],
    more: dict[str, Any],
    type_: str,
    data: dict[str, Any],
) -> None:
    (made,) = given("mandrill", [mandrill_event(event, msg, **more)])
    assert told(made) == (type_, "email:ana@example.com", TEN)
    assert {n: v for n, v in made["data"].items() if n != "extra"} == {"message_id": "m1"} | data


def test_mandrill_what_a_message_has_gone_through_since_changes_nothing(given: Given) -> None:
    first = given("mandrill", [mandrill_event("open")])
    grown = {"opens": [{"ts": MOMENT}], "clicks": [{"ts": MOMENT + 5}], "state": "sent"}
    assert given("mandrill", [mandrill_event("open", grown)]) == first


def test_mandrill_an_email_that_comes_in_and_a_list_of_addresses(given: Given) -> None:
    came = {
        "event": "inbound", "ts": MOMENT,
        "msg": {
            "from_email": "ana@example.com", "email": "help@shop.example", "subject": "Broken",
            "text": "It is broken", "headers": {"Message-Id": "<q1@mail.example>"},
        },
    }  # fmt: skip
    listed = {
        "type": "blacklist", "action": "add", "ts": MOMENT,
        "reject": {"email": "ana@example.com", "reason": "manual edit"},
    }  # fmt: skip
    received, blocked = given("mandrill", [came, listed])
    assert told(received) == ("email.received.v1", "email:ana@example.com", TEN)
    assert received["id"] == "inbound-<q1@mail.example>"
    assert received["data"]["subject_line"] == "Broken"
    assert received["data"]["body"] == "It is broken"
    assert told(blocked) == ("event.tracked.v1", "email:ana@example.com", TEN)
    assert blocked["data"]["name"] == "mandrill: blacklist add"


# Postmark


@pytest.mark.parametrize(
    ("record", "more", "type_", "id_", "data"),
    [
        ("Delivery", {"Recipient": "ana@example.com", "DeliveredAt": TEN},
         "email.delivered.v1", None, {}),
        ("Open", {"Recipient": "ana@example.com", "ReceivedAt": TEN, "FirstOpen": True},
         "email.opened.v1", None, {}),
        ("Click", {"Recipient": "ana@example.com", "ReceivedAt": TEN,
                   "OriginalLink": "https://shop.example/"},
         "email.clicked.v1", None, {"url": "https://shop.example/"}),
        ("Bounce", {"ID": 42, "Type": "HardBounce", "Email": "ana@example.com", "BouncedAt": TEN,
                    "Details": "550 <ana@example.com>"},
         "email.bounced.v1", "Bounce-42", {"reason": "HardBounce"}),
        ("Bounce", {"ID": 43, "Type": "Unsubscribe", "Email": "ana@example.com", "BouncedAt": TEN},
         "email.unsubscribed.v1", "Bounce-43", {"reason": "unsubscribed"}),
        ("SpamComplaint", {"ID": 44, "Type": "SpamComplaint", "Email": "ana@example.com",
                           "BouncedAt": TEN},
         "email.unsubscribed.v1", "SpamComplaint-44", {"reason": "marked as spam"}),
    ],
)  # fmt: skip
def test_postmark_tells_what_became_of_an_email(
    given: Given,
    record: str,
    more: dict[str, Any],
    type_: str,
    id_: str | None,
    data: dict[str, Any],
) -> None:
    (made,) = given("postmark", {"RecordType": record, "MessageID": "m1"} | more)
    assert told(made) == (type_, "email:ana@example.com", TEN)
    assert id_ in (None, made["id"])
    assert {n: v for n, v in made["data"].items() if n != "extra"} == {"message_id": "m1"} | data


@pytest.mark.parametrize(
    ("suppresses", "reason", "origin", "type_"),
    [
        (True, "ManualSuppression", "Recipient", "email.unsubscribed.v1"),
        (True, "ManualSuppression", "Customer", "event.tracked.v1"),
        (True, "HardBounce", "Recipient", "event.tracked.v1"),
        (False, None, "Recipient", "consent.granted.v1"),
        (False, None, "Admin", "event.tracked.v1"),
    ],
)
def test_postmark_only_the_customers_own_word_changes_his_consent(
    given: Given, suppresses: bool, reason: str | None, origin: str, type_: str
) -> None:
    change = {
        "RecordType": "SubscriptionChange", "MessageID": None, "MessageStream": "news",
        "ChangedAt": TEN, "Recipient": "ana@example.com", "Origin": origin,
        "SuppressSending": suppresses, "SuppressionReason": reason,
    }  # fmt: skip
    (made,) = given("postmark", change)
    assert told(made) == (type_, "email:ana@example.com", TEN)


def test_postmark_an_automatic_answer_is_no_bounce_and_an_email_comes_in(given: Given) -> None:
    away = {
        "RecordType": "Bounce", "ID": 45, "Type": "AutoResponder", "MessageID": "m1",
        "Email": "ana@example.com", "BouncedAt": TEN,
    }  # fmt: skip
    (made,) = given("postmark", away)
    assert (made["type"], made["data"]["name"]) == ("event.tracked.v1", "postmark: AutoResponder")
    came = {
        "FromFull": {"Email": "ana@example.com", "Name": "Ana"}, "MessageID": "in-1",
        "Subject": "Broken", "TextBody": "It is broken\n> quoted", "StrippedTextReply": "It is",
        "Date": "Mon, 5 Jan 2026 11:00:00 +0100 (CET)",
    }  # fmt: skip
    (received,) = given("postmark", came)
    assert received["type"] == "email.received.v1"
    assert (received["id"], received["subject"]) == ("inbound-in-1", "email:ana@example.com")
    assert received["data"]["body"] == "It is"


# Mailjet


def mailjet_event(event: str, **more: Any) -> dict[str, Any]:
    return {
        "event": event, "time": MOMENT, "MessageID": 19421777835146490, "email": "ana@example.com",
        "mj_campaign_id": 0, "mj_contact_id": 4, "customcampaign": "", "CustomID": "c-1",
    } | more  # fmt: skip


def test_mailjet_what_the_server_took_was_sent_and_delivered(given: Given) -> None:
    sent, delivered = given("mailjet", mailjet_event("sent", customcampaign="spring"))
    assert told(sent) == ("email.sent.v1", "email:ana@example.com", TEN)
    assert told(delivered) == ("email.delivered.v1", "email:ana@example.com", TEN)
    assert sent["id"].removesuffix("-sent") == delivered["id"].removesuffix("-delivered")
    for made in (sent, delivered):
        assert made["data"]["message_id"] == "19421777835146490"
        assert made["data"]["campaign"] == "spring"


@pytest.mark.parametrize(
    ("event", "more", "type_", "data"),
    [
        ("open", {"mj_campaign_id": 7257}, "email.opened.v1", {"campaign": "7257"}),
        ("click", {"url": "https://shop.example/"}, "email.clicked.v1",
         {"url": "https://shop.example/"}),
        ("bounce", {"hard_bounce": True, "error_related_to": "recipient", "error": "user unknown"},
         "email.bounced.v1", {"reason": "bounce: recipient: user unknown"}),
        ("blocked", {"error_related_to": "mailjet", "error": "preblocked"},
         "email.bounced.v1", {"reason": "blocked: mailjet: preblocked"}),
        ("spam", {"source": "JMRPP"}, "email.unsubscribed.v1", {"reason": "marked as spam"}),
        ("unsub", {"mj_list_id": 1}, "email.unsubscribed.v1", {"reason": "unsubscribed"}),
    ],
)  # fmt: skip
def test_mailjet_tells_what_became_of_an_email(
    given: Given, event: str, more: dict[str, Any], type_: str, data: dict[str, Any]
) -> None:
    (made,) = given("mailjet", [mailjet_event(event, **more)])
    assert told(made) == (type_, "email:ana@example.com", TEN)
    found = {n: v for n, v in made["data"].items() if n != "extra"}
    assert found == {"message_id": "19421777835146490"} | data


def test_mailjet_what_is_tried_again_has_not_bounced(given: Given) -> None:
    later = mailjet_event("bounce", hard_bounce=False, error="greylisted")
    final = mailjet_event("bounce", hard_bounce=True, error="greylisted")
    full = mailjet_event("bounce", hard_bounce=False, error="quota exceeded")
    types = [made["type"] for made in given("mailjet", [later, final, full])]
    assert types == ["event.tracked.v1", "email.bounced.v1", "email.bounced.v1"]


def test_mailjet_an_email_comes_in(given: Given) -> None:
    came = {
        "Sender": "ana@example.com", "Recipient": "help@shop.example", "Date": "20260105T100000",
        "From": "Ana <ana@example.com>", "Subject": "Broken", "Text-part": "It is broken",
        "Headers": {"Message-ID": "<q1@mail.example>"},
    }  # fmt: skip
    (made,) = given("mailjet", came)
    assert told(made) == ("email.received.v1", "email:ana@example.com", TEN)
    assert made["data"]["message_id"] == "<q1@mail.example>"
    assert made["data"]["body"] == "It is broken"


# Amazon SES


def ses(event: str, destination: list[str], **more: Any) -> dict[str, Any]:
    mail = {
        "timestamp": "2026-01-05T09:59:00.000Z", "messageId": "m1", "destination": destination,
        "tags": {"campaign": ["spring"]}, "commonHeaders": {"subject": "Hello"},
    }  # fmt: skip
    return {"eventType": event, "mail": mail} | more


NOTE = "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"


def test_amazon_tells_each_recipient_apart(given: Given) -> None:
    both = ["ana@example.com", "bo@example.com"]
    first, second = given("amazon_ses", ses("Send", both))
    assert told(first) == ("email.sent.v1", "email:ana@example.com", "2026-01-05T09:59:00Z")
    assert (first["id"], second["id"]) == (f"{NOTE}-1", f"{NOTE}-2")
    assert second["subject"] == "email:bo@example.com"
    assert second["data"] == {
        "message_id": "m1", "subject_line": "Hello", "campaign": "spring",
        "extra": {"tags": {"campaign": ["spring"]}},
    }  # fmt: skip
    delivered = {"timestamp": TEN, "recipients": ["bo@example.com"], "smtpResponse": "250 ok"}
    (made,) = given("amazon_ses", ses("Delivery", both, delivery=delivered))
    assert told(made) == ("email.delivered.v1", "email:bo@example.com", TEN)


def test_amazon_a_bounce_and_a_complaint_are_of_who_is_named(given: Given) -> None:
    both = ["ana@example.com", "bo@example.com"]
    who = [{"emailAddress": "bo@example.com", "status": "5.1.1", "diagnosticCode": "550 bo@"}]
    bounce = {
        "bounceType": "Permanent", "bounceSubType": "General", "timestamp": TEN,
        "bouncedRecipients": who,
    }  # fmt: skip
    (made,) = given("amazon_ses", ses("Bounce", both, bounce=bounce))
    assert told(made) == ("email.bounced.v1", "email:bo@example.com", TEN)
    assert made["data"]["reason"] == "Permanent: General"
    assert made["data"]["extra"]["recipient"]["diagnosticCode"] == "550 bo@"

    of_old = {"notificationType": "Complaint", "mail": {"messageId": "m1", "destination": both}}
    complaint = {"complainedRecipients": [{"emailAddress": "ana@example.com"}], "timestamp": TEN}
    (made,) = given("amazon_ses", of_old | {"complaint": complaint})
    assert told(made) == ("email.unsubscribed.v1", "email:ana@example.com", TEN)
    assert made["data"]["reason"] == "marked as spam"
    opposite = complaint | {"complaintFeedbackType": "not-spam"}
    assert given("amazon_ses", of_old | {"complaint": opposite})[0]["type"] == "event.tracked.v1"


def test_amazon_says_who_opened_only_where_there_is_one(given: Given) -> None:
    click = {"timestamp": TEN, "link": "https://shop.example/", "ipAddress": "192.0.2.1"}
    (made,) = given("amazon_ses", ses("Click", ["ana@example.com"], click=click))
    assert told(made) == ("email.clicked.v1", "email:ana@example.com", TEN)
    assert (made["id"], made["data"]["url"]) == (NOTE, "https://shop.example/")
    two = ses("Open", ["ana@example.com", "bo@example.com"], open={"timestamp": TEN})
    assert {made.get("kept") for made in given("amazon_ses", two)} == {"unmapped"}


def test_amazon_preferences_and_what_comes_in(given: Given) -> None:
    def preferring(everything_off: bool) -> dict[str, Any]:
        wish = {"timestamp": TEN, "newTopicPreferences": {"unsubscribeAll": everything_off}}
        return ses("Subscription", ["ana@example.com"], subscription=wish)

    assert given("amazon_ses", preferring(True))[0]["type"] == "email.unsubscribed.v1"
    assert given("amazon_ses", preferring(False))[0]["type"] == "event.tracked.v1"
    came = {
        "notificationType": "Received", "receipt": {"timestamp": TEN},
        "mail": {
            "messageId": "in-1", "source": "ana@example.com", "commonHeaders": {"subject": "Hi"},
            "destination": ["help@shop.example", "info@shop.example"],
        },
    }  # fmt: skip
    (made,) = given("amazon_ses", came)
    assert told(made) == ("email.received.v1", "email:ana@example.com", TEN)
    assert made["data"]["subject_line"] == "Hi"


def test_amazon_what_is_not_of_an_email_is_kept_but_for_its_greeting(
    given: Given, tmp_path: Path
) -> None:
    greeting = "Successfully validated SNS topic for Amazon SES event publishing."
    assert given("amazon_ses", greeting) == []
    assert given("amazon_ses", {"alarm": "disk"}) == [{"kept": "unmapped", "path": ""}]
    webhook, signs, pair = _account("amazon_ses", tmp_path)
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
    asked: Any = signs.sign
    sent = asked(
        Sent(b"hi"), pair, "2", Type="SubscriptionConfirmation", SubscribeURL=url, Token="t"
    )
    assert receive(webhook, sent.received()) == ToVisit(url)


# Brevo


def brevo_event(event: str, **more: Any) -> dict[str, Any]:
    return {
        "event": event, "email": "ana@example.com", "id": 26224, "date": "2026-01-05 11:00:00",
        "message-id": "<m1@relay.example>", "ts_epoch": MOMENT * 1000,
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("event", "more", "type_", "data"),
    [
        ("request", {"subject": "Hello"}, "email.sent.v1", {"subject_line": "Hello"}),
        ("delivered", {"ts_epoch": MOMENT}, "email.delivered.v1", {}),
        ("unique_opened", {}, "email.opened.v1", {}),
        ("click", {"link": "https://shop.example/"}, "email.clicked.v1",
         {"url": "https://shop.example/"}),
        ("soft_bounce", {"reason": "550 <ana@example.com>"}, "email.bounced.v1",
         {"reason": "soft_bounce"}),
        ("spam", {"ts_epoch": None, "ts_event": MOMENT}, "email.unsubscribed.v1",
         {"reason": "marked as spam"}),
        ("unsubscribed", {}, "email.unsubscribed.v1", {"reason": "unsubscribed"}),
    ],
)  # fmt: skip
def test_brevo_tells_what_became_of_an_email(
    given: Given, event: str, more: dict[str, Any], type_: str, data: dict[str, Any]
) -> None:
    (made,) = given("brevo", brevo_event(event, **more))
    assert told(made) == (type_, "email:ana@example.com", TEN)
    found = {n: v for n, v in made["data"].items() if n != "extra"}
    assert found == {"message_id": "<m1@relay.example>"} | data


def test_brevo_a_campaign_was_sent_before_it_was_delivered(given: Given) -> None:
    event = {
        "event": "delivered", "email": "ana@example.com", "id": 1, "camp_id": 8,
        "campaign name": "Spring", "ts_sent": MOMENT - 60, "ts_event": MOMENT, "ts": MOMENT + 3600,
    }  # fmt: skip
    delivered, sent = given("brevo", [event])
    assert told(delivered) == ("email.delivered.v1", "email:ana@example.com", TEN)
    assert told(sent) == ("email.sent.v1", "email:ana@example.com", "2026-01-05T09:59:00Z")
    assert sent["data"]["purpose"] == "marketing"
    assert (sent["data"]["campaign"], delivered["data"]["campaign"]) == ("8", "8")


@pytest.mark.parametrize(
    ("status", "type_"),
    [
        ("sent", "sms.sent.v1"),
        ("delivered", "sms.delivered.v1"),
        ("hard_bounce", "sms.failed.v1"),
        ("replied", "sms.replied.v1"),
        ("unsubscribe", "consent.withdrawn.v1"),
        ("accepted", "event.tracked.v1"),
    ],
)
def test_brevo_text_messages(given: Given, status: str, type_: str) -> None:
    event = {
        "id": 1, "to": "390212345678", "messageId": 123, "msg_status": status,
        "date": "2026-01-05 11:00:00", "type": "transactional", "reply": "Thank you",
    }  # fmt: skip
    (made,) = given("brevo", event)
    assert told(made) == (type_, "phone:+390212345678", "2026-01-05T11:00:00+01:00")
    if status == "replied":
        assert made["data"]["text"] == "Thank you"


def test_brevo_emails_come_in_several_at_once_and_lists_are_tracked(given: Given) -> None:
    items = [
        {"Uuid": [f"u{n}"], "MessageId": f"<q{n}@mail.example>", "Subject": "Broken",
         "From": {"Name": "Ana", "Address": "ana@example.com"}, "RawTextBody": "It is broken"}
        for n in (1, 2)
    ]  # fmt: skip
    received = given("brevo", {"items": items})
    assert [made["id"] for made in received] == ["inbound-u1", "inbound-u2"]
    assert {made["type"] for made in received} == {"email.received.v1"}
    (listed,) = given("brevo", brevo_event("list_addition", list_id=[3], key="not for anybody"))
    assert listed["data"] == {
        "name": "brevo: list_addition", "properties": {"list_id": [3]},
    }  # fmt: skip


# SparkPost


def sparkpost(kind: str, type_: str, **more: Any) -> dict[str, Any]:
    event = {
        "type": type_, "event_id": "923", "message_id": "m1", "transmission_id": "t1",
        "rcpt_to": "ana@example.com", "raw_rcpt_to": "Ana@example.com", "timestamp": str(MOMENT),
        "campaign_id": "spring",
    }  # fmt: skip
    return {"msys": {kind: event | more}}


@pytest.mark.parametrize(
    ("event", "type_", "data"),
    [
        (sparkpost("message_event", "injection", subject="Hello"), "email.sent.v1",
         {"subject_line": "Hello"}),
        (sparkpost("message_event", "delivery"), "email.delivered.v1", {}),
        (sparkpost("track_event", "open"), "email.opened.v1", {}),
        (sparkpost("track_event", "click", target_link_url="https://shop.example/"),
         "email.clicked.v1", {"url": "https://shop.example/"}),
        (sparkpost("message_event", "bounce", bounce_class="10", raw_reason="550 ana@"),
         "email.bounced.v1", {"reason": "bounce, class 10"}),
        (sparkpost("gen_event", "generation_rejection"), "email.bounced.v1",
         {"reason": "generation_rejection"}),
        (sparkpost("message_event", "bounce", bounce_class="90"), "email.unsubscribed.v1",
         {"reason": "unsubscribed"}),
        (sparkpost("message_event", "spam_complaint"), "email.unsubscribed.v1",
         {"reason": "marked as spam"}),
    ],
)  # fmt: skip
def test_sparkpost_tells_what_became_of_an_email(
    given: Given, event: dict[str, Any], type_: str, data: dict[str, Any]
) -> None:
    (made,) = given("sparkpost", [event])
    assert told(made) == (type_, "email:ana@example.com", TEN)
    assert made["id"] == "923"
    found = {n: v for n, v in made["data"].items() if n != "extra"}
    assert found == {"message_id": "m1", "campaign": "spring"} | data


def test_sparkpost_counts_an_opening_once_and_a_ping_never(given: Given) -> None:
    assert given("sparkpost", [{"msys": {}}]) == []
    batch = [
        sparkpost("track_event", "initial_open", event_id="1"),
        sparkpost("track_event", "open", event_id="2"),
        sparkpost("message_event", "bounce", event_id="3", bounce_class="60"),
        sparkpost("message_event", "delay", event_id="4", bounce_class="21"),
    ]
    made = given("sparkpost", batch)
    assert [one["id"] for one in made if one["type"] == "email.opened.v1"] == ["2"]
    names = [one["data"]["name"] for one in made if one["type"] == "event.tracked.v1"]
    assert names == ["sparkpost: initial_open", "sparkpost: bounce", "sparkpost: delay"]
