"""The fields by which windows name what is in a view: those of `show` and `balance`."""

from collections.abc import Callable, Mapping
from typing import Any

from cli.output import Record
from domain import customers, tickets
from projections.customers import CUSTOMERS
from projections.differing import fields_of
from projections.explaining import Face
from projections.loyalty import LOYALTY
from projections.tickets import TICKETS
from projections.view import View
from projections.windows.points import points_by_programme as points_in
from projections.windows.sight import Sight

Rules = Mapping[tuple[str, str], list[Record]]
"""By the (source, id) of a touchpoint, the rules of which it earned points."""
LOYALTY_PREFIX = "loyalty."
_OF_ALL = ("customer", "tickets")
"""What is no field of the customers view alone: its key, and what the view of tickets knows."""
_TRAITS = "traits."


def face_of(view: View, moment: int, prefix: str = "") -> Face:
    """The fields that windows show of a state of this view, at a moment (microseconds)."""
    show = _SHOWN[view.name]
    return lambda state: {
        f"{prefix}{name}": value for name, value in fields_of(show(state, moment)).items()
    }


def _customer(state: Any, moment: int) -> Record:
    shown = customers.summary(state, "")
    return {name: value for name, value in shown.items() if name not in _OF_ALL}


def _ticket(state: Any, moment: int) -> Record:
    return {name: value for name, value in tickets.show(state, moment).items() if name != "ticket"}


_SHOWN: dict[str, Callable[[Any, int], Record]] = {
    CUSTOMERS.name: _customer,
    TICKETS.name: _ticket,
    LOYALTY.name: points_in,
}


def seen(sight: Sight, view: View, name: str, value: Any) -> Any:
    """The value of a field as a command may see it."""
    if value is None:
        return None
    if view is CUSTOMERS and name.startswith(_TRAITS):
        trait = name.removeprefix(_TRAITS)
        return sight.traits({trait: value})[trait]["value"]
    if view is TICKETS and name == "title":
        return sight.title(value)["value"]
    if view is TICKETS and name == "customer":
        return sight.subjects([value])[value]
    return value


def rules_behind(view: View, state: Any) -> Rules:
    """The rules by which touchpoints earned the points that a state has, with their versions."""
    found: dict[tuple[str, str], list[Record]] = {}
    if view is LOYALTY:
        for programme, account in sorted(state.programmes.items()):
            for lot in account.lots:
                if lot.rule_id is not None:
                    rule = {"programme": programme, "rule": lot.rule_id, "version": lot.version}
                    found.setdefault((lot.source, lot.id), []).append(rule)
    return found
