"""`/healthz`, `/readyz` and `/metrics`: for whoever watches the server. They need no token."""

from starlette.requests import Request
from starlette.responses import Response

from ledger.errors import LedgerError
from web.endpoint import OBJECT, Answer, Endpoint
from web.events import answer
from web.problems import come_back
from web.service import service_of


async def healthz(_: Request) -> Response:
    """The process answers; whether the ledger does is for /readyz."""
    return answer({"state": "alive"})


async def readyz(request: Request) -> Response:
    """The ledger answers, and this server may be sent requests."""
    service = service_of(request)
    try:
        head = await service.in_thread(service.ledger.log.head)
    except LedgerError:
        raise come_back(503, "unreachable", "the ledger does not answer") from None
    return answer({"state": "ready", "head": head.position})


async def metrics(request: Request) -> Response:
    """What this process has done, for Prometheus."""
    accept = request.headers.get("accept", "")
    body, content_type = service_of(request).watch.metrics.told(accept)
    return Response(body, headers={"content-type": content_type})


_NOT_READY = Answer(says="The ledger does not answer.")
ENDPOINTS = (
    Endpoint(
        method="GET", path="/healthz", handler=healthz, name="healthz", tag="standing",
        summary="Whether the process answers.",
        gives={200: Answer(says="It does.", schema=OBJECT)},
    ),
    Endpoint(
        method="GET", path="/readyz", handler=readyz, name="readyz", tag="standing",
        summary="Whether the ledger answers, too.",
        gives={200: Answer(says="It does.", schema=OBJECT), 503: _NOT_READY},
    ),
    Endpoint(
        method="GET", path="/metrics", handler=metrics, name="metrics", tag="standing",
        summary="Counters for Prometheus.",
        gives={200: Answer(says="Metrics.", schema={"type": "string"}, media_type="text/plain")},
    ),
)  # fmt: skip
