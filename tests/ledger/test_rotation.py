"""Rotation of the master key: nobody notices it, and at no moment is a key lost."""

import stat
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ledger.rotation
from ledger.address import Address
from ledger.errors import KeysMissing, Locked
from ledger.intake import Stop, StopRequested
from ledger.key_standing import KeyStanding, key_standing
from ledger.keyfile import holding_key_file, read_key_file
from ledger.ledger import Ledger, open_ledger
from ledger.masters import Masters, master_id
from ledger.rotation import Rotated, prepare, rotate
from schemas.replay import decode
from tests.ledger.carrying import Files, carry_into, carry_out_of, quiet
from tests.ledger.sending import order, send, waiting
from tests.places import Places, a_place


def describe(ledger: Ledger, *numbers: int) -> None:
    """Touchpoints with something personal in them, each of another customer."""
    send(
        ledger,
        *(
            order(str(n), subject=f"customer:{n}", type="customer.described.v1",
                  data={"traits": {"name": f"Ana {n}"}})
            for n in numbers
        ),
    )  # fmt: skip


def names(ledger: Ledger) -> list[str]:
    """What a window shows of all touchpoints, in the order of their ids."""
    stored = ledger.log.page(0, 1_000)
    envelopes = ledger.vault.reveal(decode(s.topic, s.state) for s in stored)
    return [e.data.traits.name for e in sorted(envelopes, key=lambda e: int(e.id))]


def named(numbers: Iterable[int]) -> list[str]:
    return [f"Ana {n}" for n in sorted(numbers)]


class StopAfter(Stop):
    """A signal that comes after so many batches."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self._left = batches

    @property
    def requested(self) -> bool:
        self._left -= 1
        return self._left < 0


def turn(address: Address) -> Rotated:
    return rotate(address, quiet, Stop())


def interrupt(address: Address, batches: int) -> None:
    """A rotation that ends before it is over, unless there is too little to do."""
    try:
        rotate(address, quiet, StopAfter(batches))
    except StopRequested:
        return


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.rotation, "BATCH_KEYS", 2)


def states(address: Address) -> list[tuple[str, int]]:
    return [(master.state, master.keys) for master in key_standing(address).masters]


def test_afterwards_all_keys_are_under_the_new_master_and_the_old_one_is_gone(
    address: Address,
) -> None:
    with open_ledger(address) as opened:
        describe(opened, *range(5))
    before = read_key_file(address.keys)
    rotated = turn(address)
    after = read_key_file(address.keys)
    assert rotated == Rotated(master_id(after.master), 6)  # with that of quarantine
    assert (after.token, after.signing) == (before.token, before.signing)
    assert before.master not in after.masters
    assert len(after.masters) == 1
    assert stat.S_IMODE(address.keys.stat().st_mode) == 0o600
    with closing(address.key_store()) as store:
        live = [key.wrapped for key in store.every() if key.is_live]
    assert len(live) == 6
    for wrapped in live:
        Masters([after.master]).unwrap(wrapped)
        with pytest.raises(KeysMissing):
            Masters([before.master]).unwrap(wrapped)


def test_who_was_at_work_before_goes_on_reading_and_appending(address: Address) -> None:
    with open_ledger(address) as early, open_ledger(address) as idle:
        describe(early, 1, 2)
        turn(address)
        describe(early, 3)  # a new key, by one who knows the old master only
        assert names(idle) == names(early) == named([1, 2, 3])
        turn(address)
        turn(address)
        describe(idle, 4)
    with open_ledger(address) as late:
        assert names(late) == named([1, 2, 3, 4])
    assert states(address) == [("in use", 5)]


def test_what_is_in_quarantine_opens_after_a_rotation(address: Address) -> None:
    with open_ledger(address) as opened:
        send(opened, b"broken")
    turn(address)
    with open_ledger(address) as again, again.store.cursor() as cursor:
        (entry,) = waiting(again)
        assert again.quarantine.bytes_of(entry.entry, cursor) == b"broken"


def test_an_interrupted_rotation_says_so_and_goes_on(address: Address) -> None:
    with open_ledger(address) as opened:
        describe(opened, *range(5))
    interrupt(address, 1)
    assert states(address) == [("going", 4), ("in use", 2)]
    assert key_standing(address).rotation == "unfinished"
    with open_ledger(address) as between:
        assert names(between) == named(range(5))
    assert turn(address).keys == 4
    assert key_standing(address).rotation == "none"


steps = st.lists(
    st.sampled_from(["append", "append early", "prepare", "finish", 0, 1, 2, 3]), max_size=6
)


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=steps)
def test_after_any_number_of_interrupted_rotations_every_touchpoint_opens(
    places: Places, steps: list[str | int]
) -> None:
    with a_place(places) as address, open_ledger(address) as early:
        done = 0
        for step in [*steps, "append", "append early"]:
            if step == "append":
                with open_ledger(address) as opened:
                    describe(opened, done, done + 1)
                done += 2
            elif step == "append early":
                describe(early, done, done + 1)
                done += 2
            elif step == "prepare":
                prepare(address)
            elif step == "finish":
                turn(address)
            elif isinstance(step, int):
                interrupt(address, step)
            with open_ledger(address) as fresh:
                assert names(fresh) == named(range(done))
        assert names(early) == named(range(done))
        standing = key_standing(address)
        assert standing.keys == done + 1
        assert_holds_every_master(standing)


def assert_holds_every_master(standing: KeyStanding) -> None:
    assert "missing" not in {master.state for master in standing.masters}


def test_a_key_that_is_destroyed_while_it_is_wrapped_anew_stays_destroyed(
    ledger: Ledger, address: Address
) -> None:
    describe(ledger, 1)
    with closing(address.key_store()) as store:
        ((_, old),) = store.find(["customer:1"])
        ledger.keyring.destroy(["customer:1"])
        store.rewrap([("customer:1", old, b"new" * 16)])
        assert dict(store.find(["customer:1"])) == {"customer:1": b""}
    turn(address)
    assert ledger.keyring.ensure(["customer:1"]) == {}


def test_only_one_process_rotates_at_a_time(address: Address) -> None:
    with holding_key_file(address.keys) as held:
        for attempt in (turn, prepare):
            with pytest.raises(Locked, match="another process"):
                attempt(address)
        held.replace(held.keys)  # it is held on, also when the file is another
        with pytest.raises(Locked, match="another process"):
            turn(address)
    turn(address)


def test_a_key_file_of_before_a_rotation_is_told_and_does_no_harm(address: Address) -> None:
    with open_ledger(address) as opened:
        describe(opened, 1)
    old = address.keys.read_bytes()
    turn(address)
    new = address.keys.read_bytes()
    address.keys.write_bytes(old)
    with pytest.raises(KeysMissing, match="bring the key file"):
        open_ledger(address)
    with pytest.raises(KeysMissing, match="rotated elsewhere"):
        turn(address)
    assert ("missing", 2) in states(address)
    address.keys.write_bytes(new)
    with open_ledger(address) as again:
        assert names(again) == named([1])


def test_who_had_the_old_key_file_and_needs_a_new_key_is_told_to_bring_the_new_one(
    ledger: Ledger, address: Address
) -> None:
    old = address.keys.read_bytes()
    turn(address)
    address.keys.write_bytes(old)  # as it is on another machine
    with pytest.raises(KeysMissing, match="bring the key file"):
        describe(ledger, 1)
    with closing(address.key_store()) as store:
        assert dict(store.find(["customer:1"])) == {}


def test_a_prepared_key_file_serves_other_machines_during_and_after_the_rotation(
    address: Address,
) -> None:
    with open_ledger(address) as opened:
        describe(opened, 1)
    coming = prepare(address)
    assert prepare(address) == coming
    assert key_standing(address).rotation == "prepared"
    brought = address.keys.read_bytes()
    assert turn(address).master == coming
    address.keys.write_bytes(brought)  # as it is on another machine
    with open_ledger(address) as elsewhere:
        describe(elsewhere, 2)
        assert names(elsewhere) == named([1, 2])


def test_a_draft_that_a_killed_process_has_left_is_replaced(address: Address) -> None:
    draft = address.keys.with_name(address.keys.name + ".new")
    draft.write_bytes(b"half a key file")
    turn(address)
    assert not draft.exists()


def test_a_link_to_the_key_file_stays_a_link(address: Address) -> None:
    real = address.keys.with_name("real.keys")
    address.keys.rename(real)
    address.keys.symlink_to(real)
    turn(address)
    assert address.keys.is_symlink()
    open_ledger(address).close()
    address.keys.unlink()


def test_a_backup_of_an_unfinished_rotation_is_whole(
    ledger: Ledger, address: Address, places: Places, tmp_path: Path
) -> None:
    describe(ledger, *range(5))
    interrupt(address, 1)
    files = Files.within(tmp_path / "carried")
    carry_out_of(address, files)
    new = places.unmade()
    assert carry_into(new, files).keys_missing == 0
    assert key_standing(new).rotation == "unfinished"
    with open_ledger(new) as restored:
        describe(restored, 5)
    assert turn(new).keys == 4
    with open_ledger(new) as restored:
        assert names(restored) == named(range(6))


def test_a_backup_takes_the_secrets_as_they_are_now(
    ledger: Ledger, address: Address, places: Places, tmp_path: Path
) -> None:
    """A ledger that was open before the rotation has read others."""
    from ledger.backup.writing import back_up

    describe(ledger, 1)
    turn(address)
    files = Files.within(tmp_path / "carried")
    back_up(ledger, files.ledger, files.keys, overwrite=False, report=quiet, stop=Stop())
    new = places.unmade()
    carry_into(new, files)
    with open_ledger(new) as restored:
        assert names(restored) == named([1])


def test_neither_the_standing_nor_what_was_rotated_shows_a_key(address: Address) -> None:
    keys = read_key_file(address.keys)
    shown = repr(key_standing(address)) + repr(turn(address)) + repr(read_key_file(address.keys))
    for secret in (keys.master, keys.token, keys.signing, read_key_file(address.keys).master):
        assert repr(secret) not in shown
        assert secret.hex() not in shown
