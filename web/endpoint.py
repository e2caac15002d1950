"""An endpoint: one entry that routing, the OpenAPI document and the metrics are made from."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ledger.access import Right
from web.problems import Problem

Handler = Callable[[Request], Awaitable[Response]]
Schema = Mapping[str, Any]
"""JSON Schema (2020-12)."""
JSON = "application/json"
TEXT: Schema = {"type": "string"}
OBJECT: Schema = {"type": "object"}
ENDPOINT_IN_SCOPE = "touchstone.endpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What may stand in the path, the query or a header."""

    name: str
    where: Literal["path", "query", "header"]
    says: str
    schema: Schema = field(default_factory=lambda: TEXT)
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an answer of some status is; without a schema it has no body to speak of."""

    says: str
    schema: Schema | None = None
    media_type: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method at one path. `needs` are rights of which a token has to have one; without any
    it needs no token, or brings something else that is checked, as webhooks do.

    `takes` has a schema for each media type of the body. The document adds the problems that
    any endpoint may answer with.
    """

    method: Literal["GET", "POST", "OPTIONS"]
    path: str
    handler: Handler
    name: str
    tag: str
    summary: str
    needs: tuple[Right, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    takes: Mapping[str, Schema] = field(default_factory=dict)
    gives: Mapping[int, Answer] = field(default_factory=dict)

    def route(self) -> Route:
        """Where requests find it."""

        async def run(request: Request) -> Response:
            request.scope[ENDPOINT_IN_SCOPE] = self
            return await self.handler(request)

        return Route(self.path, run, methods=[self.method], name=self.name)


def path_value(request: Request, name: str) -> str:
    """A part of the path, decoded; it may hold any character, slashes as well."""
    try:
        return unquote(request.path_params[name], errors="strict")
    except UnicodeDecodeError:
        raise Problem(400, "encoding", f"{name} in the path is not UTF-8", path=name) from None
