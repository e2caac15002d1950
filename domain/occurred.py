"""A touchpoint as a fold sees it: when and to whom it happened, and the words themselves."""

from typing import Any, Protocol


class Occurred(Protocol):
    """What a fold may read of a touchpoint.

    Both `schemas.envelope.Envelope` and the narrow forms that a rebuild decodes fit it. The
    narrow forms carry only the fields that a view declares in its `reads`, as plain attributes,
    so a fold reads attributes of `data` and calls none of its methods.
    """

    @property
    def type(self) -> str: ...
    @property
    def at(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def data(self) -> Any: ...


Order = tuple[int, int, str, str]


def order_of(touchpoint: Occurred) -> Order:
    """The place of a touchpoint among the others: (time, sequence, source, id)."""
    return (touchpoint.at, touchpoint.sequence, touchpoint.source, touchpoint.id)
