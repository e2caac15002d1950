"""One call of the Segment API, read: who called, when, with which id, and what he told."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.conversions import Unfit, as_text
from schemas.door import Refused
from schemas.fields import ID_CHARACTERS_MAX
from web.segment.clock import Times, times_of

LINK = ":link"
"""What the id of a call ends with in the touchpoint that links, beside the one that describes."""
MESSAGE_ID_CHARACTERS_MAX = ID_CHARACTERS_MAX - len(LINK)

KINDS = ("identify", "track", "page", "screen", "group", "alias")
_CARRIED = frozenset(
    {"type", "messageId", "userId", "context"}
    | {"timestamp", "originalTimestamp", "sentAt", "receivedAt", "writeKey", "integrations"}
)
"""Names of a call that are the envelope's, or speak of the way: of them nothing is told twice."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_OBJECTS = frozenset({"context", "properties", "traits"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the calls of one request have in common.

    `received_at` is in microseconds since 1970, `context` is under that of each call. With
    `as_told` no time is put right. `content_key` is that of ids which are made of what a call
    says: whoever guesses that cannot know without it that he is right.
    """

    source: str
    received_at: int
    content_key: bytes = field(repr=False)
    sent_at: object = None
    context: Mapping[str, Any] = field(default_factory=dict)
    as_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a call says; `fields` are all of its names as they came."""

    kind: str
    id: str
    source: str
    user: str | None
    anonymous: str | None
    times: Times
    context: Mapping[str, Any]
    fields: Mapping[str, Any]

    @property
    def subject(self) -> str:
        """Whom it is about: the customer where he is known."""
        return f"customer:{self.user}" if self.user else f"anonymous:{self.anonymous}"

    def object(self, name: str) -> dict[str, Any]:
        """One of its objects; empty where there is none, or something else in its place."""
        found = self.fields.get(name)
        return found if isinstance(found, dict) else {}

    def text(self, name: str) -> str | None:
        """One of its names as text, None where it is empty or no scalar."""
        return _text(self.fields.get(name))

    def left_over(self, *used: str, beside: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What no field of a touchpoint takes: what stands `beside`, its context, and the rest.

        `used` are the names that were taken, if they are what they should be.
        """
        made = dict(beside or {})
        left = {
            name: value
            for name, value in self.fields.items()
            if value is not None and not name.startswith("_") and not self._is_taken(name, used)
        }
        for name, value in (("context", dict(self.context)), ("call", left)):
            if value:
                made[_free(name, made)] = value
        return made

    def event(self, type_name: str, data: Mapping[str, Any], suffix: str = "") -> dict[str, Any]:
        """A CloudEvent of this call."""
        return {
            "specversion": "1.0",
            "id": self.id + suffix,
            "source": self.source,
            "type": type_name,
            "subject": self.subject,
            "time": self.times.time,
            **self.times.extensions,
            "data": {name: value for name, value in data.items() if value not in (None, {})},
        }

    def _is_taken(self, name: str, used: tuple[str, ...]) -> bool:
        if name in _OBJECTS and not isinstance(self.fields[name], dict):
            return False
        return name in _CARRIED or name in used or (name == "anonymousId" and not self.user)


def call_of(fields: Mapping[str, Any], kind: str | None, delivery: Delivery) -> Call:
    """Read a call; `kind` is what its path says it is. Raises Refused."""
    user, anonymous = (_id_in(fields, name) for name in ("userId", "anonymousId"))
    if not user and not anonymous:
        raise Refused("missing", "userId", "a call needs a userId or an anonymousId")
    return Call(
        kind=kind or _kind(fields),
        id=_id(fields, delivery.content_key),
        source=delivery.source,
        user=user,
        anonymous=anonymous,
        times=times_of(
            dict(fields),
            delivery.sent_at or fields.get("sentAt"),
            delivery.received_at,
            as_told=delivery.as_told,
        ),
        context=_context(fields, delivery),
        fields=fields,
    )


def encoded(event: Any) -> bytes:
    """JSON as bytes; integers of any length, which the door then refuses by their path."""
    return _encode(event).encode()


def _kind(fields: Mapping[str, Any]) -> str:
    found = fields.get("type")
    if found in KINDS:
        return str(found)
    raise Refused("call_type", "type", f"expected one of {', '.join(KINDS)}")


def _text(value: object) -> str | None:
    """A scalar as text without blanks around it; ids may be numbers."""
    try:
        return (None if value is None else as_text(value).strip()) or None
    except Unfit:
        return None


def _id_in(fields: Mapping[str, Any], name: str) -> str | None:
    """An id, which may be a number; null and an empty text are none."""
    if isinstance(fields.get(name), list | dict):
        raise Refused("id_form", name, "expected a text or a number")
    return _text(fields.get(name))


def _id(fields: Mapping[str, Any], content_key: bytes) -> str:
    """The id that the library gave, or one made from what the call says: equal for a retry."""
    given = _id_in(fields, "messageId")
    if given is None:
        said = {
            name: value
            for name, value in fields.items()
            if value is not None
            and not name.startswith("_")
            and name not in ("sentAt", "receivedAt", "writeKey", "messageId")
        }
        written = json.dumps(said, sort_keys=True, ensure_ascii=False).encode()
        return f"content-{hmac.digest(content_key, written, 'sha256').hex()}"
    if len(given) > MESSAGE_ID_CHARACTERS_MAX:
        limit = f"at most {MESSAGE_ID_CHARACTERS_MAX} characters"
        raise Refused("string_too_long", "messageId", f"expected {limit}")
    return given


def _context(fields: Mapping[str, Any], delivery: Delivery) -> Mapping[str, Any]:
    own = fields.get("context")
    if not delivery.context:
        return own if isinstance(own, dict) else {}
    return {**delivery.context, **(own if isinstance(own, dict) else {})}


def _free(name: str, made: Mapping[str, Any]) -> str:
    """A name that is not in use: a property may be called as what is put beside it."""
    while name in made:
        name = f"_{name}"
    return name
