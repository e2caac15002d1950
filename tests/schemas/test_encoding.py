"""The two ways to write a touchpoint down: nothing is passed over that would have to change."""

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given

from schemas.encoding import canonical, plain
from schemas.registry import BY_TYPE
from tests.schemas.strategies import Event, envelope_of, events


def every_value_plain(value: Any) -> Any:
    """`plain`, by a look at each value and not at the annotations."""
    if is_dataclass(value):
        held = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: every_value_plain(v) for name, v in held.items() if v is not None}
    return [every_value_plain(v) for v in value] if isinstance(value, tuple) else value


def every_value_compared(value: Any) -> Any:
    """The form in which content is compared, by a look at each value."""
    if isinstance(value, dict):
        if value.keys() == {"amount", "currency"}:
            amount = value["amount"]
            decimal = isinstance(amount, str) and "." in amount
            return [amount.rstrip("0").rstrip(".") if decimal else amount, value["currency"]]
        return {name: every_value_compared(v) for name, v in value.items() if v is not None}
    if isinstance(value, list):
        return [every_value_compared(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.astimezone(UTC) if isinstance(value, datetime) else value


@given(event=events())
def test_what_is_known_of_a_class_spares_no_value_that_changes(event: Event) -> None:
    data = plain(envelope_of(event).data)
    assert data == every_value_plain(envelope_of(event).data)
    expected = msgspec.json.encode(["a", 1, None, every_value_compared(data)], order="sorted")
    assert canonical(("a", 1, None), data, BY_TYPE[event["type"]]) == expected
