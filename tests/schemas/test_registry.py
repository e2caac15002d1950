"""The registry is complete, and every class in it keeps to the form of a touchpoint."""

import importlib
import pkgutil
import re
import subprocess
import sys

import pytest

import schemas
from schemas.registry import BY_TYPE, TOUCHPOINTS, UnknownType, touchpoint_class
from schemas.touchpoint import Touchpoint

CHANNELS = {
    "call",
    "email",
    "chat",
    "sms",
    "social",
    "web",
    "visit",
    "purchase",
    "referral",
    "ticket",
    "loyalty",
    "survey",
    "consent",
    "profile",
    "note",
    "statement",
    "tracked",
}
NO_CONTACT = {
    "customer.linked.v1",
    "customer.merged.v1",
    "customer.unmerged.v1",
    "touchpoint.voided.v1",
    "loyalty.rules_published.v1",
    "loyalty.programme_closed.v1",
    "identity.rules_published.v1",
    "person.erased.v1",
    "personal_data.viewed.v1",
    "cost.recorded.v1",
}
TYPE_NAME = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*\.v[1-9][0-9]*")
EVERY_CLASS = pytest.mark.parametrize("cls", TOUCHPOINTS, ids=lambda cls: cls.__name__)


def test_every_touchpoint_that_is_defined_is_registered() -> None:
    for module in pkgutil.iter_modules(schemas.__path__, "schemas."):
        importlib.import_module(module.name)
    defined = {c for c in _below(Touchpoint) if c.__module__.startswith("schemas.")}
    # A slotted dataclass is made anew from the class that was written, which lingers unused.
    written = {vars(sys.modules[c.__module__]).get(c.__name__) for c in defined}
    assert written == set(TOUCHPOINTS)


def _below(cls: type) -> set[type]:
    children: list[type] = cls.__subclasses__()
    return set(children).union(*map(_below, children))


def test_no_type_and_no_class_name_is_used_twice() -> None:
    assert len(BY_TYPE) == len(TOUCHPOINTS)
    assert len({cls.__name__ for cls in TOUCHPOINTS}) == len(TOUCHPOINTS)


@EVERY_CLASS
def test_a_class_is_named_after_its_type(cls: type[Touchpoint]) -> None:
    assert TYPE_NAME.fullmatch(cls.TYPE)
    noun, happened, _ = cls.TYPE.split(".")
    words = f"{noun}_{happened}".split("_")
    assert cls.__name__ == "".join(word.capitalize() for word in words)


@EVERY_CLASS
def test_a_class_names_its_channel_explains_itself_and_sums_itself_up(
    cls: type[Touchpoint],
) -> None:
    assert cls.CHANNEL in CHANNELS or (cls.CHANNEL is None and cls.TYPE in NO_CONTACT)
    assert "summary" in vars(cls)
    assert cls.__doc__ is not None
    assert "." in cls.__doc__
    assert not cls.__doc__.startswith(f"{cls.__name__}(")


def test_only_what_is_no_contact_with_a_customer_has_no_channel() -> None:
    assert {cls.TYPE for cls in TOUCHPOINTS if cls.CHANNEL is None} == NO_CONTACT


def test_a_class_is_found_by_its_type() -> None:
    assert touchpoint_class("order.completed.v1").__name__ == "OrderCompleted"


def test_an_unknown_type_is_answered_with_what_may_be_meant() -> None:
    with pytest.raises(UnknownType, match=r"did you mean order\.completed\.v1") as refusal:
        touchpoint_class("order.complete.v1")
    assert refusal.value.suggestions[0] == "order.completed.v1"


def test_a_type_like_no_other_is_answered_without_a_guess() -> None:
    with pytest.raises(UnknownType, match=r"no touchpoint is called 'zzz'$"):
        touchpoint_class("zzz")


def test_importing_the_registry_builds_no_validators() -> None:
    program = (
        "import pydantic.type_adapter as t; made = []; "
        "t.TypeAdapter.__init__ = lambda *a, **k: made.append(a); "
        "import schemas.registry, sys; "
        "sys.exit(bool(made) or 'iso4217' in sys.modules or 'email_validator' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
