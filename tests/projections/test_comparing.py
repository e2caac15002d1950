"""Comparing two replays by view and key."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from projections.comparing import Comparison, Difference, NotComparable, compared
from projections.orders import ORDERS
from projections.query import Cut
from projections.tickets import TICKETS
from tests.domain.loyalty_facts import order, refund
from tests.places import SQLitePlaces
from tests.projections.ledgers import Workshop, tell
from tests.projections.test_replaying import replayed


@pytest.fixture
def files(sqlite_places: SQLitePlaces, tmp_path: Path) -> tuple[Path, Path]:
    """Before: orders A1 and A3. After: A1 was refunded, A2 is new, and A3 is as it was."""
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    with Workshop(sqlite_places).ledger() as ledger:
        tell(ledger, order("2026-01-05", "A1", 100), order("2026-01-05", "A3", 100))
        before = ledger.log.head().recorded_at
        tell(ledger, refund("2026-01-06", "A1", 5), order("2026-01-07", "A2", 100))
        replayed(ledger, a, Cut(known_at=before))
        replayed(ledger, b, Cut())
    return a, b


def found(a: Path, b: Path, *only: str) -> tuple[list[Difference], Comparison]:
    with compared(a, b, only) as comparison:
        return list(comparison.differences()), comparison


def told(differences: list[Difference], view: str) -> list[tuple[str, str, list[str]]]:
    return [(d.key, d.difference, d.fields) for d in differences if d.view == view]


def test_keys_of_one_alone_and_the_fields_of_the_others_are_named(
    files: tuple[Path, Path],
) -> None:
    differences, comparison = found(*files)
    assert told(differences, "orders") == [
        ("A1", "differs", ["refunds"]),
        ("A2", "only in B", []),
    ]
    assert told(differences, "customers") == [
        (
            "customer:42",
            "differs",
            ["channels.purchase", "last_id", "last_seen", "orders.A1", "orders.A2", "touchpoints"],
        )
    ]
    counts = comparison.views["orders"]
    assert (counts.a, counts.b, counts.only_a, counts.only_b, counts.differing) == (2, 3, 0, 1, 1)


def test_the_other_way_round_it_is_the_other_that_has_them(files: tuple[Path, Path]) -> None:
    differences, _ = found(files[1], files[0], "orders")
    assert told(differences, "orders") == [
        ("A1", "differs", ["refunds"]),
        ("A2", "only in A", []),
    ]


def test_a_replay_equals_itself(files: tuple[Path, Path]) -> None:
    assert found(files[0], files[0])[0] == []


def test_views_that_one_alone_has_are_left_out_and_named(ledger: Ledger, tmp_path: Path) -> None:
    tell(ledger, order("2026-01-05", "A1", 100))
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    replayed(ledger, a, Cut(), (ORDERS, TICKETS))
    replayed(ledger, b, Cut(), (TICKETS,))
    differences, comparison = found(a, b)
    assert (differences, comparison.left_out, list(comparison.views)) == (
        [],
        ["orders"],
        ["tickets"],
    )
    with pytest.raises(NotComparable, match="neither of the two has the view customers"):
        found(a, b, "customers")


def test_what_is_no_replay_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"something else altogether" * 100)
    with pytest.raises(NotComparable, match="no replay"):
        found(files[0], other)


def test_replays_of_different_ledgers_are_not_compared(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(files[1])) as connection, connection:
        connection.execute("UPDATE replay SET ledger = 'another'")
    with pytest.raises(NotComparable, match="different ledgers"):
        found(*files)
