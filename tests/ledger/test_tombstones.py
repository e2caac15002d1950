"""Erasures of which only the keys know: a ledger older than that is brought to their state."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger.address import Address
from ledger.erasure import erase, plan_erasure
from ledger.errors import Denied
from ledger.ledger import Ledger, open_ledger
from ledger.quarantine import Received
from ledger.store import Store
from schemas.replay import decode
from tests.ledger.carrying import Files, carry_into, carry_out_of, names_shown
from tests.ledger.sending import Event, kept_bytes, order, query, send, waiting
from tests.places import Places

ANA, BOB = "customer:ana", "customer:bob"
EMAIL = "ana@example.com"
BROKEN = b'{"subject": "customer:ana", "name": "Ana Konda", "street": '
BINARY = Received(b"a call of Ana's", "kafka", headers=[("ce_subject", b"customer:ana")])


def described(subject: str, email: str) -> Event:
    traits = {"name": subject.title(), "email": email}
    return order(subject, subject=subject, type="customer.described.v1", data={"traits": traits})


def unreadable(**data: str) -> Event:
    """What no schema knows; it goes to quarantine."""
    return order("unreadable", subject="shop:1", type="nothing.known.v1", data=data)


ABOUT_ANA = (
    order("a", subject=ANA, type="nothing.known.v1"), unreadable(other=ANA),
    unreadable(written_by=" Ana@Example.com"), BROKEN, BINARY,
)  # fmt: skip
OTHERS = (
    order("b", subject=BOB, type="nothing.known.v1"), unreadable(text=f"not {ANA}"),
    unreadable(other="customer:anastasia"), b"customer:anastasia {",
)  # fmt: skip


@pytest.fixture
def told(ledger: Ledger) -> Ledger:
    send(ledger, described(ANA, EMAIL), described(BOB, "bob@example.com"), *ABOUT_ANA, *OTHERS)
    assert len(waiting(ledger)) == len(ABOUT_ANA) + len(OTHERS)
    return ledger


def tombstone(address: Address, subject: str) -> int:
    with closing(address.key_store()) as store:
        (at,) = (k.created_at for k in store.every() if k.subject == subject and not k.is_live)
    return at


def assert_gone(ledger: Ledger) -> None:
    """Ana is nowhere, and everybody else is."""
    erased = query(ledger, "SELECT subject, certificate_id, erased_at FROM erased_subjects")
    assert erased == [(ANA, "keys", tombstone(ledger.address, ANA))]
    assert query(ledger, "SELECT subject FROM search_tokens") == [(BOB,)]
    address = ledger.vault.stored_subject(f"email:{EMAIL}")
    assert query(ledger, "SELECT * FROM ties WHERE subject = ?", address) == []
    states = [entry.status for entry in waiting(ledger, None)]
    assert states == ["discarded"] * len(ABOUT_ANA) + ["waiting"] * len(OTHERS)
    for entry in waiting(ledger, "discarded"):
        assert (kept_bytes(ledger, entry.entry), entry.note) == (b"", "erased: keys")
    assert all(kept_bytes(ledger, entry.entry) for entry in waiting(ledger))
    assert names_shown(ledger) == ["[erased]", BOB.title()]


def test_an_old_backup_of_the_log_beside_the_keys_of_today_brings_nobody_back(
    told: Ledger, places: Places, tmp_path: Path
) -> None:
    old, newer = Files.within(tmp_path / "old"), Files.within(tmp_path / "newer")
    carry_out_of(told.address, old)
    erase(told, plan_erasure(told, ANA), "asked for it", "erasure-1")
    carry_out_of(told.address, newer)
    new = places.unmade()
    carry_into(new, Files(old.ledger, newer.keys))
    with open_ledger(new) as restored:
        assert_gone(restored)


def test_an_old_copy_of_the_ledger_itself_forgets_when_it_is_opened(told: Ledger) -> None:
    told.keyring.destroy([ANA])  # as if the tables had been put back after an erasure
    with open_ledger(told.address) as again:
        assert_gone(again)
        assert again.unheeded == 0


def test_a_ledger_that_knows_of_its_erasures_is_not_written_when_it_is_opened(
    told: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(told, plan_erasure(told, ANA), "asked for it", "erasure-1")
    denied(told.store, monkeypatch)
    with open_ledger(told.address) as again:
        assert again.unheeded == 0
    assert query(told, "SELECT certificate_id FROM erased_subjects") == [("erasure-1",)]


def test_who_may_not_write_reads_all_the_same_and_leaves_it_to_others(
    told: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.keyring.destroy([ANA])
    with monkeypatch.context() as patched:
        denied(told.store, patched)
        with open_ledger(told.address) as again:
            assert again.unheeded == 1
            assert names_shown(again) == ["[erased]", BOB.title()]
    with open_ledger(told.address) as again:
        assert_gone(again)


def denied(store: Store, patched: pytest.MonkeyPatch) -> None:
    whole: Any = type(store).cursor

    def reading(self: Store, *, write: bool = False, durable: bool = True) -> Any:
        if write:
            raise Denied("this user may only read")
        return whole(self, write=write, durable=durable)

    patched.setattr(type(store), "cursor", reading)


def test_a_place_without_a_log_stays_empty_so_that_one_can_be_restored_there(
    told: Ledger, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.keyring.destroy([ANA])
    files = Files.within(tmp_path / "carried")
    carry_out_of(told.address, files)
    new = places.unmade()
    with monkeypatch.context() as patched:
        patched.setattr("ledger.backup.restoring.move_head", killed)
        with pytest.raises(KeyboardInterrupt):
            carry_into(new, files)
    with open_ledger(new) as between:
        assert query(between, "SELECT * FROM erased_subjects") == []
    carry_into(new, files)
    with open_ledger(new) as restored:
        assert_gone(restored)


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_process_that_has_read_the_keys_forgets_those_of_who_was_erased_meanwhile(
    told: Ledger,
) -> None:
    assert names_shown(told) == [ANA.title(), BOB.title()]
    with open_ledger(told.address) as elsewhere:
        erase(elsewhere, plan_erasure(elsewhere, ANA), "asked for it", "erasure-1")
    told.heed_erasures(decode(each.topic, each.state) for each in told.log.page(0, 10))
    assert names_shown(told) == ["[erased]", BOB.title()]
