"""Calls in the shapes in which libraries send them."""

import json
from typing import Any

from ledger.rows import json_value
from schemas.door import parse
from web.segment.call import Delivery
from web.segment.calls import touchpoints

Call = dict[str, Any]

KEY = bytes(32)
STAMPED = "2026-01-05T10:00:00.000Z"
RECEIVED = parse(
    b'{"specversion":"1.0","id":"1","source":"s","type":"event.tracked.v1",'
    b'"subject":"customer:1","time":"2026-01-05T10:00:01Z","data":{"name":"x"}}'
).at
"""When calls come, in microseconds: a second after they happened."""


def call(kind: str, **fields: Any) -> Call:
    """A call of a customer, as most libraries send it; what is None is left out."""
    made = {
        "type": kind,
        "messageId": "m-1",
        "userId": "42",
        "timestamp": STAMPED,
        "integrations": {},
        "_metadata": {"nodeVersion": "v20"},
        **fields,
    }
    return {name: value for name, value in made.items() if value is not None}


def track(event: str, /, **properties: Any) -> Call:
    return call("track", event=event, properties=properties)


def made(sent: Call, **delivery: Any) -> list[Call]:
    """The CloudEvents that a call becomes, each of which the door lets pass."""
    given = Delivery(**{"source": "shop", "received_at": RECEIVED, "content_key": KEY, **delivery})
    found = touchpoints(json_value(json.dumps(sent).encode()), given)
    for raw in found:
        parse(raw)
    return [json.loads(raw) for raw in found]


def one(sent: Call, **delivery: Any) -> Call:
    """The only one."""
    (event,) = made(sent, **delivery)
    return event
