"""All endpoints: the literal list of the modules that state them."""

from web import events, openapi, standing, views
from web.endpoint import Endpoint
from web.segment import endpoints as segment
from web.webhooks import endpoints as webhooks

ENDPOINTS: tuple[Endpoint, ...] = (
    *standing.ENDPOINTS,
    *openapi.ENDPOINTS,
    *events.ENDPOINTS,
    *segment.ENDPOINTS,
    *views.ENDPOINTS,
    *webhooks.ENDPOINTS,
)
