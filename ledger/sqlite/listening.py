"""A session on an SQLite file, which nobody is notified of: it looks, and it locks files."""

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

LOOK_SECONDS = 0.05
"""How often the head is looked at: a read of one page, without a lock."""


class SQLiteListening:
    """See `ledger.store.Listening`."""

    def __init__(self, path: Path, head: Callable[[], int], files: ExitStack) -> None:
        self._path = path
        self._head = head
        self._files = files
        self._seen = head()
        self._held: frozenset[str] = frozenset()

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        seen = self._seen
        self._seen = self._head()
        while self._seen == seen and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(LOOK_SECONDS, left))
            self._seen = self._head()

    def claim(self, names: Iterable[str]) -> frozenset[str]:
        missing = [name for name in names if name not in self._held]
        self._held |= {name for name in missing if self._take(name)}
        return self._held.intersection(names)

    def _take(self, name: str) -> bool:
        file = lock_file(self._path, name).open("w")
        taken = lock(file)
        if taken:
            self._files.enter_context(file)
        else:
            file.close()
        return taken


@contextmanager
def listening(path: Path, head: Callable[[], int]) -> Iterator[SQLiteListening]:
    """See `ledger.store.Store.listening`; `head` reads the last position."""
    with ExitStack() as files:
        yield SQLiteListening(path, head, files)


def lock_file(path: Path, name: str) -> Path:
    """The file beside the ledger that is locked by whoever does what is called `name`."""
    return path.with_name(f"{path.name}.{name}")


def lock(file: IO[str]) -> bool:
    """Lock a file until it is closed, or its process ends; False when another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
