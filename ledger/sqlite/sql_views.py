"""SQL views for analysts on SQLite, which has neither times nor exact decimals: both are texts."""

from typing import TYPE_CHECKING

from ledger.store import Dialect

if TYPE_CHECKING:
    from ledger.sqlite.connections import SQLiteLedgerCursor

DECIMALS = 6
"""To which sums of amounts are rounded: they are made in binary floating point."""
_MICROSECONDS = "(({} % 1000000 + 1000000) % 1000000)"
_SECONDS = f"(({{}} - {_MICROSECONDS}) / 1000000)"

DIALECT = Dialect(
    rows="{} AS folded",
    document="{}",
    items="json_each({})",
    entries="json_each({})",
    time=(
        f"strftime('%Y-%m-%dT%H:%M:%S', {_SECONDS}, 'unixepoch') "
        f"|| printf('.%06dZ', {_MICROSECONDS})"
    ),
    amount="{}",
    total=f"round(sum(CAST({{}} AS numeric)), {DECIMALS})",
)


def defined_view(name: str, cursor: "SQLiteLedgerCursor") -> str | None:
    """See `ledger.store.Cursor`."""
    row = cursor.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?", (name,)
    ).fetchone()
    return row[0].removeprefix(_head(name)) if row else None


def define_view(name: str, query: str, cursor: "SQLiteLedgerCursor") -> None:
    """See `ledger.store.Cursor`."""
    cursor.execute(f"DROP VIEW IF EXISTS {name}")
    cursor.execute(_head(name) + query)


def _head(name: str) -> str:
    return f"CREATE VIEW {name} AS "
