"""Files of personal data: each takes its place once it is complete, and is its owner's alone."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

PART_PREFIX = ".touchstone-export-"


def regular_file(file: Path) -> Path:
    """The file to which a path leads through its links. Raises UsageError when it is none."""
    try:
        target = file.resolve()
        mode = target.stat().st_mode if target.exists() else stat.S_IFREG
    except RuntimeError:
        raise click.UsageError(f"{file} cannot be written: its links lead in a circle") from None
    except OSError as error:
        raise _unwritable(file, error) from None
    if not stat.S_ISREG(mode):
        raise click.UsageError(f"{file} is not a file; name another")
    return target


def _unwritable(file: Path, error: OSError) -> click.UsageError:
    return click.UsageError(f"{file} cannot be written: {error.strerror}")


@contextmanager
def in_place_of(target: Path) -> Iterator[tuple[IO[bytes], Callable[[], None]]]:
    """A file that takes the place of `target` once it is complete and on the disk, or never.

    Until then it stands beside it, under a name of its own that nobody else uses, and can be
    read by its owner alone. Raises UsageError when the folder cannot take it.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=PART_PREFIX, dir=target.parent)
    except OSError as error:
        raise _unwritable(target, error) from None
    part = Path(name)

    def keep() -> None:
        stream.flush()
        os.fsync(stream.fileno())
        try:
            part.replace(target)
        except OSError as error:
            raise _unwritable(target, error) from None

    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream, keep
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """A folder for files in the making, on the disk of `target`; its owner's, and gone afterwards.

    Raises UsageError when there can be none.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix=PART_PREFIX, dir=target.parent)
    except OSError as error:
        raise _unwritable(target, error) from None
    with made as name:
        yield Path(name)


def keep(part: Path, target: Path) -> None:
    """Let a file that is complete take the place of `target`, once it is on the disk.

    It can be read by its owner alone. Raises UsageError when the folder cannot take it.
    """
    try:
        part.chmod(stat.S_IRUSR | stat.S_IWUSR)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from None
