"""A destroyed key: gone from the disk, for every process and for ever, also after a restore."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.address import Address
from ledger.errors import Locked
from ledger.keyring import Keyring, SubjectKey
from ledger.ledger import Ledger, create_ledger, open_ledger
from ledger.masters import Masters
from ledger.sqlite.address import SQLiteAddress
from tests.ledger.carrying import Files, carry_into, carry_out_of
from tests.ledger.sending import order, send
from tests.places import Places, plain_connection

MASTER = bytes(range(32))
ANA, BOB = "customer:ana", "customer:bob"
DESCRIBED = {"type": "customer.described.v1", "data": {"traits": {"name": "Ana Konda"}}}


@pytest.fixture
def home(places: Places) -> Address:
    """A place for a ledger where only the store of keys is made."""
    address = places.unmade()
    with closing(address.key_store()) as store:
        store.create()
    return address


def opened(home: Address) -> "closing[Keyring]":
    """A keyring of a process of its own."""
    return closing(Keyring(home.key_store(), [MASTER]))


@pytest.fixture
def keyring(home: Address) -> Iterator[Keyring]:
    with opened(home) as made:
        yield made


def wrapped_keys(address: Address) -> dict[str, bytes]:
    with closing(address.key_store()) as store:
        return {key.subject: key.wrapped for key in store.every() if key.is_live}


def test_a_destroyed_key_is_found_no_more_and_its_subject_gets_no_other(
    keyring: Keyring, home: Address
) -> None:
    keys = keyring.ensure([ANA, BOB])
    assert keyring.destroy([ANA]) == 1
    with opened(home) as elsewhere:
        for ring in (keyring, elsewhere):
            assert ring.find([ANA, BOB]) == {BOB: keys[BOB]}
            assert ring.ensure([ANA, BOB]) == {BOB: keys[BOB]}
    assert set(wrapped_keys(home)) == {BOB}


def test_a_subject_that_never_had_a_key_gets_none_after_its_erasure(
    keyring: Keyring, home: Address
) -> None:
    assert keyring.destroy([ANA]) == 0
    assert keyring.ensure([ANA]) == {}
    with opened(home) as elsewhere:
        assert elsewhere.ensure([ANA]) == {}


def test_who_was_about_to_make_a_key_when_it_was_destroyed_makes_none(
    keyring: Keyring, home: Address
) -> None:
    with closing(home.key_store()) as store:
        late = Late(store, [MASTER])
        keyring.destroy([ANA])
        assert late.ensure([ANA]) == {}
    assert wrapped_keys(home) == {}


class Late(Keyring):
    """Of a process that looked for keys before another had destroyed them."""

    def find(self, subjects: object) -> dict[str, SubjectKey]:
        return {}


def test_another_process_that_has_read_the_key_can_be_told_to_forget_it(
    keyring: Keyring, home: Address
) -> None:
    keyring.ensure([ANA])
    with opened(home) as elsewhere:
        assert set(elsewhere.find([ANA])) == {ANA}
        keyring.destroy([ANA])
        elsewhere.forget([ANA])
        assert elsewhere.ensure([ANA]) == elsewhere.find([ANA]) == {}


def test_destroying_twice_destroys_once(keyring: Keyring) -> None:
    keyring.ensure([ANA, BOB])
    assert keyring.destroy([ANA]) == 1
    assert keyring.destroy([ANA, BOB]) == 1


def test_of_destroyed_keys_no_byte_is_left_in_any_file(sqlite_places: Places) -> None:
    home = sqlite_places.unmade()
    assert isinstance(home, SQLiteAddress)
    subjects = [f"customer:{n}" for n in range(1_400)]
    with closing(home.key_store()) as store, closing(Keyring(store, [MASTER])) as keyring:
        store.create()
        # As a file that was made without that setting, where divided pages kept copies.
        store._open().execute("PRAGMA secure_delete=OFF")
        for start in range(7):
            keyring.ensure(subjects[start::7])
        gone = set(subjects[::3])
        before = wrapped_keys(home)
        assert any(before[ANY] in content for _, content in contents_of(home))
        keyring.destroy(gone)
        for name, content in contents_of(home):
            assert [s for s in gone if before[s][-40:] in content] == [], name
    assert wrapped_keys(home) == {s: key for s, key in before.items() if s not in gone}


ANY = "customer:0"


def contents_of(home: SQLiteAddress) -> Iterator[tuple[str, bytes]]:
    for path in home.path.parent.iterdir():
        yield path.name, path.read_bytes()


def test_while_the_keys_are_read_the_old_bytes_stay_and_it_is_said_so(
    sqlite_places: Places,
) -> None:
    address = sqlite_places.unmade()
    store = address.key_store()
    with closing(Keyring(store, [MASTER])) as keyring:
        store.create()
        keyring.ensure([ANA, BOB])
        with plain_connection(address, keys=True) as other:
            other.execute("BEGIN")
            other.execute("SELECT * FROM subject_keys").fetchall()
            impatient(store)
            with pytest.raises(Locked, match="run the same command again"):
                keyring.destroy([ANA])
            assert keyring.find([ANA]) == {}
            other.execute("ROLLBACK")
        assert keyring.destroy([ANA]) == 0


def impatient(store: object) -> None:
    """Do not wait a minute for others."""
    connection = store._open()  # type: ignore[attr-defined]
    connection.execute("PRAGMA busy_timeout=0")


def erased(address: Address, *subjects: str) -> None:
    """What an erasure has noted in the ledger."""
    with open_ledger(address) as ledger, ledger.store.cursor(write=True) as cursor:
        cursor.insert_rows("erased_subjects", [(subject, "E1", 1) for subject in subjects])


def test_an_old_copy_of_the_keys_that_is_put_back_brings_back_no_erased_subject(
    ledger: Ledger, address: Address
) -> None:
    send(ledger, *(order(s, subject=s) | DESCRIBED for s in (ANA, BOB)))
    with closing(address.key_store()) as store:
        old = list(store.every())
    erased(address, ANA)
    ledger.keyring.destroy([ANA])
    with plain_connection(address, keys=True) as tool:
        tool.execute("DELETE FROM subject_keys")
    with closing(address.key_store()) as store:
        store.bring(old)
    with open_ledger(address) as again:
        assert set(again.keyring.find([ANA, BOB])) == {BOB}
    assert ANA not in wrapped_keys(address)


def test_an_erasure_that_was_interrupted_is_finished_by_who_opens_the_ledger_next(
    ledger: Ledger, address: Address
) -> None:
    send(ledger, order("1", subject=ANA) | DESCRIBED)
    erased(address, ANA)  # and then the process was killed
    open_ledger(address).close()
    assert ANA not in wrapped_keys(address)


def test_a_backup_carries_the_tombstones(ledger: Ledger, places: Places, tmp_path: Path) -> None:
    send(ledger, *(order(s, subject=s) | DESCRIBED for s in (ANA, BOB)))
    ledger.keyring.destroy([ANA])
    files = Files.within(tmp_path / "carried")
    carry_out_of(ledger.address, files)
    new = places.unmade()
    assert carry_into(new, files).keys_missing == 0
    with open_ledger(new) as restored:
        assert set(restored.keyring.ensure([ANA, BOB])) == {BOB}


def test_old_keys_restored_with_a_newer_ledger_bring_back_no_erased_subject(
    ledger: Ledger, places: Places, tmp_path: Path
) -> None:
    address = ledger.address
    send(ledger, *(order(s, subject=s) | DESCRIBED for s in (ANA, BOB)))
    old, newer = Files.within(tmp_path / "old"), Files.within(tmp_path / "newer")
    carry_out_of(address, old)
    erased(address, ANA)
    ledger.keyring.destroy([ANA])
    carry_out_of(address, newer)
    new = places.unmade()
    carry_into(new, Files(newer.ledger, old.keys))
    assert ANA not in wrapped_keys(new)
    assert BOB in wrapped_keys(new)


def test_what_is_destroyed_in_a_backup_is_destroyed_where_it_is_restored(
    ledger: Ledger, places: Places, tmp_path: Path
) -> None:
    send(ledger, order("1", subject=ANA) | DESCRIBED)
    with closing(ledger.address.key_store()) as store:
        living = list(store.every())
    ledger.keyring.destroy([ANA])
    files = Files.within(tmp_path / "carried")
    carry_out_of(ledger.address, files)
    new = places.unmade()
    with closing(new.key_store()) as store:
        store.create()
        store.bring(living)
    carry_into(new, files)
    assert ANA not in wrapped_keys(new)


def test_a_key_of_before_there_were_rotations_opens_under_the_first_master(home: Address) -> None:
    key = bytes(range(100, 132))
    wrapped = Masters([MASTER]).wrap(key)[8:]
    with plain_connection(home, keys=True) as tool:
        sign = "?" if isinstance(home, SQLiteAddress) else "%s"
        tool.execute(f"INSERT INTO subject_keys VALUES ('customer:1', {sign}, 1)", (wrapped,))
    with opened(home) as keyring:
        assert keyring.ensure(["customer:1"]) == {"customer:1": key}


def test_a_ledger_can_be_made_where_keys_were_destroyed_before(places: Places) -> None:
    address = places.unmade()
    assert create_ledger(address)
    with open_ledger(address) as ledger:
        ledger.keyring.destroy([ANA])
    with open_ledger(address) as again:
        assert again.keyring.ensure([ANA]) == {}
