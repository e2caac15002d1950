"""Voiding: the fact that another fact was recorded in error and no longer counts."""

from collections.abc import Iterable

from domain.occurred import Occurred, order_of

Identity = tuple[str, str]
"""The (source, id) by which a fact is named."""


def voided_by(voids: Iterable[Occurred]) -> frozenset[Identity]:
    """The facts that these `touchpoint.voided.v1` strike out.

    A voiding that is itself voided by one that occurred later strikes nothing. One that occurred
    earlier does not undo it, whichever was recorded first: what was said last decides.
    """
    struck: set[Identity] = set()
    for void in sorted(voids, key=order_of, reverse=True):
        if (void.source, void.id) not in struck:
            struck.add((void.data.voided_source, void.data.voided_id))
    return frozenset(struck)
