"""When a row gives a touchpoint: the condition of each table of a mapping, and an index of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.conversions import as_text
from ledger.mapping_file import Section
from ledger.mapping_values import (
    Column,
    Expression,
    RowRefused,
    Scope,
    column_of,
    expression_of,
)


@dataclass(frozen=True, slots=True)
class When:
    """A condition: whether it `holds` in a row, and the columns that it reads.

    `among` has the texts of its one column for which it holds, where that is all it asks.
    """

    holds: Callable[[Scope], bool]
    columns: tuple[str, ...]
    among: tuple[str, ...] | None = None


class Candidates:
    """Which tables a row may belong to, by the text of a column rather than by asking each.

    Tables whose condition is `{ column, is }` or `{ column, in }` are looked up; all others
    are candidates for every row.
    """

    def __init__(self, conditions: Sequence[When | None]) -> None:
        self._every = tuple(range(len(conditions)))
        self._always: list[int] = []
        self._by_column: dict[str, dict[str, list[int]]] = {}
        for place, when in enumerate(conditions):
            if when is None or when.among is None:
                self._always.append(place)
                continue
            texts = self._by_column.setdefault(when.columns[0], {})
            for text in dict.fromkeys(when.among):
                texts.setdefault(text, []).append(place)

    def of(self, values: Mapping[str, Any]) -> Sequence[int]:
        """The places of the tables that may take a row, in order."""
        found = list(self._always)
        for column, texts in self._by_column.items():
            try:
                text = _text_of(values, column)
            except ValueError:  # no text at all: let the tables themselves say so, in their order
                return self._every
            found += texts.get(text, ())
        return sorted(found)


def when_of(section: Section) -> When | None:
    """The condition of a table, None where it has none. Raises MappingInvalid."""
    if not section.has("when"):
        return None
    written = section.take("when")
    if isinstance(written, str):
        expression = expression_of(section, "when", written)
        return When(_expression_holds(expression), tuple(expression.reads()))
    if not isinstance(written, dict):
        section.refuse('expected a JMESPath expression or { column = "…", is = "…" }', "when")
    return _column_condition(section.inner("when", written))


def _expression_holds(expression: Expression) -> Callable[[Scope], bool]:
    """Truth as JMESPath has it: null, false and what is empty do not hold."""

    def holds(scope: Scope) -> bool:
        try:
            found = expression.find(scope)
        except ValueError as error:
            raise RowRefused("when", f"{expression.said}: {error}") from None
        return found is not None and found is not False and found not in ("", [], {})

    return holds


def _column_condition(section: Section) -> When:
    column = Column(section.required_text("column", '"…"'))
    asked = [key for key in ("is", "is_not", "in", "not_in", "empty") if section.has(key)]
    if len(asked) != 1:
        section.refuse("expected one of is, is_not, in, not_in, empty")
    key = asked[0]
    if key == "empty":
        wanted = section.boolean("empty", True)
        section.finish()
        return When(lambda scope: (_text_in(scope, column) == "") is wanted, (column.name,))
    values = section.texts(key) if key in ("in", "not_in") else (section.text(key) or "",)
    section.finish()
    among = key in ("is", "in")
    return When(
        lambda scope: (_text_in(scope, column) in values) is among,
        (column.name,),
        values if among else None,
    )


def _text_in(scope: Scope, column: Column) -> str:
    try:
        return _text_of(scope.values, column.name)
    except ValueError as error:
        raise RowRefused("when", f"{column.said}: {error}") from None


def _text_of(values: Mapping[str, Any], column: str) -> str:
    """The column as text without blanks around it, empty where the row has no such thing.

    Raises Unfit where it is a list or an object.
    """
    try:
        found = column_of(values, column)
    except KeyError:
        return ""
    return "" if found is None else as_text(found).strip()
