"""Problem details (RFC 9457): how an error is told, with the two members that clients look for.

RudderStack's Python client reads `code` and `message` of every error, and breaks without them.
No value of a request is ever quoted: it may be personal, or a secret.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from ledger.errors import (
    Denied,
    LedgerError,
    Locked,
    Unreachable,
)
from schemas.door import Refused

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1


class Problem(Exception):
    """A request that is not done: an HTTP status, a stable `code` and what to do about it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.more = more

    @property
    def title(self) -> str:
        """What HTTP calls the status."""
        return HTTPStatus(self.status).phrase

    def response(self) -> Response:
        """The answer. `instance` is left out: no copy of a problem is kept to be looked up."""
        body = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.message,
            "code": self.code,
            "message": self.message,
            **self.more,
        }
        return Response(
            msgspec.json.encode(body),
            self.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


def kept_as(result: Mapping[str, Any]) -> str:
    """What is said of one item that is in quarantine (`web.taking.item_result`): where it is
    wrong, why, and as what it is kept."""
    where = f"{result['path']}: " if result["path"] else ""
    return f"{where}{result['message']} (kept in quarantine as {result['entry']})"


def come_back(status: int, code: str, message: str, seconds: float = RETRY_SECONDS) -> Problem:
    """A problem that passes: clients are told when to try again (whole seconds, at least one)."""
    return Problem(status, code, message, headers={"Retry-After": str(max(1, round(seconds)))})


def problem_of(error: Exception) -> Problem:
    """What a client is told of an error of the rooms below. Of a fault of ours, nothing."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Refused):
        return Problem(422, error.reason, error.message, path=error.path)
    if isinstance(error, Denied):
        return Problem(403, "denied", str(error))
    if isinstance(error, Unreachable):
        return come_back(503, "unreachable", "the ledger's server does not answer: try again")
    if isinstance(error, Locked):
        return come_back(503, "locked", "somebody else is at work in the ledger: try again")
    if isinstance(error, LedgerError):
        return come_back(507, "storage", "the ledger cannot take this now; nothing was recorded")
    return Problem(500, "internal", "a fault of the server; it is in its log")
