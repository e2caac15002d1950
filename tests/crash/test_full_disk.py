"""The server's disk is full: nothing is acknowledged that is not there, and readers go on."""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from ledger.postgres.address import PostgresAddress
from tests.crash.full_disk import Disk, LimitedSessions, LimitedTables, small_disk
from tests.crash.launching import Launcher, wait_until
from tests.crash.loading import Load, opening
from tests.crash.oracle import Acknowledged, check, check_durable
from tests.servers.postgres import Server, temporary_server

SEED = time.time_ns()
FAILED, UNREACHABLE = 1, 7
LINES, LINES_TO_A_LIMIT = 140, 280
NAME_BYTES = 30_000
"""Names of twice as many digits, which are encrypted: no compression makes them shorter."""
GROUP_LINES = 4
VIEWED_LINES = 5
"""What is shown by views before the disk is full."""
DOWN = "PANIC"
"""What the server writes when it cannot go on."""


def long_names(count: int) -> Load:
    """A load that takes much room."""
    chance = random.Random(SEED)
    names = {f"e{n}": chance.randbytes(NAME_BYTES).hex() for n in range(count)}
    lines = [json.dumps(_described(id_, name)).encode() for id_, name in names.items()]
    return Load(lines, frozenset(names), names)


def _described(id_: str, name: str) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": id_, "source": "shop", "type": "customer.described.v1",
        "subject": f"customer:{id_}", "time": "2026-01-05T10:00:00Z",
        "data": {"traits": {"name": name}},
    }  # fmt: skip


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server for one test, as it does not have the same data afterwards."""
    with temporary_server({"max_wal_size": "64MB", "min_wal_size": "32MB"}) as server:
        yield server


def limited_tables(server: Server) -> AbstractContextManager[Disk]:
    return nullcontext(LimitedTables(server))


def limited_sessions(server: Server) -> AbstractContextManager[Disk]:
    return nullcontext(LimitedSessions(server))


WENT_DOWN: dict[Any, bool] = {limited_tables: False, limited_sessions: True}
"""Whether the server does. On a full disk of its own it may be either."""


@pytest.mark.parametrize("disk_of", [limited_tables, limited_sessions, small_disk])
def test_a_full_disk_takes_nothing_in_loses_nothing_and_goes_on_with_room(
    disk_of: Callable[[Server], AbstractContextManager[Disk]],
    server: Server,
    on_server: PostgresAddress,
    children: Launcher,
    tmp_path: Path,
) -> None:
    load = long_names(LINES_TO_A_LIMIT if disk_of is limited_tables else LINES)
    path = tmp_path / "load.ndjson"
    path.write_bytes(b"\n".join(load.lines[:VIEWED_LINES]))
    acknowledged = Acknowledged(load, path)
    child = acknowledged.start(children, on_server)
    assert child.wait() == 0, child.err.read_text()
    acknowledged.note(child)
    assert children.start("command", *opening(on_server), "-q", "projection", "run").wait() == 0
    path.write_bytes(b"\n".join(load.lines))
    with disk_of(server) as disk:
        child = acknowledged.start(children, on_server, GROUP_LINES)
        wait_until(lambda: len(child.lines()) > 1)
        disk.fill()
        code, said = child.wait(), child.err.read_text()
        went_down = DOWN in server.log.read_text()
        assert went_down is WENT_DOWN.get(disk_of, went_down)
        assert (code == FAILED and "disk is full" in said) or (code == UNREACHABLE and went_down)
        assert said.count("\n") == 1
        acknowledged.note(child)
        assert VIEWED_LINES < acknowledged.next < len(load.lines)
        if not went_down:
            check_readable(children, on_server)
        disk.free()
        come_back(server, on_server, children)
        check_durable(on_server, acknowledged)
        check_readable(children, on_server)
        acknowledged.finish(children, on_server)
        check(on_server, acknowledged)


def check_readable(children: Launcher, address: PostgresAddress) -> None:
    for command in (["log", "list", "-n", "3"], ["customer", "show", "customer:e0"]):
        child = children.start("command", *opening(address), "-q", *command)
        assert child.wait() == 0, child.err.read_text()
        assert child.out.read_text()


def come_back(server: Server, address: PostgresAddress, children: Launcher) -> None:
    """A server that went down comes back by itself, if it had room for that, or is started."""

    def is_back() -> bool:
        server.start()
        return children.start("command", *opening(address), "log", "list", "-n", "1").wait() == 0

    wait_until(is_back)
