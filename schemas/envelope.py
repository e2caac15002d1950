"""The envelope of a touchpoint, by the names of CloudEvents 1.0."""

from typing import Any, Generic, TypeVar

import msgspec

from schemas.fields import rfc3339
from schemas.touchpoint import Touchpoint

T = TypeVar("T", bound=Touchpoint)

ORIGINAL_TIME = "originaltimestamp"
"""The extension that holds the time as its source told it, where a door has put `time` right by
the clock of the sender. It is what the content is compared by: a retry is put right anew."""
UNTOLD = "none"
"""Stands there where the source told no time: it happened when it came, and may come again."""


class Envelope(msgspec.Struct, Generic[T], frozen=True, kw_only=True, omit_defaults=True):
    """A touchpoint together with who reported it, about whom, and when it occurred.

    `at` is the time of occurrence in microseconds since 1970 (UTC) and `offset` the minutes by
    which the clock it came from was ahead of UTC. `(source, id)` identifies it for ever.
    `extensions` holds CloudEvents attributes that this catalogue does not name. `values` holds
    the encrypted originals of personal subjects, by the path of the field, once it is stored.
    """

    type: str
    at: int
    source: str
    id: str
    subject: str
    offset: int = 0
    sequence: int = 0
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    extensions: dict[str, Any] | str | None = None
    values: dict[str, str] | None = None
    data: T

    @property
    def time(self) -> str:
        """The time of occurrence as RFC 3339, on the clock that it came from."""
        return rfc3339(self.at, self.offset)

    @property
    def order(self) -> tuple[int, int, str, str]:
        """What views sort by: (time, sequence, source, id)."""
        return (self.at, self.sequence, self.source, self.id)
