"""How a question to the views is answered: by one who may, in a thread, with how far they lag."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ledger.ledger import Ledger
from projections.query import lags
from projections.view import View
from web.admission import admit
from web.asking import Question
from web.endpoint import ENDPOINT_IN_SCOPE, JSON, OBJECT, Answer, Endpoint, Handler, Schema
from web.service import service_of

LAG = "Touchstone-Lag"
Window = Callable[[Ledger, Question], Any]
"""Gives what is answered; it may wait for the ledger."""
PAGE: Schema = {
    "type": "object",
    "required": ["items", "next"],
    "properties": {
        "items": {"type": "array", "items": OBJECT},
        "next": {"type": ["string", "null"], "description": "The cursor of the page behind."},
    },
}
ITEMS: Schema = {
    "type": "object",
    "required": ["items"],
    "properties": {"items": {"type": "array", "items": OBJECT}},
}
WRONG = Answer(says="A parameter is none, or cannot be what it is.")
UNKNOWN = Answer(says="Nothing is known of it, or was at that time.")


def window(shows: Window, *views: View) -> Handler:
    """What answers at an endpoint. From `views` a question of now is answered: by how many
    touchpoints the last of them is behind the log stands in a header."""

    async def handler(request: Request) -> Response:
        endpoint: Endpoint = request.scope[ENDPOINT_IN_SCOPE]
        access = await admit(request, *endpoint.needs)
        question = Question(request, endpoint, access)
        service = service_of(request)
        return await service.in_thread(_answered, service.ledger, question, shows, views)

    return handler


def _answered(ledger: Ledger, question: Question, shows: Window, views: Sequence[View]) -> Response:
    # Before the answer: what comes in between may be in it, and what it lacks is told of.
    behind = max((lag.lag for lag in lags(ledger, views)), default=0) if views else 0
    record = shows(ledger, question)
    headers = {LAG: str(behind)} if views and question.cut.now else {}
    return Response(msgspec.json.encode(record), headers=headers, media_type=JSON)
