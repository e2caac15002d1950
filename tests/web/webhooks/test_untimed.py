"""What a vendor tells without a time happened when it came, and is known when it comes again."""

from ledger.ledger import Ledger
from ledger.quarantine import Received
from tests.ledger.sending import SECOND, send, waiting
from tests.web.webhooks.signing import FORM, Sent
from web.webhooks.connector import load_connector, shipped_path
from web.webhooks.receiving import translated

SMS = Sent(
    b"SmsSid=SM1&SmsStatus=received&MessageSid=SM1&From=%2B390612345678&To=%2B390612345679&Body=Hi",
    headers={"Content-Type": FORM},
)
STATUS = Sent(
    b'{"freshdesk_webhook": {"ticket_id": 7, "triggered_event": "{status:{from:2,to:4}}",'
    b' "ticket_requester_email": "ana@example.com", "ticket_status": "Resolved"}}',
    headers={"Content-Type": "application/json"},
)


def statuses(ledger: Ledger, connector: str, sent: Sent) -> list[str]:
    """What becomes of a delivery and of the same an hour later."""
    path = shipped_path(connector)
    assert path is not None
    loaded, now, became = load_connector(path), ledger.log.clock(), list[str]()
    for at in (now - 3_600 * SECOND, now):
        items = translated(loaded, sent.received(at), connector)
        assert all(isinstance(item, Received) for item in items), items
        receipt, _ = send(ledger, *(item for item in items if isinstance(item, Received)))
        became += [name for name in ("recorded", "duplicate", "conflict") if getattr(receipt, name)]
    return became


def test_with_an_id_of_its_own_it_is_the_same_again(ledger: Ledger) -> None:
    assert statuses(ledger, "twilio", SMS) == ["recorded", "duplicate"]
    assert waiting(ledger) == []


def test_in_the_same_words_alone_it_may_be_another_and_is_kept(ledger: Ledger) -> None:
    assert statuses(ledger, "freshdesk", STATUS) == ["recorded", "conflict"]
