"""Many callers at the same time: done in groups, and each of them gets what is its own."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from ledger.gathering import Gathering

PATIENCE_SECONDS = 20


class Closed(Exception):
    """The place is closed to everybody."""


class Interrupted(BaseException):
    """What an interrupt raises in the thread that it meets."""


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.001)


class Workshop:
    """A place that is entered one group at a time, whose door can be held shut from outside.

    A number is answered by its double; a string is refused; an exception is what the work of its
    group raises, as often as it is tried.
    """

    def __init__(self, limit: int = 100) -> None:
        self.door = threading.Lock()
        self.groups: list[list[Any]] = []
        self.closed = False
        self.gathering = Gathering[Any, Any, None](
            self.entered, self.work, weigh=self.weigh, limit=limit, common=(Closed,)
        )

    def weigh(self, asked: Any) -> int:
        return asked if isinstance(asked, int) else 1

    @contextmanager
    def entered(self) -> Iterator[None]:
        with self.door:
            if self.closed:
                raise Closed("no entry")
            yield

    def work(self, group: Sequence[Any], _place: None) -> list[Any]:
        self.groups.append(list(group))
        for asked in group:
            if isinstance(asked, BaseException):
                raise asked
        return [ValueError(asked) if isinstance(asked, str) else 2 * asked for asked in group]

    def queued(self) -> int:
        return len(self.gathering._waiting)

    def ask(self, *asked: Any) -> list[Any]:
        """All of them at the same time, in this order: the answers, or what was raised."""
        with ThreadPoolExecutor(len(asked)) as threads:
            answers: list[Future[Any]] = []
            with self.door:
                for one in asked:
                    answers.append(threads.submit(self.gathering.ask, one))
                    wait_until(lambda: self.gathering._busy and self.queued() == len(answers) - 1)
            return [answer.exception() or answer.result() for answer in answers]


def test_who_is_alone_is_served_at_once() -> None:
    shop = Workshop()
    assert shop.gathering.ask(4) == 8
    assert shop.gathering.ask(5) == 10
    assert shop.groups == [[4], [5]]


def test_those_who_come_at_the_same_time_are_one_group_in_the_order_in_which_they_came() -> None:
    shop = Workshop()
    assert shop.ask(3, 1, 2) == [6, 2, 4]
    assert shop.groups == [[3, 1, 2]]


def test_those_who_come_while_others_are_at_work_are_the_next_group() -> None:
    shop = Workshop()
    came, leave = threading.Event(), threading.Event()
    work = shop.work

    def slow_work(group: Sequence[Any], place: None) -> list[Any]:
        came.set()
        assert leave.wait(PATIENCE_SECONDS)
        return work(group, place)

    shop.gathering._work = slow_work
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(shop.gathering.ask, 1)
        assert came.wait(PATIENCE_SECONDS)
        others = [threads.submit(shop.gathering.ask, number) for number in (2, 3, 4)]
        wait_until(lambda: shop.queued() == 3)
        leave.set()
        assert (first.result(), [other.result() for other in others]) == (2, [4, 6, 8])
    assert [sorted(group) for group in shop.groups] == [[1], [2, 3, 4]]


def test_a_group_weighs_no_more_than_the_limit_unless_one_alone_does() -> None:
    shop = Workshop(limit=10)
    assert shop.ask(4, 6, 1, 99, 5, 5) == [8, 12, 2, 198, 10, 10]
    assert shop.groups == [[4, 6], [1], [99], [5, 5]]


def test_who_is_refused_hears_it_alone() -> None:
    shop = Workshop()
    one, refusal, two = shop.ask(1, "no", 2)
    assert (one, two, len(shop.groups)) == (2, 4, 1)
    assert isinstance(refusal, ValueError)


def test_when_the_work_fails_each_is_tried_alone_and_only_the_guilty_fails() -> None:
    shop = Workshop()
    guilty = RuntimeError("guilty")
    assert shop.ask(1, guilty, 2) == [2, guilty, 4]
    assert shop.groups == [[1, guilty, 2], [1], [guilty], [2]]


def test_a_closed_place_fails_all_who_wait_with_an_error_of_their_own_and_may_open_again() -> None:
    shop = Workshop()
    shop.closed = True
    errors = shop.ask(1, 2, 3)
    assert [(type(error), str(error)) for error in errors] == [(Closed, "no entry")] * 3
    assert len({id(error) for error in errors}) == 3
    assert shop.groups == []
    shop.closed = False
    assert shop.gathering.ask(4) == 8


def test_a_place_that_closes_while_each_is_tried_alone_fails_the_rest() -> None:
    shop = Workshop()
    guilty, closing = RuntimeError("guilty"), Closed("closing")
    one, two, three, four = shop.ask(1, guilty, closing, 2)
    # The group meets `guilty` first; alone, the place closes at the third.
    assert (one, two, three) == (2, guilty, closing)
    assert isinstance(four, Closed)
    assert shop.groups == [[1, guilty, closing, 2], [1], [guilty], [closing]]


def test_when_who_leads_is_interrupted_the_others_go_on_without_it() -> None:
    shop = Workshop()
    interrupt = Interrupted()
    assert shop.ask(interrupt, 1, 2) == [interrupt, 2, 4]
    assert shop.groups == [[interrupt, 1, 2], [1, 2]]
    assert shop.gathering.ask(3) == 6


def test_when_who_leads_is_interrupted_while_each_is_tried_alone_nobody_is_served_twice() -> None:
    shop = Workshop()
    guilty, interrupt = RuntimeError("guilty"), Interrupted()
    first, *others = shop.ask(1, guilty, 2, interrupt, 3)
    assert isinstance(first, Interrupted)  # the thread that led all of them
    assert others[:2] == [guilty, 4]
    assert others[2:] == [interrupt, 6]
    assert shop.groups[1:] == [[1], [guilty], [2], [interrupt], [interrupt, 3], [3]]


def test_who_is_interrupted_before_it_begins_leaves_the_place_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = Workshop()
    with monkeypatch.context() as patch:
        patch.setattr(shop.gathering, "_lead", signal_interrupted)
        with pytest.raises(Interrupted):
            shop.gathering.ask(1)
    assert not shop.gathering._busy
    assert shop.gathering.ask(2) == 4


def signal_interrupted(*_: object) -> None:
    raise Interrupted


@pytest.fixture
def interrupting() -> Iterator[Callable[[], None]]:
    """Interrupts the main thread, as Ctrl-C does."""
    before = signal.signal(signal.SIGUSR1, signal_interrupted)
    main = threading.main_thread().ident
    assert main is not None
    yield lambda: signal.pthread_kill(main, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_who_is_interrupted_while_waiting_is_left_out(interrupting: Callable[[], None]) -> None:
    shop = Workshop()
    with ThreadPoolExecutor(3) as threads:
        with shop.door:
            first = threads.submit(shop.gathering.ask, 1)
            wait_until(lambda: shop.gathering._busy)
            second = threads.submit(shop.gathering.ask, 2)
            wait_until(lambda: shop.queued() == 1)

            def interrupt_the_third() -> None:
                wait_until(lambda: shop.queued() == 2)
                interrupting()

            threads.submit(interrupt_the_third)
            with pytest.raises(Interrupted):
                shop.gathering.ask(3)
        assert (first.result(), second.result()) == (2, 4)
    assert shop.groups == [[1, 2]]
    assert shop.gathering.ask(4) == 8


def test_each_of_very_many_gets_the_answer_to_what_it_asked() -> None:
    shop = Workshop(limit=2_000)

    def ask_some(number: int) -> None:
        for n in range(number, 400, 16):
            if n % 7:
                assert shop.gathering.ask(n) == 2 * n
            else:
                with pytest.raises(ValueError, match=f"^no {n}$"):
                    shop.gathering.ask(f"no {n}")

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(ask_some, range(16)))
    assert sum(len(group) for group in shop.groups) == 400
    assert (shop.gathering._busy, shop.queued()) == (False, 0)
