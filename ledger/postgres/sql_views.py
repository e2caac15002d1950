"""SQL views for analysts on PostgreSQL: real types, and what was granted on them is kept."""

from typing import TYPE_CHECKING

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from ledger.errors import LedgerError
from ledger.store import Dialect

if TYPE_CHECKING:
    from ledger.postgres.connections import PostgresCursor

DIALECT = Dialect(
    # Without OFFSET 0 the document would be parsed once for each column that looks into it.
    rows=(
        "{} AS stored CROSS JOIN LATERAL "
        "(SELECT CAST(stored.state AS jsonb) AS state OFFSET 0) AS folded"
    ),
    document="CAST({} AS jsonb)",
    items="jsonb_array_elements_text({})",
    entries="jsonb_each_text({})",
    time="TIMESTAMP WITH TIME ZONE 'epoch' + CAST({} AS bigint) * INTERVAL '1 microsecond'",
    amount="CAST({} AS numeric)",
    total="sum(CAST({} AS numeric))",
)
_DEFINED = """
SELECT obj_description(oid, 'pg_class') FROM pg_class
WHERE relname = ? AND relkind = 'v' AND relnamespace = CAST(current_schema() AS regnamespace)
"""
_GRANTED = """
SELECT pg_get_userbyid(acl.grantee), acl.grantee = 0, acl.privilege_type, acl.is_grantable
FROM pg_class, aclexplode(relacl) AS acl
WHERE oid = CAST(? AS regclass) AND acl.grantee <> relowner
"""


def defined_view(name: str, cursor: "PostgresCursor") -> str | None:
    """See `ledger.store.Cursor`. The server keeps a query in words of its own: ours is kept as
    the comment on the view."""
    row = cursor.execute(_DEFINED, (name,)).fetchone()
    return row[0] if row else None


def define_view(name: str, query: str, cursor: "PostgresCursor") -> None:
    """See `ledger.store.Cursor`."""
    cursor.execute("SAVEPOINT before_view")
    try:
        cursor.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
    except psycopg.errors.InvalidTableDefinition:  # it has other columns
        cursor.execute("ROLLBACK TO SAVEPOINT before_view")
        _make_anew(name, query, cursor)
    comment = SQL("COMMENT ON VIEW {} IS {}").format(Identifier(name), Literal(query))
    cursor.execute(comment)


def _make_anew(name: str, query: str, cursor: "PostgresCursor") -> None:
    granted = cursor.execute(_GRANTED, (name,)).fetchall()
    try:
        cursor.execute(f"DROP VIEW {name}")
    except psycopg.errors.DependentObjectsStillExist:
        raise LedgerError(
            f"the SQL view {name} gets other columns, and views of your own are built on it: "
            "drop those first, and make them again afterwards"
        ) from None
    cursor.execute(f"CREATE VIEW {name} AS {query}")
    for grantee, everybody, privilege, grantable in granted:
        statement = SQL("GRANT {} ON {} TO {}{}").format(
            SQL(privilege),
            Identifier(name),
            SQL("PUBLIC") if everybody else Identifier(grantee),
            SQL(" WITH GRANT OPTION" if grantable else ""),
        )
        cursor.execute(statement)
