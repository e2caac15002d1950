"""Receiving: from a delivery to what is taken in, or a refusal of which nothing is kept. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from ledger.conversions import Unfit
from ledger.mapping import RowRefused
from ledger.mapping_values import Scope
from ledger.quarantine import Item, Received
from ledger.regions import REGION
from ledger.rows import json_value
from schemas.door import Refused, parse
from schemas.envelope import ORIGINAL_TIME, UNTOLD
from schemas.fields import rfc3339
from web.webhooks.connector import Connector
from web.webhooks.delivery import Delivery
from web.webhooks.handshakes import Answered, ToVisit, answer_to_get, answer_to_post
from web.webhooks.payload import (
    DELIVERY_ID,
    DIGEST,
    HEADERS,
    QUERY,
    RECEIVED,
    TRIAL_KEY,
    PayloadUnreadable,
    written_json,
)
from web.webhooks.schemes import MISSING, Scheme, SharedSecret, Unauthentic

DOOR = "webhook"
UNMAPPED = "unmapped"
"""The reason of what no [[touchpoint]] of a connector takes."""
ROW = "row"
"""The reason of what a [[touchpoint]] takes and cannot be made of."""
PAYLOAD = "payload"
"""The reason of a body that is not of the form that a connector expects."""

_QUERY = ":query"
"""Stands among the headers that are kept with a body for the parameters that are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One address for webhooks: its connector, and what the vendor and we know alone.

    `region` is the country of its phone numbers that name none. `keys` holds, for each scheme
    of the connector, what its secrets stand for; `tokens` are what a handshake has to bring,
    `key` the secret that it may be answered with.
    """

    name: str
    connector: Connector
    source: str
    region: str | None
    keys: tuple[tuple[Scheme, list[Any]], ...] = field(repr=False)
    tokens: list[bytes] = field(default_factory=list, repr=False)
    key: bytes | None = field(default=None, repr=False)


def check(webhook: Webhook, delivery: Delivery) -> None:
    """Raises Unauthentic unless the delivery bears what one of the schemes asks for.

    The first scheme that applies decides: what fails by it is not tried by a weaker one.
    """
    for scheme, keys in webhook.keys:
        if keys and scheme.applies(delivery):
            scheme.check(delivery, keys)
            return
    raise Unauthentic(MISSING, "the request bears no signature that this webhook knows")


def answer(webhook: Webhook, delivery: Delivery) -> Answered | None:
    """The answer to a GET, None where the connector has none. Raises Unauthentic."""
    for scheme, keys in webhook.keys:
        if isinstance(scheme, SharedSecret) and scheme.place.kind == "query":
            if not scheme.applies(delivery):
                raise Unauthentic(MISSING, "the request bears no secret")
            scheme.check(delivery, keys)
    return answer_to_get(webhook.connector.handshakes, delivery, webhook.tokens, webhook.key)


def brought(
    webhook: Webhook, delivery: Delivery, content_key: bytes
) -> list[Item] | Answered | ToVisit:
    """What is to be taken in of a delivery that was checked, or how a handshake goes on.

    `content_key` is the ledger's, for ids that are made of content.
    """
    context = {
        "connector": webhook.connector.name,
        "webhook": webhook.name,
        "source": webhook.source,
        "received": rfc3339(delivery.at),
    }
    if webhook.region is not None:
        context[REGION] = webhook.region
    try:
        document = webhook.connector.payload.document(delivery)
    except PayloadUnreadable as unreadable:
        return [_whole(webhook.connector, delivery, context, unreadable)]
    handshake = answer_to_post(webhook.connector.handshakes, document, webhook.key)
    if handshake is not None:
        return handshake
    return list(_items(webhook.connector, delivery, document, context, content_key))


def translated(connector: Connector, delivery: Delivery, source: str) -> list[Item]:
    """What a delivery gives whose signature nobody asks for: to try a connector.

    Ids that are made of content are others than in a ledger, which has a key for them.
    """
    context = {"connector": connector.name, "source": source, "received": rfc3339(delivery.at)}
    return _translated(connector, delivery, context, TRIAL_KEY)


def again(received: Received, reason: str, connector: Connector, content_key: bytes) -> list[Item]:
    """What something in quarantine gives by a (mended) connector; `content_key` is the ledger's."""
    context = dict(received.context)
    raw = b"".join(received.parts())
    if reason == PAYLOAD:
        return _again_whole(raw, received, connector, context, content_key)
    row = json_value(raw)
    row |= {RECEIVED: context["received"]} | connector.payload.digests(row, content_key)
    return list(_of_row(connector, row, context))


def _again_whole(
    raw: bytes,
    received: Received,
    connector: Connector,
    context: dict[str, Any],
    content_key: bytes,
) -> list[Item]:
    headers = {name: (value or b"").decode("latin-1") for name, value in received.headers}
    url = f"?{headers.get(_QUERY, '')}"
    delivery = Delivery(method="POST", url=url, headers=headers, body=raw, at=0)
    return _translated(connector, delivery, context, content_key)


def _translated(
    connector: Connector, delivery: Delivery, context: dict[str, Any], content_key: bytes
) -> list[Item]:
    try:
        document = connector.payload.document(delivery)
    except PayloadUnreadable as unreadable:
        return [_whole(connector, delivery, context, unreadable)]
    return list(_items(connector, delivery, document, context, content_key))


def _whole(
    connector: Connector, delivery: Delivery, context: dict[str, Any], why: PayloadUnreadable
) -> Item:
    """The body as it came, without a secret in it, with the headers that say what it is."""
    named = ("content-type", connector.delivery_id.header.lower(), *connector.payload.headers)
    headers = [
        (n, delivery.headers[n].encode("latin-1", "replace"))
        for n in named
        if n in delivery.headers
    ]
    query = [(n, v) for n, v in delivery.queries() if n in connector.payload.query]
    if query:
        headers.append((_QUERY, urlencode(query).encode()))
    body = connector.payload.without_secrets(delivery.body)
    told = str(why)
    if body is None:
        told += f"; of its {len(delivery.body):,} bytes none is kept, since a secret is among them"
    return Received(body or b"", DOOR, context, headers=headers), Refused(PAYLOAD, "", told)


def _items(
    connector: Connector,
    delivery: Delivery,
    document: Any,
    context: dict[str, Any],
    content_key: bytes,
) -> Iterator[Item]:
    payload = connector.payload
    named = connector.delivery_id.of(delivery, document, content_key)
    beside: dict[str, Any] = {
        HEADERS: {n: delivery.headers[n] for n in payload.headers if delivery.header(n)},
        QUERY: {n: found for n in payload.query if (found := delivery.query(n))},
        RECEIVED: context["received"],
    }
    if named is not None:
        beside[DELIVERY_ID] = named
        context = context | {"delivery": named}
    try:
        rows = payload.rows(document, beside, content_key)
    except PayloadUnreadable as unreadable:
        yield _whole(connector, delivery, context, unreadable)
        return
    for number, row in enumerate(rows, start=1):
        yield from _of_row(connector, row, context | {"item": number})


def _of_row(connector: Connector, row: dict[str, Any], context: dict[str, Any]) -> Iterator[Item]:
    """The touchpoints of one row, all or none; a row that gives none is kept as it is."""
    try:
        if connector.ignore is not None and connector.ignore.find(Scope(row, context["item"])):
            return
        found = connector.mapping.touchpoints(row, context["item"])
        made = [
            msgspec.json.encode(_dated(one, row) | {"source": context["source"]}) for one in found
        ]
        for touchpoint in made:
            parse(touchpoint)
    except Unfit as unfit:
        yield _kept(row, context, Refused(ROW, "ignore", str(unfit)))
        return
    except RowRefused as refused:
        yield _kept(row, context, Refused(ROW, refused.path, refused.message))
        return
    except Refused as refused:
        yield _kept(row, context, Refused(ROW, refused.path, refused.message))
        return
    if not made and not connector.skips:
        why = "no [[touchpoint]] of the connector takes this: add one, or ignore it"
        yield _kept(row, context, Refused(UNMAPPED, "", why))
    for touchpoint in made:
        yield Received(touchpoint, DOOR, context)


def _dated(touchpoint: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """A touchpoint whose vendor told an id and no time says so: sent again, it comes at another
    time, and is the same touchpoint.

    Where its id is made of its content, it may as well be another that is told in the same words:
    those are in conflict, so that neither is lost.
    """
    is_untold = _moment(touchpoint["time"]) == _moment(row[RECEIVED])
    if is_untold and row[DIGEST] not in touchpoint["id"]:
        return touchpoint | {ORIGINAL_TIME: UNTOLD}
    return touchpoint


_moment = datetime.fromisoformat


def _kept(row: dict[str, Any], context: dict[str, Any], why: Refused) -> Item:
    """A row as JSON, without what differs when it is sent again, so that it is one entry."""
    return Received(written_json(_lasting(row)), DOOR, context), why


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != RECEIVED}
