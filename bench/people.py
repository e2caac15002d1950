"""What it costs that customers come under several names."""

import json
from collections.abc import Iterator
from functools import partial
from itertools import islice

from bench.appending import append_sample
from bench.material import THREE_VIEWS, Year, new_ledger, received
from bench.measuring import Line, Note, Result, Run, alternately, compared, rate
from bench.rebuilding import rebuild_rate
from cli.demo_year import benchmark_lines
from ledger.intake import take
from projections.follow import follow

REBUILT, REBUILT_ALONE = "rebuild, a fifth with a cookie, workers: 1", "rebuild, all alone"
FOLLOWED, FOLLOWED_ALONE = "following, a fifth with a cookie", "following, all alone"
ONE_IN = 5
"""Of so many customers, one comes under a cookie as well, with every other touchpoint."""


def compare_people(year: Year, rounds: int, note: Note) -> list[Result]:
    """The same touchpoints, once under one subject each and once under two for some."""
    joined, alone = (_Log(year, name, rounds) for name in ("joined", "alone"))
    following: dict[str, Run] = {FOLLOWED: joined.follow_rate, FOLLOWED_ALONE: alone.follow_rate}
    figures = alternately(following, rounds, note)
    year.place.settle()
    rebuilding: dict[str, Run] = {
        REBUILT: partial(rebuild_rate, joined.ledger, 1),
        REBUILT_ALONE: partial(rebuild_rate, alone.ledger, 1),
    }
    figures |= alternately(rebuilding, rounds, note)
    for log in (joined, alone):
        log.ledger.close()
    return [
        compared(FOLLOWED, FOLLOWED, Line((FOLLOWED_ALONE,)), figures),
        compared(REBUILT, REBUILT, Line((REBUILT_ALONE,)), figures),
    ]


class _Log:
    """A ledger that takes in a sample a round."""

    def __init__(self, year: Year, name: str, rounds: int) -> None:
        self.ledger = new_ledger(year.place.address(name))
        self._sample = append_sample(year.size.touchpoints)
        lines = benchmark_lines(year.size.customers, self._sample * rounds)
        self._lines = with_cookies(lines) if name == "joined" else lines

    def follow_rate(self) -> float:
        lines = list(islice(self._lines, self._sample))
        take(self.ledger, received(lines))
        return rate(len(lines), partial(follow, self.ledger, THREE_VIEWS))


def with_cookies(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Some customers come under a cookie too, which a login has linked to them."""
    seen: dict[str, int] = {}
    for line in lines:
        event = json.loads(line)
        kind, _, number = event["subject"].partition(":")
        if kind != "customer" or not number.isdigit() or int(number) % ONE_IN:
            yield line
            continue
        times = seen[number] = seen.get(number, 0) + 1
        cookie = f"anonymous:{number}"
        if times == 1:
            login = {"id": f"login-{number}", "source": "web", "type": "customer.linked.v1"}
            yield json.dumps(event | login | {"data": {"other": cookie}}).encode()
        yield json.dumps(event | {"subject": cookie}).encode() if times % 2 == 0 else line
