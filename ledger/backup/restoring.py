"""Restoring: the ledger of a backup, made again in one transaction at an empty place."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ledger.address import Address
from ledger.appending import move_head
from ledger.backup.archive import COUNTS, KEYS, LEDGER, Archive, go_on
from ledger.backup.contents import QUARANTINE, STORED_EVENTS, TABLES, LedgerHeader, Rows, Table
from ledger.backup.keys import bring_keys, count_keys, read_keys
from ledger.errors import KeysMissing, LedgerError, NotEmpty
from ledger.intake import Stop
from ledger.keyfile import KeyFile, read_key_file, write_key_file
from ledger.keyring import KeyStore
from ledger.ledger import open_ledger
from ledger.log import Head
from ledger.progress import Report
from ledger.store import Cursor, Recorder
from ledger.tombstones import heed_tombstones

_BY_NAME = {table.name: table for table in TABLES}
_DECODERS = {table.name: msgspec.msgpack.Decoder(table.rows) for table in TABLES}
_decode_header = msgspec.msgpack.Decoder(LedgerHeader).decode
_decode_counts = msgspec.msgpack.Decoder(dict[str, int]).decode


@dataclass(frozen=True, slots=True)
class Restored:
    """Where the log ends, and how many subjects of the backup have no key at the new place."""

    head: Head
    keys_missing: int


class Restoring:
    """A backup, with the keys that were carried with it if they were, and the place for both.

    The place must have no ledger yet, or one with this ledger's id and nothing in it, as a
    restore that was killed leaves it: the same command then begins anew. The keys are brought
    along, or are at the place already, as the key file of this ledger and its subjects' keys.

    Making one raises NotEmpty, KeysMissing, BackupUnusable or what an address raises.
    """

    def __init__(self, address: Address, path: Path, keys_path: Path | None) -> None:
        self._address = address
        self._path = path
        self._archive = Archive(path, LEDGER)
        self._carried = Archive(keys_path, KEYS) if keys_path else None
        self._header = self._read_header()
        self._judge_place()
        self._keys = self._judged_keys()

    def check(self, report: Report, stop: Stop) -> None:
        """Read both files against their digests, before anything is made."""
        for archive in (self._archive, self._carried):
            if archive is not None:
                archive.check(report, stop)

    def carry_out(self, report: Report, stop: Stop) -> Restored:
        """Make the ledger: the keys first, as `init` does, then the whole log or nothing of it.

        Raises StopRequested, BackupUnusable or LedgerError, and leaves the ledger empty then.
        """
        missing = self._bring_keys(report, stop)
        self._address.create(self._header.ledger_id)
        store = self._address.store()
        try:
            recorder = store.recorder()
            with store.cursor(write=True) as cursor:
                self._refuse_unless_empty(cursor)
                head = _Carrying(self._archive, self._header, recorder, cursor).run(report, stop)
        finally:
            store.close()
        with open_ledger(self._address) as restored:  # no key of an erased subject stays
            heed_tombstones(restored)  # nor what an old backup has of one; this time it must
        return Restored(head, missing)

    def _read_header(self) -> LedgerHeader:
        try:
            header = _decode_header(self._archive.header())
        except msgspec.DecodeError:
            raise self._archive.inconsistent() from None
        if header.tables != {table.name: table.columns for table in TABLES}:
            raise LedgerError(
                f"{self._path} holds a ledger of another schema: restore it with the Touchstone "
                "that made it, then upgrade"
            )
        return header

    def _judged_keys(self) -> KeyFile:
        """The keys of the ledger. Raises KeysMissing when they are another's or not to be had."""
        there = self._address.keys
        if self._carried is None:
            if not there.exists():
                raise KeysMissing(
                    f"the keys of this ledger are not at {there}: bring them with --keys FILE, "
                    "the file that `touchstone backup --keys` wrote"
                )
            keys = read_key_file(there)
            self._refuse_without_subject_keys()
        else:
            keys = read_keys(self._carried)
            if there.exists() and read_key_file(there) != keys:
                raise KeysMissing(
                    f"the key file {there} holds other keys: move it away, or name another place "
                    "with --keys FILE before `restore`"
                )
        if keys.ledger_id != self._header.ledger_id:
            raise KeysMissing(f"the keys do not belong to the ledger in {self._path}")
        return keys

    def _refuse_without_subject_keys(self) -> None:
        store = self._address.key_store()
        try:
            store.check()
            if self._header.subject_keys and not count_keys(store.every()):
                raise KeysMissing(
                    "the subjects' keys are not at this place, only the key file is: bring both "
                    "with --keys FILE, the file that `touchstone backup --keys` wrote"
                )
        finally:
            store.close()

    def _judge_place(self) -> None:
        if self._address.is_new():
            return
        if self._address.check() != self._header.ledger_id:
            raise NotEmpty(
                f"{self._address.place} is another ledger: restore to a place where none is yet"
            )
        store = self._address.store()
        try:
            with store.cursor() as cursor:
                self._refuse_unless_empty(cursor)
        finally:
            store.close()

    def _refuse_unless_empty(self, cursor: Cursor) -> None:
        if any(table.page(table.before, 1, cursor) for table in TABLES):
            raise NotEmpty(
                f"the ledger at {self._address.place} is not empty: restore to a place where "
                "none is yet"
            )

    def _bring_keys(self, report: Report, stop: Stop) -> int:
        """Returns how many subjects had a key when the backup was made, and have none here."""
        store = self._address.key_store()
        try:
            if self._carried is not None:
                self._write_keys(self._carried, store, report, stop)
            return max(0, self._header.subject_keys - count_keys(store.every()))
        finally:
            store.close()

    def _write_keys(self, carried: Archive, store: KeyStore, report: Report, stop: Stop) -> None:
        store.create()
        bring_keys(carried, store, report, stop)
        if write_key_file(self._address.keys, self._keys) != self._keys:
            raise KeysMissing(f"another process has just made the keys {self._address.keys}")


class _Carrying:
    """The way of one archive into an empty ledger, in the transaction of a cursor."""

    def __init__(
        self, archive: Archive, header: LedgerHeader, recorder: Recorder, cursor: Cursor
    ) -> None:
        self._archive = archive
        self._header = header
        self._recorder = recorder
        self._cursor = cursor
        self._position = 0
        self._last: dict[str, tuple[Any, ...]] = {table.name: table.before for table in TABLES}
        self._carried: dict[str, int] = {}

    def run(self, report: Report, stop: Stop) -> Head:
        """Carry every row; the ledger is then checked against what the archive says of itself."""
        counts: dict[str, int] = {}
        for section, content in self._archive.frames():
            go_on(stop)
            try:
                if section == COUNTS:
                    counts = _decode_counts(content)
                else:
                    self._carry(_BY_NAME[section], _DECODERS[section].decode(content), report)
            except (msgspec.DecodeError, KeyError):
                raise self._archive.inconsistent() from None
        self._check_counts(counts)
        self._cursor.number_on(QUARANTINE.name, "entry")
        move_head(self._header.head, self._header.recorded_at, self._cursor)
        return Head(self._header.head, self._header.recorded_at)

    def _carry(self, table: Table, rows: Rows, report: Report) -> None:
        """Insert a page, and read it back from the store."""
        if table is STORED_EVENTS:
            self._check_positions(rows)
            self._recorder.insert_stored(rows, self._cursor)
        else:
            self._cursor.insert_rows(table.name, rows)
        if table.page(self._last[table.name], len(rows), self._cursor) != rows:
            raise LedgerError(
                f"the store gives back other {table.name} than were written; nothing was restored"
            )
        self._last[table.name] = table.key_of(rows[-1])
        done = self._carried[table.name] = self._carried.get(table.name, 0) + len(rows)
        whole = self._header.head if table is STORED_EVENTS else 0
        report(f"restoring {table.name}", done, whole)

    def _check_positions(self, rows: Rows) -> None:
        """Law 6: positions are dense from 1."""
        dense = range(self._position + 1, self._position + len(rows) + 1)
        if any(row[0] != position for row, position in zip(rows, dense, strict=True)):
            raise self._archive.inconsistent()
        self._position = dense[-1]

    def _check_counts(self, counts: dict[str, int]) -> None:
        """What was carried, what the archive counted and what the tables hold are the same."""
        there = {table.name: table.count(self._cursor) for table in TABLES}
        expected = {table.name: counts.get(table.name, 0) for table in TABLES}
        carried = {table.name: self._carried.get(table.name, 0) for table in TABLES}
        if not there == expected == carried or self._position != self._header.head:
            raise self._archive.inconsistent()
