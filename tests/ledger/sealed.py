"""A sealed ledger for tests, and hands that reach past everything which keeps the log as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ledger.address import Address
from ledger.ledger import Ledger
from ledger.seals.heads import SealedHead
from ledger.seals.sealing import seal
from ledger.sqlite.address import SQLiteAddress
from tests.ledger.sending import orders, send
from tests.places import plain_connection

FIRST, SECOND, BEHIND = 700, 1_300, 1_310
"""Where the two seals of `fill_and_seal` end, and where the log ends. The leaf hashes of the
second are in two blocks."""


def fill_and_seal(ledger: Ledger) -> list[SealedHead]:
    """A log with two seals, and something behind them."""
    heads = []
    for first, last in ((1, FIRST), (FIRST + 1, SECOND)):
        send(ledger, *orders(range(first, last + 1)))
        heads.append(seal(ledger))
    send(ledger, *orders(range(SECOND + 1, BEHIND + 1)))
    return heads


class Hands:
    """Statements of somebody who may do everything, on either store."""

    def __init__(self, address: Address, connection: Any) -> None:
        self._is_file = isinstance(address, SQLiteAddress)
        self._connection = connection

    def do(self, sql: str, *values: Any) -> list[Any]:
        """Run a statement with question marks; returns its rows."""
        statement = sql if self._is_file else sql.replace("?", "%s")
        found = self._connection.execute(statement, values)
        return list(found.fetchall()) if found.description else []

    def drop_from_index(self, after: int) -> None:
        """Have an embedded ledger forget too that there were streams behind a position."""
        if self._is_file:
            for table in ("stream_links", "stream_ends"):
                self.do(f"DELETE FROM {table} WHERE position > ?", after)

    def change(self, column: str, position: int, value: Any) -> None:
        """Write another value into the row of a position."""
        self.do(f"UPDATE stored_events SET {column} = ? WHERE notification_id = ?", value, position)

    def read(self, column: str, position: int) -> Any:
        """What stands in the row of a position."""
        ((value,),) = self.do(
            f"SELECT {column} FROM stored_events WHERE notification_id = ?", position
        )
        return value


@contextmanager
def tampering(address: Address) -> Iterator[Hands]:
    """Hands in the database, with everything out of the way that refuses to change the log."""
    with plain_connection(address) as connection:
        hands = Hands(address, connection)
        if isinstance(address, SQLiteAddress):
            triggers = hands.do("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for (name,) in triggers:
                hands.do(f"DROP TRIGGER {name}")
        else:
            hands.do("SET session_replication_role = replica")
        yield hands


def flip(value: Any, bit: int = 0) -> Any:
    """The value with one bit changed: of its number, its first character or byte, or its UUID."""
    if isinstance(value, int):
        return value ^ (1 << bit)
    if isinstance(value, bytes):
        return bytes([value[0] ^ (1 << bit)]) + value[1:]
    text = str(value)
    return (
        format(int(text[0], 16) ^ 1, "x") + text[1:]
        if bit < 0
        else chr(ord(text[0]) ^ 1) + text[1:]
    )
