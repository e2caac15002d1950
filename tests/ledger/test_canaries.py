"""Canaries: what is personal is planted everywhere, and then looked for in every byte on disk."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from ledger.address import Address
from ledger.intake import append
from ledger.ledger import Ledger, open_ledger
from ledger.log import Quarantined
from ledger.postgres.address import PostgresAddress
from ledger.quarantine import Received
from ledger.sqlite.address import SQLiteAddress
from projections.follow import follow
from projections.registry import PROJECTIONS
from schemas.door import TOUCHPOINT_BYTES_MAX, Refused, parse
from schemas.personal_fields import Path as FieldPath
from schemas.personal_fields import personal_fields, subject_fields
from schemas.registry import TOUCHPOINTS
from schemas.touchpoint import Touchpoint
from tests.ledger.conftest import SetClock
from tests.ledger.sending import Event, line, order, send, waiting
from tests.places import NAME, contents
from tests.schemas.checking import event as minimal_event

CANARIES_MIN = 50


class Aviary:
    """Hands out canaries: words that stand nowhere but where they were planted."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.planted: list[str] = []

    def word(self) -> str:
        self.planted.append(f"qzcanary{next(self._numbers):03}x")
        return self.planted[-1]

    def phone(self) -> str:
        self.planted.append(f"39333{7_000_000 + next(self._numbers)}")
        return f"+{self.planted[-1]}"


@pytest.fixture
def aviary() -> Aviary:
    return Aviary()


def placed(event: Event, path: FieldPath, value: Any) -> Event:
    """A copy of the event with a value at a path of its data."""
    copy: Event = json.loads(json.dumps(event))
    here = copy["data"]
    for name in path[:-1]:
        here = here.setdefault(name, {})
    here[path[-1]] = value
    return copy


def accepts(event: Event) -> bool:
    try:
        parse(line(event))
    except Refused:
        return False
    return True


def with_canary(event: Event, path: FieldPath, aviary: Aviary) -> Event:
    """A canary at the path, as a text or in a map; a birth year has no room for one."""
    word = aviary.word()
    for value in (word, {"note": word}):
        if accepts(changed := placed(event, path, value)):
            return changed
    aviary.planted.remove(word)
    return placed(event, path, 1987)


def described_by_canaries(aviary: Aviary) -> Iterator[Event]:
    """One touchpoint of each type, with a canary in each of its personal fields and subjects."""
    for number, cls in enumerate(TOUCHPOINTS):
        yield filled(cls, number, aviary)


def filled(cls: type[Touchpoint], number: int, aviary: Aviary) -> Event:
    event = minimal_event(cls.TYPE, id=f"canary-{number}")
    for field in personal_fields(cls):
        event = with_canary(event, field.path, aviary)
    for path in subject_fields(cls):
        event = placed(event, path, f"email:{aviary.word()}@example.com")
    return event


def awkward(aviary: Aviary) -> Iterator[bytes]:
    """What is refused, with canaries in it."""
    said = {"traits": {"name": aviary.word()}}
    yield line(order("refused-1", type="customer.described.v2", data=said))
    yield line(order("refused-2", type="customer.described.v1", data=said, time="yesterday"))
    yield line(order("refused-3", data={"order_id": "A1", "total": aviary.word()}))
    yield line(order("refused-4", subject=f"email:{aviary.word()}"))
    yield line(order("refused-5", subject=f"{aviary.word()} is no subject"))
    yield line(order("refused-6", type="consent.granted.v1",
                     data={"channel": aviary.word(), "purpose": "marketing"}))  # fmt: skip
    yield line(order("refused-7", time=f"2026-13-45 {aviary.word()}"))
    yield line(order("refused-8", sequence=aviary.word()))
    yield line(order("refused-9", type="survey.answered.v1",
                     data={"survey_id": "S", "kind": "nps", "score": aviary.word()}))  # fmt: skip
    yield line(order("refused-10", shade={"of": aviary.word()}))
    yield f'{{"specversion": "{aviary.word()}'.encode()
    yield b'{"data": "\xff' + aviary.word().encode()
    yield aviary.word().encode() * (TOUCHPOINT_BYTES_MAX // 12 + 1)


KEPT = {
    SQLiteAddress: {NAME, f"{NAME}.keys", f"{NAME}.keyring"},
    PostgresAddress: {"stored_events", "quarantine_parts", "subject_keys", f"{NAME}.keys"},
}
"""Some of what a ledger consists of: the search must have come across it."""


def assert_nowhere(canaries: list[str], address: Address) -> None:
    names = set()
    for name, content in contents(address):
        names.add(name)
        lowered = content.lower()
        found = [canary for canary in canaries if canary.encode() in lowered]
        assert not found, f"{name} holds {found}"
    assert names >= KEPT[type(address)]


def test_no_canary_is_in_any_file_of_the_ledger_nor_in_any_error(
    address: Address, clock: SetClock, aviary: Aviary
) -> None:
    with open_ledger(address, clock) as ledger:
        receipt, _ = send(ledger, *described_by_canaries(aviary))
        assert receipt.recorded == len(TOUCHPOINTS)
        receipt, outcomes = send(
            ledger,
            order("s1", subject=f"email:{aviary.word()}@example.com"),
            order("s2", subject=f"phone:{aviary.phone()}"),
            order("s3", tenant=aviary.word()),
            *awkward(aviary),
        )
        assert (receipt.recorded, receipt.quarantined) == (3, 13)
        _contradict(ledger, aviary)
        _refuse_a_row(ledger, aviary)
        follow(ledger, PROJECTIONS)
        assert len(aviary.planted) >= CANARIES_MIN
        assert_nowhere(aviary.planted, address)
        told = [str(o.refused) for o in outcomes if isinstance(o, Quarantined)]
        told += [repr(entry) for entry in waiting(ledger)]
    assert_nowhere(aviary.planted, address)
    assert not [c for c in aviary.planted for text in told if c in text.lower()]


def _contradict(ledger: Ledger, aviary: Aviary) -> None:
    """Something else under an id that is known: a conflict, kept whole."""
    changed = order("s1", subject=f"email:{aviary.word()}@example.com")
    receipt, _ = send(ledger, changed)
    assert receipt.conflict == 1


def _refuse_a_row(ledger: Ledger, aviary: Aviary) -> None:
    """A row of an import that gives no touchpoint."""
    row = Received(f"7;{aviary.word()};x".encode(), "import", {"file": "rows.csv", "row": 7})
    receipt, _ = append(ledger, [(row, Refused("row", "total", "not a number"))])
    assert receipt.quarantined == 1


def test_a_canary_in_a_field_that_is_not_personal_would_be_found(
    ledger: Ledger, address: Address, aviary: Aviary
) -> None:
    send(ledger, order(id_=aviary.word()))
    with pytest.raises(AssertionError, match="holds"):
        assert_nowhere(aviary.planted, address)
