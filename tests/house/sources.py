"""The repository as the house test sees it: its files, its Python sources, its documents."""

import ast
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("schemas", "domain", "ledger", "projections", "consumers", "web", "cli")


class Finding(NamedTuple):
    """A broken rule: where, and what to do instead."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Source:
    """A text file of the repository; `path` is relative to its root, with slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax of a Python file."""
        return ast.parse(self.text, self.path)

    @property
    def room(self) -> str:
        """The folder at the root that the file is in; empty for a file at the root itself."""
        parts = PurePosixPath(self.path).parts
        return parts[0] if len(parts) > 1 else ""

    @property
    def module(self) -> str:
        """`cli.commands.append` for `cli/commands/append.py`."""
        return self.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def finding(self, line: int, message: str) -> Finding:
        return Finding(self.path, line, message)


@cache
def files() -> tuple[Source, ...]:
    """Every text file that is committed or about to be; what is ignored does not count."""
    listed = subprocess.run(
        # A checkout may belong to another user, as in a container: it is only listed here.
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )  # fmt: skip
    names = sorted({name for name in listed.stdout.decode().split("\0") if name})
    return tuple(found for name in names if (found := _read(name)) is not None)


def _read(name: str) -> Source | None:
    """The file, or None when it has been removed or is not text."""
    path = ROOT / name
    if not path.is_file():
        return None
    raw = path.read_bytes()
    return None if b"\0" in raw else Source(name, raw.decode("utf-8"))


def python_files() -> Iterator[Source]:
    return (source for source in files() if source.path.endswith(".py"))


def room_files() -> Iterator[Source]:
    """The Python files of the rooms: what runs at a user's, without tests and benchmarks."""
    return (source for source in python_files() if source.room in ROOMS)


def documents() -> Iterator[Source]:
    return (source for source in files() if source.path.endswith(".md"))


def told(findings: Iterable[Finding]) -> str:
    """The findings as a failing test shows them, one a line."""
    return "\n" + "\n".join(map(str, sorted(findings)))
