"""What the machine can do: binary COPY of the same rows into the same columns and indexes.

One commit a group, and nothing else: no lock, no positions handed out, no look at what is known.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import psycopg

from bench.appending import GROUP_TOUCHPOINTS, in_groups
from bench.logs import Connection, bring_log, last_versions
from bench.material import Year
from bench.measuring import Goal, rate
from bench.places import PostgresPlace
from ledger.record import Record

PACKING = "binary COPY, packed in Python"
PREPARED = "binary COPY of bytes prepared beforehand"
PACKING_GOAL = Goal(0.6, 0.85)
_COLUMNS = (
    "notification_id, originator_id, originator_version, topic, state, recorded_at, source, id, "
    "digest"
)
_TABLE = """
CREATE TABLE copied (
    notification_id    bigint PRIMARY KEY,
    originator_id      uuid   NOT NULL,
    originator_version bigint NOT NULL,
    topic              text   COLLATE "C" NOT NULL,
    state              bytea  NOT NULL,
    recorded_at        bigint NOT NULL,
    source             text   COLLATE "C" NOT NULL,
    id                 text   COLLATE "C" NOT NULL,
    digest             bytea  NOT NULL,
    UNIQUE (originator_id, originator_version),
    UNIQUE (id, source)
)
"""
_INTO = f"COPY copied ({_COLUMNS}) FROM STDIN BINARY".encode()
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_FRONT = struct.Struct("!hiqi16siqi").pack
_RECORDED_AT = struct.Struct("!iqi").pack
_LENGTH = struct.Struct("!i").pack

Row = tuple[int, bytes, int, str, bytes, int, str, str, bytes]


class CopyTable:
    """A table like that of the log, in a database of its own."""

    def __init__(self, database: str, year: Year) -> None:
        self._connection: Connection = psycopg.connect(database)
        self._connection.execute(_TABLE)
        self._position = bring_log(year.ledger.address, "copied", _COLUMNS, self._connection)
        self._connection.commit()
        self._samples = 0

    def close(self) -> None:
        self._connection.close()

    def packing_rate(self, records: Sequence[Record]) -> float:
        """Rows per second, with the packing of the groups."""
        groups = in_groups(self._rows_of(records), GROUP_TOUCHPOINTS)
        return rate(len(records), partial(self._copy, map(packed, groups)))

    def prepared_rate(self, records: Sequence[Record]) -> float:
        """Rows per second of what is packed already: what the server can take."""
        groups = list(map(packed, in_groups(self._rows_of(records), GROUP_TOUCHPOINTS)))
        return rate(len(records), partial(self._copy, groups))

    def _copy(self, groups: Iterator[bytes] | list[bytes]) -> None:
        for group in groups:
            with self._connection.cursor() as cursor, cursor.copy(_INTO) as copy:
                copy.write(group)
            self._connection.commit()

    def _rows_of(self, records: Sequence[Record]) -> list[Row]:
        """Rows that come next; their ids are new, though the same records came before."""
        self._samples += 1
        versions = last_versions((r.stream for r in records), "copied", self._connection)
        self._connection.rollback()
        rows = []
        for record in records:
            self._position += 1
            version = versions[record.stream] = versions.get(record.stream, 0) + 1
            rows.append(
                (self._position, bytes.fromhex(record.stream), version, record.topic, record.state,
                 self._position, record.source, f"{record.id}/{self._samples}", record.digest)
            )  # fmt: skip
        return rows


def packed(rows: Sequence[Row]) -> bytes:
    """One COPY of these rows."""
    return b"".join((_HEADER, *map(_packed_row, rows), _TRAILER))


def _packed_row(row: Row) -> bytes:
    position, stream, version, topic, state, recorded_at, source, id_, digest = row
    a, b, c = topic.encode(), source.encode(), id_.encode()
    return b"".join(
        (_FRONT(9, 8, position, 16, stream, 8, version, len(a)), a, _LENGTH(len(state)), state,
         _RECORDED_AT(8, recorded_at, len(b)), b, _LENGTH(len(c)), c, _LENGTH(len(digest)), digest)
    )  # fmt: skip


@contextmanager
def copy_table_of(year: Year, place: PostgresPlace) -> Iterator[CopyTable]:
    """The table, filled with the log of the year."""
    table = CopyTable(place.database("append_copy"), year)
    yield table
    table.close()
