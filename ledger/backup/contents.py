"""What a backup of a ledger holds: every table that is truth, and none that is folded from it.

How far the views have come is left out with the views: they are folded anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import msgspec

from ledger.store import Cursor

Rows = list[tuple[Any, ...]]


class LedgerHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is of: the ledger, where its log ends, and the columns of its tables."""

    ledger_id: str
    head: int
    recorded_at: int
    subject_keys: int
    """How many subjects had a key when the backup was made."""
    tables: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it is carried: all its columns in order, read by its key page by page."""

    name: str
    columns: tuple[str, ...]
    rows: Any
    """The type of a page of them."""
    key: tuple[str, ...]
    before: tuple[Any, ...]
    """What comes before every key."""
    page_rows: int = 1_000
    stands_for: tuple[str, str] = ("", "")
    """A column, and the SQL that gives it the same form on both stores."""
    of: str = ""
    """A condition for the rows that are carried."""

    def page(self, after: tuple[Any, ...], limit: int, cursor: Cursor) -> Rows:
        """The next rows behind a key."""
        key = ", ".join(self.key)
        name, expression = self.stands_for
        selected = ", ".join(expression if c == name else c for c in self.columns)
        return cursor.execute(
            f"SELECT {selected} FROM {self.name} WHERE ({key}) > ({', '.join('?' * len(self.key))})"
            f" {self.of} ORDER BY {key} LIMIT ?",
            (*after, limit),
        ).fetchall()

    def pages(self, cursor: Cursor) -> Iterator[Rows]:
        """All rows, in the order of their key."""
        after = self.before
        while rows := self.page(after, self.page_rows, cursor):
            yield rows
            after = self.key_of(rows[-1])

    def key_of(self, row: Sequence[Any]) -> tuple[Any, ...]:
        found = itemgetter(*map(self.columns.index, self.key))(row)
        return found if len(self.key) > 1 else (found,)

    def count(self, cursor: Cursor) -> int:
        """How many rows there are to carry."""
        statement = f"SELECT COUNT(*) FROM {self.name} WHERE true {self.of}"
        return int(cursor.execute(statement).fetchone()[0])


STORED_EVENTS = Table(
    "stored_events",
    ("notification_id", "originator_id", "originator_version", "topic", "state", "recorded_at",
     "source", "id", "digest"),
    list[tuple[int, str, int, str, bytes, int, str, str, bytes]],
    ("notification_id",), (0,),
    stands_for=("originator_id", "replace(CAST(originator_id AS text), '-', '')"),
)  # fmt: skip
QUARANTINE = Table(
    "quarantine",
    ("entry", "fingerprint", "door", "context", "reason", "path", "message", "size",
     "received_at", "times", "status", "settled_at", "note"),
    list[tuple[int, bytes, str, str, str, str, str, int, int, int, str, int | None, str | None]],
    ("entry",), (0,),
)  # fmt: skip
TABLES = (
    STORED_EVENTS,
    Table(
        "tracking", ("application_name", "notification_id"), list[tuple[str, int | None]],
        ("application_name",), ("",), of="AND substr(application_name, 1, 5) <> 'view:'",
    ),
    Table(
        "governing_facts", ("topic", "position"), list[tuple[str, int]],
        ("topic", "position"), ("", 0), page_rows=10_000,
    ),
    Table(
        "search_tokens", ("token", "subject"), list[tuple[str, str]],
        ("token", "subject"), ("", ""), page_rows=10_000,
    ),
    Table(
        "ties", ("subject", "other", "position"), list[tuple[str, str, int]],
        ("subject", "other", "position"), ("", "", 0), page_rows=10_000,
    ),
    Table(
        "erased_subjects", ("subject", "certificate_id", "erased_at"), list[tuple[str, str, int]],
        ("subject",), ("",),
    ),
    Table(
        "access_tokens",
        ("id", "name", "role", "source", "digest", "created_at", "expires_at", "revoked_at"),
        list[tuple[str, str, str, str, bytes, int, int | None, int | None]],
        ("id",), ("",),
    ),
    Table(
        "leaf_hashes", ("first", "hashes"), list[tuple[int, bytes]], ("first",), (0,),
    ),
    Table(
        "seals", ("number", "size", "root", "roots", "sealed_at", "key_id", "signature"),
        list[tuple[int, int, bytes, bytes, int, str, bytes]], ("number",), (0,),
    ),
    QUARANTINE,
    Table(
        "quarantine_parts", ("entry", "number", "bytes"), list[tuple[int, int, bytes]],
        ("entry", "number"), (0, 0), page_rows=16,
    ),
)  # fmt: skip
