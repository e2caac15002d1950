"""The real libraries on a road of faults: every event arrives, and arrives once."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ledger.address import Address
from ledger.ledger import open_ledger
from tests.cli.running import Shell
from tests.crash.launching import Launcher
from tests.ledger.sending import assert_dense, waiting
from tests.web.clients.calls import expected_orders, order_calls, order_events, order_of
from tests.web.clients.faulty_road import Fault, Road, faulty_road
from tests.web.clients.libraries import LIBRARIES, Library, recorded, token_for
from tests.web.clients.server import Served, served

EVENTS = range(300)
TOGETHER = 10
PLAN = [
    Fault.BUSY, Fault.AWAY, None, Fault.LOST, None, Fault.CUT, None, Fault.KILLED, None,
    Fault.FELLED,
]  # fmt: skip
"""What each library meets on its way, in the order of its requests."""


def test_every_event_of_every_library_arrives_once_whatever_happens_on_its_way(
    children: Launcher, on_postgres: Address, tmp_path: Path
) -> None:
    shell = Shell(tmp_path, on_postgres)
    with served(children, on_postgres) as server:
        roads = _all_send(server, shell)
        assert server.kills >= len(LIBRARIES)
        for name, road in roads.items():
            assert road.taken > len(PLAN), name
    found = recorded(shell)
    assert found.keys() == roads.keys()
    for name, touchpoints in found.items():
        assert sorted(map(order_of, touchpoints)) == sorted(expected_orders(EVENTS)), name
    with open_ledger(on_postgres) as ledger:
        assert_dense(ledger)
        assert waiting(ledger) == []


def _all_send(server: Served, shell: Shell) -> dict[str, Road]:
    """Let all libraries send at the same time, each on a road of its own."""
    with ExitStack() as stack:
        roads, sending = {}, []
        for library in LIBRARIES:
            road = stack.enter_context(faulty_road(server, PLAN))
            secret = token_for(library, shell)
            started = library.sending(road.url, secret, TOGETHER, _sent(library))
            sending.append(stack.enter_context(started))
            roads[library.name] = road
        for one in sending:
            one.end()
    return roads


def _sent(library: Library) -> list[dict[str, Any]]:
    return order_calls(EVENTS) if library.is_segment else order_events(EVENTS, library.name)
