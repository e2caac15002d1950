"""What a mapping may write for a value, and how that value is found in a row."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any, Protocol

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from ledger.conversions import (
    Conversion,
    ListForm,
    NumberForm,
    TimeForm,
    Unfit,
    as_boolean,
    as_json,
    as_text,
)
from ledger.mapping_file import Section, nearest
from schemas.zone import zone_names

ROW_NUMBER = "row"
"""What a template writes in braces for the number of the row."""
ANY_OTHER = "*"
"""The key of a `map` for every value that it does not name."""
VALUE_DEPTH_MAX = 16
MAP_WORDS_SHOWN = 20

KINDS = ("text", "integer", "number", "decimal", "boolean", "time", "list", "json")
_SELECTORS = ("column", "template", "jmespath", "value", "object", "each", "rest")
_HOLE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")


class RowRefused(ValueError):
    """Why a row gives no touchpoint. The message never quotes a value, which may be personal.

    `path` is the field that was to be filled (`data.total.amount`), `type` the touchpoint that
    it belongs to, where it is known.
    """

    def __init__(self, path: str, message: str, type: str = "") -> None:  # noqa: A002
        super().__init__(f"{', '.join(part for part in (type, path) if part)}: {message}")
        self.path = path
        self.message = message
        self.type = type


class ValueAbsent(RowRefused):
    """The row has nothing to make a required value from."""


class _Empty(Exception):
    """A selector found nothing; says where it looked."""


class _LeftOut:
    """Stands for a field that is optional and has no value."""


LEFT_OUT = _LeftOut()


@dataclass(frozen=True, slots=True)
class Scope:
    """What a value is looked up in: the row, by the names of its columns, and its number."""

    values: Mapping[str, Any]
    number: int


class Value(Protocol):
    """Something that a mapping writes on the right-hand side."""

    def of(self, scope: Scope) -> Any:
        """The value in this row, or LEFT_OUT. Raises RowRefused."""

    def columns(self) -> Iterator[tuple[str, str]]:
        """The columns that it reads, each as (path of the field, name of the column)."""


def column_of(values: Mapping[str, Any], name: str) -> Any:
    """A column by its name; a name with dots leads into objects where no column has all of it.

    Raises KeyError where the row has no such column.
    """
    if name in values:
        return values[name]
    first, *further = name.split(".")
    inner = values[first]
    for part in further:
        if not isinstance(inner, dict):
            raise KeyError(name)
        inner = inner[part]
    return inner


class Selector(Protocol):
    """Where a value comes from."""

    @property
    def said(self) -> str:
        """How an error names it: `column "dollars"`."""

    def find(self, scope: Scope) -> Any:
        """What is there; None where it is null. Raises _Empty where there is nothing at all."""

    def reads(self) -> Iterator[str]:
        """The columns that it reads."""


@dataclass(frozen=True, slots=True)
class Column:
    """The value of one column."""

    name: str

    @property
    def said(self) -> str:
        return f'column "{self.name}"'

    def find(self, scope: Scope) -> Any:
        try:
            return column_of(scope.values, self.name)
        except KeyError:
            raise _Empty(f"the row has no {self.said}") from None

    def reads(self) -> Iterator[str]:
        yield self.name


@dataclass(frozen=True, slots=True)
class Template:
    """A text with columns in braces; empty as a whole as soon as one of them is."""

    written: str
    parts: tuple[str | Column, ...]

    @property
    def said(self) -> str:
        return f'"{self.written}"'

    def find(self, scope: Scope) -> str:
        return "".join(
            part if isinstance(part, str) else self._filled(part, scope) for part in self.parts
        )

    def reads(self) -> Iterator[str]:
        for part in self.parts:
            if isinstance(part, Column) and part.name != ROW_NUMBER:
                yield part.name

    def _filled(self, column: Column, scope: Scope) -> str:
        if column.name == ROW_NUMBER:
            return str(scope.number)
        found = column.find(scope)
        text = "" if found is None else as_text(found).strip()
        if not text:
            raise _Empty(f"{column.said} is empty")
        return text


def template_of(written: str) -> Template:
    """Read a template. Raises ValueError for a brace without its other half."""
    parts: list[str | Column] = []
    at = 0
    for hole in _HOLE.finditer(written):
        parts.append(written[at : hole.start()])
        at = hole.end()
        if hole[1] is not None:
            parts.append(Column(hole[1].strip()))
        elif len(hole[0]) == 2:
            parts.append(hole[0][0])
        else:
            raise ValueError("a brace without its other half; write {{ or }} for a brace itself")
    parts.append(written[at:])
    return Template(written, tuple(part for part in parts if part != ""))


class _NumberFunctions(Functions):
    """JMESPath's functions, which know plain numbers only, for rows that remember digits."""

    def call_function(self, function_name: str, resolved_args: Any) -> Any:
        try:
            return super().call_function(function_name, resolved_args)
        except JMESPathError:
            plain = [as_json(argument) for argument in resolved_args]
            return super().call_function(function_name, plain)


_OPTIONS = jmespath.Options(custom_functions=_NumberFunctions())
_EVALUATION_FAILS = (
    JMESPathError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What evaluating raises: the library lets Python's own errors through for odd values."""


class Expression:
    """A JMESPath expression over the row."""

    def __init__(self, written: str) -> None:
        """Raises ValueError when it cannot be parsed or calls what does not exist."""
        try:
            self._compiled = jmespath.compile(written)
        except (JMESPathError, RecursionError) as error:
            first_line = str(error).splitlines()[0].rstrip(":")
            raise ValueError(f"not a JMESPath expression: {first_line}") from None
        tree: Any = self._compiled.parsed
        for function in _functions_in(tree):
            if function not in Functions.FUNCTION_TABLE:
                known = nearest(function, Functions.FUNCTION_TABLE)
                raise ValueError(f"JMESPath has no function {function}(){known}")
        if _leads_on_from_not(tree):
            raise ValueError(
                "in JMESPath ! goes with the next name alone: !a.b is (!a).b, which is never "
                "there; write !(a.b), and !(a == 'b')"
            )
        self._columns = tuple(dict.fromkeys(_columns_in(tree)))
        self._choices = _choices_in(tree)
        self.said = f"jmespath {written!r}"

    def find(self, scope: Scope) -> Any:
        if self._choices:
            return _first_of(self._choices, scope.values)
        try:
            return self._compiled.search(scope.values, options=_OPTIONS)
        except _EVALUATION_FAILS:
            raise Unfit("the expression fails on this row") from None

    def reads(self) -> Iterator[str]:
        yield from self._columns


def _choices_in(node: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The paths of an expression that is nothing but `a.b || c || …`; empty for any other.

    Most are of this kind, and to walk the paths takes a tenth of what the library takes.
    """
    if node["type"] == "or_expression":
        left, right = (_choices_in(child) for child in node["children"])
        return left + right if left and right else ()
    steps = node["children"] if node["type"] == "subexpression" else [node]
    if all(step["type"] == "field" for step in steps):
        return (tuple(step["value"] for step in steps),)
    return ()


def _first_of(paths: tuple[tuple[str, ...], ...], values: Mapping[str, Any]) -> Any:
    """What JMESPath finds: the first that is neither null, false nor empty, or else the last."""
    found: Any = None
    for first, *further in paths:
        found = values.get(first)
        for name in further:
            found = found.get(name) if isinstance(found, dict) else None
        if not (found is None or found is False or found in ("", [], {})):
            break
    return found


def _functions_in(node: dict[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _functions_in(child)


_LEADING_ON = frozenset(
    {"subexpression", "index_expression", "slice", "flatten"}
    | {"projection", "value_projection", "filter_projection"}
)
"""Nodes that look up something in what their first part finds."""


def _leads_on_from_not(node: dict[str, Any]) -> bool:
    """Whether something is looked up in a true or false, where there is nothing: `!a.b`, `!a[?b]`.

    `!a == 'b'` is `(!a) == 'b'` and never holds either.
    """
    children = [child for child in node["children"] if isinstance(child, dict)]
    if children and children[0]["type"] == "not_expression":
        if node["type"] in _LEADING_ON:
            return True
        other = children[-1]
        is_literal = node["type"] == "comparator" and other["type"] == "literal"
        if is_literal and not isinstance(other["value"], bool):
            return True
    return any(_leads_on_from_not(child) for child in children)


_SAME_ROW = frozenset(
    {"comparator", "and_expression", "or_expression", "not_expression", "function_expression"}
    | {"multi_select_list", "multi_select_dict", "key_val_pair"}
)
"""Nodes whose every part is looked up where the whole is; in others only the first part is."""


def _columns_in(node: dict[str, Any]) -> Iterator[str]:
    """The names that an expression looks up in the row itself."""
    if node["type"] == "field":
        yield node["value"]
    children = [child for child in node["children"] if isinstance(child, dict)]
    if node["type"] == "expref":
        return
    for child in children if node["type"] in _SAME_ROW else children[:1]:
        yield from _columns_in(child)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same in every row."""

    value: Any

    def of(self, scope: Scope) -> Any:
        return self.value

    def columns(self) -> Iterator[tuple[str, str]]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A value from the row, with what becomes of it on the way."""

    path: str
    selector: Selector
    convert: Conversion = as_json
    map: dict[str, Any] | None = None
    default: Any = LEFT_OUT
    optional: bool = False
    strip: bool = True
    empty: tuple[str, ...] = ()

    def of(self, scope: Scope) -> Any:
        try:
            found = self._filled(self.selector.find(scope))
            if self.map is not None:
                return _mapped(self.map, as_text(found))
            return self.convert(found)
        except _Empty as absent:
            if self.default is not LEFT_OUT or self.optional:
                return self.default
            raise ValueAbsent(self.path, f"{absent}, and the field is required") from None
        except Unfit as unfit:
            raise RowRefused(self.path, f"{self.selector.said}: {unfit}") from None

    def columns(self) -> Iterator[tuple[str, str]]:
        for name in self.selector.reads():
            yield self.path, name

    def _filled(self, found: Any) -> Any:
        """The value without the blanks around it. Raises _Empty when nothing remains."""
        if isinstance(found, str) and self.strip:
            found = found.strip()
        if found is None or found == "" or (isinstance(found, str) and found in self.empty):
            raise _Empty(f"{self.selector.said} is empty")
        return found


def _mapped(words: dict[str, Any], found: str) -> Any:
    """What the `map` of a value has for it. Raises Unfit."""
    if found in words:
        return words[found]
    if ANY_OTHER in words:
        return words[ANY_OTHER]
    known = ", ".join(list(words)[:MAP_WORDS_SHOWN])
    raise Unfit(f'a value that its map does not name (it has {known}; "*" is any other)')


@dataclass(frozen=True, slots=True)
class Object:
    """An object whose fields are values; fields that are left out are not in it."""

    fields: dict[str, Value]
    optional: bool = False

    def of(self, scope: Scope) -> Any:
        try:
            made = {name: value.of(scope) for name, value in self.fields.items()}
        except ValueAbsent:
            if self.optional:
                return LEFT_OUT
            raise
        return {name: value for name, value in made.items() if value is not LEFT_OUT}

    def columns(self) -> Iterator[tuple[str, str]]:
        for value in self.fields.values():
            yield from value.columns()


@dataclass(frozen=True, slots=True)
class Items:
    """A list of values, as a mapping writes them out."""

    values: tuple[Value, ...]

    def of(self, scope: Scope) -> Any:
        made = [value.of(scope) for value in self.values]
        return [value for value in made if value is not LEFT_OUT]

    def columns(self) -> Iterator[tuple[str, str]]:
        for value in self.values:
            yield from value.columns()


@dataclass(frozen=True, slots=True)
class Each:
    """A list made from a list of objects in the row, one value an object.

    Inside, names are looked up in the object first and then in the row around it.
    """

    path: str
    list_of: Expression
    item: Value
    optional: bool

    def of(self, scope: Scope) -> Any:
        try:
            found = self.list_of.find(scope)
        except Unfit as unfit:
            raise RowRefused(self.path, f"{self.list_of.said}: {unfit}") from None
        if not found and self.optional:
            return LEFT_OUT
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            kind = ValueAbsent if found is None else RowRefused
            raise kind(self.path, f"{self.list_of.said}: expected a list of objects")
        made = [self.item.of(Scope({**scope.values, **one}, scope.number)) for one in found]
        return [value for value in made if value is not LEFT_OUT]

    def columns(self) -> Iterator[tuple[str, str]]:
        for name in self.list_of.reads():
            yield self.path, name


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """An object of the row without what the values beside it take from it.

    `column` leads to the object and is empty for the row itself. `less` are the columns that
    are left out, counted from the row.
    """

    path: str
    column: str
    without: tuple[str, ...]
    less: tuple[str, ...] = ()

    def of(self, scope: Scope) -> Any:
        try:
            found = column_of(scope.values, self.column) if self.column else scope.values
        except KeyError:
            return LEFT_OUT
        if found is None:
            return LEFT_OUT
        if not isinstance(found, Mapping):
            raise RowRefused(self.path, f'column "{self.column}": expected an object')
        left = self._left(found, scope)
        try:
            return as_json(dict(left)) if left else LEFT_OUT
        except Unfit as unfit:
            raise RowRefused(self.path, f'column "{self.column}": {unfit}') from None

    def columns(self) -> Iterator[tuple[str, str]]:
        if self.column:
            yield self.path, self.column

    def _left(self, found: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
        inside = self.column.count(".") + 1 if self.column else 0
        for name in self.less:
            if name not in scope.values:
                found = _less(found, name.split(".")[inside:])
            elif not inside:  # a column that has the dots itself comes first
                found = _less(found, [name])
        return found


def _less(values: Mapping[str, Any], path: list[str]) -> Mapping[str, Any]:
    """The object without what stands at a path in it."""
    head, *inner = path
    if head not in values:
        return values
    if not inner:
        return {key: value for key, value in values.items() if key != head}
    below = values[head]
    left = _less(below, inner) if isinstance(below, Mapping) else below
    if left is below:
        return values
    # An object of which nothing is left has been taken as a whole.
    return {key: left if key == head else v for key, v in values.items() if key != head or left}


def resting(values: dict[str, Value]) -> dict[str, Value]:
    """The values of one touchpoint, with every `rest` knowing what the others take."""
    taken = {name for value in values.values() for name in _taken(value)}
    return {name: _rested(value, taken) for name, value in values.items()}


def _taken(value: Value) -> Iterator[str]:
    """The columns of which a value keeps all there is.

    An expression and `each` may keep a part of what they read, an optional object may keep
    nothing, and a map with a word for any other value forgets which one it was: what they read
    is left in the rest as well.
    """
    if isinstance(value, Chosen):
        if not isinstance(value.selector, Expression) and ANY_OTHER not in (value.map or {}):
            yield from value.selector.reads()
    elif isinstance(value, Rest) and value.column:
        yield value.column
    elif isinstance(value, Object) and not value.optional:
        for inner in value.fields.values():
            yield from _taken(inner)
    elif isinstance(value, Items):
        for inner in value.values:
            yield from _taken(inner)


def _rested(value: Value, taken: set[str]) -> Value:
    if isinstance(value, Rest):
        inside = f"{value.column}." if value.column else ""
        names = {name for name in taken if name.startswith(inside)}
        return replace(value, less=tuple(sorted(names | {inside + n for n in value.without})))
    if isinstance(value, Object):
        return replace(value, fields={n: _rested(v, taken) for n, v in value.fields.items()})
    if isinstance(value, Items):
        return replace(value, values=tuple(_rested(v, taken) for v in value.values))
    return value


def value_in(section: Section, key: str, times: TimeForm, kind: str | None = None) -> Value:
    """Read the value that stands under a key. Raises MappingInvalid.

    `kind` is the conversion of a value that has to be one scalar, unless it names its own.
    """
    value = _value(section, key, section.take(key), times, kind)
    if kind is None or isinstance(value, Chosen):
        return value
    if not isinstance(value, Constant):
        section.refuse('expected a text such as "{order}" or a table with a `column`', key)
    try:
        return Constant(_conversion(Section({}, section.file), kind, times)(value.value))
    except Unfit as unfit:
        section.refuse(str(unfit), key)


def _value(section: Section, key: str, written: Any, times: TimeForm, kind: str | None) -> Value:
    if section.path.count(".") > VALUE_DEPTH_MAX:
        section.refuse(f"nested deeper than {VALUE_DEPTH_MAX} levels", key)
    if isinstance(written, str):
        form = section.inner(key, {"template": written})
        return _chosen(form, "template", times, kind)
    if isinstance(written, list):
        values = (_value(section, f"{key}[{n}]", one, times, kind) for n, one in enumerate(written))
        return Items(tuple(values))
    if isinstance(written, dict):
        form = section.inner(key, written)
        return _form(form, times, kind)
    return Constant(_constant(section, key, written))


def _form(form: Section, times: TimeForm, kind: str | None) -> Value:
    """A table: one of the forms of a value if it has the key of one, otherwise an object."""
    named = [selector for selector in _SELECTORS if form.has(selector)]
    if len(named) > 1:
        form.refuse(f"has both {named[0]} and {named[1]}; a value comes from one of them")
    if not named:
        return _object(form, form.keys(), times)
    match named[0]:
        case "value":
            value: Value = Constant(_constant(form, "value", form.take("value")))
        case "object":
            value = _written_object(form, times)
        case "each":
            value = _each(form, times)
        case "rest":
            value = _rest(form)
        case selector:
            return _chosen(form, selector, times, kind)
    form.finish()
    return value


def _object(form: Section, names: tuple[str, ...], times: TimeForm) -> Object:
    return Object({name: value_in(form, name, times) for name in names})


def _written_object(form: Section, times: TimeForm) -> Object:
    inner = form.table("object")
    optional = form.boolean("optional", False)
    if inner is None:
        form.refuse("expected a table", "object")
    inner.path = form.path
    return Object(_object(inner, inner.keys(), times).fields, optional)


def _each(form: Section, times: TimeForm) -> Each:
    expression = _expression(form, "each")
    optional = form.boolean("optional", False)
    if not form.has("item"):
        form.refuse("is missing; write what one element becomes", "item")
    item = value_in(form, "item", times)
    if _has_rest(item):
        form.refuse("a `rest` cannot stand inside `each`", "item")
    return Each(form.path, expression, item, optional)


def _has_rest(value: Value) -> bool:
    inner = list(value.fields.values()) if isinstance(value, Object) else []
    inner += value.values if isinstance(value, Items) else []
    return isinstance(value, Rest) or any(_has_rest(one) for one in inner)


def _rest(form: Section) -> Rest:
    """The rest of an object; an empty path is the row itself, and so not a text that is missing."""
    column = form.text("rest")
    if column is None:
        form.refuse('expected a text, such as "properties", or "" for the row itself', "rest")
    return Rest(path=form.path, column=column, without=form.texts("without"))


def _chosen(form: Section, selector: str, times: TimeForm, kind: str | None) -> Chosen:
    where = _selector(form, selector)
    default_kind = kind or ("text" if selector == "template" else "json")
    convert = _conversion(form, form.choice("as", KINDS, default_kind), times)
    chosen = Chosen(
        path=form.path,
        selector=where,
        convert=convert,
        map=_map(form, convert),
        default=_default(form, convert),
        optional=form.boolean("optional", False),
        strip=form.boolean("strip", True),
        empty=form.texts("empty"),
    )
    form.finish()
    return chosen


def _selector(form: Section, selector: str) -> Selector:
    if selector == "jmespath":
        return _expression(form, selector)
    written = form.required_text(selector, '"…"')
    if selector == "column":
        return Column(written)
    try:
        return template_of(written)
    except ValueError as error:
        form.refuse(str(error))


def _expression(form: Section, key: str) -> Expression:
    return expression_of(form, key, form.required_text(key, '"…"'))


def expression_of(section: Section, key: str, written: str) -> Expression:
    """Compile an expression. Raises MappingInvalid."""
    try:
        return Expression(written)
    except ValueError as error:
        section.refuse(str(error), key)


def _conversion(form: Section, kind: str, times: TimeForm) -> Conversion:
    if kind in ("integer", "number", "decimal"):
        numbers = number_form(form)
        by_name: dict[str, Callable[[Any], Any]] = {
            "integer": numbers.integer,
            "number": numbers.number,
            "decimal": numbers.decimal,
        }
        return by_name[kind]
    if kind == "time":
        return time_form(form, times).rfc3339
    if kind == "list":
        return ListForm(form.text("separator") or ",").items
    return {"text": as_text, "boolean": as_boolean, "json": as_json}[kind]


def number_form(section: Section) -> NumberForm:
    """How numbers are written, by the keys of a value. Raises MappingInvalid."""
    point = section.text("point", ".") or ""
    thousands = section.text("thousands", "") or ""
    if len(point) != 1 or point.isalnum():
        section.refuse('expected one character, such as ","', "point")
    if len(thousands) > 1 or thousands == point or thousands.isalnum():
        section.refuse('expected one character other than the point, such as "."', "thousands")
    return NumberForm(point, thousands, section.text("drop", "") or "")


def time_form(section: Section, inherited: TimeForm) -> TimeForm:
    """How times are written, by the keys `format` and `zone`. Raises MappingInvalid."""
    form = TimeForm(
        section.text("format", inherited.format) or "iso", section.text("zone", inherited.zone)
    )
    if form.zone is not None and form.zone not in zone_names():
        section.refuse("expected the IANA name of a time zone, such as Europe/Rome", "zone")
    if fault := form.fault():
        section.refuse(fault, "format")
    return form


def _map(form: Section, convert: Conversion) -> dict[str, Any] | None:
    table = form.table("map")
    if table is None:
        return None
    return {key: _prepared(table, key, convert) for key in table.keys()}  # noqa: SIM118


def _default(form: Section, convert: Conversion) -> Any:
    return _prepared(form, "default", convert) if form.has("default") else LEFT_OUT


def _prepared(section: Section, key: str, convert: Conversion) -> Any:
    """A constant of the mapping that takes the place of a value from the row."""
    try:
        return convert(_constant(section, key, section.take(key)))
    except Unfit as unfit:
        section.refuse(str(unfit), key)


def _constant(section: Section, key: str, value: Any) -> Any:
    """A constant as JSON has it; a date and time with its offset becomes a text."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        section.refuse("a time needs its date and offset, such as 2026-01-05T10:00:00Z", key)
    if isinstance(value, dict):
        return {name: _constant(section, f"{key}.{name}", one) for name, one in value.items()}
    if isinstance(value, list):
        return [_constant(section, key, one) for one in value]
    try:
        return as_json(value)
    except Unfit as unfit:
        section.refuse(str(unfit), key)
