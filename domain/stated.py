"""A value together with the touchpoint that stated it."""

from typing import Any

import msgspec

from domain.occurred import Occurred
from schemas.fields import rfc3339


class Stated(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What was said, and by which touchpoint.

    `value` may be ciphertext (it then begins with `~`): whoever may read it needs the identity
    of the touchpoint to find its key. `at` is in microseconds since 1970 (UTC).
    """

    value: str | int | dict[str, str]
    at: int
    source: str
    id: str
    subject: str


def stated(value: str | int | dict[str, str], touchpoint: Occurred) -> Stated:
    """The value, as this touchpoint states it."""
    return Stated(value, touchpoint.at, touchpoint.source, touchpoint.id, touchpoint.subject)


def described(said: Stated | None) -> dict[str, Any] | None:
    """The statement as windows get it: value, time (RFC 3339), source, id, subject."""
    if said is None:
        return None
    return {
        "value": said.value,
        "time": rfc3339(said.at),
        "source": said.source,
        "id": said.id,
        "subject": said.subject,
    }


def written(at: int | None) -> str | None:
    """A moment (microseconds since 1970, UTC) as RFC 3339; None stays None."""
    return None if at is None else rfc3339(at)
