"""Seals: they grow with the log, one at a time, and hold for every stored byte."""

import threading
from base64 import b64encode
from hashlib import sha256
from itertools import pairwise
from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.address import Address
from ledger.errors import Locked
from ledger.intake import Stop, StopRequested
from ledger.ledger import Ledger, open_ledger
from ledger.seals import rereading, sealing, verifying
from ledger.seals.checking import check_document
from ledger.seals.heads import SealedHead, Unusable, head_from, key_id_of, signing_key
from ledger.seals.kept import Damaged
from ledger.seals.leaves import Row, rows_between
from ledger.seals.proving import Unsealed, prove, prove_consistency
from ledger.seals.sealing import SEALING, seal
from ledger.seals.tree import EMPTY_ROOT, leaf_hash, node_hash
from ledger.seals.verifying import Witness, verify_log
from ledger.store import Cursor
from tests.ledger.sealed import BEHIND, FIRST, SECOND, fill_and_seal, tampering
from tests.ledger.sending import orders, query, send
from tests.places import SQLitePlaces, a_place


def naive_root(ledger: Ledger, size: int) -> bytes:
    """The root by the definition of the RFC, over rows written out as docs/AUDIT.md says."""
    rows = query(
        ledger,
        "SELECT notification_id, recorded_at, originator_version, topic, source, id, "
        "replace(CAST(originator_id AS text), '-', ''), digest, state FROM stored_events "
        "WHERE notification_id <= ? ORDER BY 1",
        size,
    )
    return naive_tree([leaf_hash(naive_leaf(*row)) for row in rows])


def naive_leaf(position: int, recorded_at: int, version: int, *parts: str | bytes) -> bytes:
    raw = [part.encode() if isinstance(part, str) else part for part in parts]
    sizes = pack(">qqqIIIIII", position, recorded_at, version, *map(len, raw))
    return sizes + b"".join(raw)


def naive_tree(hashes: list[bytes]) -> bytes:
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256().digest()
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(naive_tree(hashes[:split]), naive_tree(hashes[split:]))


def test_a_seal_is_the_root_of_all_that_is_stored(ledger: Ledger) -> None:
    empty = seal(ledger)
    first, second = fill_and_seal(ledger)
    assert (empty.size, empty.root) == (0, EMPTY_ROOT)
    assert (first.size, second.size) == (FIRST, SECOND)
    assert first.root == naive_root(ledger, FIRST)
    assert second.root == naive_root(ledger, SECOND)


def test_a_seal_is_signed_by_the_key_of_the_ledger(ledger: Ledger) -> None:
    send(ledger, *orders(range(3)))
    head = seal(ledger)
    key = signing_key(ledger.keys.signing).public_key()
    assert head.is_signed_by(key)
    assert head.key_id == key_id_of(key)
    assert not head.is_signed_by(signing_key(b"x" * 32).public_key())
    assert head_from(head.document()) == head


def test_a_seal_after_a_seal_reads_only_what_is_new(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_and_seal(ledger)
    read = []

    def noted(first: int, last: int, cursor: Cursor) -> list[Row]:
        read.append((first, last))
        return rows_between(first, last, cursor)

    monkeypatch.setattr(sealing, "rows_between", noted)
    head = seal(ledger)
    assert read == [(SECOND + 1, BEHIND)]
    assert head.root == naive_root(ledger, BEHIND)


def test_an_interrupted_seal_is_gone_on_with(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "KEPT_AT_ONCE", 1_024)
    monkeypatch.setattr(sealing, "PAGE_ROWS", 512)
    send(ledger, *orders(range(1, 2_500)))
    stop = Stop()

    def report(phase: str, done: int, total: int) -> None:
        if done >= 1_200:
            stop.signal = 2

    with pytest.raises(StopRequested):
        seal(ledger, report, stop)
    assert query(ledger, "SELECT count(*) FROM seals") == [(0,)]
    assert query(ledger, "SELECT first FROM leaf_hashes") == [(1,)]
    assert seal(ledger).root == naive_root(ledger, 2_499)
    assert verify_log(ledger).ok


def test_only_one_seals_at_a_time(ledger: Ledger) -> None:
    send(ledger, *orders(range(3)))
    with ledger.store.exclusively(SEALING), pytest.raises(Locked):
        seal(ledger)


def test_sealing_goes_on_while_others_append(ledger: Ledger, address: Address) -> None:
    ended = threading.Event()

    def append() -> None:
        with open_ledger(address) as other:
            for n in range(40):
                send(other, *orders(range(50 * n, 50 * n + 50)))
        ended.set()

    writer = threading.Thread(target=append)
    writer.start()
    heads = []
    while not ended.is_set():
        heads.append(seal(ledger))
    writer.join()
    heads.append(seal(ledger))
    assert [head.size for head in heads] == sorted(head.size for head in heads)
    found = verify_log(ledger, [Witness(head, "kept") for head in heads])
    assert (found.ok, found.touchpoints, found.unsealed) == (True, 2_000, 0)
    for older, newer in pairwise(heads):
        assert check_document(prove_consistency(ledger, older, newer), head=older).ok


def test_the_database_refuses_to_change_seals(ledger: Ledger) -> None:
    fill_and_seal(ledger)
    for sql in (
        "UPDATE seals SET size = 1", "DELETE FROM seals", "DELETE FROM leaf_hashes",
        "UPDATE leaf_hashes SET first = first + 1",
    ):  # fmt: skip
        with (
            pytest.raises(Exception, match="append-only"),
            ledger.store.cursor(write=True) as cursor,
        ):
            cursor.execute(sql)


def test_nothing_is_sealed_on_top_of_what_was_changed(ledger: Ledger, address: Address) -> None:
    fill_and_seal(ledger)
    with tampering(address) as hands:
        hands.do("UPDATE seals SET roots = root WHERE number = 2")
    with pytest.raises(Damaged, match="the seal 2 was changed"):
        seal(ledger)


def test_a_log_with_a_gap_is_not_sealed(ledger: Ledger, address: Address) -> None:
    send(ledger, *orders(range(1, 31)))
    with tampering(address) as hands:
        hands.do("DELETE FROM stored_events WHERE notification_id = 17")
    with pytest.raises(Damaged, match="position 17 is not in the log"):
        seal(ledger)


@pytest.mark.parametrize("workers", [1, 2])
def test_verification_in_ranges_comes_to_every_head(
    ledger: Ledger, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranges of 256 leaves: heads end inside of them, and at their ends."""
    for module in (rereading, verifying):
        monkeypatch.setattr(module, "RANGE_LEAVES", 256)
    monkeypatch.setattr(rereading, "IN_PROCESS_MAX", 0)
    heads = []
    for first, last in ((0, 255), (255, 256), (256, 700), (700, 1_024)):
        send(ledger, *orders(range(first, last)))
        heads.append(seal(ledger))
    send(ledger, *orders(range(1_024, 1_100)))
    found = verify_log(ledger, [Witness(h, "kept") for h in heads], workers=workers)
    assert (found.ok, found.touchpoints) == (True, 1_100)
    assert (found.sealed, found.unsealed, found.heads) == (1_024, 76, 8)


def test_a_verification_can_be_interrupted(ledger: Ledger) -> None:
    fill_and_seal(ledger)
    stop = Stop()
    stop.signal = 2
    with pytest.raises(StopRequested):
        verify_log(ledger, stop=stop)


def test_what_is_behind_the_last_seal_cannot_be_proved_yet(ledger: Ledger) -> None:
    with pytest.raises(Unsealed):
        prove(ledger, [1])
    fill_and_seal(ledger)
    with pytest.raises(Unsealed, match="1301 stands behind the last seal"):
        prove(ledger, [3, SECOND + 1])


def test_every_position_can_be_proved(ledger: Ledger) -> None:
    _, head = fill_and_seal(ledger)
    wanted = [1, 2, FIRST, 1_024, 1_025, SECOND]
    proofs = prove(ledger, wanted)
    for position, proof in zip(wanted, proofs, strict=True):
        checked = check_document(proof, head=head)
        assert checked.ok, checked.reason
        assert checked.leaf is not None
        (stored,) = ledger.log.page(position - 1, 1)
        assert (checked.leaf.position, checked.leaf.state) == (position, stored.state)


def test_a_proof_is_only_handed_out_if_it_proves(ledger: Ledger, address: Address) -> None:
    fill_and_seal(ledger)
    with tampering(address) as hands:
        hands.change("id", 5, "another")
    with pytest.raises(Damaged, match="position 5 with this content is not in the log"):
        prove(ledger, [5])


def test_heads_of_two_logs_are_not_consistent(ledger: Ledger, places: Any) -> None:
    first, second = fill_and_seal(ledger)
    with a_place(places) as elsewhere, open_ledger(elsewhere) as other:
        send(other, *orders(range(1, 11)))
        stranger = seal(other)
    for older, newer in ((stranger, second), (second, first)):
        with pytest.raises(Damaged):
            prove_consistency(ledger, older, newer)


@settings(max_examples=60)
@given(data=st.data())
def test_a_proof_with_any_bit_changed_is_none(
    sealed_proofs: list[Any], data: st.DataObject
) -> None:
    """Of what it says: every field of the leaf and of the heads, the path, and their signatures."""
    proof = data.draw(st.sampled_from(sealed_proofs))
    assert check_document(proof).ok
    places = list(leaves_of(proof))
    place = data.draw(st.sampled_from([p for p in places if p[0] not in ("format", "public_key")]))
    changed = changed_at(proof, place, data.draw(st.integers(0, 10_000)))
    assert not check_document(changed).ok


@pytest.fixture(scope="session")
def sealed_proofs(sqlite_places: SQLitePlaces) -> list[Any]:
    """Proofs of both kinds; where they come from makes no difference any more."""
    with a_place(sqlite_places) as address, open_ledger(address) as ledger:
        first, second = fill_and_seal(ledger)
        return [*prove(ledger, [1, 699, 1_100]), prove_consistency(ledger, first, second)]


def leaves_of(value: Any, place: tuple[Any, ...] = ()) -> Any:
    """Where in a document there is a value that has no parts."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in items:
            yield from leaves_of(inner, (*place, name))
    else:
        yield place


def changed_at(value: Any, place: tuple[Any, ...], bit: int) -> Any:
    """The document with one bit of one of its values changed."""
    if place:
        copied = dict(value) if isinstance(value, dict) else list(value)
        copied[place[0]] = changed_at(value[place[0]], place[1:], bit)
        return copied
    if isinstance(value, int):
        return value ^ (1 << bit % 40)
    at = bit // 7 % len(value)
    return value[:at] + chr(ord(value[at]) ^ (1 << bit % 7)) + value[at + 1 :]


@pytest.mark.parametrize(
    "document",
    [
        None, 7, [], "head", {}, {"format": []}, {"format": "touchstone-head-1"},
        {"format": "touchstone-inclusion-1", "head": {}}, {"format": "touchstone-consistency-1"},
    ],
)  # fmt: skip
def test_what_is_no_proof_proves_nothing(document: Any) -> None:
    checked = check_document(document)
    assert not checked.ok
    assert checked.reason


def test_a_head_is_read_in_one_form_only() -> None:
    key = signing_key(bytes(32))
    head = SealedHead(ledger_id="l", size=1, root=bytes(32), time="now", key_id="k", signature=b"s")
    document = head.document()
    assert head_from(document) == head
    for change in (
        {"size": -1}, {"size": "1"}, {"root": "00"}, {"root": "AA" * 32}, {"more": 1},
        {"signature": b64encode(b"s").decode().rstrip("=")}, {"ledger_id": None},
    ):  # fmt: skip
        with pytest.raises(Unusable):
            head_from(document | change)
    assert not head.is_signed_by(key.public_key())
