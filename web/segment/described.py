"""The traits of an identify call, as the traits of a customer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.conversions import Unfit, as_text
from schemas.fields import ID_CHARACTERS_MAX
from web.segment.call import Call

_BIRTH = ("birth_year", "birthYear", "birthday", "birthdate", "dateOfBirth", "date_of_birth")
_YEAR = re.compile(r"(1[89]\d\d|20\d\d)(-.*)?", re.ASCII | re.DOTALL)
_NAME = re.compile(rf"[^\x00-\x1f\x7f]{{1,{ID_CHARACTERS_MAX}}}")
_FIRST, _LAST = ("firstName", "first_name", "firstname"), ("lastName", "last_name", "lastname")
_YEAR_MIN = 1850


@dataclass(frozen=True, slots=True)
class Found:
    """The traits that a customer has of these, and what none of them takes."""

    traits: dict[str, Any]
    extra: dict[str, Any]


def traits_of(call: Call) -> Found:
    """What an identify call tells of a customer.

    RudderStack's libraries put traits into the context. A trait that the catalogue does not name
    is a text in `custom`; what is no scalar stays as it is, in `extra.traits`.
    """
    in_context = call.context.get("traits")
    told = {**(in_context if isinstance(in_context, dict) else {}), **call.object("traits")}
    made: dict[str, Any] = {}
    for name in ("name", "email", "phone", "segment", "company", "language", "country"):
        _take(told, name, made)
    made |= {name: value for name, value in _derived(told, call).items() if name not in made}
    custom, rest = _others(told)
    if custom:
        made["custom"] = custom
    extra = call.left_over("traits", beside={"traits": rest} if rest else {})
    context = extra.get("context")
    if isinstance(context, dict) and isinstance(in_context, dict):
        context.pop("traits")
        if not context:
            del extra["context"]
    return Found(made, extra)


def _take(told: dict[str, Any], name: str, made: dict[str, Any]) -> None:
    """Take a trait over as it is, if it is a text that the catalogue's field can hold."""
    found = told.get(name)
    if isinstance(found, str) and _NAME.fullmatch(found.strip()):
        made[name] = found.strip()
        del told[name]


def _derived(told: dict[str, Any], call: Call) -> dict[str, Any]:
    """Traits that are told in another form. The form that was told stays where it is."""
    company, address = told.get("company"), told.get("address")
    return {
        name: value
        for name, value in (
            ("name", " ".join(filter(None, (_first(told, _FIRST), _first(told, _LAST))))),
            ("company", _first(company, ("name",))),
            ("country", _first(address, ("country",))),
            ("language", _first(told, ("locale",)) or _first(call.context, ("locale",))),
            ("birth_year", _birth_year(told)),
        )
        if value
    }


def _first(among: object, names: tuple[str, ...]) -> str | None:
    """The first of these that is a text of some use."""
    if isinstance(among, Mapping):
        for name in names:
            found = among.get(name)
            if isinstance(found, str) and _NAME.fullmatch(found.strip()):
                return found.strip()
    return None


def _birth_year(told: dict[str, Any]) -> int | None:
    for name in _BIRTH:
        found = told.get(name)
        year = _YEAR.fullmatch(str(found)) if type(found) in (int, str) else None
        if year and int(year[1]) >= _YEAR_MIN:
            return int(year[1])
    return None


def _others(told: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """The other traits: texts, and what cannot be one."""
    custom: dict[str, str] = {}
    rest: dict[str, Any] = {}
    for name, value in told.items():
        try:
            if _NAME.fullmatch(name):
                custom[name] = as_text(value)
            else:
                rest[name] = value
        except Unfit:  # a list, an object, or null, which says that there is no such trait any more
            rest[name] = value
    return custom, rest
