"""Processes of the tests' own, in which servers run that may be killed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.launching import Launcher, forking


@pytest.fixture(scope="session")
def forking_process() -> "Iterator[subprocess.Popen[str]]":
    with forking() as process:
        yield process


@pytest.fixture
def children(forking_process: "subprocess.Popen[str]", tmp_path: Path) -> Iterator[Launcher]:
    """Starts processes of the test's own, none of which outlives it."""
    opened = Launcher(forking_process, tmp_path)
    yield opened
    opened.end()
