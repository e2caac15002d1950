"""What pip installs is whole: every file that the code reads is a part of its package."""

import tomllib
from fnmatch import fnmatch
from pathlib import PurePosixPath

from tests.house.sources import ROOMS, ROOT, files

SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
DATA: dict[str, list[str]] = SETUPTOOLS["package-data"]


def _room_paths() -> list[PurePosixPath]:
    paths = [PurePosixPath(source.path) for source in files()]
    return [path for path in paths if len(path.parts) > 1 and path.parts[0] in ROOMS]


PACKAGES = {path.parent for path in _room_paths() if path.name == "__init__.py"}


def _installed(path: PurePosixPath) -> bool:
    """Whether a package that the file is in names it among its data."""
    return any(
        fnmatch(str(path.relative_to(package)), pattern)
        for package in PACKAGES.intersection(path.parents)
        for pattern in DATA.get(".".join(package.parts), ())
    )


def test_every_file_of_a_package_that_is_no_python_is_installed_with_it() -> None:
    others = [path for path in _room_paths() if path.suffix != ".py"]
    assert len(others) > len(ROOMS)
    assert not [str(path) for path in others if not _installed(path)]


def test_every_folder_with_python_in_it_is_a_package() -> None:
    assert {path.parent for path in _room_paths() if path.suffix == ".py"} == PACKAGES


def test_every_room_is_among_the_packages_that_are_installed() -> None:
    found = SETUPTOOLS["packages"]["find"]["include"]
    assert sorted(found) == sorted(f"{room}*" for room in ROOMS)


def test_data_is_named_for_packages_that_exist() -> None:
    assert set(DATA) <= {".".join(package.parts) for package in PACKAGES}


def test_a_file_that_no_pattern_covers_is_found() -> None:
    assert _installed(PurePosixPath("ledger/sqlite/migrations/001_ledger.sql"))
    assert not _installed(PurePosixPath("ledger/sqlite/migrations/notes.txt"))
    assert not _installed(PurePosixPath("ledger/another.sql"))
