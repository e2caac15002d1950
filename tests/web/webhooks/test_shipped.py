"""Every connector that is shipped lets in what its vendor signs, and nothing else (FAULTS 17)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ledger.sending import NOW, SECOND
from tests.web.webhooks.deliveries import DELIVERIES
from tests.web.webhooks.signing import Sent, Vendor, configured, receive, vendor_of
from web.webhooks.connector import load_connector, shipped, shipped_path
from web.webhooks.receiving import Webhook, check
from web.webhooks.schemes import FUTURE, MISSING, STALE, WRONG, Unauthentic

CASES = [
    (name, scheme.name)
    for name in shipped()
    for path in [shipped_path(name)]
    if path is not None
    for scheme in load_connector(path).schemes
]


def code_of(webhook: Webhook, sent: Sent, at: int = NOW) -> str | None:
    """Why a request is turned away; None where it is let in."""
    try:
        check(webhook, sent.received(at))
    except Unauthentic as refused:
        return refused.code
    return None


@pytest.fixture(params=CASES, ids=lambda case: "-".join(filter(None, case)))
def case(request: pytest.FixtureRequest) -> tuple[str, str, Vendor]:
    connector, scheme = request.param
    return connector, scheme, vendor_of(connector, scheme)


def test_what_the_vendor_signs_comes_in_and_nothing_else(
    case: tuple[str, str, Vendor], tmp_path: Path
) -> None:
    connector, scheme, vendor = case
    ours, other = vendor.secret("ours"), vendor.secret("other")
    extra = _extra(connector, scheme)
    webhook = configured(tmp_path, connector, [ours], extra)
    sent = vendor.sent(ours)

    assert code_of(webhook, sent) is None
    assert code_of(webhook, vendor.sent(other)) == WRONG
    assert code_of(webhook, vendor.unsigned()) == MISSING
    if vendor.covers_body:
        assert code_of(webhook, replace(sent, body=sent.body.replace(b"1", b"2") + b" ")) == WRONG

    rotating = configured(tmp_path, connector, [other, ours], extra)
    assert code_of(rotating, sent) is None
    assert code_of(rotating, vendor.sent(other)) is None
    assert code_of(rotating, vendor.sent(vendor.secret("third"))) == WRONG


def test_what_is_too_old_or_from_the_future_is_turned_away(
    case: tuple[str, str, Vendor], tmp_path: Path
) -> None:
    connector, scheme, vendor = case
    ours = vendor.secret("ours")
    webhook = configured(tmp_path, connector, [ours], _extra(connector, scheme))
    sent = vendor.sent(ours)
    tolerance = vendor.tolerance_seconds * SECOND

    late, early = (
        code_of(webhook, sent, NOW + tolerance + SECOND),
        code_of(webhook, sent, NOW - tolerance - SECOND),
    )
    assert (late, early) == ((STALE, FUTURE) if vendor.timed else (None, None))
    assert code_of(webhook, sent, NOW + tolerance - SECOND) is None
    assert code_of(webhook, sent, NOW - tolerance + SECOND) is None


def test_secrets_are_shown_nowhere(case: tuple[str, str, Vendor], tmp_path: Path) -> None:
    connector, scheme, vendor = case
    ours = vendor.secret("ours")
    webhook = configured(tmp_path, connector, [ours], _extra(connector, scheme))
    assert ours.ours not in repr(webhook)
    with pytest.raises(Unauthentic) as refused:
        check(webhook, vendor.sent(vendor.secret("other")).received())
    assert "other" not in str(refused.value)


@pytest.mark.parametrize("connector", list(shipped()))
def test_a_delivery_that_comes_again_gives_the_same_again(connector: str, tmp_path: Path) -> None:
    """Byte for byte, also a minute later: that it is known the ledger sees by its id."""
    (scheme, *_) = [scheme for name, scheme in CASES if name == connector]
    vendor = vendor_of(connector, scheme)
    ours = vendor.secret("ours")
    webhook = configured(tmp_path, connector, [ours], _extra(connector, scheme))
    sent = vendor.sign(DELIVERIES[connector], ours)

    first, later = (given(webhook, sent, at) for at in (NOW, NOW + 60 * SECOND))
    assert first == later
    ids = [json.loads(touchpoint)["id"] for touchpoint in first]
    assert len(ids) == len(set(ids)) > 0


def given(webhook: Webhook, sent: Sent, at: int) -> list[bytes]:
    """The touchpoints of a delivery, none of which is kept in quarantine."""
    items = receive(webhook, sent.received(at))
    assert isinstance(items, list)
    assert not [item[1] for item in items if isinstance(item, tuple)]
    return [b"".join(item.parts()) for item in items if not isinstance(item, tuple)]


def _extra(connector: str, scheme: str) -> str:
    path = shipped_path(connector)
    assert path is not None
    tokens = any(handshake.token for handshake in load_connector(path).handshakes)
    return (f'schemes = ["{scheme}"]\n' if scheme else "") + (
        'tokens = ["env:0"]\n' if tokens else ""
    )
