"""Real ledgers for tests of the engine: made in no time, and filled with known records."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from domain.occurred import Occurred
from ledger.ledger import Ledger, create_ledger, open_ledger, parse_url
from ledger.log import Submission
from ledger.quarantine import Received
from ledger.receipt import Receipt
from ledger.record import Record, records_of
from projections import generations, parking
from projections.fold import Row
from projections.view import View
from schemas.envelope import Envelope
from schemas.replay import decode
from schemas.touchpoint import Touchpoint

NAME = "touchstone.db"
SECOND = 1_000_000
RECORDING_STARTS = 1_800_000_000 * SECOND
"""Long after anything in a test occurred (microseconds since 1970)."""


@dataclass
class Clock:
    """A clock that goes on by a second whenever it is read, and can be set."""

    now: int = RECORDING_STARTS

    def __call__(self) -> int:
        self.now += SECOND
        return self.now


@dataclass
class Workshop:
    """Makes ledgers that share their keys, so that equal records have equal bytes in all."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        create_ledger(parse_url(f"sqlite:///{self.folder}/template/{NAME}"))

    def copied(self) -> Path:
        """The folder of a new, empty ledger."""
        place = self.folder / str(next(self.numbers))
        shutil.copytree(self.folder / "template", place)
        return place

    @contextmanager
    def ledger(self, clock: Clock | None = None) -> Iterator[Ledger]:
        """A new, empty ledger, gone afterwards."""
        place = self.copied()
        try:
            with opened(place, clock) as ledger:
                yield ledger
        finally:
            shutil.rmtree(place)

    def records(self, envelopes: Sequence[Envelope[Touchpoint]]) -> list[Record]:
        """What the ledgers of this workshop store of these touchpoints."""
        with self.ledger() as ledger:
            made = records_of(envelopes, ledger.vault)
        assert all(isinstance(record, Record) for record in made)
        return [record for record in made if isinstance(record, Record)]


def opened(folder: Path, clock: Clock | None = None) -> Ledger:
    return open_ledger(parse_url(f"sqlite:///{folder}/{NAME}"), clock or Clock())


def record(ledger: Ledger, records: Iterable[Record]) -> Receipt:
    """Append records as one group, in their order."""
    group = [Submission(Received(made.state, "test"), made) for made in records]
    return ledger.log.append(group).receipt


def tell(ledger: Ledger, *facts: Occurred) -> Receipt:
    """Append touchpoints (envelopes) as one group, in their order."""
    envelopes = [fact for fact in facts if isinstance(fact, Envelope)]
    assert len(envelopes) == len(facts)
    made = records_of(envelopes, ledger.vault)
    receipt = record(ledger, [m for m in made if isinstance(m, Record)])
    assert receipt.recorded + receipt.duplicate == len(facts), "two facts of the test share an id"
    return receipt


def changed(fact: Any, **fields: Any) -> Any:
    """The same touchpoint with some of its envelope changed."""
    return msgspec.structs.replace(fact, **fields)


def logged(ledger: Ledger, until: int | None = None) -> list[Envelope[Touchpoint]]:
    """All touchpoints of a ledger, in the order of their recording."""
    head = ledger.log.head().position if until is None else until
    if not head:
        return []
    return [decode(s.topic, s.state) for s in ledger.log.page(0, head, until)]


def rows_of(ledger: Ledger, view: View) -> dict[str, Row]:
    """The live table of a view, without its parked keys, whose rows are known to be stale."""
    with ledger.store.cursor() as cursor:
        live = generations.live(view.name, cursor)
        if live is None:
            return {}
        rows = cursor.execute(f"SELECT key, last, streams, state FROM {live.table}").fetchall()
        waiting = parking.parked(live, cursor)
    found = {row[0]: Row(*row) for row in rows if row[0] not in waiting}
    assert len(found) == sum(row[0] not in waiting for row in rows), "a key has several rows"
    return found


def position_of(ledger: Ledger, view: View) -> int:
    """How far the live table of a view is folded; 0 when there is none."""
    with ledger.store.cursor() as cursor:
        live = generations.live(view.name, cursor)
    return live.position if live else 0


def dump(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that the engine keeps in the file, by table: to see that nothing changed."""
    with ledger.store.cursor() as cursor:
        names = [
            name
            for (name,) in cursor.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'stored%'"
            ).fetchall()
        ]
        return {
            name: sorted(cursor.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in names
        }


def state_in(row: Row, view: View) -> Any:
    return msgspec.json.decode(row.state, type=view.state)
