"""A rotation of the master key is killed at any moment, while two processes append."""

import json
import random
import time
from pathlib import Path

import pytest

from ledger.address import Address, parse_url
from ledger.key_standing import key_standing
from ledger.ledger import create_ledger, open_ledger
from ledger.postgres.address import PostgresAddress
from schemas.replay import decode
from tests.crash.launching import Child, Launcher

SEED = time.time_ns()
KILLS = 5
LONGEST_SECONDS = 0.15
CUSTOMERS = 1_200


@pytest.fixture(params=["sqlite", "postgres"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Where an empty ledger is, on each store in turn."""
    if request.param == "postgres":
        on_server: PostgresAddress = request.getfixturevalue("on_server")
        return on_server
    address = parse_url(f"sqlite:///{tmp_path / 'ledger.db'}")
    create_ledger(address)
    return address


def described(path: Path, customers: range) -> Path:
    """Touchpoints with something personal in them, each of a customer of its own."""
    events = (
        {"specversion": "1.0", "id": str(n), "source": "crm", "type": "customer.described.v1",
         "subject": f"customer:{n}", "time": "2026-01-05T10:00:00Z",
         "data": {"traits": {"name": f"Ana {n}"}}}
        for n in customers
    )  # fmt: skip
    path.write_text("\n".join(map(json.dumps, events)))
    return path


def rotating(children: Launcher, place: list[str]) -> Child:
    tuned = {"ledger.rotation.BATCH_KEYS": 4}
    return children.start("command", *place, "-q", "keys", "rotate", "--yes", tuned=tuned)


def test_whenever_a_rotation_is_killed_every_touchpoint_opens(
    made: Address, children: Launcher, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    place = [made.url, str(made.keys)]
    halves = [
        described(tmp_path / "1.ndjson", range(CUSTOMERS // 2)),
        described(tmp_path / "2.ndjson", range(CUSTOMERS // 2, CUSTOMERS)),
    ]
    writers = [children.start("take_lines", *place, str(path), 0) for path in halves]
    options = ["--ledger", made.url, "--keys", str(made.keys)]
    killed = 0
    while killed < KILLS:
        rotation = rotating(children, options)
        killed += (was_killed := rotation.killed_after(chance.uniform(0.03, LONGEST_SECONDS)))
        assert was_killed or rotation.code == 0, rotation.err.read_text()
        standing = key_standing(made)
        assert "missing" not in {master.state for master in standing.masters}
    for writer in writers:
        assert writer.wait() == 0, writer.err.read_text()
    assert rotating(children, options).wait() == 0
    (master,) = key_standing(made).masters
    assert (master.state, master.keys) == ("in use", CUSTOMERS + 1)
    assert names(made) == {f"Ana {n}" for n in range(CUSTOMERS)}


def names(address: Address) -> set[str]:
    """What a window shows of all touchpoints."""
    with open_ledger(address) as ledger:
        stored = ledger.log.page(0, CUSTOMERS + 1)
        opened = ledger.vault.reveal(decode(s.topic, s.state) for s in stored)
    return {envelope.data.traits.name for envelope in opened}
