"""What goes wrong between services and a ledger: repetitions, conflicts and broken lines."""

from collections.abc import Iterator
from random import Random

import msgspec

REPEATED_SHARE = 0.005
REPEATED_AFTER_LINES = (1, 5, 40, 600)
CONFLICTS = 2
CONFLICT_AFTER_LINES = 25

_ORDER = b'"type":"order.completed.v1"'


def with_mishaps(lines: Iterator[bytes], expected: int, rng: Random) -> Iterator[bytes]:
    """The same lines, some of them repeated, two contradicted later, and seven broken ones.

    `expected` is about how many lines will come; the accidents are spread over them.
    """
    return _with_broken(_with_conflicts(with_repetitions(lines, rng), expected), expected)


def with_repetitions(lines: Iterator[bytes], rng: Random) -> Iterator[bytes]:
    """A sender who got no answer sends again: the same bytes, some lines later."""
    due: dict[int, list[bytes]] = {}
    chance = rng.random
    for number, line in enumerate(lines):
        yield line
        if chance() < REPEATED_SHARE:
            due.setdefault(number + rng.choice(REPEATED_AFTER_LINES), []).append(line)
        if number in due:
            yield from due.pop(number)
    for number in sorted(due):
        yield from due[number]


def _with_conflicts(lines: Iterator[bytes], expected: int) -> Iterator[bytes]:
    """Two orders come a second time under the same id with another total."""
    awaited = [expected * (turn + 1) // (CONFLICTS + 2) for turn in range(CONFLICTS)]
    due: dict[int, bytes] = {}
    number = 0
    for number, line in enumerate(lines):
        yield line
        if awaited and number >= awaited[0] and _ORDER in line:
            awaited.pop(0)
            due[number + CONFLICT_AFTER_LINES] = contradicted(line)
        if number in due:
            yield due.pop(number)
    yield from due.values()


def contradicted(order: bytes) -> bytes:
    """The same order under the same id, with another total."""
    line = msgspec.json.decode(order)
    whole, _, cents = line["data"]["total"]["amount"].partition(".")
    line["data"]["total"]["amount"] = f"{int(whole) + 1}.{cents}"
    return msgspec.json.encode(line)


def _with_broken(lines: Iterator[bytes], expected: int) -> Iterator[bytes]:
    """The broken lines, evenly among the others; all of them, however many others come."""
    step = max(1, expected // (len(BROKEN_LINES) + 1))
    waiting = list(BROKEN_LINES)
    for number, line in enumerate(lines, start=1):
        yield line
        if waiting and number % step == 0:
            yield waiting.pop(0)
    yield from waiting


def _broken(line_id: str, kind: str, time: str, data: str) -> bytes:
    return (
        f'{{"specversion":"1.0","id":"{line_id}","source":"shop","type":"{kind}",'
        f'"subject":"customer:1","time":"{time}","data":{data}}}'
    ).encode()


_TIME = "2025-01-05T10:00:00Z"
_PAID = '"total":{"amount":"12.50","currency":"EUR"}'

TRUNCATED = _broken("broken-1", "order.completed.v1", _TIME, f'{{"order_id":"Z1",{_PAID}}}')[:-25]
UNKNOWN_TYPE = _broken("broken-2", "order.complete.v1", _TIME, f'{{"order_id":"Z2",{_PAID}}}')
FIELD_MISSING = _broken("broken-3", "order.completed.v1", _TIME, '{"order_id":"Z3"}')
MONEY_AS_NUMBER = _broken(
    "broken-4",
    "order.completed.v1",
    _TIME,
    '{"order_id":"Z4","total":{"amount":12.5,"currency":"EUR"}}',
)
NAIVE_TIME = _broken(
    "broken-5", "order.completed.v1", _TIME.removesuffix("Z"), f'{{"order_id":"Z5",{_PAID}}}'
)
UNKNOWN_FIELD = _broken(
    "broken-6", "order.completed.v1", _TIME, f'{{"order_id":"Z6",{_PAID},"colour":"red"}}'
)
INVALID_UTF8 = _broken(
    "broken-7", "order.cancelled.v1", _TIME, '{"order_id":"Z7","reason":"trop tard, d@sol@"}'
).replace(b"@", b"\xe9")

BROKEN_LINES = (
    TRUNCATED,
    UNKNOWN_TYPE,
    FIELD_MISSING,
    MONEY_AS_NUMBER,
    NAIVE_TIME,
    UNKNOWN_FIELD,
    INVALID_UTF8,
)
"""One of each way in which a line is refused."""
