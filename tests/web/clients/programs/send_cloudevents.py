"""Sends events made by the Python library of CloudEvents, in the three modes in turn.

They come as JSON on standard input; TOUCHSTONE_URL and TOUCHSTONE_SECRET say where, and as whom;
the one argument how many go in a batch. The library has no transport: `requests` is what its page
shows. What was not answered by a 2xx is sent again, as any sender of CloudEvents does.
"""

import json
import os
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import requests
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

URL = os.environ["TOUCHSTONE_URL"] + "/v1/events"
AUTHORIZATION = {"Authorization": f"Bearer {os.environ['TOUCHSTONE_SECRET']}"}
ATTEMPTS_MAX = 60
AGAIN_SECONDS = 0.05
session = requests.Session()


def messages(events: list[CloudEvent], together: int) -> Iterable[HTTPMessage]:
    """Each event alone or with others: binary, structured, a batch, and so on."""
    at = 0
    while at < len(events):
        yield to_binary_event(events[at])
        yield from map(to_structured_event, events[at + 1 : at + 2])
        batch = [json.loads(to_structured_event(e).body) for e in events[at + 2 : at + together]]
        content_type = {"content-type": "application/cloudevents-batch+json"}
        yield HTTPMessage(headers=content_type, body=json.dumps(batch).encode())
        at += together


def deliver(message: HTTPMessage) -> None:
    for _ in range(ATTEMPTS_MAX):
        try:
            answer = session.post(
                URL, data=message.body, headers={**message.headers, **AUTHORIZATION}
            )
        except requests.ConnectionError:
            time.sleep(AGAIN_SECONDS)
            continue
        if answer.ok:
            return
        if answer.status_code not in (429, 503):
            break
        time.sleep(float(answer.headers["Retry-After"]))
    sys.exit("given up")


def made(event: dict[str, Any]) -> CloudEvent:
    data = event.pop("data")
    return CloudEvent(event | {"time": datetime.fromisoformat(event["time"])}, data)


for message in messages([made(event) for event in json.load(sys.stdin)], int(sys.argv[1])):
    deliver(message)
