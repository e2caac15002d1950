"""`/v1/events`: touchpoints as CloudEvents over HTTP, one, a batch, or a stream of lines.

The modes are those of the HTTP protocol binding of CloudEvents 1.0; a plain JSON touchpoint, an
array of them, and NDJSON are taken as well. The handshake is that of its web hooks (1.0).
"""

import re
from itertools import islice
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ledger.access import Right
from ledger.cloudevents import CONTENT_TYPE, PREFIX
from ledger.lines import touchpoints_in
from ledger.quarantine import Headers, Item, Received
from schemas.door import Refused
from web.admission import admit
from web.bodies import body_of
from web.endpoint import Answer, Endpoint, Parameter
from web.problems import Problem, kept_as
from web.service import service_of
from web.shapes import EVENT, EVENTS, LINES, RECEIPT_WITH_ITEMS, RESULT
from web.streams import LINE_TYPES, take_lines
from web.taking import Taken

DOOR = "events"
NAME = "request"
"""What the context of a touchpoint in quarantine calls the place where it stood."""
CE = "ce-"
BATCH = "application/cloudevents-batch"
STRUCTURED = "application/cloudevents+json"
AT_ONCE_BYTES_MAX = 65_536
"""Of a body that is cut between two requests; larger ones go to a thread, so that others go on."""
BATCH_ITEMS_MAX = 10_000
BATCH_OBJECTS_MAX = 50 * BATCH_ITEMS_MAX
"""JSON objects in a batch, those inside of events too: so many are counted without parsing."""
STATUS_OF = {"conflict": 409, "not_allowed": 403}
"""Of a single event that is refused; of any other reason it is 422."""

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_INVALID_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


async def post_events(request: Request) -> Response:
    """Take in what the body holds, and answer once it is durable."""
    service = service_of(request)
    access = await admit(request, Right.APPEND)
    form = request.headers.get(CONTENT_TYPE, "").partition(";")[0].strip().lower()
    if form in LINE_TYPES:
        return await take_lines(request, access, DOOR)
    body = await body_of(request)
    if (not body or body.isspace()) and not _is_binary(request):
        raise Problem(400, "empty", "the body is empty")
    if len(body) > AT_ONCE_BYTES_MAX:
        items = await service.in_thread(_items, request, form, body)
    else:
        items = _items(request, form, body)
    taken = await service.take_in(access, items, DOOR)
    return batch_answer(taken) if _is_batch(form, body) else _single_answer(taken)


def _items(request: Request, form: str, body: bytes) -> list[Item]:
    if _is_batch(form, body):
        return _batch(body)
    context = {"file": NAME, "item": 1}
    try:
        return [Received(body, DOOR, context, headers=_headers(request))]
    except Refused as refused:
        return [(Received(body, DOOR, context), refused)]


def _batch(body: bytes) -> list[Item]:
    """The items of a batch, of which each costs more than it weighs."""
    if body.count(b"{") <= BATCH_OBJECTS_MAX:
        items = list(islice(touchpoints_in(body, DOOR, NAME), BATCH_ITEMS_MAX + 1))
        if len(items) <= BATCH_ITEMS_MAX:
            return items
    raise Problem(
        413,
        "too_many",
        f"more than {BATCH_ITEMS_MAX:,} events in a batch: send fewer at a time, or as lines",
    )


def _is_batch(form: str, body: bytes) -> bool:
    if form.startswith(BATCH):
        if form != f"{BATCH}+json":
            raise Problem(415, "content_type", f"of batches only {BATCH}+json")
        return True
    return not form.startswith("application/cloudevents") and body.lstrip()[:1] == b"["


def _is_binary(request: Request) -> bool:
    """Whether the event is in the headers, and the body, if there is one, its data."""
    return any(name.startswith(CE) for name in request.headers)


def _headers(request: Request) -> Headers:
    """What of the headers makes an event, by the names that a ledger keeps them under."""
    if not _is_binary(request):
        given = request.headers.get(CONTENT_TYPE, "")
        return [(CONTENT_TYPE, given.encode())] if given.startswith("application/cloud") else []
    return [
        (_kept(name), _decoded(value, name) if name.startswith(CE) else value.encode())
        for name, value in request.headers.items()
        if name == CONTENT_TYPE or name.startswith(CE)
    ]


def _kept(name: str) -> str:
    return PREFIX + name.removeprefix(CE) if name.startswith(CE) else name


def _decoded(value: str, name: str) -> bytes:
    """Undo the quoting of RFC 7230, then one round of percent-encoding. Raises Refused."""
    quoted = _QUOTED.fullmatch(value.strip())
    if quoted:
        value = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
    if _INVALID_ESCAPE.search(value):
        raise Refused("encoding", name, "a percent sign begins no escape: write it as %25")
    found = unquote_to_bytes(value.encode("latin-1"))  # the bytes that have come
    try:
        found.decode()
    except UnicodeDecodeError:
        raise Refused("encoding", name, "the header is not UTF-8") from None
    return found


def batch_answer(taken: Taken) -> Response:
    """A receipt, with what became of each item."""
    return answer({**msgspec.structs.asdict(taken.receipt), "items": taken.results()})


def _single_answer(taken: Taken) -> Response:
    (result,) = taken.results()
    if "code" not in result:
        return answer(result)
    more = {name: result[name] for name in ("entry", "path")}
    raise Problem(STATUS_OF.get(result["code"], 422), result["code"], kept_as(result), **more)


def answer(record: Any, status: int = 200) -> Response:
    """Something as JSON."""
    return Response(msgspec.json.encode(record), status, media_type="application/json")


async def shake_hands(request: Request) -> Response:
    """Allow a sender of CloudEvents to deliver here; whether he may is for his token to show."""
    rate = service_of(request).settings.requests_per_second
    headers = {"Allow": "POST, OPTIONS"}
    if origin := request.headers.get("webhook-request-origin"):
        headers["WebHook-Allowed-Origin"] = origin
        headers["WebHook-Allowed-Rate"] = str(max(1, round(rate * 60))) if rate else "*"
    return Response(status_code=200, headers=headers)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/events",
        handler=post_events,
        name="postEvents",
        tag="events",
        summary="Record touchpoints: one CloudEvent (structured or binary), a batch, or NDJSON.",
        needs=(Right.APPEND,),
        takes={
            STRUCTURED: EVENT,
            f"{BATCH}+json": EVENTS,
            "application/json": {"oneOf": [EVENT, EVENTS]},
            LINE_TYPES[0]: LINES,
        },
        gives={
            200: Answer(says="What became of it, once it is durable.", schema={
                "oneOf": [RESULT, RECEIPT_WITH_ITEMS],
            }),
            400: Answer(says="The body is empty, or not packed as it says."),
            409: Answer(says="Another event has this source and id; this one is in quarantine."),
            422: Answer(says="It is no touchpoint; it is in quarantine, with the reason."),
        },
    ),
    Endpoint(
        method="OPTIONS",
        path="/v1/events",
        handler=shake_hands,
        name="shakeHands",
        tag="events",
        summary="The handshake of CloudEvents web hooks.",
        parameters=(
            Parameter(name="WebHook-Request-Origin", where="header", says="Who will deliver."),
        ),
        gives={200: Answer(says="Who may deliver, and how often a minute.")},
    ),
)  # fmt: skip
