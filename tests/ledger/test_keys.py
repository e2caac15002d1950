"""The keys: made once, readable by their owner only, and one for each subject for ever."""

import stat
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import ledger.keyring
from ledger.address import Address, parse_url
from ledger.errors import KeysMissing, LedgerError, NotInitialised, SchemaMismatch
from ledger.keyfile import create_key_file, read_key_file
from ledger.keyring import Keyring, SubjectKey, derived
from ledger.ledger import Ledger, create_ledger, open_ledger
from ledger.postgres.address import PostgresAddress
from ledger.sqlite.address import SQLiteAddress
from tests.ledger.processes import forked
from tests.ledger.sending import order, send
from tests.places import Places, plain_connection

MASTER = bytes(range(32))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_their_owner_can_read_the_keys(address: Address) -> None:
    assert address.keys in address.secret_files
    assert {mode(file) for file in address.secret_files} == {0o600}


def test_keys_are_never_overwritten(address: Address) -> None:
    before = address.keys.read_bytes()
    assert create_key_file(address.keys, "another") == read_key_file(address.keys)
    assert create_ledger(address) is False
    assert address.keys.read_bytes() == before


def test_keys_do_not_show_when_they_are_printed(address: Address) -> None:
    keys = read_key_file(address.keys)
    assert keys.master.hex() not in repr(keys)
    assert repr(keys.master) not in repr(keys)


def test_without_its_key_file_a_ledger_does_not_open(address: Address) -> None:
    address.keys.unlink()
    with pytest.raises(KeysMissing, match="restore it from where its backup is kept"):
        open_ledger(address)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"not JSON", b"\xff\xfe", b'{"format":1,"ledger_id":"x","master":"!",'
                b'"token":"","signing":""}'],
)  # fmt: skip
def test_a_file_of_something_else_is_not_taken_for_keys(address: Address, content: bytes) -> None:
    address.keys.write_bytes(content)
    with pytest.raises(KeysMissing, match="is not a key file"):
        open_ledger(address)


def test_the_keys_of_another_ledger_are_told_from_its_own(address: Address) -> None:
    address.keys.unlink()
    create_key_file(address.keys, "another")
    with pytest.raises(KeysMissing, match="belongs to another ledger"):
        open_ledger(address)


def test_without_the_subjects_keys_a_ledger_does_not_open(address: Address) -> None:
    if isinstance(address, SQLiteAddress):
        address.keyring.unlink()
    else:
        assert isinstance(address, PostgresAddress)
        with plain_connection(address) as connection:
            connection.execute(f"DROP SCHEMA {address.schema}_keys CASCADE")
    with pytest.raises(KeysMissing, match="subjects' keys"):
        open_ledger(address)


def test_keys_that_an_interrupted_init_has_left_are_taken_up_again(places: Places) -> None:
    address = places.unmade()
    keys = create_key_file(address.keys, "the-first")
    assert create_ledger(address) is True
    assert read_key_file(address.keys) == keys
    open_ledger(address).close()


def test_where_there_is_no_ledger_the_way_to_make_one_is_named(places: Places) -> None:
    with pytest.raises(NotInitialised, match="touchstone init"):
        open_ledger(places.unmade())


def test_what_is_something_else_is_not_taken_for_a_ledger_nor_made_one(places: Places) -> None:
    address = places.unmade()
    if isinstance(address, SQLiteAddress):
        address.path.write_bytes(b"this is some other file, and no database at all" * 100)
    else:
        assert isinstance(address, PostgresAddress)
        with plain_connection(address) as connection:
            connection.execute(f"CREATE SCHEMA {address.schema}; CREATE TABLE head (mine text)")
    for attempt in (open_ledger, create_ledger):
        with pytest.raises(NotInitialised, match="not a ledger"):
            attempt(address)
    assert not address.keys.exists()


def test_a_ledger_of_a_newer_touchstone_is_left_alone(address: Address) -> None:
    with plain_connection(address) as connection:
        connection.execute(
            "PRAGMA user_version = 999"
            if isinstance(address, SQLiteAddress)
            else "UPDATE schema_version SET version = 999"
        )
    for attempt in (open_ledger, create_ledger):
        with pytest.raises(SchemaMismatch, match="upgrade Touchstone"):
            attempt(address)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:secret@host/db",
        "postgresql://me:secret%@host/db",
        "postgresql://me:[secret@host/db",
        "postgresql://me:secret\u2100@host/db",
        "sqlite:///",
        "ledger.db",
        "",
    ],
)
def test_an_address_of_another_form_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(LedgerError, match="not of the form") as caught:
        parse_url(url, Path("keys"))
    assert "secret" not in str(caught.value)


@pytest.fixture
def home(places: Places) -> Address:
    """A place for a ledger where only the store of keys is made."""
    address = places.unmade()
    with closing(address.key_store()) as store:
        store.create()
    return address


@pytest.fixture
def keyring(home: Address) -> Iterator[Keyring]:
    with closing(Keyring(home.key_store(), [MASTER])) as made:
        yield made


def test_a_subject_keeps_its_key_and_shares_it_with_nobody(keyring: Keyring) -> None:
    keys = keyring.ensure(["customer:1", "customer:2"])
    assert keyring.ensure(["customer:2", "customer:3"])["customer:2"] == keys["customer:2"]
    assert len({*keys.values(), keyring.ensure(["customer:3"])["customer:3"]}) == 3
    assert keyring.find(["customer:1", "customer:9"]) == {"customer:1": keys["customer:1"]}


def test_keys_are_there_for_another_process_and_wrapped_where_they_are_kept(
    keyring: Keyring, home: Address
) -> None:
    keys = keyring.ensure(["customer:1"])
    with closing(Keyring(home.key_store(), [MASTER])) as again:
        assert again.find(["customer:1"]) == keys
    with closing(home.key_store()) as store:
        kept = list(store.every())
    assert [(key.subject, key.wrapped.find(keys["customer:1"]) >= 0) for key in kept] == [
        ("customer:1", False)
    ]


def test_keys_are_found_also_when_there_are_more_than_are_kept_in_memory(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger.keyring, "CACHED_KEYS_MAX", 3)
    subjects = [f"customer:{n}" for n in range(8)]
    keys = {s: keyring.ensure([s])[s] for s in subjects}
    for start in range(8):
        wanted = [subjects[(start + n) % 8] for n in range(3)]
        assert keyring.find(wanted) == {s: keys[s] for s in wanted}
    assert keyring.find(subjects) == keys
    assert keyring.ensure(subjects) == keys


def test_the_key_of_digests_is_derived_once_for_as_long_as_the_key_is_kept(
    keyring: Keyring,
) -> None:
    key = keyring.ensure(["customer:1"])["customer:1"]
    assert key.of_digests == derived(key, b"digest")
    assert keyring.find(["customer:1"])["customer:1"].of_digests is key.of_digests


class LateKeyring(Keyring):
    """Of a process that looked for keys before another had written them."""

    def find(self, subjects: Iterable[str]) -> dict[str, SubjectKey]:
        return {}


def test_who_comes_second_with_a_new_key_gets_that_of_the_first(
    keyring: Keyring, home: Address
) -> None:
    first = keyring.ensure(["customer:1"])
    with closing(LateKeyring(home.key_store(), [MASTER])) as late:
        assert late.ensure(["customer:1"]) == first
    with closing(Keyring(home.key_store(), [MASTER])) as again:
        assert again.find(["customer:1"]) == first


def _keys_made_by_one_process(address: Address, subjects: list[str]) -> dict[str, bytes]:
    with closing(Keyring(address.key_store(), [MASTER])) as keyring:
        return {s: keyring.ensure([s])[s] for s in subjects}


def test_processes_that_meet_a_subject_at_the_same_moment_get_the_same_key(
    keyring: Keyring, home: Address
) -> None:
    subjects = [f"customer:{n}" for n in range(30)]
    with forked().Pool(3) as pool:
        found = pool.starmap(_keys_made_by_one_process, [(home, subjects)] * 3, chunksize=1)
    assert found[0] == found[1] == found[2] == keyring.find(subjects)


def test_what_is_in_the_log_can_be_opened_by_another_process(
    ledger: Ledger, address: Address
) -> None:
    described = order(type="customer.described.v1", data={"traits": {"name": "Ana"}})
    send(ledger, described)
    with closing(Keyring(address.key_store(), ledger.keys.masters)) as again:
        assert again.find(["customer:42"]) == ledger.keyring.find(["customer:42"])
