"""Two who decide at once, of whom neither sees the other beforehand: one decision is recorded."""

import pytest

from ledger.decisions import IdTaken
from ledger.joining import merge, try_unmerge, unmerge
from ledger.ledger import Ledger
from tests.ledger.sending import order, send

PAIR = ("customer:1", "customer:2")


def waiting(ledger: Ledger) -> int:
    with ledger.store.cursor() as cursor:
        return len(ledger.quarantine.entries(cursor))


def test_the_loser_of_two_same_decisions_is_told_of_the_first(ledger: Ledger) -> None:
    send(ledger, order(subject="customer:1"), order("2", subject="customer:2"))
    first, second = (merge(ledger, *PAIR, "one", "m1") for _ in range(2))
    assert (first.again, second.again, first.positions) == (False, True, second.positions)
    parting = try_unmerge(ledger, *PAIR)
    first, second = (unmerge(ledger, *PAIR, parting, "two", "u1") for _ in range(2))
    assert (first.again, second.again, first.positions) == (False, True, second.positions)
    assert first.undone == second.undone == [("touchstone", "m1")]
    assert waiting(ledger) == 0


def test_the_loser_of_two_other_decisions_is_refused_and_leaves_nothing(ledger: Ledger) -> None:
    merge(ledger, *PAIR, "one", "m1")
    head = ledger.log.head()
    parting = try_unmerge(ledger, *PAIR)
    with pytest.raises(IdTaken, match="under the id m1"):
        merge(ledger, *PAIR, "another", "m1")
    with pytest.raises(IdTaken, match="under the id m1"):
        merge(ledger, "customer:1", "customer:3", "one", "m1")
    with pytest.raises(IdTaken, match="under the id m1"):
        unmerge(ledger, *PAIR, parting, "one", "m1")
    assert (ledger.log.head(), waiting(ledger)) == (head, 0)
