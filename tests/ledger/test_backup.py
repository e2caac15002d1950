"""Backup and restore: a ledger moves from store to store, whole or not at all."""

import multiprocessing
import os
import re
import signal
import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.address import Address
from ledger.backup.archive import KEYS, LEDGER, Archive, new_archive
from ledger.backup.contents import TABLES, LedgerHeader
from ledger.backup.restoring import Restoring
from ledger.errors import (
    BackupUnusable,
    KeysMissing,
    LedgerError,
    Locked,
    NotEmpty,
    TrackingConflict,
)
from ledger.intake import Stop, StopRequested
from ledger.keyfile import read_key_file
from ledger.ledger import create_ledger, open_ledger
from ledger.log import Move
from ledger.record import Duplicate, Recorded
from ledger.retrying import retry
from ledger.sqlite.address import SQLiteAddress
from projections.follow import follow
from projections.registry import PROJECTIONS
from projections.verify import verify
from tests.ledger.carrying import (
    AHEAD,
    CARRIED,
    NAME,
    ORDERS,
    SENT,
    SOURCE,
    Files,
    carry_into,
    carry_out_of,
    everything,
    fill,
    fixed_clock,
    names_shown,
    postgres_place,
    raw_rows,
    sqlite_place,
)
from tests.ledger.sending import HOUR, NOW, kept_bytes, line, order, send, waiting

DISPOSABLE = {
    "head", "generations", "rebuilt_ranges", "parked", "sqlite_sequence", "stream_ends",
    "stream_links",
}  # fmt: skip
MIDDLE = 2_000
"""Touchpoints of the ledger of these tests that a killed restore has behind it."""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> SQLiteAddress:
    """A ledger with something of everything. No test of this module changes it."""
    address = sqlite_place(tmp_path_factory.mktemp("old"))
    fill(address)
    return address


@pytest.fixture(scope="module")
def files(old: SQLiteAddress, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Its backup, and its keys."""
    files = Files.within(tmp_path_factory.mktemp("carried"))
    carry_out_of(old, files)
    return files


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Where there is no ledger yet."""
    if request.param == "sqlite":
        return sqlite_place(tmp_path / "new")
    return postgres_place(request.getfixturevalue("postgres_database"), tmp_path / "new")


@pytest.fixture
def lite(tmp_path: Path) -> SQLiteAddress:
    """Where there is no file yet."""
    return sqlite_place(tmp_path / "new")


def is_untouched(place: SQLiteAddress) -> bool:
    """Whether nothing at all was made."""
    return not any(place.path.parent.iterdir())


def log_is_empty(place: Address) -> bool:
    return not any(rows for table, rows in everything(place).items() if table != "head")


# --- What is carried ---------------------------------------------------------------------------


def test_from_sqlite_to_postgres_and_back_every_row_is_as_it_was(
    old: SQLiteAddress, files: Files, postgres_database: str, tmp_path: Path
) -> None:
    server = postgres_place(postgres_database, tmp_path / "server")
    restored = carry_into(server, files)
    assert (restored.head.position, restored.keys_missing) == (ORDERS + 2, 0)
    there = Files.within(tmp_path / "there")
    assert carry_out_of(server, there).position == ORDERS + 2
    back = sqlite_place(tmp_path / "back")
    carry_into(back, there)
    before = everything(old)
    assert all(before.values())
    assert everything(server) == before
    assert everything(back) == before


def test_the_same_ledger_gives_the_same_file_on_both_stores(
    files: Files, place: Address, tmp_path: Path
) -> None:
    carry_into(place, files)
    again = Files.within(tmp_path / "again")
    carry_out_of(place, again)
    assert again.ledger.read_bytes() == files.ledger.read_bytes()
    assert again.keys.read_bytes() == files.keys.read_bytes()


def test_personal_data_are_read_and_found_at_the_new_place(place: Address, files: Files) -> None:
    carry_into(place, files)
    with open_ledger(place, fixed_clock) as ledger:
        assert names_shown(ledger) == [NAME]
        token = ledger.vault.stored_subject("email:ana@example.com")
        assert ledger.log.subjects_with(token) == ["customer:42"]


def test_what_is_sent_again_is_known_and_what_is_new_goes_on_behind_it(
    place: Address, files: Files
) -> None:
    carry_into(place, files)
    with open_ledger(place, fixed_clock) as ledger:
        receipt, outcomes = send(ledger, *SENT)
        assert (receipt.duplicate, receipt.head) == (len(SENT), len(SENT))
        assert outcomes == [Duplicate(position) for position in range(1, len(SENT) + 1)]
        assert send(ledger, order("new"))[1] == [Recorded(len(SENT) + 1)]
        receipt, _ = send(ledger, order("new", subject="customer:43"))
        assert receipt.conflict == 1


def test_quarantine_is_retried_at_the_new_place_and_its_numbers_go_on(
    place: Address, files: Files
) -> None:
    carry_into(place, files)
    with open_ledger(place, lambda: NOW + 72 * HOUR) as ledger:
        broken, ahead = waiting(ledger)
        assert kept_bytes(ledger, broken.entry) == b"broken"
        assert kept_bytes(ledger, ahead.entry) == line(AHEAD)
        assert retry(ledger, ahead).receipt.recorded == 1
        send(ledger, b"broken too", b"broken")
        assert [(e.entry, e.times) for e in waiting(ledger)] == [(1, 2), (4, 1)]
        (discarded,) = waiting(ledger, "discarded")
        assert (discarded.note, kept_bytes(ledger, discarded.entry)) == ("no use", b"")


def test_a_source_goes_on_from_where_it_was(place: Address, files: Files) -> None:
    carry_into(place, files)
    with open_ledger(place, fixed_clock) as ledger:
        with pytest.raises(TrackingConflict):
            send(ledger, order("x"), moves=[Move(SOURCE, 0, 8)])
        send(ledger, order("y"), moves=[Move(SOURCE, 7, 8)])


def test_the_views_are_folded_anew(place: Address, files: Files) -> None:
    carry_into(place, files)
    with open_ledger(place, fixed_clock) as ledger:
        follow(ledger, PROJECTIONS)
        for view in PROJECTIONS:
            result = verify(ledger, view)
            assert (result.position, result.differences) == (ORDERS + 2, 0)


def test_a_ledger_with_nothing_in_it_is_carried_too(place: Address, tmp_path: Path) -> None:
    empty = sqlite_place(tmp_path / "empty")
    create_ledger(empty)
    files = Files.within(tmp_path / "files")
    carry_out_of(empty, files)
    assert carry_into(place, files).head.position == 0
    with open_ledger(place, fixed_clock) as ledger:
        assert send(ledger, order("first"))[1] == [Recorded(1)]


def test_a_backup_is_of_one_moment_while_others_go_on_writing(
    place: Address, files: Files, tmp_path: Path
) -> None:
    carry_into(place, files)
    then = everything(place)
    numbers = count()

    def writing_meanwhile(phase: str, done: int, total: int) -> None:
        with open_ledger(place, fixed_clock) as other:
            send(other, order(f"meanwhile {next(numbers)}"), b"broken meanwhile")

    later = Files.within(tmp_path / "later")
    assert carry_out_of(place, later, report=writing_meanwhile).position == ORDERS + 2
    assert len(raw_rows(place, "stored_events")) > ORDERS + 2 + 3
    back = sqlite_place(tmp_path / "back")
    carry_into(back, later)
    assert everything(back) == then


def test_each_table_is_carried_with_all_its_columns_or_can_be_made_anew(
    old: SQLiteAddress,
) -> None:
    assert {table.name for table in TABLES} == set(CARRIED)
    connection = sqlite3.connect(old.path)
    names = {n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    of_views = {n for n in names if n.rstrip("0123456789").removesuffix("_") in PROJECTION_TABLES}
    assert names - of_views - DISPOSABLE == set(CARRIED)
    for table in TABLES:
        told = connection.execute(f"PRAGMA table_info({table.name})").fetchall()
        assert tuple(column[1] for column in told) == table.columns
    connection.close()


PROJECTION_TABLES = {name for view in PROJECTIONS for name in (view.name, f"{view.name}_streams")}


# --- Keys --------------------------------------------------------------------------------------


def inflated(path: Path, kind: str) -> bytes:
    """Everything that stands in the frames of an archive, not compressed."""
    archive = Archive(path, kind)
    return bytes(archive.header()) + b"".join(bytes(content) for _, content in archive.frames())


def test_a_backup_holds_no_key_and_nothing_personal(old: SQLiteAddress, files: Files) -> None:
    content = inflated(files.ledger, LEDGER)
    assert b"order.completed.v1" in content
    keys = read_key_file(old.keys)
    wrapped = [key.wrapped for key in old.key_store().every()]
    secrets = [keys.master, keys.token, keys.signing, *wrapped]
    assert len(wrapped) == 2
    assert all(secret in inflated(files.keys, KEYS) for secret in secrets)
    for secret in [*secrets, NAME.encode(), b"ana@example.com"]:
        assert secret not in content


def test_only_the_owner_may_read_what_was_written(place: Address, files: Files) -> None:
    carry_into(place, files)
    for path in (files.ledger, files.keys, *place.secret_files):
        assert path.stat().st_mode & 0o777 == 0o600


def test_without_keys_nothing_is_made(lite: SQLiteAddress, files: Files) -> None:
    with pytest.raises(KeysMissing, match="--keys FILE"):
        carry_into(lite, files, keys=False)
    assert is_untouched(lite)


def test_the_key_file_alone_is_not_enough(place: Address, old: SQLiteAddress, files: Files) -> None:
    place.keys.write_bytes(old.keys.read_bytes())
    with pytest.raises(KeysMissing, match="subjects' keys"):
        carry_into(place, files, keys=False)
    assert place.is_new()


def test_keys_that_are_at_the_place_already_will_do(
    lite: SQLiteAddress, old: SQLiteAddress, files: Files
) -> None:
    lite.keys.write_bytes(old.keys.read_bytes())
    lite.keyring.write_bytes(old.keyring.read_bytes())
    assert carry_into(lite, files, keys=False).keys_missing == 0
    with open_ledger(lite, fixed_clock) as ledger:
        assert names_shown(ledger) == [NAME]


def test_subjects_without_their_key_are_counted(
    lite: SQLiteAddress, old: SQLiteAddress, files: Files
) -> None:
    lite.keys.write_bytes(old.keys.read_bytes())
    lite.keyring.write_bytes(old.keyring.read_bytes())
    with sqlite3.connect(lite.keyring) as connection:
        connection.execute("DELETE FROM subject_keys WHERE subject = 'customer:42'")
    connection.close()
    assert carry_into(lite, files, keys=False).keys_missing == 1
    with open_ledger(lite, fixed_clock) as ledger:
        assert names_shown(ledger) == ["[erased]"]


@pytest.fixture
def others(tmp_path: Path) -> Files:
    """The backup of another ledger, and its keys."""
    other = sqlite_place(tmp_path / "other")
    create_ledger(other)
    files = Files.within(tmp_path / "others")
    carry_out_of(other, files)
    return files


def test_the_keys_of_another_ledger_are_refused(
    lite: SQLiteAddress, files: Files, others: Files
) -> None:
    with pytest.raises(KeysMissing, match="do not belong"):
        carry_into(lite, Files(files.ledger, others.keys))
    assert is_untouched(lite)


def test_keys_at_the_place_are_never_written_over(
    lite: SQLiteAddress, files: Files, others: Files
) -> None:
    carry_into(lite, others)
    lite.path.unlink()
    keys = lite.keys.read_bytes()
    with pytest.raises(KeysMissing, match="holds other keys"):
        carry_into(lite, files)
    lite.keys.unlink()
    with pytest.raises(KeysMissing, match="another ledger"):
        carry_into(lite, files)
    assert not lite.path.exists()
    lite.keys.write_bytes(keys)
    assert carry_into(lite, others).head.position == 0


# --- Files that are not as they were written ---------------------------------------------------


def damage_is_refused(files: Files, lite: SQLiteAddress, damaged: bytes, which: str) -> None:
    """Whether the whole is refused when one of the two files is like this."""
    folder = lite.path.parent.parent
    copies = Files(folder / "damaged", files.keys)
    if which == "keys":
        copies = Files(files.ledger, folder / "damaged")
    (folder / "damaged").write_bytes(damaged)
    with pytest.raises((BackupUnusable, KeysMissing)):
        carry_into(lite, copies)
    assert is_untouched(lite)


@pytest.mark.parametrize("which", ["ledger", "keys"])
def test_a_file_that_was_altered_anywhere_is_refused_before_anything_is_made(
    which: str, files: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lite = sqlite_place(tmp_path_factory.mktemp("altered") / "new")
    whole = getattr(files, which).read_bytes()

    @settings(max_examples=60)
    @given(at=st.integers(0, len(whole) - 1), bit=st.integers(0, 7))
    def altered(at: int, bit: int) -> None:
        changed = bytes([whole[at] ^ 1 << bit])
        damage_is_refused(files, lite, whole[:at] + changed + whole[at + 1 :], which)

    altered()


@pytest.mark.parametrize("which", ["ledger", "keys"])
def test_a_file_that_is_cut_short_or_grew_is_refused_before_anything_is_made(
    which: str, files: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lite = sqlite_place(tmp_path_factory.mktemp("cut") / "new")
    whole = getattr(files, which).read_bytes()

    @settings(max_examples=40)
    @given(length=st.integers(0, len(whole) - 1))
    def cut(length: int) -> None:
        damage_is_refused(files, lite, whole[:length], which)

    cut()
    damage_is_refused(files, lite, whole + b"\0", which)


def test_the_place_of_the_damage_is_told(files: Files, lite: SQLiteAddress, tmp_path: Path) -> None:
    whole = files.ledger.read_bytes()
    half = len(whole) // 2
    bad = Files(tmp_path / "bad", files.keys)
    for content in (whole[:half], whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :]):
        bad.ledger.write_bytes(content)
        with pytest.raises(BackupUnusable, match=r"bad is damaged.*another copy") as refused:
            carry_into(lite, bad)
        told = re.search(r"noticed at byte ([\d,]+)", str(refused.value))
        assert told is not None
        assert 0 < int(told[1].replace(",", "")) <= half


def test_another_file_or_another_format_is_no_backup(
    files: Files, lite: SQLiteAddress, tmp_path: Path
) -> None:
    with pytest.raises(BackupUnusable, match="is not a Touchstone ledger backup"):
        carry_into(lite, Files(files.keys, files.keys))
    newer = Files(tmp_path / "newer", files.keys)
    newer.ledger.write_bytes(files.ledger.read_bytes().replace(b"format 1\n", b"format 2\n", 1))
    with pytest.raises(BackupUnusable, match="another version of Touchstone"):
        carry_into(lite, newer)


Change = Callable[[str, list[Any]], list[Any]]


def forged(files: Files, path: Path, change: Change) -> Files:
    """A backup that is whole and in order, but says something else."""
    source = Archive(files.ledger, LEDGER)
    with new_archive(path, LEDGER, overwrite=False) as archive:
        archive.header(msgspec.msgpack.decode(source.header(), type=LedgerHeader))
        for section, content in source.frames():
            if section in CARRIED:
                archive.rows(section, change(section, msgspec.msgpack.decode(content)))
    return Files(path, files.keys)


@pytest.mark.parametrize(
    "change",
    [
        lambda section, rows: rows[: ORDERS + 1 - rows[0][0]] if len(rows[0]) == 9 else rows,
        lambda section, rows: rows[:3] + rows[4:] if section == "stored_events" else rows,
        lambda section, rows: rows[::-1] if section == "stored_events" else rows,
        lambda section, rows: [[str(v) for v in row] for row in rows],
        lambda section, rows: [row[:-1] for row in rows],
    ],
    ids=["the last is missing", "one is missing", "order", "types", "columns"],
)
def test_what_contradicts_itself_is_not_restored(
    change: Change, files: Files, place: Address, tmp_path: Path
) -> None:
    with pytest.raises(BackupUnusable, match="contradicts itself"):
        carry_into(place, forged(files, tmp_path / "forged", change))
    assert log_is_empty(place)


# --- Places that are taken ---------------------------------------------------------------------


def test_a_ledger_that_holds_anything_is_left_as_it_is(place: Address, files: Files) -> None:
    carry_into(place, files)
    before = everything(place)
    with pytest.raises(NotEmpty, match="not empty"):
        carry_into(place, files)
    assert everything(place) == before


@pytest.mark.parametrize("event", [order("1"), b"broken"], ids=["recorded", "quarantined"])
def test_another_ledger_is_left_as_it_is(place: Address, files: Files, event: Any) -> None:
    create_ledger(place)
    for _ in range(2):
        with pytest.raises(NotEmpty, match="another ledger"):
            carry_into(place, files)
        with open_ledger(place, fixed_clock) as ledger:
            send(ledger, event)


def test_one_that_is_written_to_at_the_last_moment_is_left_as_it_is(
    place: Address, files: Files, tmp_path: Path
) -> None:
    empty = Files.within(tmp_path / "empty")
    source = sqlite_place(tmp_path / "source")
    create_ledger(source)
    carry_out_of(source, empty)
    carry_into(place, empty)
    restoring = Restoring(place, empty.ledger, empty.keys)
    with open_ledger(place, fixed_clock) as ledger:
        send(ledger, order("1"))
    with pytest.raises(NotEmpty):
        restoring.carry_out(lambda phase, done, total: None, Stop())
    assert len(raw_rows(place, "stored_events")) == 1


# --- Stopped, killed ---------------------------------------------------------------------------


def stopping_at(stop: Stop, number: int) -> Callable[[str, int, int], None]:
    """A report that asks to stop when so many touchpoints are done."""

    def report(phase: str, done: int, total: int) -> None:
        if phase.endswith("stored_events") and done >= number:
            stop.signal = signal.SIGINT

    return report


def test_a_restore_that_is_stopped_leaves_an_empty_ledger_and_can_be_repeated(
    place: Address, old: SQLiteAddress, files: Files
) -> None:
    stop = Stop()
    with pytest.raises(StopRequested):
        carry_into(place, files, report=stopping_at(stop, MIDDLE), stop=stop)
    assert log_is_empty(place)
    carry_into(place, files)
    assert everything(place) == everything(old)


def _die_in_the_middle(phase: str, done: int, total: int) -> None:
    if phase.endswith("stored_events") and done >= MIDDLE:
        os.kill(os.getpid(), signal.SIGKILL)


def _restore_and_die(address: Address, files: Files) -> None:
    carry_into(address, files, report=_die_in_the_middle)


def _back_up_and_die(address: Address, files: Files) -> None:
    carry_out_of(address, files, report=_die_in_the_middle, overwrite=True)


def killed(work: Callable[[Address, Files], None], address: Address, files: Files) -> None:
    """Let a process of its own do this until it kills itself."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=(address, files))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def test_a_restore_that_is_killed_leaves_an_empty_ledger_and_can_be_repeated(
    place: Address, old: SQLiteAddress, files: Files
) -> None:
    killed(_restore_and_die, place, files)
    assert log_is_empty(place)
    carry_into(place, files)
    assert everything(place) == everything(old)


def test_a_backup_that_is_killed_leaves_the_earlier_one_and_can_be_repeated(
    old: SQLiteAddress, files: Files, tmp_path: Path
) -> None:
    copies = Files.within(tmp_path / "copies")
    for path, copy in ((files.ledger, copies.ledger), (files.keys, copies.keys)):
        copy.write_bytes(path.read_bytes())
    killed(_back_up_and_die, old, copies)
    assert copies.ledger.read_bytes() == files.ledger.read_bytes()
    carry_out_of(old, copies, overwrite=True)
    assert sorted(p.name for p in copies.ledger.parent.iterdir()) == sorted(
        (copies.ledger.name, copies.keys.name)
    )
    assert copies.ledger.read_bytes() == files.ledger.read_bytes()


def test_what_an_earlier_process_left_half_done_is_taken_over(
    old: SQLiteAddress, files: Files, tmp_path: Path
) -> None:
    copies = Files.within(tmp_path / "copies")
    left = copies.ledger.with_name(copies.ledger.name + ".partial")
    left.write_bytes(files.ledger.read_bytes() * 2)
    left.chmod(0o644)
    carry_out_of(old, copies)
    assert copies.ledger.read_bytes() == files.ledger.read_bytes()
    assert copies.ledger.stat().st_mode & 0o777 == 0o600


def test_a_backup_that_is_stopped_leaves_no_file(old: SQLiteAddress, tmp_path: Path) -> None:
    files, stop = Files.within(tmp_path / "files"), Stop()
    with pytest.raises(StopRequested):
        carry_out_of(old, files, report=stopping_at(stop, MIDDLE), stop=stop)
    assert not any(files.ledger.parent.iterdir())


# --- Names that are taken ----------------------------------------------------------------------


def test_only_an_earlier_backup_is_written_over_and_only_when_told(
    old: SQLiteAddress, tmp_path: Path
) -> None:
    files = Files.within(tmp_path / "files")
    carry_out_of(old, files)
    first = files.ledger.read_bytes()
    with pytest.raises(LedgerError, match="is there already"):
        carry_out_of(old, files)
    carry_out_of(old, files, overwrite=True)
    assert files.ledger.read_bytes() == first


@pytest.mark.parametrize("which", ["path", "keys", "keyring"])
def test_the_ledger_itself_and_its_keys_are_never_written_over(
    which: str, old: SQLiteAddress, tmp_path: Path
) -> None:
    path = getattr(old, which)
    before = path.read_bytes()
    for files in (Files(path, tmp_path / "keys"), Files(tmp_path / "ledger", path)):
        with pytest.raises(LedgerError, match="left as it is"):
            carry_out_of(old, files, overwrite=True)
    assert path.read_bytes() == before
    assert not any(tmp_path.iterdir())


def test_of_two_that_write_the_same_backup_one_is_refused(
    old: SQLiteAddress, tmp_path: Path
) -> None:
    files = Files.within(tmp_path / "files")
    with new_archive(files.ledger, LEDGER, overwrite=False), pytest.raises(Locked):
        carry_out_of(old, files)
