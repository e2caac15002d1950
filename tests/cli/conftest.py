"""A ledger of its own for each test, on each store, with commands run as a shell would."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Shell
from tests.places import Places, a_place


@pytest.fixture
def shell(tmp_path: Path, places: Places) -> Iterator[Shell]:
    """A new ledger with nothing in it."""
    with a_place(places) as address:
        yield Shell(tmp_path, address)


@pytest.fixture
def file_shell(tmp_path: Path) -> Shell:
    """A new ledger in a file of the folder, for what can happen to a file only."""
    shell = Shell(tmp_path)
    assert shell("init").code == 0
    return shell
