"""Mappings: how the rows of a foreign file, or the payloads of a webhook, become touchpoints."""

import codecs
from collections.abc import Iterator
from collections.abc import Mapping as ReadOnly
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO

from ledger.conversions import TimeForm
from ledger.mapping_file import (
    MappingInvalid,
    Section,
    nearest,
    read_mapping_file,
    refuse_file_of_webhooks,
)
from ledger.mapping_values import (
    LEFT_OUT,
    Object,
    RowRefused,
    Scope,
    Value,
    expression_of,
    resting,
    time_form,
    value_in,
)
from ledger.mapping_when import Candidates, When, when_of
from ledger.rows import FORMATS, Format, RowForm, Rows, read_rows
from schemas.registry import UnknownType, touchpoint_class

__all__ = ["Mapping", "MappingInvalid", "RowRefused", "load_mapping", "mapping_in"]

TABLES_MAX = 100
"""How many [[touchpoint]] tables a mapping may have."""

ENCODINGS = frozenset(
    {"utf-8", "utf-8-sig", "ascii", "cp437", "cp850", "cp852", "cp866", "koi8-r", "koi8-u"}
    | {f"cp125{page}" for page in range(9)}
    | {f"iso8859-{part}" for part in range(1, 17) if part != 12}
    | {"mac-roman", "shift_jis", "cp932", "gbk", "gb18030", "big5", "euc_jp", "euc_kr"}
)
"""Encodings in which a line ends at the byte 0x0A and quotes are the byte they are in ASCII."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchpointTable:
    """One [[touchpoint]] table: the touchpoint that a row gives when the condition holds."""

    label: str
    type: str
    attributes: dict[str, Value]
    when: When | None

    def made(self, scope: Scope, source: str) -> dict[str, Any] | None:
        """The CloudEvent, None where the condition does not hold. Raises RowRefused."""
        try:
            if self.when is not None and not self.when.holds(scope):
                return None
            found = {name: value.of(scope) for name, value in self.attributes.items()}
        except RowRefused as refused:
            raise RowRefused(refused.path, refused.message, self.type) from None
        head = {"specversion": "1.0", "source": source, "type": self.type}
        return head | {name: value for name, value in found.items() if value is not LEFT_OUT}

    def columns(self) -> Iterator[tuple[str, str]]:
        """The columns that it reads, each with the field that it is read for."""
        for column in self.when.columns if self.when else ():
            yield "when", column
        for value in self.attributes.values():
            yield from value.columns()

    def without(self, name: str) -> "TouchpointTable | None":
        """The table without one field of `data`; None where it has no such, or needs it."""
        data = self.attributes["data"]
        if not isinstance(data, Object) or name not in data.fields or name in _needed(self.type):
            return None
        left = {key: value for key, value in data.fields.items() if key != name}
        attributes = resting({**self.attributes, "data": replace(data, fields=left)})
        return replace(self, attributes=attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A mapping that has been checked, ready to be used on any number of rows."""

    file: str
    source: str
    rows: RowForm
    tables: tuple[TouchpointTable, ...]
    skips: bool
    _candidates: Candidates = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_candidates", Candidates([table.when for table in self.tables]))

    def taking(self, row: ReadOnly[str, Any]) -> list[TouchpointTable]:
        """The tables whose condition may hold in this row, found without asking all of them."""
        return [self.tables[place] for place in self._candidates.of(row)]

    def touchpoints(self, row: ReadOnly[str, Any], number: int) -> list[dict[str, Any]]:
        """The CloudEvents that one row gives, in the order of the mapping's tables.

        All of them or none: raises RowRefused when a value is missing or has the wrong form, and
        when no table's condition holds, unless the mapping says `otherwise = "skip"`.
        """
        scope = Scope(row, number)
        made = [table.made(scope, self.source) for table in self.taking(row)]
        found = [touchpoint for touchpoint in made if touchpoint is not None]
        if not found and not self.skips:
            raise RowRefused(
                "when",
                "no [[touchpoint]] of the mapping takes this row; add one whose condition "
                'holds, or otherwise = "skip" to leave such rows out',
            )
        return found

    def check_columns(self, header: tuple[str, ...] | None) -> None:
        """Raises MappingInvalid if the mapping reads a column that the file has not.

        None stands for a file without named columns (JSON, or empty) and is always right.
        """
        if header is None:
            return
        for table in self.tables:
            for path, column in table.columns():
                if column not in header:
                    where = f"{table.label}, {path}" if table.label else path
                    raise MappingInvalid(
                        self.file,
                        where,
                        f'the file has no column "{column}"{nearest(column, header)}',
                    )

    def read(self, source: Path | BinaryIO) -> Rows:
        """The rows of a file in the form that the mapping describes.

        Raises OSError and RowsUnreadable as `read_rows` does, and MappingInvalid, before any row,
        when the file lacks a column.
        """
        rows = read_rows(source, self.rows)
        try:
            self.check_columns(rows.header)
        except MappingInvalid:
            rows.close()
            raise
        return rows


def load_mapping(path: Path) -> Mapping:
    """Read and check a mapping file. Raises MappingInvalid."""
    return mapping_in(read_mapping_file(path))


def mapping_in(top: Section) -> Mapping:
    """The mapping that a TOML document describes. Raises MappingInvalid."""
    refuse_file_of_webhooks(top)
    source = top.required_text("source", '"shop", the name of what these touchpoints come from')
    rows = _row_form(top.table("rows"))
    times, time = _times(top)
    tables = top.take("touchpoint")
    if not isinstance(tables, list) or not 1 <= len(tables) <= TABLES_MAX:
        top.refuse(f"expected 1 to {TABLES_MAX} tables [[touchpoint]]", "touchpoint")
    skips = top.choice("otherwise", ("refuse", "skip"), "refuse") == "skip"
    top.finish()
    made = [
        _touchpoint_table(_labelled(top, table, place, len(tables)), times, time)
        for place, table in enumerate(tables, start=1)
    ]
    mapping = Mapping(file=top.file, source=source, rows=rows, tables=tuple(made), skips=skips)
    mapping.check_columns(rows.columns or None)
    return mapping


def _labelled(top: Section, table: object, place: int, tables: int) -> Section:
    label = f"touchpoint {place}" if tables > 1 else ""
    if not isinstance(table, dict):
        raise MappingInvalid(top.file, label, "expected a table [[touchpoint]]")
    return Section(table, top.file, label=label)


def _row_form(section: Section | None) -> RowForm:
    if section is None:
        return RowForm()
    chosen = section.choice("format", FORMATS, "csv")
    known: dict[str, Format] = {"columns": "columns", "ndjson": "ndjson", "json": "json"}
    form = known.get(chosen, "csv")
    if form in ("csv", "columns"):
        made = _table_form(section, form)
    else:
        made = RowForm(format=form, header=False, rows=_rows_expression(section, form))
    section.finish()
    return made


def _rows_expression(section: Section, form: Format) -> str | None:
    written = section.text("rows") if form == "json" else None
    if written is not None:
        expression_of(section, "rows", written)
    return written


def _table_form(section: Section, form: Format) -> RowForm:
    columns = section.texts("columns")
    header = section.boolean("header", not columns)
    if not header and not columns:
        section.refuse('is missing; a file without a header needs columns = ["…"]', "columns")
    if len(set(columns)) != len(columns):
        section.refuse("names a column twice", "columns")
    quoted = form == "csv"
    return RowForm(
        format=form,
        columns=columns,
        header=header,
        delimiter=_delimiter(section) if quoted else " ",
        quote=_quote(section) if quoted else "",
        encoding=_encoding(section),
        skip_lines=section.count("skip_lines", 0),
    )


def _delimiter(section: Section) -> str:
    found = section.text("delimiter", ",") or ""
    if len(found) != 1 or found in '\r\n"' or not found.isascii():
        section.refuse('expected one character, such as ";" or "\\t"', "delimiter")
    return found


def _quote(section: Section) -> str:
    found = section.text("quote", '"') or ""
    if len(found) > 1 or found in ("\r", "\n", " ") or not found.isascii():
        section.refuse('expected one character, or "" where nothing is quoted', "quote")
    return found


def _encoding(section: Section) -> str:
    named = section.text("encoding", "utf-8") or ""
    try:
        found = codecs.lookup(named).name
    except (LookupError, ValueError):
        found = ""
    if found not in ENCODINGS:
        section.refuse("expected an encoding such as utf-8, latin-1 or windows-1252", "encoding")
    return "utf-8" if found == "utf-8-sig" else found


def _times(top: Section) -> tuple[TimeForm, dict[str, Any] | None]:
    """The form of times for every touchpoint, and the value of `time` for those without one."""
    section = top.table("time")
    if section is None:
        return TimeForm(), None
    times = time_form(section, TimeForm())
    rest = {key: section.take(key) for key in section.keys()}  # noqa: SIM118
    return times, rest or None


def _touchpoint_table(
    section: Section, times: TimeForm, time: dict[str, Any] | None
) -> TouchpointTable:
    type_name = section.required_text("type", '"order.completed.v1"')
    when = when_of(section)
    attributes: dict[str, Value] = {}
    for name, kind in _REQUIRED_ATTRIBUTES.items():
        where = section
        if name == "time" and time is not None and not section.has("time"):
            where = Section({"time": time}, section.file, label=section.label)
        if not where.has(name):
            section.refuse(f"is missing; write {name} = {_EXAMPLES[name]}", name)
        attributes[name] = value_in(where, name, times, kind)
    for name, kind in _OPTIONAL_ATTRIBUTES.items():
        if section.has(name):
            attributes[name] = value_in(section, name, times, kind)
    attributes["data"] = _data(section, type_name, times)
    section.finish()
    return TouchpointTable(
        label=section.label,
        type=type_name,
        attributes=resting(attributes),
        when=when,
    )


_REQUIRED_ATTRIBUTES = {"id": "text", "subject": "text", "time": "time"}
_EXAMPLES = {
    "id": '"{order}" or, where rows have no id of their own, "shop-{row}"',
    "subject": '"customer:{customer}"',
    "time": '{ column = "…" }, or a table [time] for all touchpoints',
}
_OPTIONAL_ATTRIBUTES = {
    "sequence": "integer",
    "correlationid": "text",
    "causationid": "text",
    "traceparent": "text",
}


def _data(section: Section, type_name: str, times: TimeForm) -> Value:
    """The touchpoint's own fields, checked by name against the catalogue."""
    try:
        cls = touchpoint_class(type_name)
    except UnknownType as unknown:
        section.refuse(str(unknown), "type")
    if not section.has("data"):
        section.refuse("is missing; write a table [touchpoint.data]", "data")
    value = value_in(section, "data", times)
    if isinstance(value, Object):
        known = [field.name for field in fields(cls)]
        for name in value.fields:
            if name not in known:
                section.refuse(f"not a field of {type_name}{nearest(name, known)}", f"data.{name}")
        for name in _needed(type_name):
            if name not in value.fields:
                section.refuse(f"is missing; {type_name} requires it", f"data.{name}")
    return value


def _needed(type_name: str) -> list[str]:
    """The fields that a touchpoint of this type cannot be without."""
    return [
        field.name
        for field in fields(touchpoint_class(type_name))
        if field.default is MISSING and field.default_factory is MISSING
    ]
