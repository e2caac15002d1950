"""The real libraries at a real server: what they send is what is recorded."""

import re
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Any

from ledger.address import Address
from tests.cli.facts import IN_CLEAR
from tests.cli.running import Shell
from tests.crash.launching import Launcher
from tests.web.clients.calls import BECAME, CALLS, FIRST, expected_orders, order_events, order_of
from tests.web.clients.libraries import LIBRARIES, recorded, token_for
from tests.web.clients.server import served
from tests.web.serving import Client

TOGETHER = 3
RATE = "2"
"""Requests a second: less than a library sends, so that the server turns some away."""
ORDERS = range(4)


def test_what_each_library_sends_is_recorded_as_it_was_meant(
    children: Launcher, address: Address, tmp_path: Path
) -> None:
    shell = Shell(tmp_path, address)
    with served(children, address, "--rate", RATE) as server, ExitStack() as stack:
        sending = []
        for library in LIBRARIES:
            sent = CALLS if library.is_segment else order_events(ORDERS, library.name)
            started = library.sending(server.url, token_for(library, shell), TOGETHER, sent)
            sending.append(stack.enter_context(started))
        for one in sending:
            one.end()
        refused = _turned_away(server.url)
    assert refused.keys() == {"/v1/batch", "/v1/events"}, refused
    found = recorded(shell, *IN_CLEAR)
    assert found.keys() == {library.name for library in LIBRARIES}
    for library in LIBRARIES:
        touchpoints = found[library.name]
        if library.is_segment:
            became = sorted(map(_told, touchpoints), key=lambda told: told[:2])
            assert became == BECAME, library.name
        else:
            assert sorted(map(order_of, touchpoints)) == expected_orders(ORDERS), library.name


def _told(touchpoint: dict[str, Any]) -> tuple[int, str, str, dict[str, Any]]:
    """What there is to be told of a touchpoint, as in BECAME."""
    minute = (datetime.fromisoformat(touchpoint["time"]) - FIRST).total_seconds() / 60
    data = {name: value for name, value in touchpoint["data"].items() if name != "extra"}
    return int(minute), touchpoint["type"], touchpoint["subject"], data


def _turned_away(url: str) -> dict[str, float]:
    """How many requests were answered with 429, by their path."""
    with closing(Client(url)) as client:
        told = client.get("/metrics").body.decode()
    counted = r'^touchstone_http_requests_total\{endpoint="POST (.*)",status="429"\} (.*)$'
    return {path: float(count) for path, count in re.findall(counted, told, re.MULTILINE)}
