"""Runs commands of Touchstone as a shell would: arguments and input in, output and code back."""

import io
import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cli.main import run
from ledger.address import Address, parse_url
from ledger.postgres.address import PostgresAddress


def program(tuned: Mapping[str, float]) -> list[str]:
    """What starts a process of the command line with constants set, named with their modules."""
    places = [place.rpartition(".") for place in tuned]
    lines = [
        "import sys",
        *(f"import {module}" for module, _, _ in places),
        *(f"{place} = {value!r}" for place, value in tuned.items()),
        "from cli.main import main",
        "main()",
    ]
    return [sys.executable, "-c", "\n".join(lines)]


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output as JSON; the objects of NDJSON as a list."""
        try:
            return json.loads(self.out)
        except json.JSONDecodeError:
            return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """A folder with a ledger in it, and the commands that are run there."""

    def __init__(self, folder: Path, address: Address | None = None) -> None:
        """The ledger is a file in the folder, unless another place is given."""
        self.folder = folder
        self.url = address.url if address else f"sqlite:///{folder / 'touchstone.db'}"
        self.keys = str(address.keys) if isinstance(address, PostgresAddress) else ""

    @property
    def place(self) -> list[str]:
        """The options that name the ledger."""
        return ["--ledger", self.url, *(["--keys", self.keys] if self.keys else [])]

    @property
    def address(self) -> Address:
        return parse_url(self.url, Path(self.keys) if self.keys else None)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run one command in this process, with pipes for its three streams."""
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        err = io.StringIO()
        source = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
        with patch.object(sys, "stdin", source), redirect_stdout(out), redirect_stderr(err):
            code = run([*self.place, *arguments])
        written = out.buffer.getvalue()
        return Ran(code, written.decode("utf-8", "surrogateescape"), err.getvalue())

    def write(self, name: str, content: bytes) -> str:
        """A file in the folder; returns its path."""
        path = self.folder / name
        path.write_bytes(content)
        return str(path)


def order_line(
    number: int, subject: str = "customer:42", total: str = "12.50", **more: Any
) -> bytes:
    """The touchpoint of an order as a line of NDJSON."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(number),
        "source": "shop",
        "type": "order.completed.v1",
        "subject": subject,
        "time": f"2026-01-05T10:{number % 60:02d}:00Z",
        "data": {"order_id": f"A{number}", "total": {"amount": total, "currency": "EUR"}},
    }
    return json.dumps(event | more).encode()
