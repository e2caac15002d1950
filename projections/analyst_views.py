"""SQL views for analysts: one a view, under its name, over whichever table is live.

They are pointed there in the transaction that makes a generation live, so that what they show
changes together with what everybody else is served from.
"""

from typing import Any

import msgspec

from ledger.store import Cursor, Dialect
from projections.view import Column, View


def point(view: View, table: str, cursor: Cursor) -> None:
    """Let the SQL view of a view show this table."""
    if not shows(view, table, cursor):
        cursor.define_view(view.name, query_of(view, table, cursor.DIALECT))


def shows(view: View, table: str, cursor: Cursor) -> bool:
    """Whether the SQL view is there, and shows this table as this code would have it."""
    return cursor.defined_view(view.name) == query_of(view, table, cursor.DIALECT)


def query_of(view: View, table: str, dialect: Dialect) -> str:
    """What the SQL view selects: the key, the columns and figures of the view, and the state."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(view.state)}
    shown = [f"{_column(c, defaults[c.path], dialect)} AS {c.name}" for c in view.columns]
    shown += [f"{figure.sql(dialect)} AS {figure.name}" for figure in view.figures]
    selected = ", ".join(["key", *shown, "folded.state AS state"])
    return f"SELECT {selected} FROM {dialect.rows.replace('{}', table)}"


def _column(column: Column, default: Any, dialect: Dialect) -> str:
    """A field of the state. One that stands at its default is left out of the state."""
    value = f"(folded.state ->> '{column.path}')"
    match column.kind:
        case "time":
            return dialect.time.replace("{}", value)
        case "amount":
            value = dialect.amount.replace("{}", value)
        case "integer":
            value = f"CAST({value} AS bigint)"
    if default in (None, ""):
        return value
    literal = f"'{default}'" if column.kind == "text" else f"{default}"
    return f"coalesce({value}, {literal})"
