"""Output: tables for people, JSON, NDJSON and CSV for programs. Data goes to standard output."""

import csv
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

FORMATS = ("table", "json", "ndjson", "csv")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
ROWS_PER_TABLE = 1_000
"""A longer list comes as several tables, so that its length costs no memory."""

Record = dict[str, Any]
Layout = Callable[[list[Record]], Iterable[RenderableType]]
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, how a record gives its text, whether it is a number."""

    heading: str
    value: Callable[[Record], Any]
    number: bool = False
    style: str | None = None
    wraps: bool = False
    characters_min: int | None = None


class Unwrapped(Text):
    """A line that people copy: it is never broken, however narrow the terminal."""


class Printer:
    """Prints records in the form that was asked for."""

    def __init__(self, form: str | None, *, plain_csv: bool = False) -> None:
        self.form = form or ("table" if sys.stdout.isatty() else "ndjson")
        self._plain_csv = plain_csv

    @property
    def for_people(self) -> bool:
        return self.form == "table"

    def record(self, record: Record, layout: Callable[[], Iterable[RenderableType]]) -> None:
        """One object; `layout` gives what people see."""
        if self.form == "table":
            _show(layout())
        elif self.form == "csv":
            self._csv([record])
        else:
            _write(json.dumps(_ready(record), indent=2 if self.form == "json" else None,
                              ensure_ascii=False))  # fmt: skip

    def records(
        self,
        records: Iterable[Record],
        columns: Sequence[Column],
        empty: str = "nothing",
        *,
        layout: Layout | None = None,
        csv_fields: Sequence[str] | None = None,
    ) -> None:
        """A list: one array as JSON, one object a line as NDJSON, one row each otherwise.

        People see a table of these columns, or what `layout` makes of the records. With
        `csv_fields` the columns of CSV are these, and what is nested stands in them as JSON;
        otherwise they are gathered from all records. What is not gathered is streamed.
        """
        if self.form == "ndjson":
            for record in records:
                _write(json_line(record))
        elif self.form == "json":
            _array(records)
        elif self.form == "csv" and csv_fields:
            self._rows(csv_fields, (_cells(_ready(record)) for record in records))
        elif self.form == "csv":
            self._csv(list(records))
        elif layout:
            listed = list(records)
            _show(layout(listed) if listed else [Text(empty, style="dim")])
        else:
            _tables(records, columns, empty)

    def _csv(self, records: list[Record]) -> None:
        flat = [_flat(_ready(record)) for record in records]
        self._rows(list(dict.fromkeys(name for record in flat for name in record)), flat)

    def _rows(self, names: Sequence[str], rows: Iterable[Record]) -> None:
        for line in _csv_lines(names, rows, plain=self._plain_csv):
            sys.stdout.write(line)


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(names: Sequence[str], records: Iterable[Record]) -> Iterator[str]:
    """Records as CSV with these columns, line by line; what is nested stands there as JSON."""
    return _csv_lines(names, (_cells(_ready(record)) for record in records), plain=False)


def _csv_lines(names: Sequence[str], rows: Iterable[Record], *, plain: bool) -> Iterator[str]:
    writer = csv.DictWriter(_Echo(), names, lineterminator="\n", extrasaction="ignore")
    yield str(writer.writeheader())
    for row in rows:
        cells = row if plain else {name: _no_formula(value) for name, value in row.items()}
        yield str(writer.writerow(cells))


def _no_formula(value: Any) -> Any:
    """Keep spreadsheets from taking a text for a formula; a number is none."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return "'" + value if value.startswith(FORMULA_STARTS) else value


def json_line(record: Record) -> str:
    """A record as one line of NDJSON, without the end of the line."""
    return json.dumps(_ready(record), ensure_ascii=False)


def json_lines(value: Any) -> list[str]:
    """A value as indented JSON for people, line by line, and clean."""
    return [
        clean(line) for line in json.dumps(_ready(value), indent=2, ensure_ascii=False).split("\n")
    ]


def console_out() -> Console:
    """The console that data goes to."""
    return Console(highlight=False, emoji=False, soft_wrap=False)


def table(records: Iterable[Record], columns: Sequence[Column]) -> Table:
    """Records as a table without a frame. Control characters in them have no effect."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(
            column.heading,
            justify="right" if column.number else "left",
            style=column.style,
            no_wrap=not column.wraps,
            overflow="fold" if column.wraps else "ellipsis",
            min_width=column.characters_min,
        )
    for record in records:
        made.add_row(*(Text(clean(column.value(record))) for column in columns))
    return made


def clean(value: Any) -> str:
    """A value as a terminal may show it: no escape sequences, no marks of text direction."""
    if value is None:
        return ""
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    # Spaces of all widths and line ends show as a space; what could steer a terminal does not.
    return " " if character == "\n" or unicodedata.category(character) == "Zs" else "�"


def safe(value: Any) -> str:
    """A clean value for text that is printed with markup."""
    return escape(clean(value))


def _show(parts: Iterable[RenderableType]) -> None:
    console = console_out()
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Unwrapped))


def _tables(records: Iterable[Record], columns: Sequence[Column], empty: str) -> None:
    console, rest = console_out(), iter(records)
    page = list(islice(rest, ROWS_PER_TABLE))
    if not page:
        console.print(f"[dim]{escape(empty)}[/dim]")
    while page:
        console.print(table(page, columns))
        page = list(islice(rest, ROWS_PER_TABLE))


def _array(records: Iterable[Record]) -> None:
    """One JSON array, written item by item."""
    separator = "["
    for record in records:
        text = json.dumps(_ready(record), indent=2, ensure_ascii=False)
        sys.stdout.write(f"{separator}\n  " + text.replace("\n", "\n  "))
        separator = ","
    _write("[]" if separator == "[" else "\n]")


def _cells(record: Record) -> Record:
    """The record with what is nested as JSON."""
    return {name: _as_json(v) if isinstance(v, dict | list) else v for name, v in record.items()}


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""


def _ready(record: Any) -> Any:
    return msgspec.to_builtins(record)


def _flat(record: Record, prefix: str = "") -> Record:
    """Nested objects as `outer.inner` columns; lists as JSON."""
    flat: Record = {}
    for name, value in record.items():
        if isinstance(value, dict) and value:
            flat.update(_flat(value, f"{prefix}{name}."))
        elif isinstance(value, dict | list):
            flat[prefix + name] = _as_json(value)
        else:
            flat[prefix + name] = value
    return flat


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
