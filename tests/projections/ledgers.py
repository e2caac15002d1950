"""Real ledgers for tests of the engine: made in no time, and filled with known records."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, settings

from domain.occurred import Occurred
from ledger.address import Address
from ledger.ledger import Ledger, open_ledger
from ledger.log import Submission
from ledger.quarantine import Received
from ledger.receipt import Receipt
from ledger.record import Record, records_of
from ledger.sqlite.address import SQLiteAddress
from projections import generations, parking
from projections.fold import Row
from projections.view import View
from schemas.envelope import Envelope
from schemas.replay import decode
from schemas.touchpoint import Touchpoint
from tests.places import Places, a_place

PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
"""All but explaining, which takes minutes where every example makes a ledger."""
SERVER_SHARE = 8
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

    places: Places

    @contextmanager
    def ledger(self, clock: Clock | None = None) -> Iterator[Ledger]:
        """A new, empty ledger, gone afterwards."""
        with a_place(self.places) as address, opened(address, clock) as ledger:
            yield ledger

    @property
    def is_quick(self) -> bool:
        """Whether a ledger costs so little that every law can be tried often."""
        return self.places.kind == "sqlite"

    def examples(self, count: int) -> settings:
        """How a law is tried, with so many examples; fewer on a server, which takes longer."""
        return settings(
            deadline=None,
            max_examples=count if self.is_quick else count // SERVER_SHARE,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        )

    def records(self, envelopes: Sequence[Envelope[Touchpoint]]) -> list[Record]:
        """What the ledgers of this workshop store of these touchpoints."""
        with self.ledger() as ledger:
            made = records_of(envelopes, ledger.vault)
        assert all(isinstance(record, Record) for record in made)
        return [record for record in made if isinstance(record, Record)]


def opened(address: Address, clock: Callable[[], int] | None = None) -> Ledger:
    return open_ledger(address, clock or Clock())


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


def table_names(ledger: Ledger) -> list[str]:
    """The tables of a ledger."""
    with ledger.store.cursor() as cursor:
        rows = cursor.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table'"
            if isinstance(ledger.address, SQLiteAddress)
            else "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchall()
    return [name for (name,) in rows]


def dump(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that the engine keeps, by table: to see that nothing changed."""
    with ledger.store.cursor() as cursor:
        return {
            name: sorted(cursor.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in table_names(ledger)
            if name != "stored_events"
        }


def state_in(row: Row, view: View) -> Any:
    return msgspec.json.decode(row.state, type=view.state)
