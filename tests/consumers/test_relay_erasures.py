"""A relay of personal data that lags: who was erased meanwhile does not go out in clear."""

from contextlib import nullcontext
from typing import Any, cast

from consumers.relay import Choice, Relay
from consumers.watch import RelayWatch
from ledger.erasure import erase, plan_erasure
from ledger.intake import Stop
from ledger.ledger import Ledger, open_ledger
from tests.consumers.relaying import facts, record

NOBODY = cast(Any, None)
"""A cluster and a producer, where nothing is published."""


def test_who_is_erased_while_it_lags_does_not_go_out_in_clear(ledger: Ledger) -> None:
    record(ledger, facts(2))
    relay = Relay(
        ledger, NOBODY, NOBODY, "topic", watch=RelayWatch(), stop=Stop(),
        choice=Choice(personal=True), progress=lambda: nullcontext(lambda *_: None),
    )  # fmt: skip

    def sent() -> str:
        records = relay._records(ledger.log.page(0, 1_000))
        return "".join(f"{record.key!r}{record.value!r}" for _, record in records)

    assert "canary.one.0" in sent()
    assert "canary.two.0" in sent()
    with open_ledger(ledger.address) as elsewhere:
        address = elsewhere.vault.stored_subject("email:canary.two.0@x.it")
        for number, subject in enumerate(("customer:0", address)):
            erase(elsewhere, plan_erasure(elsewhere, subject), "asked for it", f"e{number}")
    after = sent()
    assert "canary.one.0" not in after
    assert "canary.two.0" not in after
    assert "canary.one.1" in after
    assert "canary.two.1" in after
