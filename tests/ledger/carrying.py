"""A ledger with something of everything, its way into files and out again, and its raw rows."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from ledger.access import create_token
from ledger.address import Address, parse_url
from ledger.backup.restoring import Restored, Restoring
from ledger.backup.writing import back_up
from ledger.intake import Stop
from ledger.ledger import Ledger, create_ledger, open_ledger
from ledger.log import Head, Move
from ledger.postgres.address import PostgresAddress
from ledger.progress import Report
from ledger.seals.sealing import seal
from ledger.sqlite.address import SQLiteAddress
from projections.follow import follow
from projections.registry import PROJECTIONS
from schemas.replay import decode
from tests.ledger.sending import NOW, line, order, orders, send, waiting

ORDERS = 2_500
"""More than two pages."""
NAME = "Ana Konda"
DESCRIBED = order(
    "described",
    type="customer.described.v1",
    data={"traits": {"name": NAME, "email": "ana@example.com"}},
)
RULES = order(
    "rules",
    type="loyalty.rules_published.v1",
    subject="programme:main",
    data={"programme": "main", "version": 1, "valid_from": "2026-01-01T00:00:00Z", "earn": []},
)
AHEAD = order("ahead", time="2026-02-06T10:00:00Z")
"""Two days later than the clock of the tests."""
SENT = [*(line(event) for event in orders(range(ORDERS), 100)), line(DESCRIBED), line(RULES)]
SOURCE = "kafka:main:touchpoints:0"
CARRIED = (
    "stored_events", "tracking", "governing_facts", "search_tokens", "ties",
    "erased_subjects", "access_tokens", "leaf_hashes", "seals", "quarantine",
    "quarantine_parts",
)  # fmt: skip


def fixed_clock() -> int:
    return NOW


@dataclass(frozen=True)
class Files:
    """Where a backup and the keys with it are written."""

    ledger: Path
    keys: Path

    @classmethod
    def within(cls, folder: Path) -> "Files":
        folder.mkdir(exist_ok=True)
        return cls(folder / "ledger.backup", folder / "keys.backup")


def sqlite_place(folder: Path) -> SQLiteAddress:
    """Where a ledger in a folder of its own can be."""
    folder.mkdir(exist_ok=True)
    address = parse_url(f"sqlite:///{folder / 'ledger.db'}")
    assert isinstance(address, SQLiteAddress)
    return address


def postgres_place(dsn: str, folder: Path) -> PostgresAddress:
    """Where a ledger in a database can be, with its key file in a folder."""
    folder.mkdir(exist_ok=True)
    address = parse_url(dsn, folder / "ledger.keys")
    assert isinstance(address, PostgresAddress)
    return address


def fill(address: Address) -> None:
    """Make a ledger with orders, personal data, rules, quarantine, a source and views in it."""
    create_ledger(address)
    with open_ledger(address, fixed_clock) as ledger:
        for start in range(0, len(SENT), 1_000):
            send(ledger, *SENT[start : start + 1_000])
        send(ledger, b"broken", b"given up", AHEAD, moves=[Move(SOURCE, 0, 7)])
        given_up = waiting(ledger)[1]
        with ledger.store.cursor(write=True) as cursor:
            ledger.quarantine.settle(given_up.entry, "discarded", "no use", NOW, cursor)
            cursor.insert_rows("erased_subjects", [("customer:nobody", "erasure-1", NOW)])
        create_token(ledger.store, NOW, role="analyst", source="*", expires_at=NOW + 1)
        seal(ledger)
        follow(ledger, PROJECTIONS)


def quiet(phase: str, done: int, total: int) -> None:
    """A report that nobody reads."""


def carry_out_of(
    address: Address,
    files: Files,
    *,
    keys: bool = True,
    overwrite: bool = False,
    report: Report = quiet,
    stop: Stop | None = None,
) -> Head:
    """Back up a ledger."""
    with open_ledger(address, fixed_clock) as ledger:
        return back_up(
            ledger, files.ledger, files.keys if keys else None,
            overwrite=overwrite, report=report, stop=stop or Stop(),
        )  # fmt: skip


def carry_into(
    address: Address,
    files: Files,
    *,
    keys: bool = True,
    report: Report = quiet,
    stop: Stop | None = None,
) -> Restored:
    """Restore a ledger."""
    restoring = Restoring(address, files.ledger, files.keys if keys else None)
    restoring.check(report, stop or Stop())
    return restoring.carry_out(report, stop or Stop())


def raw_rows(address: Address, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table, as the database's own tools show them; views' positions left out."""
    with _plain(address) as execute:
        rows = [tuple(map(_plain_value, row)) for row in execute(f"SELECT * FROM {table}")]
    kept = [row for row in rows if not str(row[0]).startswith("view:")]
    return sorted(kept, key=repr)


def everything(address: Address) -> dict[str, list[tuple[Any, ...]]]:
    """The raw rows of all tables that hold truth."""
    return {table: raw_rows(address, table) for table in ("head", *CARRIED)}


@contextmanager
def _plain(address: Address) -> Iterator[Any]:
    if isinstance(address, SQLiteAddress):
        with closing(sqlite3.connect(address.path)) as connection:
            yield connection.execute
    elif isinstance(address, PostgresAddress):
        with psycopg.connect(address.conninfo) as server:
            server.execute(f"SET search_path TO {address.schema}")
            yield server.execute


def _plain_value(value: Any) -> Any:
    return value.hex if isinstance(value, UUID) else value


def names_shown(ledger: Ledger) -> list[str]:
    """The personal names in the log, as a window shows them."""
    page = ledger.log.page(0, ORDERS * 2)
    described = [decode(s.topic, s.state) for s in page if s.topic == "customer.described.v1"]
    return [envelope.data.traits.name for envelope in ledger.vault.reveal(described)]
