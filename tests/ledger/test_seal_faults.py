"""Somebody with every right in the database changes the log: verification says what and where."""

from collections.abc import Callable

import pytest

from ledger.address import Address
from ledger.ledger import Ledger, open_ledger
from ledger.seals import kept
from ledger.seals.heads import SealedHead, signed, signing_key
from ledger.seals.leaves import hashes_of, rows_between
from ledger.seals.sealing import seal
from ledger.seals.verifying import Verified, Witness, verify_log
from tests.ledger.sealed import BEHIND, FIRST, SECOND, Hands, fill_and_seal, flip, tampering
from tests.ledger.sending import orders, send

AT = 1_027
FAR = 30
"""A bit that leads to a number which nothing else has."""
Fault = Callable[[Hands], None]


def bit_of(column: str, bit: int = 0) -> Fault:
    def change(hands: Hands) -> None:
        hands.change(column, AT, flip(hands.read(column, AT), bit))

    return change


def swap(hands: Hands) -> None:
    for before, after in ((AT, 1 << FAR), (AT + 40, AT), (1 << FAR, AT + 40)):
        hands.change("notification_id", before, after)


def lose_last_row(hands: Hands) -> None:
    hands.do("DELETE FROM stored_events WHERE notification_id = ?", BEHIND)


def cut_off(hands: Hands, after: int = AT - 1) -> None:
    hands.do("DELETE FROM stored_events WHERE notification_id > ?", after)
    hands.do("UPDATE head SET position = ?", after)


def statement(sql: str, *values: object) -> Fault:
    def run(hands: Hands) -> None:
        hands.do(sql, *values)

    return run


FAULTS: dict[str, tuple[Fault, int | None]] = {
    "state": (bit_of("state"), AT),
    "topic": (bit_of("topic"), AT),
    "source": (bit_of("source"), AT),
    "id": (bit_of("id"), AT),
    "stream": (bit_of("originator_id", -1), AT),
    "version": (bit_of("originator_version", FAR), AT),
    "recorded_at": (bit_of("recorded_at"), AT),
    "digest": (bit_of("digest"), AT),
    "position": (bit_of("notification_id", FAR), AT),
    "a row removed": (statement("DELETE FROM stored_events WHERE notification_id = ?", AT), AT),
    "the last row removed": (lose_last_row, BEHIND),
    "two rows swapped": (swap, AT),
    "the end cut off": (cut_off, AT),
    "a leaf hash changed": (
        statement(
            "UPDATE leaf_hashes SET hashes = ? WHERE first = 1025", bytes(32) * (SECOND - 1_024)
        ),
        1_025,
    ),
    "leaf hashes removed": (
        statement("DELETE FROM leaf_hashes WHERE first = ?", FIRST + 1),
        FIRST + 1,
    ),
    "a signature changed": (
        statement("UPDATE seals SET signature = ? WHERE number = 1", bytes(64)),
        None,
    ),
    "a head moved in time": (
        statement("UPDATE seals SET sealed_at = sealed_at + 1 WHERE number = 1"),
        None,
    ),
}
"""What is done, and the first position that is bad then; None where it is a head alone."""


@pytest.fixture
def heads(ledger: Ledger) -> list[SealedHead]:
    return fill_and_seal(ledger)


def verified(address: Address, *kept_elsewhere: SealedHead) -> Verified:
    with open_ledger(address) as ledger:
        return verify_log(ledger, [Witness(head, "kept") for head in kept_elsewhere])


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_where_it_is(
    fault: str, address: Address, heads: list[SealedHead]
) -> None:
    """Without any head from elsewhere."""
    assert verified(address).ok
    do, where = FAULTS[fault]
    with tampering(address) as hands:
        do(hands)
    found = verified(address)
    assert (found.ok, found.first_bad) == (False, where)
    assert found.reason


def test_what_is_wrong_with_a_position_is_told(address: Address, heads: list[SealedHead]) -> None:
    for fault, reason in (
        ("leaf hashes removed", "the leaf hash that was kept of the row is missing"),
        ("a row removed", "the row is missing"),
        ("the end cut off", "the log ends here, but leaf hashes are kept up to 1300"),
    ):
        with open_ledger(address) as ledger, tampering(address) as hands:
            kept_rows = hands.do("SELECT first, hashes FROM leaf_hashes ORDER BY first")
            FAULTS[fault][0](hands)
            assert verify_log(ledger).reason == reason
            hands.do("DELETE FROM leaf_hashes")
            with ledger.store.cursor(write=True) as cursor:
                cursor.insert_rows("leaf_hashes", kept_rows)


def test_of_two_faults_the_first_is_named(address: Address, heads: list[SealedHead]) -> None:
    with tampering(address) as hands:
        bit_of("state")(hands)
        hands.change("topic", 3, "order.cancelled.v1")
        hands.do("DELETE FROM stored_events WHERE notification_id = 900")
    assert verified(address).first_bad == 3


def test_a_row_behind_the_end_is_found(address: Address, heads: list[SealedHead]) -> None:
    with tampering(address) as hands:
        hands.do("UPDATE head SET position = ?", BEHIND - 1)
    assert verified(address).first_bad == BEHIND


def forge(address: Address) -> None:
    """All that is kept of seals is thrown away, and made anew with the key of the ledger."""
    with tampering(address) as hands:
        for table in ("leaf_hashes", "seals"):
            hands.do(f"DELETE FROM {table}")
    with open_ledger(address) as ledger:
        seal(ledger)


def test_a_log_that_was_cut_off_and_sealed_anew_is_found_by_a_head_kept_elsewhere(
    address: Address, heads: list[SealedHead]
) -> None:
    with tampering(address) as hands:
        cut_off(hands)
    forge(address)
    assert verified(address).ok  # nobody can tell, who has nothing from before
    found = verified(address, *heads)
    assert (found.ok, found.first_bad) == (False, AT)
    assert found.reason == "kept: the log had 1,300 touchpoints, and now ends at 1,026"


def test_a_log_that_was_made_anew_is_found_by_a_head_kept_elsewhere(
    address: Address, heads: list[SealedHead]
) -> None:
    """Longer than before, with another end: the first bad position is behind the last good head."""
    with tampering(address) as hands:
        cut_off(hands)
        hands.drop_from_index(AT - 1)
    with open_ledger(address) as ledger:
        send(ledger, *orders(range(5_000, 5_400)))
    forge(address)
    assert verified(address).ok
    found = verified(address, *heads)
    assert (found.ok, found.first_bad) == (False, FIRST + 1)
    assert found.reason is not None
    assert "between 701 and 1,300" in found.reason
    assert verified(address, heads[0]).ok


def test_leaf_hashes_made_anew_do_not_fit_the_heads_that_are_kept(
    address: Address, heads: list[SealedHead]
) -> None:
    with tampering(address) as hands:
        bit_of("state")(hands)
        hands.do("DELETE FROM leaf_hashes")
        with open_ledger(address) as ledger, ledger.store.cursor(write=True) as cursor:
            kept.keep_hashes(1, hashes_of(rows_between(1, SECOND, cursor)), cursor)
    found = verified(address)
    assert (found.ok, found.first_bad) == (False, FIRST + 1)


def test_a_head_of_another_key_or_ledger_is_told(address: Address, heads: list[SealedHead]) -> None:
    stranger = signing_key(b"s" * 32)
    found = verified(address, signed(heads[0], stranger))
    assert (found.ok, found.first_bad) == (False, None)
    assert found.reason == "kept: it is not signed by the key of this ledger"
