"""Voiding: the fact that another fact was recorded in error and no longer counts."""

from collections.abc import Iterable
from typing import TypeVar

from domain.occurred import Occurred, order_of

Identity = tuple[str, str]
"""The (source, id) by which a fact is named."""
Void = TypeVar("Void", bound=Occurred)


def voided_by(voids: Iterable[Occurred]) -> frozenset[Identity]:
    """The facts that these `touchpoint.voided.v1` strike out."""
    return frozenset(strikes(voids))


def strikes(voids: Iterable[Void]) -> dict[Identity, Void]:
    """Each fact that these `touchpoint.voided.v1` strike out, with the first that does.

    A voiding that is itself voided by one that occurred later strikes nothing. One that occurred
    earlier does not undo it, whichever was recorded first: what was said last decides.
    """
    struck: dict[Identity, Void] = {}
    for void in sorted(voids, key=order_of, reverse=True):
        if (void.source, void.id) not in struck:
            struck[void.data.voided_source, void.data.voided_id] = void
    return struck
