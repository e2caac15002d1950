"""A seal is killed at any moment, while another process appends: nothing of it is half done."""

import json
import random
import time
from pathlib import Path

import pytest

from ledger.address import Address, parse_url
from ledger.ledger import create_ledger, open_ledger
from ledger.postgres.address import PostgresAddress
from ledger.seals.heads import head_from
from ledger.seals.verifying import Witness, verify_log
from tests.crash.launching import Child, Launcher
from tests.ledger.sending import line, orders

SEED = time.time_ns()
KILLS = 5
LONGEST_SECONDS = 0.12
TOUCHPOINTS = 3_000
TUNED = {"ledger.seals.sealing.KEPT_AT_ONCE": 128, "ledger.seals.sealing.PAGE_ROWS": 32}


@pytest.fixture(params=["sqlite", "postgres"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Where an empty ledger is, on each store in turn."""
    if request.param == "postgres":
        on_server: PostgresAddress = request.getfixturevalue("on_server")
        return on_server
    address = parse_url(f"sqlite:///{tmp_path / 'ledger.db'}")
    create_ledger(address)
    return address


def sealing(children: Launcher, address: Address) -> Child:
    place = ["--ledger", address.url, "--keys", str(address.keys)]
    return children.start("command", *place, "-q", "audit", "seal", "-o", "ndjson", tuned=TUNED)


def test_whenever_a_seal_is_killed_the_next_goes_on(
    made: Address, children: Launcher, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    path = tmp_path / "orders.ndjson"
    path.write_bytes(b"\n".join(map(line, orders(range(TOUCHPOINTS)))))
    writer = children.start("take_lines", made.url, str(made.keys), str(path), 0)
    told, killed = [], 0
    while killed < KILLS:
        child = sealing(children, made)
        killed += (was_killed := child.killed_after(chance.uniform(0.02, LONGEST_SECONDS)))
        assert was_killed or child.code == 0, child.err.read_text()
        told += child.lines()
    assert writer.wait() == 0, writer.err.read_text()
    last = sealing(children, made)
    assert last.wait() == 0, last.err.read_text()
    heads = [head_from(head) for head in (*told, *last.lines())]
    assert heads[-1].size == TOUCHPOINTS
    with open_ledger(made) as ledger:
        found = verify_log(ledger, [Witness(head, json.dumps(head.size)) for head in heads])
    assert (found.ok, found.unsealed) == (True, 0), (SEED, found)
