"""Rows of foreign files: CSV, blank-aligned columns, NDJSON and JSON, read as a bounded stream.

Nothing is lost on the way: what cannot be read comes out as a row with its bytes and an error,
and the rows after it are read all the same.
"""

import codecs
import csv
import json
import math
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self, get_args

import jmespath
from jmespath.exceptions import JMESPathError

ROW_BYTES_MAX = 1_048_576
"""The longest row that is read; a longer one comes out as an error."""
RAW_BYTES_MAX = 67_108_864
"""How much of an unreadable row is kept."""
JSON_FILE_BYTES_MAX = 268_435_456
"""The largest JSON file; unlike the other formats it is held in memory as a whole."""

Format = Literal["csv", "columns", "ndjson", "json"]
FORMATS: tuple[str, ...] = get_args(Format)

_BOM = codecs.BOM_UTF8
_BLANKS = re.compile(r"[ \t]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_JSON_BLANK = re.compile(rb"[ \t\r\n]*")


class RowsUnreadable(ValueError):
    """The file as a whole cannot be read as rows; the message says why and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowForm:
    """How a file is cut into rows, as the `[rows]` table of a mapping says it.

    `columns` names the columns of a file without a header; with `header` as well they take the
    place of the names in it. `quote` is empty when nothing is quoted. `rows` is the JMESPath
    expression that leads to the array inside a JSON document.
    """

    format: Format = "csv"
    columns: tuple[str, ...] = ()
    header: bool = True
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    skip_lines: int = 0
    rows: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record of the file: either its `values`, or the `error` for which it has none.

    `number` counts rows from 1, without the header; `line` is the physical line at which the
    row starts, from 1. `raw` holds its bytes as they stand in the file from `start_offset` to
    `end_offset` (the first RAW_BYTES_MAX of them). Only the elements that a `rows` expression
    found inside a JSON document are written anew, and their offsets are proportions.
    """

    number: int
    line: int
    raw: bytes
    start_offset: int
    end_offset: int
    values: dict[str, Any] | None = None
    error: str | None = None


class WrittenNumber(float):
    """A fraction in JSON that remembers the digits it was written with, for the sake of money."""

    __slots__ = ("digits",)
    digits: str

    def __new__(cls, digits: str) -> Self:
        number = super().__new__(cls, digits)
        if not math.isfinite(number):
            raise ValueError("a number beyond what can be held")
        number.digits = digits
        return number


def json_value(raw: bytes) -> Any:
    """Read strict JSON in UTF-8; fractions come out as WrittenNumber.

    Raises ValueError with a message that never quotes the content.
    """
    try:
        text = raw.decode("utf-8")
        value = json.loads(
            text,
            parse_float=WrittenNumber,
            parse_int=_whole_number,
            parse_constant=_refuse_constant,
        )
        halves = _ESCAPED_HALF.search(text) and _SURROGATE.search(
            json.dumps(value, ensure_ascii=False)
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"not valid UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON at character {error.pos + 1}: {error.msg}") from None
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    if halves:
        raise ValueError("a text in the JSON holds half of a surrogate pair")
    return value


def _whole_number(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:  # Python's own limit, which it explains in words for programmers
        raise ValueError("a number with too many digits") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


class Rows(Iterator[Row]):
    """The rows of one file, in its order. Use it in a `with`, or read it to the end.

    `header` has the names of the columns, None for JSON and for an empty file. `size` is the
    length of the file in bytes where it is known.
    """

    def __init__(self, stream: BinaryIO, form: RowForm, *, size: int | None = None) -> None:
        self._stream = stream
        self._owned = size is not None
        self.size = size
        self.header: tuple[str, ...] | None = None
        try:
            self._rows = self._open(form)
        except BaseException:
            self.close()
            raise

    def _open(self, form: RowForm) -> Iterator[Row]:
        if form.format == "json":
            return _json_rows(self._stream, form)
        lines = _Lines(self._stream)
        lines.skip(form.skip_lines)
        if form.format == "ndjson":
            return _line_rows(lines, _ndjson_values)
        table = _Table(lines, form)
        self.header = table.header
        return table.rows()

    def __next__(self) -> Row:
        try:
            return next(self._rows)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned:
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_rows(source: Path | BinaryIO, form: RowForm) -> Rows:
    """Open a file (or take a binary stream) and read its rows one by one.

    The header is read at once. Raises OSError when the file cannot be opened or read, and
    RowsUnreadable, here or on the way, when it cannot be taken apart as the form says. To read
    the `raw` of a quarantined row again, give the form `columns=header, header=False` and no
    `skip_lines`; for JSON, give the raw to `json_value`.
    """
    if isinstance(source, Path):
        size = source.stat().st_size
        return Rows(source.open("rb"), form, size=size)
    return Rows(source, form)


@dataclass(frozen=True, slots=True)
class _Line:
    """A physical line with its end-of-line bytes; `too_long` when it is over the limit."""

    number: int
    start: int
    end: int
    raw: bytes
    too_long: bool = False


class _Lines:
    """The physical lines of a stream; lines that were read too far can be given back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._offset = 0
        self._numbers = count(1)
        self._given_back: deque[_Line] = deque()

    def take(self) -> _Line | None:
        """The next line, None at the end of the file."""
        return self._given_back.popleft() if self._given_back else self._read()

    def give_back(self, lines: list[_Line]) -> None:
        self._given_back.extendleft(reversed(lines))

    def skip(self, lines: int) -> None:
        for _ in range(lines):
            if self.take() is None:
                return

    def _read(self) -> _Line | None:
        raw = self._stream.readline(ROW_BYTES_MAX + 1)
        if not raw:
            return None
        start, number = self._offset, next(self._numbers)
        self._offset += len(raw)
        if number == 1:
            raw, start = _without_mark(raw, start)
        if len(raw) <= ROW_BYTES_MAX or raw.endswith(b"\n"):
            return _Line(number, start, self._offset, raw)
        kept = raw + self._rest_of_line(RAW_BYTES_MAX - len(raw))
        return _Line(number, start, self._offset, kept, too_long=True)

    def _rest_of_line(self, kept_max: int) -> bytes:
        """Read to the end of a line that is over the limit, and keep the first `kept_max`."""
        parts, kept = [], 0
        while piece := self._stream.readline(ROW_BYTES_MAX):
            self._offset += len(piece)
            parts.append(piece[: kept_max - kept])
            kept += len(parts[-1])
            if piece.endswith(b"\n"):
                break
        return b"".join(parts)


def _without_mark(raw: bytes, start: int) -> tuple[bytes, int]:
    """Take the byte order mark off the first line."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise RowsUnreadable("the file is in UTF-16; save it as UTF-8")
    return (raw[len(_BOM) :], start + len(_BOM)) if raw.startswith(_BOM) else (raw, start)


_TOO_LONG = f"longer than {ROW_BYTES_MAX:,} bytes"


def _row(number: int, lines: list[_Line], found: dict[str, Any] | str) -> Row:
    """The row that stands on these lines: its values, or what is wrong with it."""
    return Row(
        number=number,
        line=lines[0].number,
        raw=b"".join(line.raw for line in lines),
        start_offset=lines[0].start,
        end_offset=lines[-1].end,
        values=found if isinstance(found, dict) else None,
        error=found if isinstance(found, str) else None,
    )


def _line_rows(lines: _Lines, values_of: Callable[[bytes], dict[str, Any] | str]) -> Iterator[Row]:
    """One row a line; lines of nothing but blanks are none."""
    numbers = count(1)
    while line := lines.take():
        if line.raw.strip(b" \t\r\n"):
            found = _TOO_LONG if line.too_long else values_of(line.raw)
            yield _row(next(numbers), [line], found)


def _ndjson_values(raw: bytes) -> dict[str, Any] | str:
    try:
        value = json_value(raw)
    except ValueError as error:
        return str(error)
    return value if isinstance(value, dict) else "expected a JSON object"


class _Table:
    """A file of rows and named columns, quoted (CSV) or aligned with blanks."""

    def __init__(self, lines: _Lines, form: RowForm) -> None:
        self._lines = lines
        self._form = form
        first = self._header() if form.header else None
        self.header = tuple(form.columns) or first
        if form.header and first is None:
            self.header = None

    def _header(self) -> tuple[str, ...] | None:
        while line := self._lines.take():
            if line.raw.strip(b"\r\n"):
                self._lines.give_back([line])
                _, found = self._record()
                if isinstance(found, str):
                    raise RowsUnreadable(f"line {line.number}: the header is {found}")
                return distinct_names(found)
        return None

    def rows(self) -> Iterator[Row]:
        if self._form.format == "columns":
            return _line_rows(self._lines, self._blank_aligned)
        return self._csv_rows()

    def _csv_rows(self) -> Iterator[Row]:
        numbers = count(1)
        while line := self._lines.take():
            if line.raw.strip(b"\r\n"):
                self._lines.give_back([line])
                lines, fields = self._csv_record()
                yield _row(next(numbers), lines, self._named(fields))

    def _blank_aligned(self, raw: bytes) -> dict[str, Any] | str:
        return self._named(self._split(raw))

    def _named(self, fields: list[str] | str) -> dict[str, Any] | str:
        header = self.header or ()
        if isinstance(fields, str):
            return fields
        if len(fields) != len(header):
            return f"{len(fields)} columns where {len(header)} were expected"
        return dict(zip(header, fields, strict=True))

    def _record(self) -> tuple[list[_Line], list[str] | str]:
        if self._form.format == "csv":
            return self._csv_record()
        line = self._next_line()
        return [line], _TOO_LONG if line.too_long else self._split(line.raw)

    def _split(self, raw: bytes) -> list[str] | str:
        text, fault = self._decoded(raw)
        return fault or _BLANKS.split(text.strip(" \t\r\n"))

    def _next_line(self) -> _Line:
        line = self._lines.take()
        if line is None:
            raise RuntimeError("a record was asked for after the last line")
        return line

    def _csv_record(self) -> tuple[list[_Line], list[str] | str]:
        """The lines of one record, which a quoted field can stretch over many, and its fields.

        A record that does not come to an end (a quote that nobody closes) gives up its first
        line only, so that the lines after it are read as rows again.
        """
        first = self._next_line()
        if first.too_long:
            return [first], _TOO_LONG
        taken: list[_Line] = []
        faults: list[str] = []
        texts = self._texts(first, taken, faults)
        try:
            fields = next(csv.reader(texts, **self._dialect()))
        except csv.Error as error:
            self._lines.give_back(taken[1:])
            return [first], faults[0] if faults else _csv_fault(error)
        return taken, faults[0] if faults else fields

    def _texts(self, first: _Line, taken: list[_Line], faults: list[str]) -> Iterator[str]:
        """The lines of a record as text, for as long as the reader asks and the limit allows."""
        line: _Line | None = first
        size = 0
        while line is not None:
            taken.append(line)
            size += len(line.raw)
            if line.too_long or (size > ROW_BYTES_MAX and line is not first):
                return
            text, fault = self._decoded(line.raw)
            if fault:
                faults.append(fault)
            yield text
            line = self._lines.take()

    def _dialect(self) -> dict[str, Any]:
        quoted = bool(self._form.quote)
        return {
            "delimiter": self._form.delimiter,
            "quotechar": self._form.quote or None,
            "quoting": csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            "strict": True,
        }

    def _decoded(self, raw: bytes) -> tuple[str, str | None]:
        """The text, and what is wrong with its encoding. Its structure is legible either way."""
        try:
            return raw.decode(self._form.encoding), None
        except UnicodeDecodeError as error:
            fault = f"not valid {self._form.encoding.upper()} at byte {error.start + 1} of its line"
            return raw.decode(self._form.encoding, "surrogateescape"), fault


def _csv_fault(error: csv.Error) -> str:
    """What the CSV reader objects to, in words for people."""
    said = str(error)
    if "unexpected end of data" in said:
        return f"a quote that is not closed within {ROW_BYTES_MAX:,} bytes"
    if "field larger" in said:
        return f"a field beyond {csv.field_size_limit():,} characters, or a quote not closed"
    if "new-line character" in said:
        return "a carriage return in the middle of a row"
    if "expected after" in said:
        return "a closing quote that no delimiter follows"
    return f"not readable as CSV: {said}"


def distinct_names(names: list[str]) -> tuple[str, ...]:
    """Column names without blanks around them, each once: the second `Variant` is `Variant_2`.

    A column without a name is called by its place: `column_3`.
    """
    stripped = [name.strip() or f"column_{place}" for place, name in enumerate(names, start=1)]
    taken: set[str] = set()
    given = set(stripped)
    for place, name in enumerate(stripped):
        if name in taken:
            stripped[place] = next(
                other for n in count(2) if (other := f"{name}_{n}") not in given | taken
            )
        taken.add(stripped[place])
    return tuple(stripped)


def _json_rows(stream: BinaryIO, form: RowForm) -> Iterator[Row]:
    """The elements of an array, or of the array to which the form's expression leads."""
    data = stream.read(JSON_FILE_BYTES_MAX + 1)
    if len(data) > JSON_FILE_BYTES_MAX:
        raise RowsUnreadable(
            f"a JSON file is read whole and may have {JSON_FILE_BYTES_MAX:,} bytes at most; "
            "write it as NDJSON, one object a line"
        )
    data, start = _without_mark(data, 0)
    if not data.strip(b" \t\r\n"):
        return
    if form.rows is None:
        yield from _JsonArray(data, start).rows()
    else:
        yield from _found_rows(data, start, form.rows)


_boundaries = json.JSONDecoder(
    parse_float=str, parse_int=str, parse_constant=str, strict=False
).raw_decode
"""Finds where a JSON value ends. Only the place is used: the value is read by `json_value`."""


class _JsonArray:
    """An array whose elements are read one by one, so that one bad element costs only itself."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        # One character a byte, so that places in the text are places in the file.
        self._text = data.decode("latin-1")
        self._start = start
        self._line, self._counted_to = 1, 0
        self._number = 0

    def rows(self) -> Iterator[Row]:
        at = self._after_blanks(0)
        if self._data[at : at + 1] != b"[":
            raise RowsUnreadable(
                "expected a JSON array; if the rows are inside an object, name the way to them "
                'in the mapping, such as rows = "orders"'
            )
        at = self._after_blanks(at + 1)
        if self._data[at : at + 1] != b"]":
            at = yield from self._elements(at)
        else:
            at += 1
        if at < len(self._data) and self._after_blanks(at) < len(self._data):
            yield self._rest(self._after_blanks(at), "something after the end of the array")

    def _elements(self, at: int) -> Generator[Row, None, int]:
        """Yield the elements; returns the place after the array, the end if it broke off."""
        while True:
            try:
                _, end = _boundaries(self._text, at)
            except json.JSONDecodeError as error:
                yield self._rest(at, f"broken JSON: {error.msg}")
                return len(self._data)
            except RecursionError:
                yield self._rest(at, "JSON that is nested too deeply")
                return len(self._data)
            yield self._element(at, end)
            at = self._after_blanks(end)
            mark, at = self._data[at : at + 1], self._after_blanks(at + 1)
            if mark == b"]":
                return at
            if mark != b",":
                yield self._rest(end, "broken JSON: expected a comma or the end of the array")
                return len(self._data)

    def _element(self, at: int, end: int) -> Row:
        raw = self._data[at:end]
        return self._made(at, end, _TOO_LONG if end - at > ROW_BYTES_MAX else _ndjson_values(raw))

    def _rest(self, at: int, error: str) -> Row:
        """All that is left of a file that cannot be followed any further."""
        return self._made(at, len(self._data), f"{error}; nothing after it can be read")

    def _made(self, at: int, end: int, found: dict[str, Any] | str) -> Row:
        self._line += self._data.count(b"\n", self._counted_to, at)
        self._counted_to = at
        self._number += 1
        raw = self._data[at:end][:RAW_BYTES_MAX]
        line = _Line(self._line, self._start + at, self._start + end, raw)
        return _row(self._number, [line], found)

    def _after_blanks(self, at: int) -> int:
        found = _JSON_BLANK.match(self._data, at)
        return found.end() if found else at


def _found_rows(data: bytes, start: int, expression: str) -> Iterator[Row]:
    """The elements of the array that a JMESPath expression finds in a document."""
    whole = _Line(1, start, start + len(data), data[:RAW_BYTES_MAX])
    try:
        found = jmespath.search(expression, json_value(data))
    except JMESPathError as error:
        raise RowsUnreadable(f"rows = {expression!r} fails: {error}") from None
    except ValueError as error:
        yield _row(1, [whole], str(error))
        return
    if not isinstance(found, list):
        raise RowsUnreadable(f"rows = {expression!r} does not lead to an array")
    for number, element in enumerate(found, start=1):
        raw = json.dumps(element, ensure_ascii=False, default=str).encode()
        end = start + len(data) * number // len(found)
        line = _Line(1, end, end, raw[:RAW_BYTES_MAX])
        values = element if isinstance(element, dict) else "expected a JSON object"
        yield _row(number, [line], _TOO_LONG if len(raw) > ROW_BYTES_MAX else values)
