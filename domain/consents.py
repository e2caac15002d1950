"""Consent: which statement decides whether a person may be reached on a channel.

`any` covers every channel. For a channel and a purpose, the latest statement by occurrence that
applies decides, whether it named the channel or `any`.
"""

from typing import Any

import msgspec

from domain.occurred import Occurred
from schemas.fields import rfc3339

ANY = "any"
GRANTED, WITHDRAWN = "granted", "withdrawn"


class Statement(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The latest that was said of one channel and purpose, with its place in the order."""

    granted: bool
    at: int
    sequence: int
    source: str
    id: str

    @property
    def state(self) -> str:
        """`granted` or `withdrawn`."""
        return GRANTED if self.granted else WITHDRAWN

    @property
    def order(self) -> tuple[int, int, str, str]:
        return (self.at, self.sequence, self.source, self.id)


Consents = dict[str, dict[str, Statement]]
"""By purpose, then by channel (`any` among them), the latest statement that named it."""


def note_granted(consents: Consents, touchpoint: Occurred) -> None:
    _note(consents, touchpoint, Statement(True, *_place(touchpoint)))


def note_withdrawn(consents: Consents, touchpoint: Occurred) -> None:
    _note(consents, touchpoint, Statement(False, *_place(touchpoint)))


def _place(touchpoint: Occurred) -> tuple[int, int, str, str]:
    return (touchpoint.at, touchpoint.sequence, touchpoint.source, touchpoint.id)


def _note(consents: Consents, touchpoint: Occurred, statement: Statement) -> None:
    data = touchpoint.data
    consents.setdefault(data.purpose, {})[data.channel] = statement


def deciding(consents: Consents, channel: str, purpose: str) -> Statement | None:
    """The statement in force for a channel and a purpose; None when nothing was ever said.

    Asked of the channel `any`, only what was said of `any` applies.
    """
    of_purpose = consents.get(purpose)
    if of_purpose is None:
        return None
    named, every = of_purpose.get(channel), of_purpose.get(ANY)
    if named is None or every is None:
        return named or every
    return max(named, every, key=lambda statement: statement.order)


def in_force(consents: Consents) -> list[dict[str, Any]]:
    """One entry for each purpose and channel that was ever named, with what holds for it now."""
    return [
        {
            "channel": channel,
            "purpose": purpose,
            "state": decides.state,
            "time": rfc3339(decides.at),
            "source": decides.source,
            "id": decides.id,
        }
        for purpose in sorted(consents)
        for channel in sorted(consents[purpose])
        if (decides := deciding(consents, channel, purpose)) is not None
    ]
