"""The connection to the server is lost at any byte: in the middle of a COPY, before a COMMIT."""

import random
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ledger.errors import Unreachable
from ledger.ledger import Ledger, open_ledger
from ledger.log import Appended, Submission
from ledger.postgres.address import PostgresAddress
from ledger.quarantine import Received
from ledger.record import Duplicate, Record, Recorded, records_of
from projections.follow import follow
from projections.registry import PROJECTIONS
from schemas.door import parse
from tests.crash.cutting import Road, road_to
from tests.crash.loading import made_up
from tests.crash.oracle import check_views
from tests.ledger.sending import assert_dense, positions
from tests.servers.postgres import Server

SEED = time.time_ns()
GROUPS = 60
GROUP_LINES = 20


@pytest.fixture
def road(server: Server) -> Iterator[Road]:
    with road_to(server.port) as road:
        yield road


@pytest.fixture
def far(on_server: PostgresAddress, road: Road, server: Server) -> Iterator[Ledger]:
    """The ledger as it is seen over the road. It is not patient with a server that is gone."""
    conninfo = on_server.conninfo.replace(f":{server.port}/", f":{road.port}/")
    assert conninfo != on_server.conninfo
    with open_ledger(replace(on_server, conninfo=conninfo)) as ledger:
        ledger.store.pool.timeout = 0.5  # type: ignore[attr-defined]
        yield ledger


def groups_of(ledger: Ledger) -> list[list[Submission]]:
    """Records as the intake makes them; their keys are there already."""
    lines = [n for n in made_up(SEED, GROUPS * GROUP_LINES).lines if not n.startswith(b'{"id":')]
    records = records_of([parse(line) for line in lines], ledger.vault)
    submissions = [
        Submission(Received(line, "test"), record)
        for line, record in zip(lines, records, strict=True)
    ]
    assert all(isinstance(s.record, Record) for s in submissions)
    return [submissions[n : n + GROUP_LINES] for n in range(0, len(submissions), GROUP_LINES)]


def bytes_of_a_group(group: list[Submission]) -> int:
    """About how many bytes go to the server for it."""
    return sum(len(s.record.state) + 150 for s in group if isinstance(s.record, Record))


def appended(ledger: Ledger, group: list[Submission]) -> Appended:
    """Appended when the server can be reached again, which is waited for."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return ledger.log.append(group)
        except Unreachable:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_group_that_is_cut_off_is_not_acknowledged_and_never_recorded_twice(
    far: Ledger, road: Road, on_server: PostgresAddress
) -> None:
    chance = random.Random(SEED)
    lost = kept = 0
    end = 0
    for group in groups_of(far)[:40]:
        road.break_after(chance.randrange(bytes_of_a_group(group)))
        with pytest.raises(Unreachable, match="cannot be reached"):
            far.log.append(group)
        road.mend()
        outcomes = appended(far, group).outcomes
        expected = range(end + 1, end + len(group) + 1)
        if outcomes == [Recorded(position) for position in expected]:
            lost += 1
        else:  # it was committed, and only the answer lost
            assert outcomes == [Duplicate(position) for position in expected]
            kept += 1
        end += len(group)
    assert lost
    with open_ledger(on_server) as near:
        assert_dense(near)
        assert len(positions(near)) == end


def test_a_lost_answer_to_a_commit_is_unknown_and_the_retry_a_duplicate(
    far: Ledger, road: Road
) -> None:
    first, second, *_ = groups_of(far)
    appended(far, first)
    road.break_behind(b"COMMIT\0")
    with pytest.raises(Unreachable, match="cannot be reached"):
        far.log.append(second)
    road.mend()
    expected = range(len(first) + 1, len(first) + len(second) + 1)
    assert appended(far, second).outcomes == [Duplicate(position) for position in expected]


def test_a_follower_that_is_cut_off_goes_on_and_folds_nothing_twice(
    far: Ledger, road: Road, on_server: PostgresAddress
) -> None:
    chance = random.Random(SEED)
    for group in groups_of(far):
        appended(far, group)
    cuts = 0
    while True:
        road.break_after(chance.randrange(100_000))
        try:
            follow(far, PROJECTIONS, batch=50)
        except Unreachable:
            cuts += 1
            road.mend()
        else:
            break
    road.mend()
    assert cuts > 3
    with open_ledger(on_server) as near:
        check_views(near)


def test_a_follower_whose_commit_was_not_answered_goes_on_behind_it(
    far: Ledger, road: Road, on_server: PostgresAddress
) -> None:
    for group in groups_of(far)[:10]:
        appended(far, group)
    follow(far, PROJECTIONS, batch=50)
    for group in groups_of(far)[10:20]:
        appended(far, group)
    road.break_behind(b"COMMIT\0")
    with pytest.raises(Unreachable, match="cannot be reached"):
        follow(far, PROJECTIONS, batch=50)
    road.mend()
    with open_ledger(on_server) as near:
        check_views(near)
