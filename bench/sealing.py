"""Seals: what they cost whoever appends, and how fast the log is verified against them."""

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.synchronize import Event

from bench.appending import GROUP_TOUCHPOINTS, append_sample, in_groups
from bench.material import Year, received
from bench.measuring import Goal, Line, Note, Result, Run, alternately, compared, rate
from ledger.address import Address
from ledger.ledger import open_ledger
from ledger.log import Submission
from ledger.seals.sealing import seal
from ledger.seals.verifying import verify_log

PAUSE_SECONDS = 0.5
"""Between two seals: far more often than anybody needs one."""
PAGE_TOUCHPOINTS = 1_000
PLAIN = "append, groups of 1,000, nobody seals"
SEALED = "the same while another process seals twice a second"
READING = "reading the same rows in pages of 1,000"
SEALING_GOAL = Goal(0.9)
VERIFYING_GOAL = Goal(0.5)
PATIENCE_SECONDS = 120
_ROWS = """
SELECT * FROM stored_events
WHERE notification_id > ? AND notification_id <= ? ORDER BY notification_id
"""


def verifying_with(workers: int) -> str:
    """What verifying the log is called in the report."""
    return f"verifying the log, workers: {workers}"


def sealed_later(touchpoints: int) -> int:
    """How many lines a round takes from the year."""
    return 2 * append_sample(touchpoints)


def compare_seals(year: Year, workers: Sequence[int], rounds: int, note: Note) -> list[Result]:
    """Appending with and without seals; then the whole log, verified and just read."""
    note("sealing the log")
    seal(year.ledger)
    ways: dict[str, Run] = {
        PLAIN: partial(_append_rate, year),
        SEALED: partial(_sealed_rate, year),
        READING: partial(_reading_rate, year),
    }
    ways |= {verifying_with(n): partial(_verifying_rate, year, n) for n in workers}
    figures = alternately(ways, rounds, note)
    return [
        compared(SEALED, SEALED, Line((PLAIN,), SEALING_GOAL), figures),
        *(
            compared(
                verifying_with(n), verifying_with(n), Line((READING,), VERIFYING_GOAL), figures
            )
            for n in workers
        ),
    ]


def _append_rate(year: Year) -> float:
    groups = _prepared(year)

    def append() -> None:
        for group in groups:
            year.ledger.log.append(group)

    return rate(sum(map(len, groups)), append)


def _sealed_rate(year: Year) -> float:
    with _sealer(year.ledger.address):
        return _append_rate(year)


def _prepared(year: Year) -> list[list[Submission]]:
    lines = year.next_lines(append_sample(year.size.touchpoints))
    submissions = list(map(Submission, received(lines), year.records_of(lines)))
    return in_groups(submissions, GROUP_TOUCHPOINTS)


@contextmanager
def _sealer(address: Address) -> Iterator[None]:
    """Another process that seals, over and over. Raises RuntimeError when it has failed."""
    context = multiprocessing.get_context("spawn")
    ready, enough = context.Event(), context.Event()
    process = context.Process(target=_seal_on, args=(address, ready, enough))
    process.start()
    try:
        if not ready.wait(PATIENCE_SECONDS):
            raise RuntimeError("the process that seals did not begin")
        yield
    finally:
        enough.set()
        process.join()
    if process.exitcode:
        raise RuntimeError(f"the process that seals has failed ({process.exitcode})")


def _seal_on(address: Address, ready: Event, enough: Event) -> None:
    with open_ledger(address) as ledger:
        seal(ledger)
        ready.set()
        while not enough.wait(PAUSE_SECONDS):
            seal(ledger)


def _reading_rate(year: Year) -> float:
    """All columns: a leaf is made of them."""
    end = year.ledger.log.head().position

    def read() -> None:
        for after in range(0, end, PAGE_TOUCHPOINTS):
            with year.ledger.store.cursor() as cursor:
                cursor.execute(_ROWS, (after, after + PAGE_TOUCHPOINTS)).fetchall()

    return rate(end, read)


def _verifying_rate(year: Year, workers: int) -> float:
    seal(year.ledger)
    end = year.ledger.log.head().position

    def verify() -> None:
        found = verify_log(year.ledger, workers=workers)
        if not found.ok:
            raise RuntimeError(f"the log should be as it was sealed: {found.reason}")

    return rate(end, verify)
