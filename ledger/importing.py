"""Imports: the rows of a foreign file become touchpoints by a mapping, on their way to intake."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import msgspec

from ledger.mapping import Mapping, RowRefused
from ledger.quarantine import Item, Received
from ledger.rows import Row, RowForm, Rows, json_value
from schemas.door import Refused

DOOR = "import"


class Import:
    """The touchpoints of one file; counts what its rows gave."""

    def __init__(self, mapping: Mapping, rows: Rows, name: str) -> None:
        self._mapping = mapping
        self._rows = rows
        self._name = name
        self.rows = 0
        self.skipped = 0
        self.bytes_read = 0

    def items(self) -> Iterator[Item]:
        """What to take in: each touchpoint, or a row that gives none with the reason."""
        for row in self._rows:
            found = list(self.of_row(row))
            self.rows += 1
            self.skipped += not found
            yield from found
            self.bytes_read = row.end_offset

    def of_row(self, row: Row) -> Iterator[Item]:
        """The touchpoints of one row. A row that cannot be used is kept as it stands."""
        context: dict[str, Any] = {"file": self._name, "line": row.line, "row": row.number}
        try:
            if row.values is None:
                raise RowRefused("", row.error or "the row cannot be read")
            touchpoints = self._mapping.touchpoints(row.values, row.number)
        except RowRefused as refused:
            context["columns"] = self._rows.header
            why = Refused("row", refused.path, refused.message)
            yield Received(row.raw, DOOR, context), why
            return
        for touchpoint in touchpoints:
            yield Received(msgspec.json.encode(touchpoint), DOOR, context)


def row_again(raw: bytes, context: dict[str, Any], mapping: Mapping) -> list[Item]:
    """The touchpoints that a quarantined row gives by another mapping.

    `context` is that of its quarantine entry: the row keeps the number that it had in its file.
    """
    columns = context.get("columns")
    row = _json_row(raw) if columns is None else _table_row(raw, mapping.rows, tuple(columns))
    row = replace(row, number=context["row"], line=context["line"], raw=raw)
    rows = Rows(BytesIO(), replace(mapping.rows, columns=tuple(columns or ()), header=False))
    return list(Import(mapping, rows, context["file"]).of_row(row))


def _table_row(raw: bytes, form: RowForm, columns: tuple[str, ...]) -> Row:
    alone = replace(form, columns=columns, header=False, skip_lines=0)
    return next(Rows(BytesIO(raw), alone))


def _json_row(raw: bytes) -> Row:
    row = Row(number=1, line=1, raw=raw, start_offset=0, end_offset=len(raw))
    try:
        return replace(row, values=json_value(raw))
    except ValueError as error:
        return replace(row, error=str(error))
