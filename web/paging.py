"""Pages of lists: what one holds, and the cursor at which the next one begins."""

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from projections.windows import Record
from web.asking import wrong

CURSOR_CHARACTERS_MAX = 4_096
T = TypeVar("T")
C = TypeVar("C")


def cursor_of(place: Any) -> str:
    """A place in a list as clients carry it; it says nothing to them."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_in(cursor: str | None, kind: type[C]) -> C | None:
    """The place that a cursor holds. Raises a Problem for what is no cursor of such a list."""
    if cursor is None:
        return None
    if len(cursor) <= CURSOR_CHARACTERS_MAX and cursor.isascii():
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
            place = msgspec.json.decode(raw, type=kind)
        except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
            pass
        else:
            if cursor_of(place) == cursor and b"\\u0000" not in raw:
                return place
    raise wrong("cursor", "it is none of this list: give the `next` of the page before")


def page_of(
    found: Sequence[T],
    limit: int,
    place: Callable[[T], Any],
    records: Callable[[Sequence[T]], Iterable[Record]],
) -> Record:
    """A page of at most `limit` of what was found, and where the next begins if there is more.

    One more than the limit is to be looked for, so that it is known whether there is.
    """
    shown = found[:limit]
    more = len(found) > limit
    return {
        "items": list(records(shown)),
        "next": cursor_of(place(shown[-1])) if more else None,
    }
