"""What the calls of the Segment API become: for each, one touchpoint or two, and none is lost.

- `track` with a name that the catalogue knows is that touchpoint, if it has what that needs;
  any other is `event.tracked.v1`.
- `page` is `page.viewed.v1` where it tells an address, a path or a name.
- `screen` is `event.tracked.v1`, called "Viewed NAME Screen".
- `identify` describes the customer, and links him to the anonymous id that comes with his.
- `group` describes him by his company; what else is told of it is in `extra`.
- `alias` links.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from schemas.door import Refused
from schemas.fields import ID_CHARACTERS_MAX
from schemas.identity import CustomerDescribed, CustomerLinked
from schemas.tracked import EventTracked
from web.segment.call import LINK, Call, Delivery, call_of, encoded
from web.segment.described import traits_of
from web.segment.semantic import semantic

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_ANONYMOUS = re.compile(
    r"anon.*|\$device:.*|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.DOTALL
)
"""What the id of somebody who is not known looks like: libraries make UUIDs."""


def touchpoints(
    fields: Mapping[str, Any], delivery: Delivery, kind: str | None = None
) -> list[bytes]:
    """The CloudEvents that a call becomes, one at least. `kind` is what its path says it is.

    Raises Refused when it cannot be told whom it is about, when it happened, or what it is.
    """
    call = call_of(fields, kind, delivery)
    return _BECOMES[call.kind](call)


def _tracked(call: Call) -> list[bytes]:
    name = call.text("event")
    if name is None:
        raise Refused("missing", "event", "a track call needs the name of its event")
    return [semantic(call, name) or _tracked_as(call, name)]


def _paged(call: Call) -> list[bytes]:
    return [semantic(call, "") or _tracked_as(call, _seen(call, "Page"), "event")]


def _screened(call: Call) -> list[bytes]:
    return [_tracked_as(call, _seen(call, "Screen"), "event")]


def _seen(call: Call, what: str) -> str:
    """The name by which Segment itself has pages and screens tracked."""
    named = " ".join(filter(None, (call.text("category"), call.text("name"))))
    return f"Viewed {named} {what}" if named else f"Loaded a {what}"


def _tracked_as(call: Call, name: str, used: str = "") -> bytes:
    """Whatever it is, under the name that it has."""
    fitting = _CONTROL.sub(" ", name)[:ID_CHARACTERS_MAX].strip() or "?"
    taken = ("properties", used or ("event" if fitting == name else ""))
    data = {
        "name": fitting,
        "properties": call.object("properties"),
        "extra": call.left_over(*taken),
    }
    return encoded(call.event(EventTracked.TYPE, data))


def _identified(call: Call) -> list[bytes]:
    found = traits_of(call)
    made = []
    link = call.user and call.anonymous
    if found.traits or not link:
        data = {"traits": found.traits, "extra": found.extra}
        event = call.event(CustomerDescribed.TYPE, data)
        event["data"].setdefault("traits", {})
        made.append(encoded(event))
    if link:
        made.append(_linked(call, f"anonymous:{call.anonymous}", {} if made else found.extra))
    return made


def _linked(call: Call, other: str, extra: Mapping[str, Any]) -> bytes:
    return encoded(call.event(CustomerLinked.TYPE, {"other": other, "extra": extra}, LINK))


def _grouped(call: Call) -> list[bytes]:
    traits = call.object("traits")
    named = traits.get("name")
    company = named if isinstance(named, str) and named.strip() else call.text("groupId")
    if company is None:
        return [_tracked_as(call, "Joined a Group", "event")]
    data = {"traits": {"company": company}, "extra": call.left_over()}
    return [encoded(call.event(CustomerDescribed.TYPE, data))]


def _aliased(call: Call) -> list[bytes]:
    """A link to the id from before; without one, to the anonymous id that comes with the call.

    Libraries send as `previousId` what they knew somebody by: mostly an anonymous id, which is
    a UUID, or says what it is; anything else is an id that a customer had.
    """
    if call.user is None:
        raise Refused("missing", "userId", "an alias call needs the userId that holds from now on")
    previous = call.text("previousId") or call.anonymous
    if previous is None:
        raise Refused("missing", "previousId", "an alias call needs the id from before")
    unknown = previous == call.anonymous or _ANONYMOUS.fullmatch(previous)
    other = f"{'anonymous' if unknown else 'customer'}:{previous}"
    return [_linked(call, other, call.left_over("previousId"))]


_BECOMES: dict[str, Callable[[Call], list[bytes]]] = {
    "track": _tracked,
    "page": _paged,
    "screen": _screened,
    "identify": _identified,
    "group": _grouped,
    "alias": _aliased,
}
