"""Checks of who may import what, read from the source."""

import ast
from collections.abc import Iterable, Iterator, Mapping

from tests.house.sources import ROOMS, Finding, Source

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "schemas": (),
    "domain": ("schemas",),
    "ledger": ("schemas", "domain"),
    "projections": ("schemas", "domain", "ledger"),
    "consumers": ("schemas", "domain", "ledger"),
    "web": ("schemas", "domain", "ledger", "projections"),
    "cli": ("schemas", "domain", "ledger", "projections", "consumers", "web"),
}
"""Room by room, the other rooms that it may import: docs/ARCHITECTURE.md says why."""

LIBRARY_ROOMS: dict[str, tuple[str, ...]] = {
    "kafka": ("consumers",),
    "confluent_kafka": ("consumers",),
    "prometheus_client": ("ledger",),
    "structlog": ("cli", "consumers", "web"),
    "eventsourcing": ("ledger",),
    "psycopg": ("ledger",),
    "psycopg_pool": ("ledger",),
    "click": ("cli",),
    "jinja2": ("cli", "web"),
    "rich": ("cli",),
}
"""Libraries that only some rooms may know; a reader's tracking goes through a store's recorder."""

UNKNOWN_TO_ROOMS = ("tests", "bench")
ENVIRONMENT = ("environ", "environb", "getenv", "getenvb", "putenv", "unsetenv")
CLOCK_AND_CHANCE_MODULES = ("time", "random", "secrets")
CLOCK_AND_CHANCE = {
    "datetime": ("now", "utcnow", "today"),
    "date": ("today",),
    "os": ("urandom", "getrandom"),
    "uuid": ("uuid1", "uuid4"),
}


def imports_of(source: Source) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported anywhere in the file.

    `from a import b` gives both `a` and `a.b`, since b may be a module.
    """
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, source)
            yield node.lineno, origin
            for name in node.names:
                yield node.lineno, f"{origin}.{name.name}"


def _origin(node: ast.ImportFrom, source: Source) -> str:
    if not node.level:
        return node.module or ""
    package = source.module.split(".")
    if not source.path.endswith("__init__.py"):
        package = package[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def roots_of(source: Source) -> set[tuple[int, str]]:
    """(line, first name) of everything imported."""
    return {(line, name.partition(".")[0]) for line, name in imports_of(source)}


def check_rooms(source: Source) -> Iterator[Finding]:
    """A room imports only the rooms below it, and nothing of tests or benchmarks."""
    if source.room not in MAY_IMPORT:
        return
    allowed = {source.room, *MAY_IMPORT[source.room]}
    for line, root in roots_of(source):
        if root in UNKNOWN_TO_ROOMS or (root in ROOMS and root not in allowed):
            may = ", ".join(MAY_IMPORT[source.room]) or "no other room"
            yield source.finding(
                line,
                f"{source.room}/ imports {root}: it may import {may}; "
                f"move the code to where both can reach it, or pass the thing in as an argument",
            )


def check_libraries(source: Source) -> Iterator[Finding]:
    """A library of one room stays in that room."""
    for line, root in roots_of(source):
        rooms = LIBRARY_ROOMS.get(root)
        if rooms is not None and source.room in ROOMS and source.room not in rooms:
            yield source.finding(
                line,
                f"{root} is for {' and '.join(rooms)}/ only: let that room wrap it "
                "and import the wrapping",
            )


def check_environment(source: Source) -> Iterator[Finding]:
    """Environment variables are read in cli/ alone, and come in as arguments elsewhere."""
    if source.room not in ROOMS or source.room == "cli":
        return
    for line, owner, name in _attributes_and_names(source):
        if owner == "os" and name in ENVIRONMENT:
            yield source.finding(
                line, f"os.{name} outside cli/: read it there and pass the value in"
            )


def check_clock_and_chance(source: Source) -> Iterator[Finding]:
    """What gives the same answer every time reads no clock and throws no dice."""
    for line, root in roots_of(source):
        if root in CLOCK_AND_CHANCE_MODULES:
            yield source.finding(line, f"imports {root}: {_INSTEAD}")
    for line, owner, name in _attributes_and_names(source):
        if name in CLOCK_AND_CHANCE.get(owner, ()):
            yield source.finding(line, f"{owner}.{name}: {_INSTEAD}")


_INSTEAD = "no clock and no randomness here; let the caller pass the moment or the id in"


def _attributes_and_names(source: Source) -> Iterator[tuple[int, str, str]]:
    """(line, owner, name) of `owner.name` and of `from owner import name`."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            if isinstance(owner, ast.Name):
                yield node.lineno, owner.id, node.attr
            elif isinstance(owner, ast.Attribute):
                yield node.lineno, owner.attr, node.attr
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                yield node.lineno, node.module, name.name


def unreached(
    sources: Iterable[Source], entry: str, loaded: Mapping[str, object] | Iterable[str]
) -> list[Finding]:
    """Modules that neither the entry, nor what it loads by name, leads to by imports."""
    modules = {source.module: source for source in sources}
    reached: set[str] = set()
    waiting = [entry, *loaded]
    while waiting:
        name = waiting.pop()
        if name in reached or name not in modules:
            continue
        reached.add(name)
        waiting.append(name.rpartition(".")[0])
        waiting.extend(imported for _, imported in imports_of(modules[name]))
    return [
        source.finding(1, f"nothing leads from {entry} to this file: use it or remove it")
        for name, source in modules.items()
        if name not in reached
    ]
