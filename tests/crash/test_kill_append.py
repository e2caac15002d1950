"""A process that appends to PostgreSQL is killed a hundred times, at any moment of its life."""

import random
import time
from pathlib import Path

from ledger.postgres.address import PostgresAddress
from tests.crash.launching import Launcher, wait_until
from tests.crash.loading import made_up
from tests.crash.oracle import Acknowledged, check, check_durable

SEED = time.time_ns()
KILLS = 100
LINES = 6_000
LONGEST_SECONDS = 0.1


def test_a_hundred_kills_lose_nothing_and_double_nothing(
    on_server: PostgresAddress, children: Launcher, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    load = made_up(SEED, LINES)
    path = tmp_path / "load.ndjson"
    path.write_bytes(b"\n".join(load.lines))
    acknowledged = Acknowledged(load, path)
    kills = in_the_middle = 0
    while kills < KILLS:
        child = acknowledged.start(children, on_server)
        if chance.random() < 0.6:  # it has begun, however long that takes
            wait_until(lambda: bool(child.lines()) or child.code is not None)  # noqa: B023
        killed = child.killed_after(chance.uniform(0.0, LONGEST_SECONDS))
        kills += killed
        assert killed or child.code == 0, child.err.read_text()
        groups = acknowledged.groups
        acknowledged.note(child)
        in_the_middle += killed and acknowledged.groups > groups
        check_durable(on_server, acknowledged)
    assert in_the_middle > KILLS // 4, "hardly any kill came while it was appending"
    acknowledged.finish(children, on_server)
    check(on_server, acknowledged)
