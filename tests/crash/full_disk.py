"""Disks that are full for a server, and have room again.

Whoever may mount gets a small file system. To anybody a limit of the size of files does the same:
PostgreSQL goes on after the signal that comes with it, and then a write fails or falls short.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psycopg

from tests.servers.postgres import Server

BLOCK = 8_192
SEGMENT_BYTES = 16 * 1024 * 1024
"""A file of the server's own log (WAL), which is made in this size."""
LEFT_BYTES = 6 * 1024 * 1024
"""What a full disk has left at first: less than a segment."""
SMALL_DISK = "256m"


class Disk(Protocol):
    """Where a server keeps its data."""

    def fill(self) -> None:
        """Leave only a little room."""

    def free(self) -> None:
        """Make room again."""


class LimitedTables:
    """No table can be longer than a segment and a bit; the last block is written by half."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def fill(self) -> None:
        self._limit(SEGMENT_BYTES + 64 * BLOCK + BLOCK // 2)

    def free(self) -> None:
        self._limit("unlimited")

    def _limit(self, size: int | str) -> None:
        """Of all processes of the server, and those that it starts from now on."""
        first = int((self._server.data / "postmaster.pid").read_text().split()[0])
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
        )
        rows = (map(int, line.split()) for line in listed.stdout.splitlines())
        started = [pid for pid, parent in rows if parent == first]
        limit(self._server, [first, *started], size)


class LimitedSessions:
    """Those who are connected cannot write the server's own log any further.

    The server goes down with them, and comes back by itself without the limit. In the segment
    that is being written they come to the limit before they do in any table, which has less in it.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def fill(self) -> None:
        with psycopg.connect(self._server.dsn(), autocommit=True) as connection:
            connection.execute("SELECT pg_switch_wal()")
            connection.execute(
                "SELECT pg_logical_emit_message(false, 'ballast', repeat('x', %s))",
                (SEGMENT_BYTES // 2,),
            )
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity "
                "WHERE application_name = 'touchstone' OR backend_type = 'walwriter'"
            ).fetchall()
        limit(self._server, [pid for (pid,) in rows], SEGMENT_BYTES // 8 * 7)

    def free(self) -> None:
        """Nothing to do: the processes with the limit are gone."""


class SmallDisk:
    """A file system that holds the data, and a file that takes up the room."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        room = shutil.disk_usage(self._folder).free - LEFT_BYTES
        with self._ballast.open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, room)

    def free(self) -> None:
        self._ballast.unlink()


def limit(server: Server, processes: Iterable[int], size: int | str) -> None:
    """Let these processes of a server write no file any longer than this, in bytes.

    A process may have ended meanwhile: that is its right.
    """
    owner = server.data.stat()
    for pid in processes:
        done = subprocess.run(
            ["prlimit", "--pid", str(pid), f"--fsize={size}:"],
            capture_output=True, text=True, check=False, user=owner.st_uid, group=owner.st_gid,
        )  # fmt: skip
        assert not done.returncode or not Path(f"/proc/{pid}").exists(), done.stderr


@contextmanager
def small_disk(server: Server) -> Iterator[Disk]:
    """The data of a server on a small file system of its own, where we may mount one."""
    server.stop()
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "data"
        owner = server.data.stat()
        _run("cp", "-a", str(server.data), str(kept))
        owned = f"size={SMALL_DISK},mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
        mounted = _run("mount", "-t", "tmpfs", "-o", owned, "tmpfs", str(server.data))
        if mounted:
            _run("cp", "-a", f"{kept}/.", str(server.data))
    server.start()
    try:
        yield SmallDisk(server.data) if mounted else LimitedTables(server)
    finally:
        server.stop("immediate")
        if mounted:
            assert _run("umount", str(server.data))


def _run(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
