"""What every touchpoint has: a type name, a channel, `extra`, and one line that sums it up."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar, dataclass_transform

from pydantic import ConfigDict

from schemas.fields import PersonalMap

C = TypeVar("C")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def fact(cls: type[C]) -> type[C]:
    """Make a frozen, slotted, keyword-only dataclass: the form that all facts have."""
    make: Callable[[type[C]], type[C]] = dataclass(frozen=True, slots=True, kw_only=True)
    return make(cls)


@fact
class Part:
    """A named group of fields inside a touchpoint, such as the line of an order."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)


@fact
class Touchpoint(Part, ABC):
    """One thing that happened, in the words of the service that saw it.

    TYPE is the storage format: once a touchpoint of a type is in a log, neither its TYPE nor
    its fields may change. A new version is a new class, and the old one gains a method
    `upcast()` that returns the new. CHANNEL says where customer and business met; None means
    that the fact is not a contact with a customer (rules, identity, voiding) and is not
    counted among his touchpoints.
    """

    TYPE: ClassVar[str]
    CHANNEL: ClassVar[str | None]

    extra: PersonalMap = None

    @abstractmethod
    def summary(self) -> str:
        """The one line that a timeline shows. Personal fields may be given in clear or masked."""
