"""The log of a ledger on PostgreSQL, brought into tables of others: as it stands, by COPY."""

from collections.abc import Iterable
from typing import Any

import psycopg

from ledger.address import Address
from ledger.postgres.address import PostgresAddress

VERSIONS = """
SELECT wanted.stream, last.originator_version
FROM unnest(%s::uuid[]) AS wanted (stream) CROSS JOIN LATERAL (
    SELECT originator_version FROM {table} WHERE originator_id = wanted.stream
    ORDER BY originator_version DESC LIMIT 1
) AS last
"""
Connection = psycopg.Connection[Any]


def bring_log(address: Address, table: str, columns: str, target: Connection) -> int:
    """Copy these columns of the whole log into a table; returns its last position."""
    if not isinstance(address, PostgresAddress):
        raise TypeError(f"{address.place} is not on PostgreSQL")
    with psycopg.connect(address.conninfo) as source:
        events = f"{address.schema}.stored_events"
        out = f"COPY (SELECT {columns} FROM {events} ORDER BY notification_id) TO STDOUT BINARY"
        into = f"COPY {table} ({columns}) FROM STDIN BINARY"
        with (
            source.cursor().copy(out.encode()) as rows,
            target.cursor() as cursor,
            cursor.copy(into.encode()) as copy,
        ):
            for row in rows:
                copy.write(row)
        position = source.execute(f"SELECT position FROM {address.schema}.head".encode())
        return int(str((position.fetchone() or (0,))[0]))


def last_versions(streams: Iterable[str], table: str, connection: Connection) -> dict[str, int]:
    """The last version of each stream that has events in a table, by its id in hex."""
    rows = connection.execute(VERSIONS.format(table=table).encode(), (list(set(streams)),))
    return {stream.hex: version for stream, version in rows.fetchall()}
