"""The windows of the HTTP door: the views of the ledger, masked, and spending from one of them."""

from web import customers, loyalty, redeeming, tickets
from web.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *customers.ENDPOINTS,
    *tickets.ENDPOINTS,
    *loyalty.ENDPOINTS,
    *redeeming.ENDPOINTS,
)
