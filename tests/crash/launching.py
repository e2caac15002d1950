"""Starts children in no time: a process that has everything imported, and forks on request.

Run as a program it is that process. It reads requests, and answers each by a line of JSON.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Child:
    """A process, the leader of its own group; what it writes goes to two files."""

    launcher: "Launcher"
    pid: int
    out: Path
    err: Path

    @property
    def code(self) -> int | None:
        """How it ended, as `subprocess` has it; None while it runs."""
        found: int | None = self.launcher.ask({"poll": self.pid})
        return found

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The exit code; a child that does not end in this time is ended and fails the test."""
        deadline = time.monotonic() + seconds
        while (code := self.code) is None:
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"a child went on for {seconds} s: {self.err.read_text()}")
            time.sleep(0.005)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has just ended by itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> int:
        """End it and the processes that it has started, at once; returns how it ended."""
        if self.code is None:
            for send in (os.killpg, os.kill):  # it leads no group yet when it was just forked
                with suppress(ProcessLookupError):
                    send(self.pid, signal.SIGKILL)
        return self.wait()

    def killed_after(self, seconds: float) -> bool:
        """Kill it after so long; False when it had ended before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.code is None:
            time.sleep(0.005)
        return self.kill() == -signal.SIGKILL

    def lines(self) -> list[Any]:
        """What it has written so far, line by line; half a line was not written."""
        return [json.loads(line) for line in self.out.read_bytes().split(b"\n")[:-1]]


class Launcher:
    """The other end of the process that forks: the children of one test."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._numbers = count(1)
        self._children: list[Child] = []

    def start(self, work: str, *arguments: Any, tuned: Mapping[str, float] | None = None) -> Child:
        """Let a new process do a work of `tests.crash.doors`, with constants of modules set."""
        number = next(self._numbers)
        out, err = self._folder / f"{number}.out", self._folder / f"{number}.err"
        out.touch()
        err.touch()
        request = {"work": work, "arguments": arguments, "tuned": dict(tuned or {})}
        pid = self.ask(request | {"out": str(out), "err": str(err)})
        child = Child(self, pid, out, err)
        self._children.append(child)
        return child

    def ask(self, request: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Leave no process behind."""
        for child in self._children:
            child.kill()


@contextmanager
def forking() -> Iterator["subprocess.Popen[str]"]:
    """A process that forks children, for any number of launchers one after the other."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crash.launching"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def wait_until(reached: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Return when it has come to that; fail when it does not."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


def family(pid: int) -> list[int]:
    """A process, and all that it and those have started.

    The kernel's own lists of children may leave some out while others end.
    """
    parents: dict[int, int] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found


def spawned(pid: int) -> list[int]:
    """Those of them that Python has started to work beside it."""
    found = family(pid)[1:]
    return [p for p in found if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]


def _serve() -> None:
    """Fork and tell, until the input ends."""
    import tests.crash.doors as doors

    running: dict[int, int | None] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            answer = _polled(request["poll"], running)
        else:
            answer = os.fork()
            if answer == 0:
                _be_child(request, doors)
            running[answer] = None
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


def _polled(pid: int, running: dict[int, int | None]) -> int | None:
    if running[pid] is None:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            running[pid] = os.waitstatus_to_exitcode(status)
    return running[pid]


def _be_child(request: dict[str, Any], doors: Any) -> NoReturn:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_APPEND), number)
    code = 70  # of an error that is nobody's exit code
    try:
        for place, value in request["tuned"].items():
            module, _, constant = place.rpartition(".")
            setattr(sys.modules[module], constant, value)
        code = getattr(doors, request["work"])(*request["arguments"])
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - shown by the test that looks at the code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
