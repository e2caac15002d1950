"""Taking in: whoever is guilty of an error meets it, and nobody waits for ever."""

import asyncio
import threading
from functools import partial
from typing import Any

import pytest
from anyio import to_thread

from ledger.intake import Append, append
from ledger.ledger import Ledger
from ledger.quarantine import Received
from tests.ledger.sending import line, order
from web.problems import Problem
from web.taking import Taken, Taking, _Turn


def brought(id_: str) -> list[Received]:
    return [Received(line(order(id_)), "test")]


def answers(appending: Append, *ids: str) -> list[Taken | BaseException]:
    """What requests that come at the same time are answered."""

    async def all_at_once() -> list[Taken | BaseException]:
        taking = Taking(appending)
        calls = (taking.take(None, brought(id_)) for id_ in ids)
        return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 20)

    return asyncio.run(all_at_once())


def test_what_comes_together_is_taken_together_each_with_a_receipt(ledger: Ledger) -> None:
    found = answers(partial(append, ledger), "1", "2", "3", "2")
    receipts = [taken.receipt for taken in found if isinstance(taken, Taken)]
    assert [(r.received, r.recorded, r.duplicate) for r in receipts] == [
        (1, 1, 0), (1, 1, 0), (1, 1, 0), (1, 0, 1),
    ]  # fmt: skip


def test_an_error_meets_the_one_whose_it_is(ledger: Ledger) -> None:
    def faulty(group: Any, *, written: Any = None) -> Any:
        if any(b'"id": "2"' in received.raw for received, _ in group):
            raise ValueError("a fault of ours")
        return append(ledger, group, written=written)

    found = answers(faulty, "1", "2", "3")
    assert [type(answer) for answer in found] == [Taken, ValueError, Taken]


def test_a_group_is_taken_in_while_the_one_before_is_committed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is answered only when the second is under way."""
    second_is_under_way = threading.Event()

    def watched(group: Any, *, written: Any = None) -> Any:
        if any(b'"id": "2"' in received.raw for received, _ in group):
            second_is_under_way.set()
            return append(ledger, group, written=written)
        found = append(ledger, group, written=written)
        assert second_is_under_way.wait(20)
        return found

    monkeypatch.setattr("web.taking.GROUP_ITEMS_MAX", 1)
    assert [type(answer) for answer in answers(watched, "1", "2", "3")] == [Taken] * 3


def test_a_turn_may_end_when_its_loop_has_ended() -> None:
    """A group that is still on its way to the disk when the server gives up waiting for it."""

    async def begun() -> _Turn:
        return _Turn(lambda: None)

    asyncio.run(begun()).end_from_thread()


def test_who_cannot_be_taken_in_is_told_and_the_next_are_taken(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, refusals = to_thread.run_sync, [RuntimeError("can't start new thread")]

    async def without_threads(*arguments: Any, **named: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return await run(*arguments, **named)

    monkeypatch.setattr(to_thread, "run_sync", without_threads)
    appending = partial(append, ledger)
    first, *others = answers(appending, "1", "2")
    assert isinstance(first, Problem)
    assert (first.status, "Retry-After" in first.headers) == (503, True)
    assert answers(appending, "1")[0] is not first
    assert all(isinstance(answer, Taken | Problem) for answer in others)
