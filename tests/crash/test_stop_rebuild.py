"""A rebuild with several processes that is told to stop, all of them at once."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cli.demo_year import benchmark_lines
from projections.ranges import IN_PROCESS_MAX
from tests.cli.running import Shell

TOUCHPOINTS = IN_PROCESS_MAX + 2_000
"""So many that several processes fold them."""


def stop_group(command: list[str], seconds: float) -> tuple[int, str]:
    """Run a command and send SIGTERM to it and all its processes, as a service manager does."""
    running = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    time.sleep(seconds)
    os.killpg(running.pid, signal.SIGTERM)
    _, err = running.communicate(timeout=60)
    return running.returncode, err


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A ledger for all tests of this file, which do nothing but rebuild its views."""
    shell = Shell(tmp_path_factory.mktemp("stopped"))
    shell("init")
    lines = b"\n".join(benchmark_lines(2_000, TOUCHPOINTS))
    assert shell("append", "-q", stdin=lines).code == 0
    return shell


@pytest.mark.parametrize("what", ["rebuild", "verify"])
def test_workers_leave_the_end_to_their_parent(shell: Shell, what: str) -> None:
    command = [sys.executable, "-m", "cli.main", "--ledger", shell.url, "projection", what, "--all"]
    codes = set()
    for seconds in (0.6, 0.9, 1.2):
        code, err = stop_group([*command, "--workers", "2"], seconds)
        assert "Traceback" not in err
        codes.add(code)
    assert codes <= {0, 143, -signal.SIGTERM}
    for undisturbed in dict.fromkeys((what, "verify")):
        assert shell("projection", undisturbed, "--all", "--workers", "1").code == 0
