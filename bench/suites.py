"""All comparisons on one store, in the order in which they are made."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bench import against, stock, stock_postgres
from bench.appending import appended_later, compare_append
from bench.callers import called_later, compare_callers
from bench.copying import PACKING, PACKING_GOAL, PREPARED, copy_table_of
from bench.encryption import compare_encryption
from bench.http import compare_http, sent_later
from bench.kafka import KAFKA_GOAL, compare_kafka, consumed_later
from bench.load import compare_load, loaded_later
from bench.material import Size, Year
from bench.measuring import NO_GOAL, Line, Note, Result
from bench.memory import PROCESSES, compare_memory
from bench.people import compare_people
from bench.places import Place, PostgresPlace, SQLitePlace
from bench.rebuilding import MakeLoops, compare_following, compare_rebuild, follow_sample
from bench.replaying import compare_replay
from bench.sealing import compare_seals, sealed_later
from bench.stock import APPEND_LINES, loops_on_file, stock_file_of
from bench.stock_postgres import INSERTING_GOAL, stock_table_of
from bench.stock_runner import runner_on_server

REBUILD, MEMORY, FOLLOW, APPEND = "rebuild", "memory", "follow", "append"
CALLERS, LOAD, KAFKA = "callers", "load", "kafka"
HTTP, ENCRYPTION, PEOPLE, SEALS = "http", "encryption", "people", "seals"
REPLAY = "replay"
NAMES = (
    REBUILD, REPLAY, MEMORY, FOLLOW, APPEND, CALLERS, LOAD, KAFKA, HTTP, ENCRYPTION, PEOPLE, SEALS,
)  # fmt: skip
POSTGRES_ONLY = frozenset((CALLERS,))
LATER: dict[str, Callable[[int], int]] = {
    FOLLOW: follow_sample,
    APPEND: appended_later,
    SEALS: sealed_later,
    CALLERS: called_later,
    LOAD: loaded_later,
    KAFKA: consumed_later,
    HTTP: sent_later,
}
"""How many lines behind a log of a given length each round of a comparison takes in."""


@dataclass(frozen=True)
class Asked:
    """Which comparisons, with how many workers where that matters, and how often each."""

    names: frozenset[str]
    workers: Sequence[int]
    rounds: int

    def later(self, touchpoints: int) -> int:
        """How many lines all rounds together take from the year behind its log."""
        return self.rounds * sum(LATER[n](touchpoints) for n in self.names if n in LATER)


class Suite(Protocol):
    """What can be measured on one kind of store."""

    @property
    def place(self) -> Place: ...

    def measure(self, size: Size, asked: Asked, note: Note) -> list[Result]:
        """Everything that is asked for."""


@dataclass(frozen=True)
class SQLiteSuite:
    """Against the library on a file of its own."""

    place: SQLitePlace

    def measure(self, size: Size, asked: Asked, note: Note) -> list[Result]:
        with _year(self.place, size, asked, note) as year:
            results = _views(year, loops_on_file, asked, True, note)
            if APPEND in asked.names:
                results += self._append(year, asked, note)
            if REPLAY in asked.names:
                results += compare_replay(year, asked.workers, asked.rounds, note)
            if SEALS in asked.names:
                results += compare_seals(year, asked.workers, asked.rounds, note)
            if LOAD in asked.names:
                results += compare_load(year, asked.rounds, note)
            if KAFKA in asked.names:
                results += compare_kafka(year, NO_GOAL, asked.rounds, note)
            if HTTP in asked.names:
                results += compare_http(year, asked.rounds, note)
            return results

    def _append(self, year: Year, asked: Asked, note: Note) -> list[Result]:
        note(f"filling the stock table with the same {year.size.touchpoints:,} touchpoints")
        file = stock_file_of(
            year.ledger, year.size.touchpoints, self.place.folder / "append.db", "FULL"
        )
        opponents = {stock.INSERTING: file.inserting_rate}
        results = compare_append(year, opponents, APPEND_LINES, asked.rounds, note)
        file.close()
        return results


@dataclass(frozen=True)
class PostgresSuite:
    """Against the library, binary COPY and other event stores, on the same server."""

    place: PostgresPlace
    others: Sequence[str] = ()

    def measure(self, size: Size, asked: Asked, note: Note) -> list[Result]:
        with _year(self.place, size, asked, note) as year:
            runner: MakeLoops = partial(runner_on_server, place=self.place)
            results = _views(year, runner, asked, False, note)
            if APPEND in asked.names:
                results += self._append(year, asked, note)
            if REPLAY in asked.names:
                results += compare_replay(year, asked.workers, asked.rounds, note)
            if SEALS in asked.names:
                results += compare_seals(year, asked.workers, asked.rounds, note)
            if CALLERS in asked.names:
                results += compare_callers(year, self.place, asked.rounds, note)
            if LOAD in asked.names:
                results += compare_load(year, asked.rounds, note)
            if KAFKA in asked.names:
                results += compare_kafka(year, KAFKA_GOAL, asked.rounds, note)
            if HTTP in asked.names:
                results += compare_http(year, asked.rounds, note)
            return results

    def _append(self, year: Year, asked: Asked, note: Note) -> list[Result]:
        with ExitStack() as stack:
            note(f"filling stock's table and that for COPY with the log of {year.size}")
            table = stack.enter_context(stock_table_of(year, self.place))
            copied = stack.enter_context(copy_table_of(year, self.place))
            others, their_lines = against.opponents(self.others, self.place)
            self.place.settle()
            opponents = {
                stock_postgres.INSERTING: table.inserting_rate,
                PACKING: copied.packing_rate,
                PREPARED: copied.prepared_rate,
                **others,
            }
            lines = [
                Line((stock_postgres.INSERTING,), INSERTING_GOAL),
                Line((PACKING,), PACKING_GOAL),
                Line((PREPARED,)),
                *their_lines,
            ]
            return compare_append(year, opponents, lines, asked.rounds, note)


@contextmanager
def _year(place: Place, size: Size, asked: Asked, note: Note) -> Iterator[Year]:
    year = Year(place, "year", size, asked.later(size.touchpoints), note)
    try:
        yield year
    finally:
        year.close()


def _views(
    year: Year, make_loops: MakeLoops, asked: Asked, mapped: bool, note: Note
) -> list[Result]:
    """The comparisons that both stores make in the same way, with loops of their own."""
    results: list[Result] = []
    if REBUILD in asked.names:
        results += compare_rebuild(year, make_loops, asked.workers, asked.rounds, note)
    if MEMORY in asked.names and PROCESSES.is_dir():
        small = Year(year.place, "small", year.size.tenth(), 0, note)
        results += compare_memory(small, year, asked.workers, mapped, note)
        small.close()
    if FOLLOW in asked.names:
        results += compare_following(year, make_loops, asked.rounds, note)
    if ENCRYPTION in asked.names:
        results += compare_encryption(year, asked.rounds, note)
    if PEOPLE in asked.names:
        results += compare_people(year, asked.rounds, note)
    return results
