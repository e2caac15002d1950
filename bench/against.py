"""Other event stores on PostgreSQL, by option: message-db and Emmett, out of the npm registry.

Both begin empty, in databases of their own on the same server. Neither is told of duplicates.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import psycopg

from bench.appending import Opponent, in_groups
from bench.measuring import Goal, Line, rate
from bench.places import PostgresPlace
from ledger.record import Record
from tests.servers.npm import node_packages, run_node

MESSAGE_DB, EMMETT = "message-db", "emmett"
NAMES = (MESSAGE_DB, EMMETT)
WANTED = {
    MESSAGE_DB: ("@eventide/message-db@1.3.1",),
    EMMETT: ("@event-driven-io/emmett-postgresql@0.42.0",),
}
PROGRAMS = ("node", "npm")
GOALS = {MESSAGE_DB: Goal(4, 6), EMMETT: Goal(3, 4.5)}
MESSAGES_MAX = 10_000
PIPELINED = (1, 100, 1_000)
EMMETT_GROUPS = (1, 100, 1_000, 5_000)
ALONE_MAX = 2_000
"""How many are appended one by one: that takes longest."""
_SCRIPT = Path(__file__).with_name("emmett.mjs")
_PARTS = ("roles", "schema", "tables", "types", "functions", "indexes")
_WRITE = "SELECT message_store.write_message(%s, %s, %s, %s::jsonb)"

Make = Callable[[PostgresPlace], dict[str, Opponent]]


def missing_programs(names: Sequence[str]) -> str | None:
    """What to tell somebody who has not what these stores need."""
    missing = [program for program in PROGRAMS if names and shutil.which(program) is None]
    if not missing:
        return None
    return f"{' and '.join(missing)} of Node.js cannot be found, which {', '.join(names)} need"


def opponents(names: Iterable[str], place: PostgresPlace) -> tuple[dict[str, Opponent], list[Line]]:
    """Ways to append by name, and for each store that its best way is what counts."""
    ways: dict[str, Opponent] = {}
    lines = []
    for name in names:
        made = MAKE[name](place)
        ways |= made
        lines.append(Line(tuple(made), GOALS[name]))
    return ways, lines


def packages_of(name: str) -> Path:
    """Where a store's packages are in the cache folder; brought there if they are not."""
    return node_packages(name, *WANTED[name])


def message_db(place: PostgresPlace) -> dict[str, Opponent]:
    """write_message, one by one and pipelined, so many in a transaction."""
    database = place.database("message_db")
    _install_functions(database)
    ways = {1: "message-db write_message, one by one"}
    return {
        ways.get(size, f"message-db, transactions of {size:,}, pipelined"): partial(
            _write_rate, database, size
        )
        for size in PIPELINED
    }


def _install_functions(database: str) -> None:
    """What its install.sh does, without its views and rights.

    Without pgcrypto too: the function that it is for has come with PostgreSQL itself since 13.
    """
    folder = packages_of(MESSAGE_DB) / "node_modules" / "@eventide" / "message-db" / "database"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET search_path = message_store, public")
        connection.execute("SET client_min_messages = warning")
        for part in _PARTS:
            for file in sorted((folder / part).glob("*.sql")):
                connection.execute(file.read_bytes())
        connection.execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = message_store, "
            "public', current_database()); END $$"
        )


def _write_rate(database: str, size: int, records: Sequence[Record]) -> float:
    """Messages per second. Ids are new for each way, since the same records come to all."""
    rows = [
        (str(uuid5(NAMESPACE_URL, f"{size}/{r.source}/{r.id}")), f"touchpoint-{r.stream}", r.topic,
         r.state.decode())
        for r in records[: ALONE_MAX if size == 1 else MESSAGES_MAX]
    ]  # fmt: skip
    with psycopg.connect(database, autocommit=True) as connection:
        return rate(len(rows), partial(_write, connection, in_groups(rows, size)))


def _write(
    connection: "psycopg.Connection[tuple[object, ...]]",
    groups: Sequence[Sequence[tuple[str, str, str, str]]],
) -> None:
    for group in groups:
        if len(group) == 1:
            connection.execute(_WRITE, group[0])
            continue
        with connection.pipeline(), connection.transaction():
            for row in group:
                connection.execute(_WRITE, row)


def emmett(place: PostgresPlace) -> dict[str, Opponent]:
    """appendToStream with several sizes of groups, each in a new stream, which suits it best."""
    database = place.database("emmett")
    events = place.folder / "emmett.ndjson"
    packages = packages_of(EMMETT)
    return {
        f"Emmett appendToStream, groups of {size:,}": partial(
            _emmett_rate, packages, database, events, size
        )
        for size in EMMETT_GROUPS
    }


def _emmett_rate(
    packages: Path, database: str, events: Path, size: int, records: Sequence[Record]
) -> float:
    with events.open("w") as file:
        for record in records[: ALONE_MAX if size == 1 else MESSAGES_MAX]:
            data = json.loads(record.state)
            file.write(json.dumps({"type": record.topic, "data": data}) + "\n")
    return float(run_node(_SCRIPT, str(packages), database, str(events), str(size)))


MAKE: dict[str, Make] = {MESSAGE_DB: message_db, EMMETT: emmett}
