"""Strategies for property tests: valid `data` of any touchpoint, CloudEvents, and histories.

Ids come from small pools, so that orders meet their refunds and tickets their comments; times
lie within three months and often fall on the same instant; and texts are sometimes odd.
"""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic.fields import FieldInfo

from schemas.door import parse
from schemas.envelope import Envelope
from schemas.fields import Moment, Personal, Seconds
from schemas.identity import IdentityRulesPublished, Kind, Kinds
from schemas.loyalty import (
    ORDER,
    AdjustedPoints,
    EarnRule,
    LoyaltyProgrammeClosed,
    LoyaltyRulesPublished,
    TypeName,
    Weekdays,
)
from schemas.money import Money, PaidMoney, StepMoney
from schemas.privacy import PersonalDataViewed
from schemas.registry import TOUCHPOINTS
from schemas.subject import Subject
from schemas.survey import SCORES, SurveyAnswered
from schemas.touchpoint import Touchpoint
from schemas.zone import Zone

Data = dict[str, Any]
Event = dict[str, Any]
Classes = type[Touchpoint] | Sequence[type[Touchpoint]]

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 90
CUSTOMERS = ("customer:1", "customer:2", "customer:3")
SUBJECTS = (
    *CUSTOMERS,
    "email:ana@example.com",
    "email:Ana@Example.com",
    "phone:+393331234567",
    "anonymous:9f3a",
)
SOURCES = ("shop", "telephony", "helpdesk", "app")
ORDER_IDS = tuple(f"A{n}" for n in range(1, 7))
TICKET_IDS = tuple(f"T-{n}" for n in range(1, 7))
PROGRAMMES = ("main", "club")
AGENTS = ("Ana", "Bruno", "Chloé")

POOLS: dict[str, tuple[str, ...]] = {
    "order_id": ORDER_IDS,
    "ticket_id": TICKET_IDS,
    "into_ticket_id": TICKET_IDS,
    "about": (*ORDER_IDS, *TICKET_IDS),
    "programme": PROGRAMMES,
    "agent": AGENTS,
    "assignee": AGENTS,
    "to_agent": AGENTS,
    "voided_source": SOURCES,
    "voided_id": tuple(f"e{n}" for n in range(1, 21)),
    "merge_source": SOURCES,
    "merge_id": tuple(f"e{n}" for n in range(1, 21)),
    "traffic_source": ("newsletter", "search", "direct"),
    "country": ("IT", "ZA"),
    "language": ("it", "en"),
    "network": ("mastodon", "instagram"),
    "email": ("ana@example.com", "ANA@example.com", "bob@example.org"),
    "phone": ("+393331234567", "+12025550123"),
    "url": ("https://shop.example/", "https://shop.example/shoes?size=42"),
}
"""What fields of these names are drawn from; others have a pool of four of their own."""

_ODD_TEXTS = (
    "",
    "plain words",
    "two\nlines",
    "~starts like a ciphertext",
    "naïve 🦊 ١٢٣",
    "x" * 300,
)
_OFFSETS = (0, 0, 0, 60, 120, -330)
_INSTANTS = tuple(24 * 3_600 * day for day in range(0, DAYS, 9))
"""Seconds after START on which many touchpoints fall, so that there are ties."""


def data_of(cls: type) -> SearchStrategy[Data]:
    """Valid JSON-ready `data` of any registered touchpoint, or of a Part such as EarnRule."""
    hints = get_type_hints(cls, include_extras=True)
    required: dict[str, SearchStrategy[Any]] = {}
    optional: dict[str, SearchStrategy[Any]] = {}
    for field in fields(cls):
        drawn = _values(hints[field.name], field.name)
        (required if field.default is MISSING else optional)[field.name] = drawn
    drawn_data = st.fixed_dictionaries(required, optional=optional)
    settle = _SETTLED.get(cls)
    return drawn_data.map(settle) if settle else drawn_data


@st.composite
def events(
    draw: st.DrawFn, cls: Classes | None = None, subjects: Sequence[str] = SUBJECTS
) -> Event:
    """A valid CloudEvent, as a dict ready for JSON, of one class, of several, or of any.

    `subjects` are those that facts about customers may have; rules have subjects of their own.
    """
    chosen = draw(st.sampled_from(_classes(cls)))
    data = draw(_data_of(chosen))
    event = {
        "specversion": "1.0",
        "id": f"e{draw(st.integers(1, 20) | st.integers(1, 10**9))}",
        "source": draw(st.sampled_from(SOURCES)),
        "type": chosen.TYPE,
        "subject": _subject_of(chosen, data) or draw(st.sampled_from(subjects)),
        "time": draw(times()),
        "data": data,
    }
    return event | draw(_optional_attributes)


def histories(
    cls: Classes | None = None,
    subjects: Sequence[str] = SUBJECTS,
    *,
    min_size: int = 0,
    max_size: int = 30,
) -> SearchStrategy[list[Event]]:
    """Events in any order, no two of which share their (source, id)."""
    return st.lists(
        events(cls, subjects),
        min_size=min_size,
        max_size=max_size,
        unique_by=lambda event: (event["source"], event["id"]),
    )


def line_of(event: Event) -> bytes:
    """The event as it stands on the wire."""
    return msgspec.json.encode(event)


def envelope_of(event: Event) -> Envelope[Touchpoint]:
    """The event as the door lets it in."""
    return parse(line_of(event))


def touchpoints(
    cls: Classes | None = None, subjects: Sequence[str] = CUSTOMERS, *, max_size: int = 30
) -> SearchStrategy[list[Envelope[Touchpoint]]]:
    """Envelopes with distinct (source, id), in the order in which a fold must see them."""
    drawn = histories(cls, subjects, max_size=max_size)
    return drawn.map(
        lambda history: sorted(map(envelope_of, history), key=lambda envelope: envelope.order)
    )


@cache
def _data_of(cls: type) -> SearchStrategy[Data]:
    return data_of(cls)


def _classes(cls: Classes | None) -> Sequence[type[Touchpoint]]:
    if cls is None:
        return TOUCHPOINTS
    return (cls,) if isinstance(cls, type) else cls


def _subject_of(cls: type[Touchpoint], data: Data) -> str | None:
    """The subject that a fact has which is not about a customer."""
    if cls in (LoyaltyRulesPublished, LoyaltyProgrammeClosed):
        return f"programme:{data['programme']}"
    if cls is IdentityRulesPublished:
        return "rules:identity"
    return "reader:nadia" if cls is PersonalDataViewed else None


_optional_attributes = st.fixed_dictionaries(
    {},
    optional={
        "sequence": st.integers(0, 3) | st.sampled_from(("0", "2", "10")) | st.none(),
        "correlationid": st.sampled_from(("c1", "c2")),
        "datacontenttype": st.just("application/json"),
        "tenant": st.sampled_from(("north", "south")),
    },
)


@st.composite
def times(draw: st.DrawFn) -> str:
    """RFC 3339 times within DAYS days from START, on several clocks, with many ties."""
    seconds = draw(st.sampled_from(_INSTANTS) | st.integers(0, DAYS * 24 * 3_600))
    microseconds = draw(st.sampled_from((0, 0, 0, 1, 500_000, 999_999)))
    offset = draw(st.sampled_from(_OFFSETS))
    moment = START + timedelta(seconds=seconds, microseconds=microseconds)
    text = moment.astimezone(timezone(timedelta(minutes=offset))).isoformat()
    return text.replace("+00:00", "Z")


def texts() -> SearchStrategy[str]:
    """Short texts, some of them odd, without what JSON or a store cannot carry."""
    characters = st.characters(exclude_characters="\0", codec="utf-8")
    return st.sampled_from(_ODD_TEXTS) | st.text(characters, max_size=12)


def money(least: int = -50_000) -> SearchStrategy[dict[str, str]]:
    """Amounts from `least` to 200,000 hundredths, mostly in euros."""
    round_amounts = st.sampled_from((0, 1, 1_000, 5_000, 15_000, 100_000)).filter(
        lambda hundredths: hundredths >= least
    )
    return st.builds(
        _money,
        round_amounts | st.integers(least, 200_000),
        st.sampled_from(("EUR", "EUR", "EUR", "USD", "JPY", "KWD")),
    )


def _money(hundredths: int, currency: str) -> dict[str, str]:
    sign = "-" if hundredths < 0 else ""
    whole, part = divmod(abs(hundredths), 100)
    return {"amount": f"{sign}{whole}" + (f".{part:02}" if part else ""), "currency": currency}


def json_maps() -> SearchStrategy[dict[str, Any]]:
    """Small maps of whatever JSON has."""
    scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.just(0.5) | texts()
    names = st.sampled_from(("colour", "size", "~", "ключ"))
    nested = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
        max_leaves=4,
    )
    return st.dictionaries(names, nested, max_size=3)


def _values(hint: Any, name: str) -> SearchStrategy[Any]:
    """What a field of this name and annotation may hold, as JSON would have it."""
    for alias, build in _ALIASES:
        if hint is alias:
            return build()
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return st.one_of([_values(member, name) for member in get_args(hint)])
    if origin is Annotated:
        return _annotated(hint, name)
    if origin is Literal:
        return st.sampled_from(get_args(hint))
    if hint is NoneType:
        return st.none()
    if hint is bool:
        return st.booleans()
    if isinstance(hint, type) and is_dataclass(hint):
        return _data_of(hint)
    raise TypeError(f"no strategy for {name}: {hint}")


def _annotated(hint: Any, name: str) -> SearchStrategy[Any]:
    inner, marks = hint.__origin__, hint.__metadata__
    for mark in marks:
        if isinstance(mark, Personal):
            return _values(mark.clear, name)
    limits = _limits(marks)
    origin = get_origin(inner)
    if inner is int:
        return _whole_numbers(limits)
    if inner is str:
        return _strings(name, limits)
    if origin is tuple:
        return st.lists(_values(get_args(inner)[0], name), max_size=3)
    if origin is dict:
        key, value = get_args(inner)
        if value is Any:
            return json_maps()
        return st.dictionaries(_values(key, "key"), _values(value, name), max_size=3)
    return _values(inner, name)


def _limits(marks: tuple[Any, ...]) -> dict[str, Any]:
    """The limits that pydantic's Field sets, by their names: ge, gt, le, min_length."""
    limits: dict[str, Any] = {}
    for mark in marks:
        for limit in mark.metadata if isinstance(mark, FieldInfo) else ():
            for key in ("ge", "gt", "le", "min_length"):
                if hasattr(limit, key):
                    limits[key] = getattr(limit, key)
    return limits


def _whole_numbers(limits: dict[str, Any]) -> SearchStrategy[int]:
    least = limits["gt"] + 1 if "gt" in limits else limits.get("ge", -1_000)
    greatest = min(limits.get("le", 2_000), least + 2_000)
    return st.integers(least, greatest)


def _strings(name: str, limits: dict[str, Any]) -> SearchStrategy[str]:
    if name in POOLS:
        return st.sampled_from(POOLS[name])
    if limits.get("min_length"):
        return st.sampled_from([*(f"{name}-{number}" for number in range(1, 5)), "é 字"])
    return texts()


def _settled_survey(data: Data) -> Data:
    lowest, highest = SCORES[data["kind"]]
    return data | {"score": lowest + data["score"] % (highest - lowest + 1)}


def _settled_rule(data: Data) -> Data:
    if data["on"] == ORDER:
        return data
    return {name: v for name, v in data.items() if name not in ("per", "minimum_total")}


def _settled_rules(data: Data) -> Data:
    distinct = {rule["rule_id"]: rule for rule in data["earn"]}
    return data | {"earn": list(distinct.values())}


_SETTLED: dict[type, Callable[[Data], Data]] = {
    SurveyAnswered: _settled_survey,
    EarnRule: _settled_rule,
    LoyaltyRulesPublished: _settled_rules,
}
"""What mends drawn data whose fields must agree with each other."""

_EARNING_TYPES = (ORDER, ORDER, "survey.answered.v1", "statement.delivery_chosen.v1")
_ALIASES: tuple[tuple[Any, Callable[[], SearchStrategy[Any]]], ...] = (
    (Moment, times),
    (Seconds, lambda: st.integers(0, 4_000) | st.sampled_from((0.5, 12.25, 90_000))),
    (Money, money),
    (PaidMoney, lambda: money(least=0)),
    (StepMoney, lambda: money(least=1)),
    (Subject, lambda: st.sampled_from(SUBJECTS)),
    (Zone, lambda: st.sampled_from(("UTC", "Europe/Rome", "America/New_York", "Asia/Kolkata"))),
    (TypeName, lambda: st.sampled_from(_EARNING_TYPES)),
    (Kind, lambda: st.sampled_from(("email", "phone", "anonymous"))),
    (Kinds, lambda: st.just(["email"]) | st.permutations(("email", "phone", "device"))),
    (Weekdays, lambda: st.lists(st.integers(1, 7), min_size=1, max_size=7, unique=True)),
    (AdjustedPoints, lambda: st.integers(-500, 500).filter(bool)),
)
