"""The rooms of the house: who may import whom, and that nothing stands about unused."""

from collections.abc import Callable, Iterator

import pytest

from cli.main import COMMANDS
from consumers.client import CLIENTS
from tests.house.import_checks import (
    MAY_IMPORT,
    check_clock_and_chance,
    check_environment,
    check_libraries,
    check_rooms,
    unreached,
)
from tests.house.sources import ROOMS, Finding, Source, room_files, told

ENTRY = "cli.main"
PURE_ROOMS = ("schemas", "domain")
PURE_PROJECTIONS = ("fold", "refolding", "view", "registry", "persons")
"""What of projections/ folds or states views; the rest of it is the engine, which may measure."""


def is_pure(source: Source) -> bool:
    """Whether the same facts must always give the same answer here."""
    if source.room in PURE_ROOMS:
        return True
    if source.room != "projections":
        return False
    states_a_view = " = View(" in source.text
    return states_a_view or source.module.rpartition(".")[2] in PURE_PROJECTIONS


def check_pure(source: Source) -> Iterator[Finding]:
    return check_clock_and_chance(source) if is_pure(source) else iter(())


@pytest.mark.parametrize("check", [check_rooms, check_libraries, check_environment, check_pure])
def test_every_file_keeps_to_its_room(check: Callable[[Source], Iterator[Finding]]) -> None:
    found = [finding for source in room_files() for finding in check(source)]
    assert not found, told(found)


def test_every_room_has_its_row_in_the_table() -> None:
    assert tuple(MAY_IMPORT) == ROOMS


def test_no_two_rooms_import_each_other() -> None:
    for room, below in MAY_IMPORT.items():
        for other in below:
            assert room not in MAY_IMPORT[other]


def test_the_command_line_leads_to_every_file() -> None:
    loaded = [module for module, _ in (*COMMANDS.values(), *CLIENTS.values())]
    found = unreached(room_files(), ENTRY, loaded)
    assert not found, told(found)


def test_views_are_recognised_as_pure() -> None:
    pure = {source.path for source in room_files() if is_pure(source)}
    assert {"projections/tickets.py", "projections/fold.py", "domain/lots.py"} <= pure
    assert "projections/rebuild.py" not in pure


@pytest.mark.parametrize(
    ("check", "path", "text", "blames"),
    [
        (check_rooms, "schemas/a.py", "from domain.lots import Lot", "imports domain"),
        (check_rooms, "domain/a.py", "def f():\n    import ledger.log", "imports ledger"),
        (check_rooms, "projections/a.py", "import cli.main as m", "imports cli"),
        (check_rooms, "consumers/a.py", "from web import pages", "imports web"),
        (check_rooms, "cli/a.py", "from tests.domain import story", "imports tests"),
        (check_rooms, "ledger/a.py", "from bench import x", "imports bench"),
        (check_libraries, "ledger/a.py", "import kafka", "consumers/ only"),
        (check_libraries, "projections/a.py", "from eventsourcing.sqlite import X", "ledger/ only"),
        (check_libraries, "domain/a.py", "import click", "cli/ only"),
        (check_environment, "ledger/a.py", "import os\nos.environ['X']", "os.environ outside"),
        (check_environment, "ledger/a.py", "from os import getenv", "os.getenv outside"),
        (check_clock_and_chance, "domain/a.py", "import time", "imports time"),
        (check_clock_and_chance, "domain/a.py", "import random", "imports random"),
        (check_clock_and_chance, "domain/a.py", "datetime.now(UTC)", "datetime.now"),
        (check_clock_and_chance, "domain/a.py", "import datetime as d\nd.date.today()", "today"),
        (check_clock_and_chance, "domain/a.py", "from os import urandom", "os.urandom"),
        (check_clock_and_chance, "domain/a.py", "from uuid import uuid4", "uuid.uuid4"),
    ],
)
def test_what_leaves_its_room_is_blamed_with_file_and_line(
    check: Callable[[Source], Iterator[Finding]], path: str, text: str, blames: str
) -> None:
    (found, *_) = check(Source(path, text))
    assert blames in str(found)
    assert str(found).startswith(f"{path}:{found.line}: ")


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (check_rooms, "cli/a.py", "import schemas.money, domain.lots, ledger.log"),
        (check_rooms, "schemas/a.py", "from . import money"),
        (check_rooms, "tests/a.py", "from cli.main import run"),
        (check_libraries, "ledger/a.py", "import eventsourcing.sqlite"),
        (check_libraries, "tests/a.py", "import click"),
        (check_environment, "cli/a.py", "import os\nos.environ['X']"),
        (check_environment, "ledger/a.py", "import os\nos.urandom(8)"),
        (check_clock_and_chance, "domain/a.py", "from datetime import time\ntime.min"),
        (check_clock_and_chance, "schemas/a.py", "from uuid import uuid5"),
    ],
)
def test_what_stays_in_its_room_is_not_blamed(
    check: Callable[[Source], Iterator[Finding]], path: str, text: str
) -> None:
    assert not list(check(Source(path, text)))


def test_a_relative_import_is_read_like_any_other() -> None:
    (found,) = check_rooms(Source("domain/sub/a.py", "from ...ledger import log"))
    assert "imports ledger" in found.message


def test_a_file_that_nothing_leads_to_is_found() -> None:
    house = [
        Source("cli/__init__.py", ""),
        Source("cli/main.py", "def f():\n    from cli import used"),
        Source("cli/used.py", ""),
        Source("cli/named.py", "import cli.inner"),
        Source("cli/inner.py", ""),
        Source("cli/dead.py", "import cli.used"),
    ]
    assert [f.path for f in unreached(house, "cli.main", ["cli.named"])] == ["cli/dead.py"]
