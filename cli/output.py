"""Output: tables for people, JSON, NDJSON and CSV for programs. Data goes to standard output."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

FORMATS = ("table", "json", "ndjson", "csv")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, how a record gives its text, whether it is a number."""

    heading: str
    value: Callable[[Record], Any]
    number: bool = False
    style: str | None = None
    wraps: bool = False


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
            console = console_out()
            for part in layout():
                console.print(part)
        elif self.form == "csv":
            self._csv([record])
        else:
            _write(json.dumps(_ready(record), indent=2 if self.form == "json" else None,
                              ensure_ascii=False))  # fmt: skip

    def records(
        self, records: Iterable[Record], columns: Sequence[Column], empty: str = "nothing"
    ) -> None:
        """A list: one array as JSON, one object a line as NDJSON, one row each otherwise."""
        if self.form == "ndjson":
            for record in records:
                _write(json.dumps(_ready(record), ensure_ascii=False))
        elif self.form == "json":
            _write(json.dumps([_ready(r) for r in records], indent=2, ensure_ascii=False))
        elif self.form == "csv":
            self._csv(list(records))
        else:
            listed = list(records)
            console_out().print(table(listed, columns) if listed else f"[dim]{empty}[/dim]")

    def _csv(self, records: list[Record]) -> None:
        flat = [_flat(_ready(record)) for record in records]
        names = list(dict.fromkeys(name for record in flat for name in record))
        writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
        writer.writeheader()
        for record in flat:
            writer.writerow({name: self._cell(value) for name, value in record.items()})

    def _cell(self, value: Any) -> Any:
        """Keep spreadsheets from taking a text for a formula."""
        if not self._plain_csv and isinstance(value, str) and value.startswith(FORMULA_STARTS):
            return "'" + value
        return value


def console_out() -> Console:
    """The console that data goes to."""
    return Console(highlight=False, emoji=False, soft_wrap=False)


def table(records: Iterable[Record], columns: Sequence[Column]) -> Table:
    """Records as a table without a frame. Control characters in them have no effect."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(
            column.heading,
            justify="right" if column.number else "left",
            style=column.style,
            no_wrap=not column.wraps,
            overflow="fold" if column.wraps else "ellipsis",
        )
    for record in records:
        made.add_row(*(safe(column.value(record)) for column in columns))
    return made


def safe(value: Any) -> str:
    """A value as a terminal may show it: no escape sequences, no markup, no text direction marks."""
    if value is None:
        return ""
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    clean = "".join(c if c.isprintable() else "�" for c in text)
    return clean.replace("[", r"\[")


def _ready(record: Any) -> Any:
    return msgspec.to_builtins(record)


def _flat(record: Record, prefix: str = "") -> Record:
    """Nested objects as `outer.inner` columns; lists as JSON."""
    flat: Record = {}
    for name, value in record.items():
        if isinstance(value, dict) and value:
            flat.update(_flat(value, f"{prefix}{name}."))
        elif isinstance(value, dict | list):
            flat[prefix + name] = json.dumps(value, ensure_ascii=False) if value else ""
        else:
            flat[prefix + name] = value
    return flat


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
