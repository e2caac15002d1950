"""Folders for servers of tests that end with the process that made them, and ports for them."""

import fcntl
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE_SECONDS = 60
PORTS = range(20_000, 32_000)
"""Below the ports that systems give to clients, so that no client takes a stopped server's."""

GUARD = """
cat >/dev/null
turn=0
while [ -d "$1" ] && [ "$turn" -lt 200 ]; do
    if read -r server <"$1/$2"; then
        kill "-$3" "$server" || rm -rf "$1"
    else
        rm -rf "$1"
    fi
    sleep 0.05
    turn=$((turn + 1))
done
rm -rf "$1"
"""
"""Waits until nobody holds its input any more, however they ended; then the server goes."""


@contextmanager
def guarded_folder(name: str, number: str, signal: str, user: str | None = None) -> Iterator[Path]:
    """A folder for a server; both are gone at the end, or when this process is killed.

    `number` is the file in it whose first line is the number of the server's process, and `signal`
    what ends that one at once. A shell holds the other end of a pipe of ours and sees it close. It
    runs as the server's user and in a session of its own, so that an interrupt from the terminal is
    not for it.
    """
    folder = _new_folder(name, user)
    with subprocess.Popen(
        ["sh", "-c", GUARD, "guard", str(folder), number, signal],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
        **identity(user),
    ):
        yield folder  # leaving `with` closes the pipe, and waits for the guard to have done


def _new_folder(name: str, user: str | None) -> Path:
    """A new folder that belongs to the user, at a place that the user may enter."""
    for place in (tempfile.gettempdir(), "/var/tmp", "/tmp"):
        if may(user, "-x", Path(place)):
            folder = Path(tempfile.mkdtemp(prefix=f"touchstone-{name}-", dir=place)).resolve()
            give(folder, user)
            return folder
    raise RuntimeError(f"no folder for temporary files that {user} may enter")


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Hold the lock of a place: others who want to write there wait."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_held(file: Path) -> bool:
    """Whether a process holds the lock of a file."""
    try:
        with file.open() as probe:
            fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def free_port() -> int:
    """A port at which nothing listens."""
    for port in random.sample(PORTS, 100):
        if is_free(port):
            return port
    raise RuntimeError(f"no free port from {PORTS.start} to {PORTS.stop}")


def is_free(port: int) -> bool:
    """Whether a server may listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait(reached: Callable[[], bool], otherwise: str) -> None:
    """Return when it is so; raise RuntimeError, with what to say, if that takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            raise RuntimeError(otherwise)
        time.sleep(0.01)


# --- Servers that run as somebody else --------------------------------------------------------


def identity(user: str | None) -> dict[str, Any]:
    """The arguments with which `subprocess` runs something as that user; None is ourselves."""
    if user is None:
        return {}
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def give(folder: Path, user: str | None) -> None:
    if user is not None:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)


def may(user: str | None, access: str, path: Path) -> bool:
    """Whether the user has access, judged by the system itself: `access` is one of test(1)."""
    asked = subprocess.run(["test", access, str(path)], cwd="/", check=False, **identity(user))
    return asked.returncode == 0


# --- One folder for a run of pytest -----------------------------------------------------------


def make_folder_of_run(
    config: pytest.Config,
    key: pytest.StashKey[Path],
    worker_input: str,
    folder: AbstractContextManager[Path],
) -> None:
    """Remember where the run's server is to be: a folder of the process whose end is its end.

    A worker of pytest-xdist was told where, as `worker_input`, and leaves `folder` unopened.
    """
    told: dict[str, str] | None = getattr(config, "workerinput", None)
    if told is not None:
        config.stash[key] = Path(told[worker_input])
        return
    run = ExitStack()
    config.add_cleanup(run.close)
    config.stash[key] = run.enter_context(folder)
