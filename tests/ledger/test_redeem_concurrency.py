"""Redeeming from many processes at once: points that are there once are spent once."""

from multiprocessing.synchronize import Barrier as SharedBarrier

import pytest

from domain.redemption import Refusal
from ledger.address import Address
from ledger.decisions import IdTaken, Redeemed, redeem
from ledger.ledger import Ledger, open_ledger
from tests.ledger.processes import forked
from tests.ledger.sending import NOW, assert_dense, order, positions, query, send

PROCESSES = 20
BALANCE = 1_000
CUSTOMER = "customer:42"
RULES = order(
    "rules",
    type="loyalty.rules_published.v1",
    subject="programme:main",
    time="2026-01-01T00:00:00Z",
    data={"programme": "main", "version": 1, "valid_from": "2026-01-01T00:00:00Z", "earn": []},
)
GIFT = order(
    "gift",
    type="points.adjusted.v1",
    data={"programme": "main", "adjustment_id": "J1", "points": BALANCE, "reason": "welcome"},
)


@pytest.fixture
def rich(ledger: Ledger) -> Ledger:
    """A ledger with one customer who has a thousand points."""
    assert send(ledger, RULES, GIFT)[0].recorded == 2
    return ledger


def _now() -> int:
    return NOW


def _meet(barrier: SharedBarrier) -> None:
    """Wait until all processes are there, so that they begin at the same moment."""
    barrier.wait(timeout=60)


def _redeem_in_a_process(address: Address, points: int, id_: str) -> Redeemed | Refusal:
    with open_ledger(address, _now) as opened:
        return redeem(opened, CUSTOMER, "main", points, id_)


def all_at_once(address: Address, points: int, ids: list[str]) -> list[Redeemed | Refusal]:
    """Twenty processes that redeem, one request for each id."""
    context = forked()
    barrier = context.Barrier(PROCESSES)
    requests = [(address, points, id_) for id_ in ids]
    with context.Pool(PROCESSES, initializer=_meet, initargs=(barrier,)) as pool:
        return pool.starmap(_redeem_in_a_process, requests, chunksize=1)


def redemptions(ledger: Ledger) -> int:
    ((number,),) = query(
        ledger, "SELECT COUNT(*) FROM stored_events WHERE topic = 'points.redeemed.v1'"
    )
    return int(number)


def test_of_twenty_processes_that_want_100_of_1000_points_exactly_ten_get_them(
    rich: Ledger, address: Address
) -> None:
    outcomes = all_at_once(address, 100, [f"request-{n}" for n in range(PROCESSES)])
    granted = [o for o in outcomes if isinstance(o, Redeemed)]
    refused = [o for o in outcomes if isinstance(o, Refusal)]
    assert (len(granted), len(refused)) == (10, 10)
    assert sorted(o.position for o in granted) == list(range(3, 13))
    # They all ask at the same microsecond, so their ids order them: one that comes before others
    # that were granted would make the balance negative at a later of them.
    assert {o.code for o in refused} <= {"not_enough", "negative_later"}
    assert redemptions(rich) == 10
    assert_dense(rich)


def test_many_processes_with_the_same_id_make_one_redemption(
    rich: Ledger, address: Address
) -> None:
    outcomes = all_at_once(address, 100, ["the-same"] * PROCESSES)
    granted = [o for o in outcomes if isinstance(o, Redeemed)]
    assert {(o.position, o.points) for o in granted} == {(3, 100)}
    assert (len(granted), sum(not o.again for o in granted)) == (PROCESSES, 1)
    assert redemptions(rich) == 1


def test_who_did_not_hear_the_answer_asks_again_and_spends_once(
    rich: Ledger, address: Address
) -> None:
    assert redeem(rich, CUSTOMER, "main", 900, "r1") == Redeemed(3, 900, again=False)
    assert _redeem_in_a_process(address, 900, "r1") == Redeemed(3, 900, again=True)
    other = redeem(rich, CUSTOMER, "main", 900, "r2")
    assert isinstance(other, Refusal)
    assert (other.code, other.active) == ("not_enough", 100)


def test_a_refused_request_leaves_nothing_behind_and_may_be_made_again(rich: Ledger) -> None:
    assert isinstance(redeem(rich, CUSTOMER, "main", 5_000, "r1"), Refusal)
    assert positions(rich) == [1, 2]
    assert redeem(rich, CUSTOMER, "main", 500, "r1") == Redeemed(3, 500, again=False)


@pytest.mark.parametrize(
    ("subject", "points"), [(CUSTOMER, 101), ("customer:7", 100)], ids=["points", "subject"]
)
def test_an_id_that_stands_for_another_redemption_is_refused(
    rich: Ledger, subject: str, points: int
) -> None:
    redeem(rich, CUSTOMER, "main", 100, "r1")
    with pytest.raises(IdTaken, match="position 3"):
        redeem(rich, subject, "main", points, "r1")
    assert redemptions(rich) == 1


def test_what_was_recorded_after_a_redemption_counts_for_the_next(rich: Ledger) -> None:
    redeem(rich, CUSTOMER, "main", BALANCE, "r1")
    assert isinstance(redeem(rich, CUSTOMER, "main", 1, "r2"), Refusal)
    more = {"programme": "main", "adjustment_id": "J2", "points": 50, "reason": "sorry"}
    send(rich, GIFT | {"id": "gift-2", "data": more})
    assert redeem(rich, CUSTOMER, "main", 50, "r3") == Redeemed(5, 50, again=False)
    assert_dense(rich)
