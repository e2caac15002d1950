"""Gathering: what many threads ask for at the same time is done for all of them at once.

Who finds nobody at work goes to work at once. Who comes meanwhile waits, and the first of those
who wait is the next to work: for itself and for all that have come by then.
"""

import copy
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Generic, TypeVar, cast

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Place = TypeVar("Place")


class _Turn(Generic[Asked, Answer]):
    """What one thread asks for, and later the answer to it or why there is none."""

    __slots__ = ("answer", "asked", "leads", "served", "woken")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.answer: Answer | Exception | None = None
        self.served = False
        self.leads = False
        self.woken = threading.Lock()  # much cheaper to wait for than an Event
        self.woken.acquire()

    def serve(self, answer: Answer | Exception) -> None:
        self.answer = answer
        self.served = True

    def result(self) -> Answer:
        if isinstance(self.answer, Exception):
            raise self.answer
        return cast(Answer, self.answer)


class Gathering(Generic[Asked, Answer, Place]):
    """Work that is done for a group of callers in one go, by one of them at a time.

    It is done inside of what `place` gives, a transaction say; the group is of those who have
    come by the time that it is entered, and answers are told when it is left. `work` gives an
    answer for each of what is asked, in their order; an exception among them is raised to its
    caller alone. When one of `common` is raised, everybody fails with it. After any other error
    somebody in the group may be guilty: each is tried alone. A group weighs at most `limit`, as
    `weigh` has it, unless its first alone weighs more.
    """

    def __init__(
        self,
        place: Callable[[], AbstractContextManager[Place]],
        work: Callable[[Sequence[Asked], Place], Sequence[Answer | Exception]],
        *,
        weigh: Callable[[Asked], int],
        limit: int,
        common: tuple[type[Exception], ...],
    ) -> None:
        self._place = place
        self._work = work
        self._weigh = weigh
        self._limit = limit
        self._common = common
        self._mutex = threading.Lock()
        self._busy = False
        self._waiting: deque[_Turn[Asked, Answer]] = deque()

    def ask(self, asked: Asked) -> Answer:
        """The answer to this, when the work of its group is done. For any thread."""
        turn = _Turn[Asked, Answer](asked)
        try:
            with self._mutex:
                if self._busy:
                    self._waiting.append(turn)
                else:
                    self._busy = turn.leads = True
            if not turn.leads:
                turn.woken.acquire()
            if turn.leads:
                self._lead(turn)
        except BaseException:  # an interrupt: the others go on without this one
            self._leave(turn)
            raise
        return turn.result()

    def _lead(self, own: _Turn[Asked, Answer]) -> None:
        group = [own]
        try:
            self._serve(group)
        finally:
            others = group[1:]
            for turn in others:
                if turn.served:
                    turn.woken.release()
            with self._mutex:
                self._waiting.extendleft(turn for turn in reversed(others) if not turn.served)
                self._pass_on(own)

    def _serve(self, group: list[_Turn[Asked, Answer]]) -> None:
        try:
            with self._place() as place:
                self._admit(group)
                answers = self._work([turn.asked for turn in group], place)
        except self._common as error:
            self._admit(group)
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - it is raised to whom it belongs
            if len(group) == 1:
                group[0].serve(error)
            else:
                self._serve_each(group)
        else:
            for turn, answer in zip(group, answers, strict=True):
                turn.serve(answer)

    def _serve_each(self, group: Sequence[_Turn[Asked, Answer]]) -> None:
        for number, turn in enumerate(group):
            try:
                with self._place() as place:
                    (answer,) = self._work([turn.asked], place)
            except self._common as error:
                _fail(group[number:], error)
                return
            except Exception as error:  # noqa: BLE001 - it is raised to whom it belongs
                turn.serve(error)
            else:
                turn.serve(answer)

    def _admit(self, group: list[_Turn[Asked, Answer]]) -> None:
        """Take as many of those who wait as the group can bear."""
        if not self._waiting:  # weighing a large one takes its time
            return
        weight = sum(self._weigh(turn.asked) for turn in group)
        with self._mutex:
            while self._waiting:
                weight += self._weigh(self._waiting[0].asked)
                if weight > self._limit:
                    break
                group.append(self._waiting.popleft())

    def _pass_on(self, own: _Turn[Asked, Answer]) -> None:
        """Let the first of those who wait lead, if this one does; the mutex is held."""
        if not own.leads:
            return
        own.leads = False
        if self._waiting:
            following = self._waiting.popleft()
            following.leads = True
            following.woken.release()
        else:
            self._busy = False

    def _leave(self, own: _Turn[Asked, Answer]) -> None:
        with self._mutex:
            if own in self._waiting:
                self._waiting.remove(own)
            self._pass_on(own)


def _fail(group: Sequence[_Turn[Asked, Answer]], error: Exception) -> None:
    """Each gets an error of its own: a traceback grows where its error is raised."""
    group[0].serve(error)
    for turn in group[1:]:
        own = copy.copy(error)
        own.__cause__ = error.__cause__
        turn.serve(own)
