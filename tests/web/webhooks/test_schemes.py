"""Signatures beside what each vendor's file is tried with: which scheme decides, and oracles."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Oracle

from tests.ledger.sending import NOW, SECOND
from tests.web.webhooks.signing import (
    Sent,
    configured,
    hubspot_v1,
    hubspot_v2,
    hubspot_v3,
    standard_v1,
    standard_v1a,
    stripe,
    text_secret,
    whpk,
    whsec,
)
from web.webhooks.receiving import check
from web.webhooks.schemes import FUTURE, MISSING, STALE, WRONG, Unauthentic
from web.webhooks.signed_text import signed_text

OURS, OTHER = text_secret("ours"), text_secret("other")
BODY = b'{"type": "a", "data": {}}'
TOOLS = """
title = "Probe"
link = "https://probe.example"
source = "probe"
{signature}
[[touchpoint]]
type = "event.tracked.v1"
id = "{{_delivery}}"
subject = "customer:1"
time = "{{_received}}"
data = {{ name = "probe" }}
"""


def test_what_the_library_of_standard_webhooks_signs_is_right(tmp_path: Path) -> None:
    webhook = configured(tmp_path, "standard_webhooks", [whsec("ours")])
    oracle = Oracle(whsec("ours").ours)
    moment = datetime.fromtimestamp(NOW / SECOND, UTC)
    signature = oracle.sign("msg_1", moment, BODY.decode())
    sent = Sent(BODY).plus(
        webhook_id="msg_1", webhook_timestamp=str(NOW // SECOND), webhook_signature=signature
    )
    check(webhook, sent.received())
    assert standard_v1(Sent(BODY), whsec("ours")).headers["webhook-signature"] == signature


def test_a_right_signature_among_wrong_ones_is_enough(tmp_path: Path) -> None:
    webhook = configured(tmp_path, "standard_webhooks", [whsec("ours")])
    right, wrong = standard_v1(Sent(BODY), whsec("ours")), standard_v1(Sent(BODY), whsec("old"))
    both = " ".join(sent.headers["webhook-signature"] for sent in (wrong, right))
    check(webhook, replace(right, headers={**right.headers, "webhook-signature": both}).received())


def test_a_public_signature_alone_is_missing_where_only_a_secret_is_known(tmp_path: Path) -> None:
    """FAULTS 17, `v1a` only: nobody's public key is configured."""
    webhook = configured(tmp_path, "standard_webhooks", [whsec("ours")])
    with pytest.raises(Unauthentic) as refused:
        check(webhook, standard_v1a(Sent(BODY), whpk("ours")).received())
    assert refused.value.code == MISSING


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp"])
def test_all_that_is_signed_is_held_to(changed: str, tmp_path: Path) -> None:
    webhook = configured(tmp_path, "standard_webhooks", [whsec("ours")])
    sent = standard_v1(Sent(BODY), whsec("ours"))
    later = {changed: str(NOW // SECOND + 1)}
    with pytest.raises(Unauthentic) as refused:
        check(webhook, replace(sent, headers=sent.headers | later).received())
    assert refused.value.code == WRONG


def test_the_strongest_scheme_that_is_there_decides(tmp_path: Path) -> None:
    webhook = configured(tmp_path, "hubspot", [OURS])
    weak = hubspot_v1(Sent(BODY), OURS)
    check(webhook, weak.received())
    check(webhook, hubspot_v3(weak, OURS).received())
    with pytest.raises(Unauthentic) as refused:
        check(webhook, hubspot_v3(weak, OTHER).received())
    assert refused.value.code == WRONG


def test_a_version_that_is_named_is_the_one_that_is_meant(tmp_path: Path) -> None:
    webhook = configured(tmp_path, "hubspot", [OURS])
    check(webhook, hubspot_v2(Sent(BODY), OURS).received())
    lying = hubspot_v2(Sent(BODY), OURS).plus(X_HubSpot_Signature_Version="v1")
    with pytest.raises(Unauthentic):
        check(webhook, lying.received())


def test_only_the_schemes_that_are_configured_are_let_in(tmp_path: Path) -> None:
    webhook = configured(tmp_path, "hubspot", [OURS], 'schemes = ["v3"]')
    check(webhook, hubspot_v3(Sent(BODY), OURS).received())
    with pytest.raises(Unauthentic) as refused:
        check(webhook, hubspot_v1(Sent(BODY), OURS).received())
    assert refused.value.code == MISSING


@pytest.mark.parametrize(
    "header",
    ["", "t=,v1=", "v1=aa", "t=x,v1=aa", "t=1,v1=zz", "t=1;v1=aa", "ü", "t=1,v1=" + "a" * 10_000,
     ",".join(["t=1"] + ["v1=aa"] * 500)],
)  # fmt: skip
def test_a_header_of_any_form_is_refused_and_nothing_worse(header: str, tmp_path: Path) -> None:
    webhook = configured(tmp_path, "stripe", [OURS])
    with pytest.raises(Unauthentic):
        check(webhook, Sent(BODY).plus(Stripe_Signature=header).received())


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [("9" * 19, FUTURE), ("9" * 30, "signature_time"), ("١٧٦٧", "signature_time"),
     ("1e9", "signature_time"), ("-1", STALE)],
)  # fmt: skip
def test_a_timestamp_that_is_signed_and_is_none_is_refused(
    timestamp: str, code: str, tmp_path: Path
) -> None:
    import hmac

    webhook = configured(tmp_path, "stripe", [OURS])
    made = hmac.new(OURS.theirs, timestamp.encode() + b"." + BODY, "sha256").hexdigest()
    sent = Sent(BODY).plus(Stripe_Signature=f"t={timestamp},v1={made}")
    with pytest.raises(Unauthentic) as refused:
        check(webhook, sent.received())
    assert refused.value.code == code


def test_a_signature_is_right_in_any_case_of_hex(tmp_path: Path) -> None:
    webhook = configured(tmp_path, "stripe", [OURS])
    sent = stripe(Sent(BODY), OURS)
    upper = sent.headers["Stripe-Signature"].upper().replace("T=", "t=").replace("V1=", "v1=")
    check(webhook, sent.plus(Stripe_Signature=upper).received())


FORM_AND_ADDRESS = """
[[signature]]
name = "json"
scheme = "hmac"
algorithm = "sha1"
encoding = "base64"
header = "X-Twilio-Signature"
signed = "{url}"
body_hash = { query = "bodySHA256" }

[[signature]]
name = "form"
scheme = "hmac"
algorithm = "sha1"
encoding = "base64"
header = "X-Twilio-Signature"
signed = "{url}{form}"
"""


def test_a_signed_address_vouches_for_no_body_but_the_one_whose_hash_it_holds(
    tmp_path: Path,
) -> None:
    """As Twilio signs: a form by its fields, anything else by a hash in the address."""
    from tests.web.webhooks.signing import FORM, twilio_form, twilio_json

    text = TOOLS.replace("{signature}", FORM_AND_ADDRESS).replace("{{", "{").replace("}}", "}")
    (tmp_path / "probe.toml").write_text(text)
    webhook = configured(tmp_path, "probe.toml", [OURS])
    form = Sent(b"From=%2B15005550006&Body=Hi+there", headers={"Content-Type": FORM})
    check(webhook, twilio_form(form, OURS).received())
    signed = twilio_json(Sent(BODY), OURS)
    check(webhook, signed.received())
    for forged in (
        replace(signed, body=BODY + b" "),
        replace(signed, url=signed.url.partition("?")[0]),
        replace(twilio_form(form, OURS), body=b"From=%2B15005550006&Body=Hi+there&To=1"),
        replace(twilio_form(form, OURS), headers=signed.headers),
        twilio_form(replace(form, headers={"Content-Type": "application/json"}), OURS),
    ):
        with pytest.raises(Unauthentic):
            check(webhook, forged.received())


@pytest.mark.parametrize(
    ("place", "sent"),
    [
        ('header = "X-Key"\nprefix = "Token "', Sent(b"{}").plus(X_Key="Token secret-ours")),
        ('query = "key"', Sent(b"{}", url="https://x/?key=secret-ours")),
        ('column = "auth.key"', Sent(json.dumps({"auth": {"key": "secret-ours"}}).encode())),
    ],
)
def test_a_shared_secret_stands_where_the_connector_says(
    place: str, sent: Sent, tmp_path: Path
) -> None:
    text = TOOLS.format(signature=f'[signature]\nscheme = "secret"\n{place}\n')
    (tmp_path / "probe.toml").write_text(text)
    check(configured(tmp_path, "probe.toml", [OURS]), sent.received())
    for webhook, request in (
        (configured(tmp_path, "probe.toml", [OTHER]), sent),
        (configured(tmp_path, "probe.toml", [OURS]), Sent(b"{}")),
    ):
        with pytest.raises(Unauthentic):
            check(webhook, request.received())


def test_a_signed_text_names_parts_of_a_request() -> None:
    assert signed_text("{header.webhook-id}.{body}").names == ("header.webhook-id", "body")
    with pytest.raises(ValueError, match="no part of a request"):
        signed_text("{bodyy}")
