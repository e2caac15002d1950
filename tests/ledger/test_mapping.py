"""Mappings: a row in, touchpoints out; and whatever is wrong with a mapping is said on load."""

import io
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import jmespath
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.conversions import NumberForm, TimeForm, Unfit
from ledger.mapping import Mapping, MappingInvalid, RowRefused, load_mapping
from ledger.mapping_values import Expression, Scope
from ledger.rows import WrittenNumber, json_value

Written = Callable[[str], Mapping]

HEAD = """
source = "shop"
[time]
column = "at"
zone = "Europe/Rome"
[[touchpoint]]
type = "order.completed.v1"
id = "{order}"
subject = "customer:{customer}"
"""
DATA = """
[touchpoint.data]
order_id = "{order}"
total = { amount = { column = "amount", as = "decimal" }, currency = "EUR" }
"""
ROW = {"order": "A1", "customer": "42", "at": "2026-01-05 10:00:00", "amount": "12.50"}


@pytest.fixture
def mapping(tmp_path: Path) -> Written:
    """Writes a mapping file and loads it."""

    def load(toml: str) -> Mapping:
        file = tmp_path / "map.toml"
        file.write_text(toml, encoding="utf-8")
        return load_mapping(file)

    return load


def event(field: str) -> str:
    """A mapping to `event.tracked.v1` with the one property that is given."""
    return f"""
source = "app"
otherwise = "skip"
[time]
column = "at"
zone = "UTC"
[[touchpoint]]
type = "event.tracked.v1"
id = "{{row}}"
subject = "customer:1"
data.name = "tested"
[touchpoint.data.properties]
{field}
"""


def made(mapping: Mapping, **row: Any) -> Any:
    """The property `it` that the mapping makes of a row, None where it is left out."""
    (touchpoint,) = mapping.touchpoints({"at": "2026-01-05"} | row, 1)
    return touchpoint["data"]["properties"].get("it")


def test_a_row_becomes_a_cloud_event(mapping: Written) -> None:
    assert mapping(HEAD + DATA).touchpoints(ROW, 7) == [
        {
            "specversion": "1.0",
            "id": "A1",
            "source": "shop",
            "type": "order.completed.v1",
            "subject": "customer:42",
            "time": "2026-01-05T10:00:00+01:00",
            "data": {"order_id": "A1", "total": {"amount": "12.50", "currency": "EUR"}},
        }
    ]


def test_ids_and_sequences_can_come_from_the_number_of_the_row(mapping: Written) -> None:
    numbered = mapping(HEAD.replace('"{order}"', '"shop-{row}"\nsequence = "{row}"') + DATA)
    (touchpoint,) = numbered.touchpoints(ROW, 255)
    assert (touchpoint["id"], touchpoint["sequence"]) == ("shop-255", 255)


def test_the_same_row_always_gives_the_same_touchpoints(mapping: Written) -> None:
    loaded = mapping(HEAD + DATA)
    assert loaded.touchpoints(ROW, 3) == loaded.touchpoints(dict(ROW), 3)


@pytest.mark.parametrize(
    ("field", "cell", "expected"),
    [
        ('it = "{c}-{c}"', " x ", "x-x"),
        ('it = "{{c}}"', "x", "{c}"),
        ("it = 3", "x", 3),
        ("it = true", "x", True),
        ("it = { value = [1, { a = 2 }] }", "x", [1, {"a": 2}]),
        ("it = 2026-01-05T10:00:00+01:00", "x", "2026-01-05T10:00:00+01:00"),
        ('it = { column = "c" }', " x ", "x"),
        ('it = { column = "c", strip = false }', " x ", " x "),
        ('it = { column = "c", as = "integer" }', "+007", 7),
        ('it = { column = "c", as = "integer", thousands = "," }', "1,234.00", 1234),
        ('it = { column = "c", as = "number" }', "2.5", 2.5),
        ('it = { column = "c", as = "number" }', "2", 2),
        ('it = { column = "c", as = "decimal" }', "0012.500", "12.500"),
        ('it = { column = "c", as = "decimal" }', ".5", "0.5"),
        ('it = { column = "c", as = "decimal" }', "-0.00", "0.00"),
        ('it = { column = "c", as = "decimal" }', "1.5e3", "1500"),
        (
            'it = { column = "c", as = "decimal", thousands = ",", drop = "$" }',
            "$1,234.50",
            "1234.50",
        ),
        (
            'it = { column = "c", as = "decimal", point = ",", thousands = ".", drop = "€" }',
            "-1.234,5 €",
            "-1234.5",
        ),
        ('it = { column = "c", as = "decimal", thousands = "," }', "12,34,567", "1234567"),
        ('it = { column = "c", as = "boolean" }', "YES", True),
        ('it = { column = "c", as = "boolean", map = { si = true, "*" = false } }', "si", True),
        ('it = { column = "c", as = "boolean", map = { si = true, "*" = false } }', "forse", False),
        ('it = { column = "c", as = "list" }', "a, b,,c ", ["a", "b", "c"]),
        ('it = { column = "c", as = "list", separator = "|" }', "a|b", ["a", "b"]),
        ('it = { column = "c", as = "time" }', "2026-07-01", "2026-07-01T00:00:00Z"),
        (
            'it = { column = "c", as = "time", format = "unix" }',
            "1.5",
            "1970-01-01T00:00:01.500000Z",
        ),
        (
            'it = { column = "c", as = "time", format = "unix_ms" }',
            "1500",
            "1970-01-01T00:00:01.500000Z",
        ),
        (
            'it = { column = "c", as = "time", format = "%d.%m.%Y %H:%M", zone = "Asia/Kolkata" }',
            "05.01.2026 10:00",
            "2026-01-05T10:00:00+05:30",
        ),
        ('it = { column = "c", map = { x = "y" } }', "x", "y"),
        ('it = { column = "c", map = { x = 5 } }', "x", 5),
        ('it = { column = "c", default = "none" }', " ", "none"),
        ('it = { column = "c", optional = true }', "", None),
        ('it = { column = "c", optional = true, empty = ["NA", "-"] }', "NA", None),
        ('it = { template = "a{c}", optional = true }', "", None),
        ("it = { jmespath = \"join('+', [c, c])\" }", "x", "x+x"),
        ('it = { jmespath = "to_number(c)", as = "integer" }', "5", 5),
        ('it = { jmespath = "none", default = 4 }', "x", 4),
        ('it = ["{c}", 2, { column = "c", as = "integer" }]', "3", ["3", 2, 3]),
        ('it = { a = { b = "{c}" } }', "x", {"a": {"b": "x"}}),
        ('it = { object = { value = "{c}" } }', "x", {"value": "x"}),
        ('it = { object = { a = 1, b = "{c}" }, optional = true }', "", None),
        ('it = { a = 1, b = { column = "c", optional = true } }', "", {"a": 1}),
    ],
)
def test_each_form_of_a_value_gives_what_the_documentation_says(
    mapping: Written, field: str, cell: str, expected: object
) -> None:
    found = made(mapping(event(field)), c=cell)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("field", "cell", "said"),
    [
        ('it = "{c}"', " ", 'column "c" is empty, and the field is required'),
        ('it = "{d}"', "x", 'the row has no column "d"'),
        ('it = { column = "c", as = "integer" }', "1.5", 'column "c": expected a whole number'),
        ('it = { column = "c", as = "integer" }', "\u0661", "expected a number such as 1234.50"),
        ('it = { column = "c", as = "decimal" }', "1,5", "expected a number such as 1234.50"),
        ('it = { column = "c", as = "decimal", thousands = "," }', "1,5", "such as 1,234.50"),
        ('it = { column = "c", as = "decimal", point = "," }', "1.5", "such as 1234,50"),
        ('it = { column = "c", as = "decimal" }', "9" * 101, "expected a number"),
        ('it = { column = "c", as = "decimal" }', "nan", "expected a number"),
        ('it = { column = "c", as = "boolean" }', "maybe", "give other words in a `map`"),
        ('it = { column = "c", as = "time" }', "5/1/26", "a time such as 2026-01-05T10:30:15Z"),
        ('it = { column = "c", as = "time", format = "%Y%m%d" }', "x", "a time such as 20260105"),
        ('it = { column = "c", as = "time", format = "unix" }', "9" * 30, "outside of the cal"),
        ('it = { column = "c", map = { x = 1 } }', "y", "a value that its map does not name"),
        ('it = { jmespath = "abs(c)" }', "x", "the expression fails on this row"),
        ('it = { jmespath = "to_number(c)" }', "nan", "expected a number that is finite"),
        ('it = { each = "c", item = "{a}" }', "x", "expected a list of objects"),
    ],
)
def test_a_value_that_cannot_be_made_refuses_the_row_with_its_field_and_without_the_value(
    mapping: Written, field: str, cell: str, said: str
) -> None:
    with pytest.raises(RowRefused) as refused:
        made(mapping(event(field)), c=cell)
    assert said in refused.value.message
    assert (refused.value.path, refused.value.type) == ("data.properties.it", "event.tracked.v1")
    assert len(cell.strip()) < 3 or cell not in str(refused.value)


def test_the_path_of_a_field_has_no_more_in_it_than_the_touchpoint(mapping: Written) -> None:
    loaded = mapping(event('it = { object = { a = { b = "{c}" } } }'))
    with pytest.raises(RowRefused) as refused:
        made(loaded, c="")
    assert refused.value.path == "data.properties.it.a.b"


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-10-25 02:30:00", "2026-10-25T02:30:00+02:00"),
        ("2026-03-29 02:30:00", "2026-03-29T02:30:00+01:00"),
        ("2026-07-01T10:00:00-03:00", "2026-07-01T10:00:00-03:00"),
        ("2026-07-01T10:00:00Z", "2026-07-01T10:00:00Z"),
        ("1860-01-01", "1859-12-31T23:10:04Z"),
    ],
)
def test_local_times_follow_their_zone_and_offsets_win_over_it(
    mapping: Written, local: str, expected: str
) -> None:
    (touchpoint,) = mapping(HEAD + DATA).touchpoints(ROW | {"at": local}, 1)
    assert touchpoint["time"] == expected


def test_a_time_without_offset_needs_a_zone(mapping: Written) -> None:
    loaded = mapping(HEAD.replace('zone = "Europe/Rome"', "") + DATA)
    with pytest.raises(RowRefused, match="give the mapping a zone"):
        loaded.touchpoints(ROW, 1)


def test_a_touchpoint_may_have_a_time_of_its_own(mapping: Written) -> None:
    own = HEAD.replace("id =", 'time = "{day} {hour}"\nid =') + DATA
    (touchpoint,) = mapping(own).touchpoints(ROW | {"day": "2026-02-01", "hour": "09:00"}, 1)
    assert touchpoint["time"] == "2026-02-01T09:00:00+01:00"


SEVERAL = """
source = "desk"
time.column = "at"
time.zone = "UTC"
[[touchpoint]]
type = "ticket.assigned.v1"
when = { column = "what", is = "take" }
id = "{row}-a"
subject = "customer:1"
data = { ticket_id = "T1", assignee = "{who}" }
[[touchpoint]]
type = "ticket.status_changed.v1"
when = { column = "what", in = ["take", "close"] }
id = "{row}"
subject = "customer:1"
data = { ticket_id = "T1", status = { column = "what", map = { take = "open", close = "closed" } } }
"""


@pytest.mark.parametrize(
    ("what", "ids"), [("take", ["5-a", "5"]), ("close", ["5"]), (" close ", ["5"])]
)
def test_one_row_can_give_several_touchpoints(mapping: Written, what: str, ids: list[str]) -> None:
    row = {"at": "2026-01-05", "what": what, "who": "eva"}
    assert [made["id"] for made in mapping(SEVERAL).touchpoints(row, 5)] == ids


def test_a_row_that_no_table_takes_is_refused_or_skipped_as_the_mapping_says(
    mapping: Written,
) -> None:
    row = {"at": "2026-01-05", "what": "sneeze", "who": "eva"}
    with pytest.raises(RowRefused, match="no \\[\\[touchpoint\\]\\] of the mapping takes this row"):
        mapping(SEVERAL).touchpoints(row, 5)
    assert mapping('otherwise = "skip"' + SEVERAL).touchpoints(row, 5) == []


def test_a_row_gives_all_of_its_touchpoints_or_none(mapping: Written) -> None:
    with pytest.raises(RowRefused) as refused:
        mapping(SEVERAL).touchpoints({"at": "2026-01-05", "what": "take", "who": ""}, 5)
    assert str(refused.value).startswith('ticket.assigned.v1, data.assignee: column "who" is empty')


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("\"c == 'x'\"", True),
        ("\"c == 'y'\"", False),
        ('"to_number(n) > `2`"', True),
        ('"none"', False),
        ('"`0`"', True),
        ('{ column = "c", is = "x" }', True),
        ('{ column = "c", is_not = "x" }', False),
        ('{ column = "c", not_in = ["y", "z"] }', True),
        ('{ column = "c", empty = true }', False),
        ('{ column = "c", empty = false }', True),
        ('{ column = "missing", empty = true }', True),
    ],
)
def test_a_condition_decides_whether_a_table_takes_the_row(
    mapping: Written, when: str, holds: bool
) -> None:
    loaded = mapping(event("it = 1").replace("id =", f"when = {when}\nid ="))
    assert len(loaded.touchpoints({"at": "2026-01-05", "c": "x", "n": "3"}, 1)) == holds


NESTED = """
source = "till"
[rows]
format = "ndjson"
[[touchpoint]]
type = "order.completed.v1"
id = "{order.id}"
subject = "customer:{order.buyer.id}"
time = { column = "order.at", format = "unix" }
[touchpoint.data]
order_id = "{order.id}"
total = { amount = { jmespath = "order.total", as = "decimal" }, currency = "{order.currency}" }
[touchpoint.data.lines]
each = "order.items[?quantity > `0`]"
[touchpoint.data.lines.item]
product_id = "{sku}"
quantity = { column = "quantity", as = "integer" }
price = { amount = { column = "price", as = "decimal" }, currency = "{order.currency}" }
"""
ORDER = b"""{"order": {"id": 7, "at": 1767607200, "buyer": {"id": 42}, "total": 12.50,
"currency": "EUR", "items": [{"sku": "A", "quantity": 2, "price": 6.250},
{"sku": "B", "quantity": 0, "price": 1}]}}"""


def test_nested_json_is_reached_by_dots_and_lists_become_lists(mapping: Written) -> None:
    (touchpoint,) = mapping(NESTED).touchpoints(json_value(ORDER), 1)
    assert (touchpoint["id"], touchpoint["time"]) == ("7", "2026-01-05T10:00:00Z")
    assert touchpoint["data"] == {
        "order_id": "7",
        "total": {"amount": "12.50", "currency": "EUR"},
        "lines": [
            {"product_id": "A", "quantity": 2, "price": {"amount": "6.250", "currency": "EUR"}}
        ],
    }


def test_numbers_of_json_that_are_not_converted_come_out_as_plain_ones(mapping: Written) -> None:
    loaded = mapping(event('it = { column = "c" }'))
    found = made(loaded, c=[WrittenNumber("1.50"), {"a": WrittenNumber("2.5")}])
    assert found == [1.5, {"a": 2.5}]
    assert [type(found[0]), type(found[1]["a"])] == [float, float]


def test_functions_of_jmespath_work_on_numbers_that_remember_their_digits(
    mapping: Written,
) -> None:
    loaded = mapping(event('it = { jmespath = "sum(c[].p)" }'))
    assert made(loaded, c=[{"p": WrittenNumber("1.50")}, {"p": 2}]) == 3.5


def test_columns_are_checked_before_any_row_is_read(mapping: Written) -> None:
    loaded = mapping(HEAD + DATA)
    with pytest.raises(MappingInvalid) as invalid:
        loaded.read(io.BytesIO(b"order,custmer,at,amount\nA1,42,2026-01-05,1\n"))
    message = str(invalid.value)
    assert 'map.toml: subject: the file has no column "customer"; did you mean custmer?' in message


def test_an_empty_file_and_json_have_no_columns_to_check(mapping: Written) -> None:
    loaded = mapping(HEAD + DATA)
    loaded.check_columns(None)
    assert list(loaded.read(io.BytesIO(b""))) == []


@pytest.mark.parametrize(
    "field",
    [
        'it = { jmespath = "a || foo[0].b" }',
        'it = { jmespath = "length(foo)" }',
        'it = { jmespath = "{x: a, y: foo.a}" }',
        'it = { each = "foo[?inner]", item = { x = "{other}" } }',
        'it = ["{foo}"]',
        'it = { a = { b = { column = "foo", optional = true } } }',
    ],
)
def test_the_columns_inside_of_any_form_are_known(mapping: Written, field: str) -> None:
    loaded = mapping(event(field))
    with pytest.raises(MappingInvalid, match=r'data\.properties\.it.*no column "foo"'):
        loaded.check_columns(("at", "a"))
    loaded.check_columns(("at", "a", "foo"))


def test_columns_that_the_mapping_names_itself_are_checked_on_load(mapping: Written) -> None:
    named = '[rows]\ncolumns = ["order", "at", "amount"]\n[time]'
    with pytest.raises(MappingInvalid, match='no column "customer"'):
        mapping(HEAD.replace("[time]", named) + DATA)


WHOLE = HEAD + DATA


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("source = ", "is not valid TOML: Invalid value"),
        (WHOLE.replace('source = "shop"', ""), "source: is missing; write source ="),
        (WHOLE.replace('"shop"', "5"), "source: expected a text in quotes"),
        ("colour = 1\n" + WHOLE, "colour: unknown key"),
        (WHOLE.replace('column = "at"', 'colum = "at"'), "time: expected a text such as"),
        (WHOLE.replace('id = "{order}"', 'id = ["{order}"]', 1), "id: expected a text such as"),
        (WHOLE.replace('id = "{order}"', "id = { value = [1] }", 1), "id: expected one value"),
        (WHOLE.replace("zone", "zona"), "time.zona: unknown key; did you mean zone?"),
        ('source = "s"', "touchpoint: expected 1 to 100 tables [[touchpoint]]"),
        ('source = "s"\ntouchpoint = [1]', "expected a table [[touchpoint]]"),
        ('otherwise = "drop"' + WHOLE, "otherwise: expected one of refuse, skip"),
        (WHOLE.replace("Europe/Rome", "Rome"), "time.zone: expected the IANA name"),
        (WHOLE.replace('zone = "E', 'format = "%Q"\nzone = "E'), "time.format: is not a format"),
        (WHOLE.replace('zone = "E', 'format = "%H:%M"\nzone = "E'), "not hold a whole date"),
        (WHOLE.replace('zone = "Europe/Rome"', 'format = "%Y%m%d"'), "so a zone is needed"),
        (
            WHOLE.replace("order.completed.v1", "order.complete.v1"),
            "did you mean order.completed.v1",
        ),
        (WHOLE.replace('id = "{order}"', "", 1), "id: is missing; write id ="),
        (WHOLE.replace('"{order}"', '"{order"', 1), "id: a brace without its other half"),
        (HEAD, "data: is missing; write a table [touchpoint.data]"),
        (
            WHOLE.replace("order_id", "oder_id"),
            "data.oder_id: not a field of order.completed.v1; did you mean order_id?",
        ),
        (
            WHOLE.replace('order_id = "{order}"', ""),
            "data.order_id: is missing; order.completed.v1 requires it",
        ),
        (
            WHOLE.replace('as = "decimal"', 'as = "money"'),
            "data.total.amount.as: expected one of text, integer",
        ),
        (
            WHOLE.replace('as = "decimal"', 'az = "decimal"'),
            "data.total.amount.az: unknown key; expected one of: as, column, default",
        ),
        (
            WHOLE.replace('column = "amount"', 'jmespath = "a ["'),
            "data.total.amount.jmespath: not a JMESPath expression",
        ),
        (
            WHOLE.replace('column = "amount"', 'jmespath = "lenght(a)"'),
            "no function lenght(); did you mean length?",
        ),
        (
            WHOLE.replace("id =", 'when = "!a.b"\nid =', 1),
            "when: in JMESPath ! goes with the next name alone",
        ),
        (
            WHOLE.replace('column = "amount"', 'column = "a", value = 1'),
            "has both column and value",
        ),
        (
            WHOLE.replace('as = "decimal"', 'as = "decimal", default = "x"'),
            "data.total.amount.default: expected a number",
        ),
        (
            WHOLE.replace('as = "decimal"', 'as = "decimal", thousands = "."'),
            "other than the point",
        ),
        (
            WHOLE.replace('as = "decimal"', 'as = "decimal", optional = 1'),
            "optional: expected true or false",
        ),
        (
            WHOLE.replace('"EUR"', "2026-01-05"),
            "data.total.currency: a time needs its date and offset",
        ),
        (WHOLE.replace('"EUR"', "nan"), "data.total.currency: expected a number that is finite"),
        (WHOLE.replace("id =", 'when = "a =="\nid =', 1), "when: not a JMESPath expression"),
        (WHOLE.replace("id =", "when = 1\nid =", 1), "when: expected a JMESPath expression or"),
        (
            WHOLE.replace("id =", 'when = { column = "a" }\nid =', 1),
            "when: expected one of is, is_not",
        ),
        (
            "rows.format = 'xlsx'\n" + WHOLE,
            "rows.format: expected one of csv, columns, ndjson, json",
        ),
        ("rows.header = false\n" + WHOLE, "rows.columns: is missing"),
        ("rows.delimiter = '::'\n" + WHOLE, "rows.delimiter: expected one character"),
        ("rows.encoding = 'utf-16'\n" + WHOLE, "rows.encoding: expected an encoding such as"),
        ("rows.skip_lines = -1\n" + WHOLE, "rows.skip_lines: expected a whole number"),
        ("rows.columns = ['a', 'a']\n" + WHOLE, "rows.columns: names a column twice"),
        (
            "rows = { format = 'json', rows = 'a[' }\n" + WHOLE,
            "rows.rows: not a JMESPath expression",
        ),
        ("rows = { format = 'json', delimiter = ';' }\n" + WHOLE, "rows.delimiter: unknown key"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_which_key_and_what_to_write(
    mapping: Written, toml: str, said: str
) -> None:
    with pytest.raises(MappingInvalid) as invalid:
        mapping(toml)
    assert said in str(invalid.value)
    assert "map.toml: " in str(invalid.value)


def test_among_several_tables_the_message_says_which(mapping: Written) -> None:
    with pytest.raises(MappingInvalid, match=r"map\.toml: touchpoint 2, data\.status\.column: is"):
        mapping(SEVERAL.replace('{ column = "what", map', '{ column = "", map'))


def test_a_mapping_that_is_not_there_is_a_message_too(tmp_path: Path) -> None:
    with pytest.raises(MappingInvalid, match="cannot be read: No such file"):
        load_mapping(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"source = '\xe9'")
    with pytest.raises(MappingInvalid, match="is not valid UTF-8"):
        load_mapping(tmp_path / "latin.toml")


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=4
    )
)
def test_a_decimal_keeps_its_value_however_it_is_written(amount: Decimal) -> None:
    plain = NumberForm().decimal(f"{amount:f}")
    assert Decimal(plain) == amount
    assert NumberForm(thousands=",", drop="$").decimal(f"${amount:,f}") == plain
    swapped = f"{amount:,f}".translate(str.maketrans(",.", ".,"))
    assert NumberForm(point=",", thousands=".").decimal(swapped) == plain


CELLS = st.dictionaries(
    st.sampled_from(["order", "customer", "at", "amount"]),
    st.text() | st.none() | st.integers() | st.floats() | st.lists(st.text()) | st.just(ROW["at"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=CELLS)
def test_whatever_the_row_it_is_mapped_or_refused(mapping: Written, row: dict[str, Any]) -> None:
    loaded = mapping(WHOLE)
    with suppress(RowRefused):
        (touchpoint,) = loaded.touchpoints(ROW | row, 1)
        assert touchpoint["id"]
        assert Decimal(touchpoint["data"]["total"]["amount"]).is_finite()


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.lists(st.integers()))
def test_whatever_the_value_a_time_is_read_or_unfit(value: Any) -> None:
    for form in (TimeForm(), TimeForm("unix"), TimeForm("%Y%m%d", "Asia/Tokyo")):
        with suppress(Unfit):
            assert "T" in form.rfc3339(value)


def rest(mapping: Written, row: dict[str, Any], written: str, *, beside: str = "") -> Any:
    """The `extra` that a `rest` makes of a row, None where it is left out."""
    loaded = mapping(
        event("it = 1")
        .replace('id = "{row}"', 'id = "{id}"')
        .replace("[touchpoint.data.properties]\nit = 1", f"data.extra = {written}\n{beside}")
    )
    (touchpoint,) = loaded.touchpoints({"at": "2026-01-05", "id": "1"} | row, 1)
    return touchpoint["data"].get("extra")


PROPERTIES = {
    "total": "3",
    "tax": 1,
    "note": None,
    "to": {"city": "Rome", "street": "Via Appia"},
    "items": [{"sku": "a"}],
}


@pytest.mark.parametrize(
    ("written", "beside", "missing"),
    [
        ('{ rest = "p" }', "", set()),
        ('{ rest = "p" }', 'data.properties.a = "{p.total}"', {"total"}),
        ('{ rest = "p" }', 'data.properties.a.b = { column = "p.tax" }', {"tax"}),
        (
            '{ rest = "p" }',
            'data.properties.a = [{ column = "p.tax" }, "{p.total}"]',
            {"total", "tax"},
        ),
        ('{ rest = "p", without = ["items", "no"] }', "", {"items"}),
        ('{ rest = "p" }', 'data.properties.a = { jmespath = "p.tax" }', set()),
        ('{ rest = "p" }', 'data.properties.a = { column = "p.tax", map = { "*" = "x" } }', set()),
        ('{ rest = "p" }', 'data.properties.a = { column = "p.to" }', {"to"}),
        ('{ rest = "p" }', 'data.properties.a = { rest = "p.to" }', {"to"}),
        (
            '{ rest = "p" }',
            'data.properties.a = { object = { b = "{p.no}", c = "{p.total}" }, optional = true }',
            set(),
        ),
        ('{ rest = "p" }', 'data.properties.a = ["{p.to.city}", "{p.to.street}"]', {"to"}),
    ],
)
def test_the_rest_of_an_object_is_what_the_other_values_do_not_take(
    mapping: Written, written: str, beside: str, missing: set[str]
) -> None:
    left = {name: value for name, value in PROPERTIES.items() if name not in missing}
    assert rest(mapping, {"p": PROPERTIES}, written, beside=beside) == left


def test_what_is_taken_further_in_leaves_what_stands_beside_it(mapping: Written) -> None:
    left = rest(
        mapping, {"p": PROPERTIES}, '{ rest = "p" }', beside='data.properties.a = "{p.to.city}"'
    )
    assert left == PROPERTIES | {"to": {"street": "Via Appia"}}


def test_the_rest_of_the_row_itself_leaves_out_what_stands_in_the_envelope(
    mapping: Written,
) -> None:
    row = {"a.b": 1, "a": {"b": 2}, "c": WrittenNumber("2.50")}
    assert rest(mapping, row, '{ rest = "" }') == {"a.b": 1, "a": {"b": 2}, "c": 2.5}
    beside = 'data.properties.x = { column = "a.b" }'
    assert rest(mapping, row, '{ rest = "" }', beside=beside) == {"a": {"b": 2}, "c": 2.5}
    assert rest(mapping, row, '{ rest = "a" }', beside=beside) == {"b": 2}


@pytest.mark.parametrize("row", [{}, {"p": None}, {"p": {}}, {"p": {"total": 1}}])
def test_where_nothing_is_left_there_is_no_rest(mapping: Written, row: dict[str, Any]) -> None:
    assert rest(mapping, row, '{ rest = "p", without = ["total"] }') is None


def test_a_rest_of_what_is_no_object_is_refused(mapping: Written) -> None:
    with pytest.raises(RowRefused, match=r'data\.extra: column "p": expected an object'):
        rest(mapping, {"p": [1]}, '{ rest = "p" }')


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("it = { rest = 1 }", "it.rest: expected a text in quotes"),
        ('it = { rest = "p", as = "text" }', "it.as: unknown key"),
        ('it = { each = "l", item = { a = { rest = "" } } }', "cannot stand inside `each`"),
    ],
)
def test_a_rest_that_cannot_be_is_refused_on_load(mapping: Written, field: str, said: str) -> None:
    with pytest.raises(MappingInvalid) as invalid:
        mapping(event(field))
    assert said in str(invalid.value)


def test_items_of_a_list_that_are_optional_are_left_out_when_they_lack_something(
    mapping: Written,
) -> None:
    loaded = mapping(
        event('it = { each = "l", item = { object = { a = "{a}" }, optional = true } }')
    )
    assert made(loaded, l=[{"a": "1"}, {"b": "2"}]) == [{"a": "1"}]


WORDS = st.sampled_from(["", "a", "b", "c", " a ", 7, None, ["a"], {"a": 1}])
CONDITIONS = st.sampled_from(
    ["", 'when = "one"']
    + [f'when = {{ column = "{c}", is = "{w}" }}' for c in ("one", "two") for w in ("a", "7", "")]
    + [f'when = {{ column = "{c}", in = ["a", "b", "a"] }}' for c in ("one", "two")]
    + ['when = { column = "two", not_in = ["a"] }', 'when = { column = "one", empty = true }']
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(conditions=st.lists(CONDITIONS, min_size=1, max_size=8), one=WORDS, two=WORDS)
def test_conditions_that_are_looked_up_take_the_rows_that_they_would_take_asked_one_by_one(
    mapping: Written, conditions: list[str], one: Any, two: Any
) -> None:
    head, _, table = event("it = 1").partition("[[touchpoint]]")
    tables = (
        f"[[touchpoint]]\n{when}{table.replace('{row}', f'{{row}}-{n}')}"
        for n, when in enumerate(conditions)
    )
    loaded = mapping(head + "\n".join(tables))
    row = {"at": "2026-01-05", "one": one, "two": two}

    def asked() -> list[str]:
        scope = Scope(row, 1)
        found = [table.made(scope, loaded.source) for table in loaded.tables]
        return [touchpoint["id"] for touchpoint in found if touchpoint]

    def told(look: Callable[[], list[str]]) -> list[str] | str:
        try:
            return look()
        except RowRefused as refused:
            return str(refused)

    assert told(lambda: [t["id"] for t in loaded.touchpoints(row, 1)]) == told(asked)
    assert len(loaded.taking(row)) <= len(conditions)


FOUND = st.recursive(
    st.sampled_from([None, False, True, 0, "", "a", 1.5]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    paths=st.lists(st.sampled_from(["a", "b", "a.b", "a.b.c", "c.a.b.c", '"a"']), min_size=1),
    row=st.dictionaries(st.sampled_from("abc"), FOUND),
)
def test_choices_that_are_walked_find_what_jmespath_finds(
    paths: list[str], row: dict[str, Any]
) -> None:
    written = " || ".join(paths)
    assert Expression(written).find(Scope(row, 1)) == jmespath.search(written, row)


@pytest.mark.parametrize(
    "written",
    ["!a.b", "c && !a.b", "!a.b.c", "!contains(a, 'x').b", "!a.*", "!a[?b]", "![a, b][?@]", "!a[]",
     "!a[0].b", "c[?!a.b]", "{x: !a.b}", "!a == 'x'", "!a != `3`"],
)  # fmt: skip
def test_a_not_that_can_never_hold_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"write !\(a\.b\)"):
        Expression(written)


@pytest.mark.parametrize(
    ("written", "found"),
    [("!(a.b)", True), ("!a", False), ("!c", True), ("!a[1]", True), ("!contains(a.x, 'y')", True),
     ("!a == `true`", False), ("!(a == 'x')", True), ("!c && a.x", "z"), ("!([c, d][?@])", True)],
)  # fmt: skip
def test_a_not_that_means_what_it_says_is_not(written: str, found: object) -> None:
    assert Expression(written).find(Scope({"a": {"x": "z"}}, 1)) == found


def test_a_table_can_do_without_a_field_that_its_type_does_not_need(mapping: Written) -> None:
    loaded = mapping(HEAD + DATA + 'coupon = "{code}"\nextra = { rest = "" }')
    (table,) = loaded.tables
    less = table.without("coupon")
    assert less is not None
    touchpoint = less.made(Scope(ROW | {"code": "X"}, 1), "shop")
    assert touchpoint is not None
    assert touchpoint["data"]["extra"] == {"code": "X"}
    assert "coupon" not in touchpoint["data"]
    assert table.without("total") is None
    assert table.without("lines") is None
