"""Versions of a ledger's schema: numbered SQL scripts, and what it means to be behind or ahead."""

from importlib.resources import files
from typing import NamedTuple

from ledger.errors import SchemaMismatch


class Migration(NamedTuple):
    """One step of a schema: its number, which is the version it leads to, and its script."""

    number: int
    sql: str


def migrations_in(package: str) -> tuple[Migration, ...]:
    """The numbered scripts in the folder `migrations` of a package, in order."""
    folder = files(package).joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(
        Migration(int(name[:3]), folder.joinpath(name).read_text("utf-8")) for name in names
    )


def newest_of(migrations: tuple[Migration, ...]) -> int:
    """The version that a schema has after the last of these."""
    return migrations[-1].number


def check_not_newer(there: int, newest: int) -> None:
    """Raises SchemaMismatch when the ledger was made by a newer version of Touchstone."""
    if there > newest:
        raise SchemaMismatch(
            f"the ledger's schema is version {there}, this Touchstone's is {newest}: "
            "upgrade Touchstone"
        )


def check_version(there: int, newest: int) -> None:
    """Raises SchemaMismatch unless the ledger's schema is the one that this code works with."""
    check_not_newer(there, newest)
    if there != newest:
        raise SchemaMismatch(
            f"the ledger's schema is version {there}, this Touchstone's is {newest}: "
            "`touchstone init` upgrades it"
        )
