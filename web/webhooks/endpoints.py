"""`/v1/webhooks/NAME`: where vendors deliver, and ask first whether they may."""

import structlog
from starlette.requests import Request
from starlette.responses import Response

from ledger.access import Access
from ledger.log import Quarantined
from ledger.quarantine import Item
from web.bodies import body_of
from web.endpoint import Answer, Endpoint, Parameter, path_value
from web.events import batch_answer
from web.problems import Problem, come_back
from web.service import Service, service_of
from web.shapes import RECEIPT_WITH_ITEMS
from web.webhooks.certificates import is_of_amazon
from web.webhooks.delivery import Delivery, headers_of
from web.webhooks.handshakes import Answered, ToVisit
from web.webhooks.receiving import DOOR, Webhook, answer, brought, check
from web.webhooks.schemes import Unauthentic
from web.webhooks.sns import CertificateOutOfReach, Sns

PATH = "/v1/webhooks/{name}"
ROLE = "emitter"
"""As what a webhook reports: for its own source, and nothing that is for operators to say."""
FORGED = ":forged"
"""What those who are not the vendor are counted by; no webhook has such a name."""
REFUSED = "webhook_"
"""What the metrics put before the code of a delivery that is not authentic."""

_log = structlog.get_logger("touchstone.serve")


async def post_webhook(request: Request) -> Response:
    """Take in what an authentic delivery holds, and answer once it is durable."""
    service = service_of(request)
    webhook = _named(service, request)
    delivery = _delivery(service, request, await body_of(request, known=False))
    try:
        found = await service.in_thread(_received, service, webhook, delivery)
    except Unauthentic as refused:
        raise _turned_away(service, webhook, refused) from None
    except CertificateOutOfReach:
        raise come_back(503, "certificate", "the vendor's certificate is out of reach") from None
    if isinstance(found, Answered):
        return _plain_answer(found)
    if isinstance(found, ToVisit):
        return await _visited(service, webhook, found)
    taken = await service.take_in(_access(webhook), found, DOOR)
    for outcome in taken.outcomes:
        if isinstance(outcome, Quarantined):
            service.refusals.kept(webhook.name, outcome.refused.reason, outcome.entry)
    wanted = webhook.connector.answer
    return batch_answer(taken) if wanted is None else _plain_answer(wanted)


def _received(
    service: Service, webhook: Webhook, delivery: Delivery
) -> list[Item] | Answered | ToVisit:
    """What an authentic delivery brings. Others than the vendor do not use up its rate."""
    check(webhook, delivery)
    service.tokens.count(_access(webhook))
    return brought(webhook, delivery, service.ledger.vault.content_key())


def _access(webhook: Webhook, whose: str = "") -> Access:
    return Access(f"webhook:{webhook.name}{whose}", webhook.name, ROLE, webhook.source)


async def get_webhook(request: Request) -> Response:
    """Answer a vendor that asks whether this address is meant."""
    service = service_of(request)
    webhook = _named(service, request)
    try:
        found = answer(webhook, _delivery(service, request, b""))
    except Unauthentic as refused:
        raise _turned_away(service, webhook, refused) from None
    if found is None:
        raise Problem(405, "method", "this webhook takes POST alone", headers={"Allow": "POST"})
    return _plain_answer(found)


def _named(service: Service, request: Request) -> Webhook:
    name = path_value(request, "name")
    for webhook in service.settings.webhooks:
        if webhook.name == name:
            return webhook
    raise Problem(404, "not_found", "there is no webhook of this name")


def _delivery(service: Service, request: Request, body: bytes) -> Delivery:
    """The parts of the request; its address as the vendor knows it."""
    path = request.scope["raw_path"].decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    return Delivery(
        method=request.method,
        url=f"{service.settings.public_url or ''}{path}{'?' if query else ''}{query}",
        headers=headers_of(request.headers.items()),
        body=body,
        at=service.ledger.log.clock(),
    )


def _turned_away(service: Service, webhook: Webhook, refused: Unauthentic) -> Problem:
    """Count and log a delivery that is not authentic; nothing of it is kept.

    Raises the problem of who comes too often, by a rate of all that is not authentic.
    """
    service.watch.refused(REFUSED + refused.code)
    service.refusals.tell(webhook.name, refused.code)
    service.tokens.count(_access(webhook, FORGED))
    return Problem(401, refused.code, refused.message)


def _plain_answer(found: Answered) -> Response:
    return Response(found.body, media_type=found.content_type)


async def _visited(service: Service, webhook: Webhook, found: ToVisit) -> Response:
    """Complete a handshake by going where the vendor's signed message says, if it is the vendor."""
    certificates = next(s.certificates for s, _ in webhook.keys if isinstance(s, Sns))
    if not is_of_amazon(found.url):
        raise Problem(422, "address", "the address to visit is not one of Amazon SNS")
    try:
        await service.in_thread(certificates.get, found.url)
    except OSError:
        raise come_back(503, "handshake", "the vendor cannot be reached: send it again") from None
    _log.info("webhook confirmed", webhook=webhook.name)
    return Response(status_code=200)


_NAME = Parameter(
    name="name", where="path", says="The path of the webhook in the server's file.", required=True
)

ENDPOINTS = (
    Endpoint(
        method="POST",
        path=PATH,
        handler=post_webhook,
        name="postWebhook",
        tag="webhooks",
        summary="Record what a vendor delivers, whose signature is checked.",
        parameters=(_NAME,),
        takes={
            "application/json": {},
            "application/x-www-form-urlencoded": {"type": "object"},
        },
        gives={
            200: Answer(
                says="What became of it; what has no touchpoint is in quarantine.",
                schema=RECEIPT_WITH_ITEMS,
            ),
            401: Answer(
                says="The signature is missing or wrong, or its time unreadable or not of now."
            ),
            404: Answer(says="There is no webhook of this name."),
            429: Answer(says="It has come too often: try again."),
        },
    ),
    Endpoint(
        method="GET",
        path=PATH,
        handler=get_webhook,
        name="askWebhook",
        tag="webhooks",
        summary="The handshake of vendors that ask before they deliver.",
        parameters=(_NAME,),
        gives={
            200: Answer(
                says="The challenge, or nothing.",
                schema={"type": "string"},
                media_type="text/plain",
            ),
            401: Answer(says="The secret or token is missing or wrong."),
            404: Answer(says="There is no webhook of this name."),
            405: Answer(says="This webhook knows no handshake by GET."),
            429: Answer(says="It has been asked wrongly too often: try again."),
        },
    ),
)
