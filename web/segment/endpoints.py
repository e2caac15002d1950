"""The paths of the Segment tracking API, and of those who took it over (RudderStack, Jitsu).

Clients throw away what is answered with most of 4xx, and some take nothing but 200 for success.
So one bad call of a batch is no error: it is quarantined, its result says so, and the answer is
200. JSON is read whatever the content type says, since browsers avoid to ask for permission.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from ledger.access import ANY_SOURCE, Access, Right
from ledger.errors import LedgerError
from ledger.faults import fault_of
from ledger.quarantine import Item, Received
from schemas.door import Refused
from web.admission import admit, recognise
from web.bodies import body_of
from web.endpoint import TEXT, Answer, Endpoint, Parameter, Schema
from web.events import answer
from web.problems import Problem, kept_as, problem_of
from web.segment.call import KINDS, Delivery
from web.segment.calls import touchpoints
from web.segment.reading import Body, TooMany, batch, secret_of, single, value_of, without_secret
from web.service import Service, service_of
from web.settings import MEBIBYTE
from web.shapes import COUNT, RESULT
from web.taking import STATUSES, Taken

_log = structlog.get_logger("touchstone.serve")

DOOR = "segment"
NAME = "request"
"""What the context of a call in quarantine calls the place where it stood."""
SOURCE = "segment"
"""The source of what comes with a token that may report for any."""

CALL_BYTES_MAX = 32 * 1_024
BATCH_CALLS_MAX = 2_500
"""Segment's limits, which its libraries keep to: of a call, and of the calls in a batch."""
BATCH_BYTES_MAX = 8 * MEBIBYTE
"""More than Segment's 500 KB: its library for Node.js does not keep to that, and RudderStack's fill
a batch up to 4 MiB and add a call. What is too large they throw away, and do not send in parts."""

CONTEXTS_BYTES_MAX = 2 * BATCH_BYTES_MAX
"""Of the context of a batch, as often as it has calls: each keeps it. Libraries send less than
2 KiB of it."""
MADE_BYTES_MAX = 6 * CALL_BYTES_MAX
"""Of the touchpoints of one call, with the context of its batch: numbers such as 1e15, and what
stands both in a field and in `extra`, become longer than they were."""

AT_ONCE_MAX = 8
"""Calls that are worked on between two requests; more go to a thread, so that others go on."""

SHORT = {kind[0]: kind for kind in KINDS}
"""The paths that libraries in browsers use, of one letter."""
BATCH, IMPORT, EVENT = "batch", "import", "event"
ANY_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After",
}
"""Tokens come in headers or bodies and never in cookies, so that a page gains nothing by being
let in: it can send what it could have sent from anywhere."""
_PREFLIGHT = {
    **ANY_ORIGIN,
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, content-encoding, x-write-key, "
    "x-retry-count, x-enable-functions, anonymousid",
    "Access-Control-Max-Age": "86400",
}
_WORST = ("quarantined", "conflict", "recorded", "duplicate")
"""What is said of a call that is several touchpoints: the first of these that is among them."""


async def post_call(request: Request) -> Response:
    """Record one call, whose kind is in the path."""
    named = request.path_params.get("type") or request.url.path.rpartition("/")[2]
    return await _answered(request, _kind(named))


async def post_batch(request: Request) -> Response:
    """Record the calls of a batch."""
    return await _answered(request, BATCH)


async def post_history(request: Request) -> Response:
    """Record the calls of a batch of history, whose times are never put right."""
    return await _answered(request, IMPORT)


async def allow(_: Request) -> Response:
    """Allow a page of any site to send calls."""
    return Response(status_code=200, headers=_PREFLIGHT)


def _kind(named: str) -> str:
    kind = SHORT.get(named, named)
    if kind in (*KINDS, BATCH, EVENT):
        return kind
    if kind == "b":
        return BATCH
    raise Problem(
        404,
        "not_found",
        "there is no call of this name: /openapi.json has every one",
        headers=ANY_ORIGIN,
    )


async def _answered(request: Request, kind: str) -> Response:
    try:
        made = await _taken(request, kind)
    except (Problem, LedgerError) as error:
        problem = problem_of(error)
        problem.headers.update(ANY_ORIGIN)  # or a page could not read what is wrong
        raise problem from error
    made.headers.update(ANY_ORIGIN)
    return made


async def _taken(request: Request, kind: str) -> Response:
    service = service_of(request)
    batched = kind in (BATCH, IMPORT)
    access = await recognise(request, Right.APPEND)
    limit = BATCH_BYTES_MAX if batched else CALL_BYTES_MAX
    limit = min(limit, service.settings.body_max)
    raw = await body_of(request, limit, known=access is not None)
    # Nothing but this is looked at before it is known who sends: to read all would cost more.
    access = access or await admit(request, Right.APPEND, secret=secret_of(raw))
    large = len(raw) > CALL_BYTES_MAX
    try:
        body = await service.in_thread(_cut, raw, batched) if large else _cut(raw, batched)
        delivery = _delivery(service, access, body, kind)
    except Refused as refused:
        return await _unreadable(service, access, raw, refused)
    if large or len(body.calls) > AT_ONCE_MAX:
        made = await service.in_thread(_all_made, body.calls, delivery, kind)
    else:
        made = _all_made(body.calls, delivery, kind)
    items = [item for items in made for item in items]
    taken = await service.take_in(access, items, DOOR)
    return _result(taken, [len(items) for items in made])


def _cut(raw: bytes, batched: bool) -> Body:
    """The calls of a body. Raises Refused, and a Problem where there are too many."""
    try:
        body = batch(raw, BATCH_CALLS_MAX) if batched else single(raw)
    except TooMany:
        raise Problem(
            413, "too_many", f"more than {BATCH_CALLS_MAX:,} calls in a batch: send fewer at a time"
        ) from None
    size = len(body.context)
    if size > CALL_BYTES_MAX or size * len(body.calls) > CONTEXTS_BYTES_MAX:
        raise Problem(
            413, "too_large", "the context of the batch is too long to be that of each of its calls"
        )
    return body


def _delivery(service: Service, access: Access, body: Body, kind: str) -> Delivery:
    """What the calls have in common. Raises Refused for a context that cannot be read."""
    source = SOURCE if access.source == ANY_SOURCE else access.source
    try:
        context = value_of(body.context)
    except Refused as refused:
        raise Refused(refused.reason, "context", refused.message) from None
    return Delivery(
        source=source,
        received_at=service.ledger.log.clock(),
        content_key=service.ledger.vault.content_key(),
        sent_at=body.sent_at,
        context=context if isinstance(context, dict) else {},
        as_told=kind == IMPORT or source in service.settings.historical,
    )


def _all_made(calls: Sequence[bytes], delivery: Delivery, kind: str) -> list[list[Item]]:
    return [_made(call, delivery, kind) for call in calls]


def _made(raw: bytes, delivery: Delivery, kind: str) -> list[Item]:
    """What goes into the intake for a call: its touchpoints, or itself with why it is none."""
    try:
        events = _events(raw, delivery, kind)
    except Refused as found:
        refused = found
    except RecursionError:
        refused = Refused("too_deep", "", "nested too deeply")
    except Exception as error:  # noqa: BLE001 - the others of its batch have nothing to do with it
        fault = fault_of(error)
        _log.error("a call was not read", error=fault.kind, at=fault.at)
        refused = Refused("fault", "", "a fault of the server; it is in its log")
    else:
        return [Received(event, DOOR, {"file": NAME}) for event in events]
    return [(Received(without_secret(raw), DOOR, {"file": NAME}), refused)]


def _events(raw: bytes, delivery: Delivery, kind: str) -> list[bytes]:
    """The touchpoints of a call. Raises Refused."""
    if len(raw) > CALL_BYTES_MAX:
        raise Refused("too_large", "", f"longer than {CALL_BYTES_MAX:,} bytes")
    fields = value_of(raw)
    if not isinstance(fields, dict):
        raise Refused("object_type", "", "expected an object")
    events = touchpoints(fields, delivery, kind if kind in KINDS else None)
    if sum(map(len, events)) > MADE_BYTES_MAX:
        raise Refused("too_large", "", f"its touchpoints are longer than {MADE_BYTES_MAX:,} bytes")
    return events


async def _unreadable(service: Service, access: Access, raw: bytes, refused: Refused) -> Response:
    """Keep a body that is none, and say so."""
    kept = (Received(without_secret(raw), DOOR, {"file": NAME}), refused)
    (result,) = (await service.take_in(access, [kept], DOOR)).results()
    said = kept_as(result)
    raise Problem(400, refused.reason, said, path=refused.path, entry=result["entry"])


def _result(taken: Taken, sizes: Sequence[int]) -> Response:
    """Success, whatever became of each: a client would send it all again, or throw it away."""
    results = iter(taken.results())
    items = [_one([next(results) for _ in range(size)]) for size in sizes]
    counted = msgspec.structs.asdict(taken.receipt)
    return answer({"success": True, **counted, "items": items})


def _one(results: list[dict[str, Any]]) -> dict[str, Any]:
    """What became of a call."""
    worst = min(results, key=lambda result: _WORST.index(result["status"]))
    return worst if len(results) == 1 else {**worst, "touchpoints": results}


_SAYS = "What became of each call, once it is durable."
_ITEM = {
    "allOf": [RESULT],
    "type": "object",
    "properties": {
        "touchpoints": {
            "type": "array",
            "items": RESULT,
            "description": "Of a call that is several touchpoints, each of them.",
        }
    },
}
_RECEIPT = {
    "type": "object",
    "required": ["success", "received", *STATUSES, "head", "items"],
    "properties": {
        "success": {"const": True},
        **dict.fromkeys(("received", *STATUSES, "head"), COUNT),
        "items": {"type": "array", "items": _ITEM, "description": "One for each call, in order."},
    },
}
_ID = {"anyOf": [TEXT, {"type": "integer"}, {"type": "null"}]}
_CALL = {
    "type": "object",
    "description": "A call of a library: identify, track, page, screen, group or alias.",
    "properties": {
        "type": {"enum": list(KINDS)},
        "messageId": {"type": "string"},
        "userId": _ID,
        "anonymousId": _ID,
        "timestamp": TEXT,
        "sentAt": TEXT,
        "event": {"type": "string", "description": "Of a track call."},
        "properties": {"type": "object"},
        "traits": {"type": "object"},
        "context": {"type": "object"},
        "writeKey": {"type": "string", "description": "The secret, if no header has it."},
    },
}
_BATCH = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {"type": "array", "maxItems": BATCH_CALLS_MAX, "items": _CALL},
        "context": {"type": "object", "description": "Of every call that does not say otherwise."},
        "sentAt": TEXT,
        "writeKey": TEXT,
    },
}
_NO_CALL = Answer(says="There is no call of this name.")
_GIVES = {
    200: Answer(says=_SAYS, schema=_RECEIPT),
    400: Answer(
        says="The body is no JSON object; it is in quarantine, and not worth sending again."
    ),
    413: Answer(says="The body is too large, has too many calls, or too much context for them."),
}
_TAKES: dict[str, dict[str, Schema]] = {
    kind: {"application/json": schema, "text/plain": {"type": "string"}}
    for kind, schema in (("call", _CALL), (BATCH, _BATCH))
}
_TYPE = Parameter(
    name="type",
    where="path",
    says="What kind of call it is; `event` where the call itself says so.",
    schema={"enum": [*KINDS, EVENT, BATCH]},
    required=True,
)


def _posting(path: str, name: str, kind: str, says: str) -> tuple[Endpoint, Endpoint]:
    """A path to which a kind of call is sent, and which allows pages to do so."""
    handler = {BATCH: post_batch, IMPORT: post_history}.get(kind, post_call)
    parameters = (_TYPE,) if "{type}" in path else ()
    post = Endpoint(
        method="POST", path=path, handler=handler, name=name, tag=DOOR, summary=says,
        needs=(Right.APPEND,), parameters=parameters, takes=_TAKES[
            BATCH if kind in (BATCH, IMPORT) else "call"],
        gives=_GIVES if "{" not in path else {**_GIVES, 404: _NO_CALL},
    )  # fmt: skip
    options = Endpoint(
        method="OPTIONS", path=path, handler=allow, name=f"{name}Allowed", tag=DOOR,
        summary="Whether a page may send here.", parameters=parameters,
        gives={200: Answer(says="Any may.")},
    )  # fmt: skip
    return post, options


ENDPOINTS: tuple[Endpoint, ...] = (
    *(
        endpoint
        for kind in KINDS
        for endpoint in (
            *_posting(f"/v1/{kind}", f"{kind}Call", kind, f"Record a call: {kind}."),
            *_posting(f"/v1/{kind[0]}", f"{kind}Short", kind, f"{kind}, as browsers name it."),
        )
    ),
    *_posting("/v1/batch", "batchCalls", BATCH, "Record a batch of calls."),
    *_posting("/v1/b", "batchShort", BATCH, "A batch, as browsers name it."),
    *_posting("/v1/import", "importCalls", IMPORT, "Record a batch of history, timed as told."),
    *_posting("/api/s/{type}", "jitsuCall", "call", "Record a call of Jitsu's libraries."),
    *_posting("/api/s/s2s/{type}", "jitsuServerCall", "call", "The same, from a server."),
)
