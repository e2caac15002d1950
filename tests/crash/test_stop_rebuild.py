"""A rebuild with several processes that is told to stop, all of them at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.demo_year import benchmark_lines
from tests.cli.running import Shell

TOUCHPOINTS = 40_000


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


@pytest.mark.parametrize("what", ["rebuild", "verify"])
def test_workers_leave_the_end_to_their_parent(tmp_path: Path, what: str) -> None:
    shell = Shell(tmp_path)
    shell("init")
    lines = b"\n".join(benchmark_lines(2_000, TOUCHPOINTS))
    assert shell("append", "-q", stdin=lines).code == 0
    command = [sys.executable, "-m", "cli.main", "--ledger", shell.url, "projection", what, "--all"]
    codes = set()
    for seconds in (0.6, 0.9, 1.2):
        code, err = stop_group([*command, "--workers", "2"], seconds)
        assert "Traceback" not in err
        codes.add(code)
    assert codes <= {0, 143, -signal.SIGTERM}
    assert shell("projection", "rebuild", "--all").code == 0
    assert shell("projection", "verify", "--all").code == 0
