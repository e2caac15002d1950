"""A ledger in a folder of its own, with commands that run as a shell would run them."""

from pathlib import Path

import pytest

from tests.cli.running import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A new ledger with nothing in it."""
    shell = Shell(tmp_path)
    assert shell("init").code == 0
    return shell
