"""The application: endpoints inside of one shell that counts, times, guards and tells problems."""

import time
from functools import partial

import structlog
from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.faults import fault_of
from ledger.intake import Append, append
from ledger.ledger import Ledger
from web.bodies import let_go
from web.endpoint import ENDPOINT_IN_SCOPE
from web.openapi import described
from web.problems import Problem, come_back, problem_of
from web.refusals import Refusals
from web.registry import ENDPOINTS
from web.service import STREAMS, THREADS, Service
from web.settings import Settings
from web.taking import Taking
from web.tokens import Tokens
from web.watch import Watch

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
UNKNOWN = "unknown"
"""What metrics call a path that is none; paths themselves may be personal."""
INTERNAL, METHOD_NOT_ALLOWED = 500, 405

_log = structlog.get_logger("touchstone.serve")


def application(
    ledger: Ledger, settings: Settings, watch: Watch, appending: Append | None = None
) -> Starlette:
    """What a server runs, for one ledger; `appending` is the way in, if it is not in here."""
    appending = appending or partial(append, ledger)
    service = Service(
        ledger=ledger,
        settings=settings,
        tokens=Tokens(ledger, settings.requests_per_second),
        watch=watch,
        appending=appending,
        taking=Taking(appending),
        threads=CapacityLimiter(THREADS),
        streams=CapacityLimiter(STREAMS),
        refusals=Refusals(),
    )
    made = Starlette(
        routes=[endpoint.route() for endpoint in ENDPOINTS],
        middleware=[Middleware(Shell, service=service)],
        exception_handlers={HTTPException: _routing_problem},
    )
    made.router.redirect_slashes = False
    made.state.service = service
    made.state.document = described(ENDPOINTS, settings.public_url)
    return made


class Shell:
    """What every request goes through on its way in, and every answer on its way out."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 0
        watch = self._service.watch

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *SECURITY_HEADERS]
            await send(message)

        watch.under_way += 1
        try:
            # Its parts are decoded where they are used: an escaped slash is none of the path's.
            # One at the end says nothing: some libraries write it, and do not follow redirects.
            scope["path"] = scope["raw_path"].decode("latin-1").rstrip("/") or "/"
            await self._run(scope, receive, sending)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - told without its message, which may quote
            # Kept by no name of ours: its traceback holds this frame, and a body of any size.
            await _answer(error, scope, receive, sending, is_begun=bool(status))
        finally:
            watch.under_way -= 1
            let_go(scope, watch)
            watch.answered(_route(scope), status, time.monotonic() - started)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = self._service.watch
        if watch.under_way - watch.reading > self._service.settings.waiting_max:
            watch.refused("busy")
            raise come_back(503, "busy", "the server has its hands full: try again")
        await self._app(scope, receive, send)


async def _answer(
    error: Exception, scope: Scope, receive: Receive, send: Send, *, is_begun: bool
) -> None:
    problem = problem_of(error)
    _tell(problem, error, scope)
    if is_begun:
        raise error
    await problem.response()(scope, receive, send)


def _route(scope: Scope) -> str:
    endpoint = scope.get(ENDPOINT_IN_SCOPE)
    return UNKNOWN if endpoint is None else f"{endpoint.method} {endpoint.path}"


def _tell(problem: Problem, error: Exception, scope: Scope) -> None:
    """Log what is a fault of ours, or of what is below us: its kind and place, no words of it.

    What was refused on purpose is counted, and would fill the log when there is much of it.
    """
    if problem.status < INTERNAL or error is problem:
        return
    fault = fault_of(error)
    _log.error(
        "failed",
        endpoint=_route(scope),
        code=problem.code,
        error=fault.kind,
        at=fault.at,
    )


async def _routing_problem(request: Request, error: Exception) -> Response:
    """A path or a method that is not there."""
    status = error.status_code if isinstance(error, HTTPException) else INTERNAL
    code, message = _ROUTING.get(status, ("http", "the request cannot be answered"))
    headers = {"Allow": ", ".join(_methods_at(request))} if status == METHOD_NOT_ALLOWED else None
    return Problem(status, code, message, headers=headers).response()


def _methods_at(request: Request) -> list[str]:
    """What may be done at a path, by all of its routes."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    there = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in there for method in route.methods or ()})


_ROUTING = {
    404: ("not_found", "there is nothing at this path: /openapi.json has every one"),
    METHOD_NOT_ALLOWED: ("method", "the path is there, and not for this method: see /openapi.json"),
}
