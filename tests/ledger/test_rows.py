"""Rows: every byte of a foreign file comes out as a row, read or with the reason why not."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ledger.rows
from ledger.rows import (
    JSON_FILE_BYTES_MAX,
    RAW_BYTES_MAX,
    ROW_BYTES_MAX,
    Format,
    Row,
    RowForm,
    Rows,
    RowsUnreadable,
    WrittenNumber,
    json_value,
    read_rows,
)

CSV = RowForm()
NDJSON = RowForm(format="ndjson", header=False)
JSON = RowForm(format="json", header=False)
BLANKS = b" \t\r\n"


def opened(raw: bytes, form: RowForm = CSV) -> Rows:
    return read_rows(io.BytesIO(raw), form)


def read(raw: bytes, form: RowForm = CSV) -> list[Row]:
    return list(opened(raw, form))


def values(raw: bytes, form: RowForm = CSV) -> list[Any]:
    return [row.values for row in read(raw, form)]


def errors(raw: bytes, form: RowForm = CSV) -> list[str | None]:
    return [row.error for row in read(raw, form)]


def test_a_csv_file_gives_a_row_for_each_record_by_the_names_of_its_header() -> None:
    rows = opened(b"id,name\r\n1,Ana\r\n2,\r\n")
    assert rows.header == ("id", "name")
    assert [row.values for row in rows] == [{"id": "1", "name": "Ana"}, {"id": "2", "name": ""}]


def test_a_row_says_where_it_stood() -> None:
    row = read(b"id,name\n\n1,Ana\n2,Bo")[1]
    assert (row.number, row.line, row.raw) == (2, 4, b"2,Bo")
    assert (row.start_offset, row.end_offset) == (15, 19)


def test_a_quoted_field_may_hold_delimiters_quotes_and_line_ends() -> None:
    raw = b'id,text\n1,"a, ""b""\r\nand c"\n2,d\n'
    rows = read(raw)
    assert [row.values for row in rows] == [
        {"id": "1", "text": 'a, "b"\r\nand c'},
        {"id": "2", "text": "d"},
    ]
    assert rows[0].raw == b'1,"a, ""b""\r\nand c"\n'
    assert [row.line for row in rows] == [2, 4]


def test_a_quote_in_the_middle_of_a_field_is_a_character_like_any_other() -> None:
    assert values(b'id,size\n1,5" pipe\n2,6" pipe\n') == [
        {"id": "1", "size": '5" pipe'},
        {"id": "2", "size": '6" pipe'},
    ]


def test_a_quote_that_nobody_closes_costs_its_line_and_not_the_rest_of_the_file() -> None:
    rows = read(b'id,text\n1,"oops\n2,b\n3,c\n')
    assert [row.values for row in rows][1:] == [{"id": "2", "text": "b"}, {"id": "3", "text": "c"}]
    assert rows[0].raw == b'1,"oops\n'
    assert rows[0].error is not None
    assert "quote that is not closed" in rows[0].error


def test_an_unclosed_quote_in_a_long_file_is_given_up_at_the_limit() -> None:
    line = b"2," + b"x" * 997 + b"\n"
    stream = io.BytesIO(b'id,text\n1,"oops\n' + line * 2_000)
    rows = read_rows(stream, CSV)
    first = next(rows)
    assert (first.raw, first.error) == (
        b'1,"oops\n',
        "a field beyond 131,072 characters, or a quote not closed",
    )
    assert stream.tell() < ROW_BYTES_MAX + 2 * len(line)
    assert [row.error for row in rows] == [None] * 2_000


def test_a_record_of_many_lines_beyond_the_limit_is_given_up_line_by_line() -> None:
    line = b"x" * 100_000 + b'\n","'
    rows = read(b'a,b\n"' + line * 12 + b'"\n3,4\n')
    assert rows[0].raw == b'"' + b"x" * 100_000 + b"\n"
    assert rows[-1].values == {"a": "3", "b": "4"}


def test_a_row_with_too_few_or_too_many_fields_is_an_error_and_the_next_is_read() -> None:
    rows = read(b"a,b\n1\n1,2,3\n4,5\n")
    assert [row.error for row in rows] == [
        "1 columns where 2 were expected",
        "3 columns where 2 were expected",
        None,
    ]


def test_a_carriage_return_inside_a_row_is_an_error() -> None:
    assert errors(b"a,b\n1,2\r3,4\n5,6\n") == ["a carriage return in the middle of a row", None]


def test_a_row_that_is_not_utf_8_is_an_error_that_says_at_which_byte() -> None:
    rows = read(b'a,b\n1,\xff\n"x\xff\ny",2\n5,6\n')
    assert rows[0].error == "not valid UTF-8 at byte 3 of its line"
    assert rows[1].raw == b'"x\xff\ny",2\n'
    assert rows[2].values == {"a": "5", "b": "6"}


def test_other_encodings_and_delimiters_are_read_as_the_form_says() -> None:
    form = RowForm(delimiter=";", encoding="cp1252", quote="")
    assert values(b'name;price\nJos\xe9;"5\x80\n', form) == [{"name": "José", "price": '"5€'}]


def test_a_byte_order_mark_is_not_part_of_the_first_name() -> None:
    assert opened(b"\xef\xbb\xbfid\n1\n").header == ("id",)


def test_utf_16_is_refused_with_what_to_do() -> None:
    with pytest.raises(RowsUnreadable, match="save it as UTF-8"):
        read("id\n1\n".encode("utf-16"))


def test_a_name_that_occurs_twice_in_the_header_is_counted() -> None:
    assert opened(b"Variant,x,Variant, Variant_2 ,,Variant\n").header == (
        "Variant",
        "x",
        "Variant_3",
        "Variant_2",
        "column_5",
        "Variant_4",
    )


def test_columns_can_be_named_by_the_form_with_or_without_a_header_in_the_file() -> None:
    named = RowForm(columns=("a", "b"), header=False)
    renamed = RowForm(columns=("a", "b"), header=True)
    assert values(b"1,2\n", named) == values(b"x,y\n1,2\n", renamed) == [{"a": "1", "b": "2"}]


def test_lines_above_the_header_are_skipped() -> None:
    rows = read(b'Report of "May\n\nid\n1\n', RowForm(skip_lines=2))
    assert [(row.line, row.values) for row in rows] == [(4, {"id": "1"})]


@pytest.mark.parametrize("raw", [b"", b"\n\r\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("form", [CSV, NDJSON, JSON, RowForm(format="columns")])
def test_an_empty_file_has_no_rows_and_no_header(raw: bytes, form: RowForm) -> None:
    rows = opened(raw, form)
    assert (rows.header, list(rows)) == (None, [])


def test_a_header_alone_has_no_rows() -> None:
    assert read(b"id,name\n") == []


def test_a_header_that_cannot_be_read_refuses_the_file() -> None:
    with pytest.raises(RowsUnreadable, match="line 1: the header is not valid UTF-8"):
        opened(b"id,\xff\n1,2\n")


def test_columns_aligned_with_blanks_are_split_on_runs_of_them() -> None:
    form = RowForm(format="columns", columns=("id", "day", "amount"), header=False)
    assert values(b" 00004 19970101\t 29.33\r\n\n 1 2\n", form) == [
        {"id": "00004", "day": "19970101", "amount": "29.33"},
        None,
    ]


def test_columns_aligned_with_blanks_may_have_a_header() -> None:
    assert values(b" id  day \n 1   2\n", RowForm(format="columns")) == [{"id": "1", "day": "2"}]


def test_ndjson_gives_an_object_a_line_and_an_error_for_what_is_none() -> None:
    rows = read(b'{"a": 1}\n\n[1]\n{"a": \n{"a": "\xff"}\n{"a": 2}', NDJSON)
    assert [row.values for row in rows] == [{"a": 1}, None, None, None, {"a": 2}]
    assert [row.error for row in rows] == [
        None,
        "expected a JSON object",
        "broken JSON at character 8: Expecting value",
        "not valid UTF-8 at byte 8",
        None,
    ]


@pytest.mark.parametrize(
    "raw",
    [b"NaN", b"Infinity", b"1e999", b'"\\ud800"', b"[" * 100_000, b"9" * 5_000, b'"a', b""],
)
def test_json_that_cannot_be_carried_back_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        json_value(raw)


def test_a_number_with_too_many_digits_is_refused_in_our_own_words() -> None:
    with pytest.raises(ValueError, match=r"^a number with too many digits$"):
        json_value(b'{"a": ' + b"9" * 5_000 + b"}")
    assert json_value(b"9" * 4_000) == 10**4_000 - 1


def test_fractions_in_json_remember_their_digits() -> None:
    number = json_value(b'{"amount": 12.50}')["amount"]
    assert isinstance(number, WrittenNumber)
    assert (number, number.digits) == (12.5, "12.50")


def test_escaped_characters_outside_of_the_basic_plane_are_no_halves() -> None:
    assert json_value(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_a_json_array_gives_its_elements_with_the_bytes_of_each() -> None:
    raw = '[\n  {"a": "é"},\n  7,\n  {"a": "\xff"},\n  {"a": 2}\n]\n'.encode()
    rows = read(raw.replace("\xff".encode(), b"\xff"), JSON)
    assert [row.values for row in rows] == [{"a": "é"}, None, None, {"a": 2}]
    assert [row.line for row in rows] == [2, 3, 4, 5]
    assert rows[0].raw == '{"a": "é"}'.encode()
    assert rows[2].error == "not valid UTF-8 at byte 8"


@pytest.mark.parametrize("rest", [b"", b" ", b', {"a": ', b' {"a": 2}]', b"] x", b", ]"])
def test_a_json_array_that_breaks_off_keeps_what_came_before_and_the_rest_whole(
    rest: bytes,
) -> None:
    first, broken = read(b'[{"a": 1}' + rest, JSON)
    assert first.values == {"a": 1}
    assert broken.values is None
    assert broken.raw in rest
    assert broken.end_offset == len(b'[{"a": 1}' + rest)


def test_an_array_inside_a_document_is_found_by_an_expression() -> None:
    form = RowForm(format="json", header=False, rows="data.orders[?total > `5`]")
    rows = read(b'{"data": {"orders": [{"total": 3}, {"total": 7.50}]}}', form)
    assert [row.values for row in rows] == [{"total": 7.5}]
    assert json.loads(rows[0].raw) == {"total": 7.5}


def test_a_document_where_an_array_was_expected_says_what_to_write() -> None:
    with pytest.raises(RowsUnreadable, match='rows = "orders"'):
        read(b'{"orders": []}', JSON)


@pytest.mark.parametrize(("expression", "said"), [("b", "does not lead"), ("abs(a)", "fails")])
def test_an_expression_that_leads_to_no_array_refuses_the_file(expression: str, said: str) -> None:
    with pytest.raises(RowsUnreadable, match=said):
        read(b'{"a": []}', RowForm(format="json", header=False, rows=expression))


def test_a_document_that_is_broken_is_one_row_with_all_of_its_bytes() -> None:
    (row,) = read(b'{"a": [', RowForm(format="json", header=False, rows="a"))
    assert (row.values, row.raw) == (None, b'{"a": [')


def test_a_json_file_beyond_the_limit_says_to_use_ndjson(monkeypatch: pytest.MonkeyPatch) -> None:
    assert JSON_FILE_BYTES_MAX == 256 * 1024 * 1024
    monkeypatch.setattr(ledger.rows, "JSON_FILE_BYTES_MAX", 10)
    assert values(b'[{"a":1}]', JSON) == [{"a": 1}]
    with pytest.raises(RowsUnreadable, match="NDJSON"):
        read(b'[{"a": 12}]', JSON)


@pytest.mark.parametrize("form", [RowForm(columns=("a",), header=False), NDJSON])
def test_a_line_beyond_the_limit_is_an_error_kept_whole(form: RowForm) -> None:
    long = b"x" * (ROW_BYTES_MAX + 1) + b"\n"
    first, second = read(long + b"{}\n", form)
    assert (first.raw, first.error) == (long, "longer than 1,048,576 bytes")
    assert second.values is not None


def test_a_line_of_just_the_limit_is_read() -> None:
    form = RowForm(format="columns", columns=("a",), header=False)
    assert errors(b"x" * ROW_BYTES_MAX + b"\n", form) == [None]


def test_of_an_endless_line_only_the_beginning_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert RAW_BYTES_MAX == 64 * 1024 * 1024
    monkeypatch.setattr(ledger.rows, "RAW_BYTES_MAX", ROW_BYTES_MAX + 5)
    first, second = read(b"x" * (4 * ROW_BYTES_MAX) + b"\n{}", NDJSON)
    assert len(first.raw) == ROW_BYTES_MAX + 5
    assert first.end_offset == 4 * ROW_BYTES_MAX + 1
    assert second.values == {}


def test_a_file_is_opened_by_its_path_and_closed_at_its_end(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"id\n1\n")
    rows = read_rows(file, CSV)
    assert rows.size == 5
    assert [row.end_offset for row in rows] == [5]
    with pytest.raises(FileNotFoundError):
        read_rows(tmp_path / "none.csv", CSV)


def test_a_row_that_was_kept_can_be_read_again_by_itself() -> None:
    kept = read(b'id,text\n1,"a\nb"\n')[0]
    again = RowForm(columns=("id", "text"), header=False)
    assert values(kept.raw, again) == [kept.values]


ANY_FORM = st.sampled_from(
    [
        CSV,
        RowForm(columns=("a", "b"), header=False, delimiter=";"),
        RowForm(columns=("a",), header=False, quote="", encoding="cp1252"),
        RowForm(columns=("a", "b"), header=False, encoding="shift_jis"),
        RowForm(format="columns"),
        RowForm(format="columns", columns=("a", "b"), header=False, skip_lines=1),
        NDJSON,
        JSON,
    ]
)
LIKELY = st.lists(
    st.sampled_from([b'"', b"\n", b"\r", b",", b";", b" ", b"a", b"{}", b"[", b"]", b"\xff", b"\\"])
).map(b"".join)


@given(st.binary() | LIKELY | LIKELY.map(b"[".__add__), ANY_FORM)
def test_whatever_the_bytes_nothing_is_lost_and_only_documented_errors_are_raised(
    raw: bytes, form: RowForm
) -> None:
    try:
        rows = opened(raw, form)
        found = list(rows)
    except RowsUnreadable:
        return
    assert [row.number for row in found] == list(range(1, len(found) + 1))
    at = 0
    between = b""
    for row in found:
        assert row.raw == raw[row.start_offset : row.end_offset]
        assert row.line >= 1
        assert (row.values is None) != (row.error is None)
        between += raw[at : row.start_offset] if at else b""
        at = row.end_offset
    between += raw[at:] if at else b""
    assert not between.strip(BLANKS + (b",]" if form.format == "json" else b""))


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=2, max_size=2
        ),
        min_size=1,
    )
)
def test_what_a_csv_writer_wrote_is_read_back(records: list[list[str]]) -> None:
    quoted = "".join(
        ",".join('"' + field.replace('"', '""') + '"' for field in record) + "\r\n"
        for record in records
    )
    form = RowForm(columns=("a", "b"), header=False)
    assert values(quoted.encode(), form) == [{"a": a, "b": b} for a, b in records]


@given(st.lists(st.dictionaries(st.text(), st.integers() | st.text() | st.none())))
def test_an_array_and_lines_of_json_give_the_same_rows(objects: list[dict[str, Any]]) -> None:
    formats: dict[Format, str] = {
        "json": json.dumps(objects, indent=1),
        "ndjson": "".join(json.dumps(one) + "\n" for one in objects),
    }
    for name, text in formats.items():
        found = read(text.encode(), RowForm(format=name, header=False))
        assert [row.values for row in found if row.error is None] == [
            one for one in objects if _carried(one)
        ]


def _carried(value: dict[str, Any]) -> bool:
    """Whether UTF-8 can carry it: half of a surrogate pair cannot be."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
