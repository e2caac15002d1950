"""Where an embedded ledger is: its file, and beside it the key file and the subjects' keys."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from ledger.sqlite.connections import LOCK_SECONDS_MAX
from ledger.sqlite.keys import SQLiteKeyStore
from ledger.sqlite.schema import check_schema, create_schema, is_new
from ledger.sqlite.store import SQLiteStore
from ledger.sqlite.streams import is_whole

SCHEME = "sqlite:///"
VERSION_MIN = (3, 38, 0)


@dataclass(frozen=True, slots=True)
class SQLiteAddress:
    """See `ledger.address.Address`."""

    path: Path
    keys: Path

    @property
    def url(self) -> str:
        return f"{SCHEME}{self.path}"

    @property
    def place(self) -> str:
        return str(self.path)

    @property
    def keyring(self) -> Path:
        return self.path.with_name(self.path.name + ".keyring")

    @property
    def key_places(self) -> str:
        return f"{self.keys} and {self.keyring}"

    @property
    def secret_files(self) -> tuple[Path, ...]:
        return (self.keys, self.keyring)

    @property
    def disk(self) -> Path:
        return self.path.resolve().parent

    def store(self) -> SQLiteStore:
        return SQLiteStore(self.path)

    def key_store(self) -> SQLiteKeyStore:
        return SQLiteKeyStore(self.keyring, self.path)

    def is_new(self) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return is_new(self.path)

    def create(self, ledger_id: str) -> bool:
        return create_schema(self.path, ledger_id)

    def check(self) -> str:
        return check_schema(self.path)

    def diagnose(self) -> tuple[str, str | None]:
        check_schema(self.path)
        shown = f"SQLite {sqlite3.sqlite_version}"
        if sqlite3.sqlite_version_info < VERSION_MIN:
            return shown, f"{shown} is too old: 3.38 or later is needed"
        connection = sqlite3.connect(self.path, timeout=LOCK_SECONDS_MAX)
        try:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found == "ok" and not is_whole(connection):
                found = "the index of streams does not agree with the log"
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        finally:
            connection.close()
        off = None if found == "ok" else f"the file is damaged: {found}; restore a backup"
        return f"{shown}, {mode.upper()}, {self.path}", off
