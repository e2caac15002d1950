"""A ZIP of several files that are made as they are written, and the list of their SHA-256."""

import stat
import zipfile
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import IO

SUMS = "SHA256SUMS"
"""The name of the list: one line a file, as `sha256sum -c` reads it."""
OWNER_ALONE = (stat.S_IFREG | stat.S_IRUSR | stat.S_IWUSR) << 16
"""The mode of a file, where a ZIP has it."""


class Bundle:
    """Writes files into a ZIP, one after the other. None of them is ever held whole."""

    def __init__(self, stream: IO[bytes], at: datetime) -> None:
        """`at` is the time that all files bear."""
        self._zip = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED)
        self._time = (at.year, at.month, at.day, at.hour, at.minute, at.second)
        self._sums: list[str] = []

    def add(self, name: str, texts: Iterable[str]) -> None:
        """A file in UTF-8, made of these pieces."""
        info = zipfile.ZipInfo(name, self._time)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = OWNER_ALONE
        digest = sha256()
        with self._zip.open(info, "w", force_zip64=True) as stream:
            for text in texts:
                piece = text.encode("utf-8", "surrogatepass")
                digest.update(piece)
                stream.write(piece)
        self._sums.append(f"{digest.hexdigest()}  {name}\n")

    def close(self) -> None:
        """Add the list of the files, and end the ZIP."""
        self.add(SUMS, list(self._sums))
        self._zip.close()
