"""`/openapi.json`: the OpenAPI 3.1 document, made from the endpoints and from the catalogue."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ledger.access import roles_with
from schemas import publish
from schemas.registry import TOUCHPOINTS
from web.endpoint import JSON, OBJECT, Answer, Endpoint, Parameter
from web.problems import MEDIA_TYPE
from web.service import service_of
from web.shapes import SHARED

SPECIFICATION = "3.1.0"
VERSION = "1.0.0"
"""Of paths and answers. What stands in an event has its version in the name of its type."""
PROBLEM_MIN = 400
COMPONENTS = "#/components/schemas/"

Document = dict[str, Any]

_DESCRIPTION = (
    "A ledger of what passes between a business and its customers. Touchpoints come in as "
    "CloudEvents 1.0 and are answered once they are durable; `(source, id)` is the identity of "
    "one for ever, so that whatever was not answered may be sent again. Errors are problem "
    "details (RFC 9457) that name paths, and never quote what was sent."
)
_SECURITY: Document = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The secret of a token, which `touchstone token create` makes.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The secret as the name of the user, with any password or none.",
    },
    "writeKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Write-Key",
        "description": "The secret, or any name and the secret behind a colon.",
    },
}
_PROBLEM: Document = {
    "type": "object",
    "description": "A problem (RFC 9457). `code` never changes; `message` is for people.",
    "required": ["type", "title", "status", "detail", "code", "message"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": PROBLEM_MIN, "maximum": 599},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "message": {"type": "string"},
        "path": {"type": "string", "description": "What it is about."},
        "entry": {"type": "integer", "description": "What was sent is in quarantine as this."},
    },
}
_OF_ALL = {
    500: "A fault of the server; it is in its log.",
    503: "The ledger does not answer, or the server has its hands full: try again.",
}
_OF_TOKENS = {
    401: "There is no token, or it is not known, expired or revoked.",
    403: "The token has no right to this.",
    429: "The token has come too often: try again.",
}
_OF_PATHS = {400: "What stands in the path cannot be it."}
_OF_BODIES = {
    400: "The body is not packed as it says.",
    408: "The body does not come.",
    413: "The body is too large, packed or unpacked.",
    415: "The content type or the coding is none that is taken.",
    507: "The ledger cannot take this now; nothing was recorded.",
}
_RETRY_AFTER: Document = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
_TRY_AGAIN = (429, 503)


async def get_document(request: Request) -> Response:
    """The document, for whoever asks."""
    text = await service_of(request).in_thread(request.app.state.document)
    return Response(text, media_type=JSON)


def described(endpoints: Sequence[Endpoint], public_url: str | None) -> Callable[[], bytes]:
    """Gives the text of the document, which is made when the first one asks for it."""
    return cache(lambda: msgspec.json.encode(document(endpoints, public_url)))


def document(endpoints: Sequence[Endpoint], public_url: str | None = None) -> Document:
    """The document of these endpoints, served at the URL or where it was asked for."""
    paths: Document = {}
    for endpoint in endpoints:
        place = paths.setdefault(_plain_path(endpoint.path), {})
        place[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": SPECIFICATION,
        "info": {
            "title": "Touchstone",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url or "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(endpoint.tag for endpoint in endpoints)],
        "paths": paths,
        "components": {
            "schemas": {**SHARED, "Problem": _PROBLEM, **_events()},
            "securitySchemes": _SECURITY,
        },
    }


def _plain_path(path: str) -> str:
    """The path of a route without the converters of its parameters."""
    return re.sub(r":\w+}", "}", path)


def _operation(endpoint: Endpoint) -> Document:
    made: Document = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "security": [{name: []} for name in _SECURITY] if endpoint.needs else [],
        "responses": _responses(endpoint),
    }
    if endpoint.needs:
        made["x-rights"] = [right.name.lower() for right in endpoint.needs]
        made["x-roles"] = roles_with(endpoint.needs)
    if parameters := [_parameter(parameter) for parameter in _parameters(endpoint)]:
        made["parameters"] = parameters
    if endpoint.takes:
        content = {name: {"schema": schema} for name, schema in endpoint.takes.items()}
        made["requestBody"] = {"required": True, "content": content}
    return made


def _parameters(endpoint: Endpoint) -> Iterable[Parameter]:
    """Those that it states, and those of its path that it does not."""
    yield from endpoint.parameters
    stated = {each.name for each in endpoint.parameters if each.where == "path"}
    for name in re.findall(r"{(\w+)", endpoint.path):
        if name not in stated:
            yield Parameter(name=name, where="path", says="", required=True)


def _parameter(parameter: Parameter) -> Document:
    made = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.says,
        "required": parameter.required or parameter.where == "path",
        "schema": parameter.schema,
    }
    return {name: part for name, part in made.items() if part != ""}


def _responses(endpoint: Endpoint) -> Document:
    """What it gives, and the problems that any endpoint of its kind may answer with."""
    problems = dict(_OF_ALL)
    problems |= _OF_PATHS if "{" in endpoint.path else {}
    problems |= _OF_BODIES if endpoint.takes or endpoint.method == "POST" else {}
    problems |= _OF_TOKENS if endpoint.needs else {}
    given = {status: Answer(says=says) for status, says in problems.items()} | dict(endpoint.gives)
    return {str(status): _response(status, given[status]) for status in sorted(given)}


def _response(status: int, answer: Answer) -> Document:
    made: Document = {"description": answer.says}
    if status in _TRY_AGAIN:
        made["headers"] = {"Retry-After": _RETRY_AFTER}
    if answer.schema is not None:
        made["content"] = {answer.media_type: {"schema": answer.schema}}
    elif status >= PROBLEM_MIN:
        made["content"] = {MEDIA_TYPE: {"schema": {"$ref": f"{COMPONENTS}Problem"}}}
    return made


def _events() -> Document:
    """The catalogue: what all events have is said once, and each type adds its data."""
    made: Document = {"Event": _any_event()}
    for cls in TOUCHPOINTS:
        stated = publish.document(cls)
        parts = stated.pop("$defs", {})
        made |= parts
        made.setdefault("Envelope", _envelope(stated))
        made[cls.TYPE] = {
            "title": stated["title"],
            "description": stated["description"],
            "allOf": [{"$ref": f"{COMPONENTS}Envelope"}],
            "properties": {name: stated["properties"][name] for name in ("type", "data")},
        }
    whole: Document = json.loads(json.dumps(made).replace("#/$defs/", COMPONENTS))
    return whole


def _any_event() -> Document:
    return {
        "description": "A CloudEvent whose type and data are of the catalogue.",
        "oneOf": [{"$ref": f"{COMPONENTS}{cls.TYPE}"} for cls in TOUCHPOINTS],
        "discriminator": {
            "propertyName": "type",
            "mapping": {cls.TYPE: f"{COMPONENTS}{cls.TYPE}" for cls in TOUCHPOINTS},
        },
    }


def _envelope(stated: Mapping[str, Any]) -> Document:
    """What the schemas of all types have in common."""
    shared = {name: stated[name] for name in ("type", "required", "propertyNames")}
    return {
        **shared,
        "description": "A CloudEvent 1.0, as the catalogue narrows it.",
        "properties": {**stated["properties"], "type": {"type": "string"}, "data": OBJECT},
        "additionalProperties": stated["additionalProperties"],
    }


ENDPOINTS = (
    Endpoint(
        method="GET", path="/openapi.json", handler=get_document, name="openapi", tag="standing",
        summary="This document.",
        gives={200: Answer(says="OpenAPI 3.1.", schema=OBJECT)},
    ),
)  # fmt: skip
