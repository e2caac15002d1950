"""The libraries that others wrote, as programs that send what they are given."""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.cli.running import Shell
from tests.servers.npm import node_packages

PROGRAMS = Path(__file__).parent / "programs"
NODE_PACKAGES = (
    "@segment/analytics-node@3.1.0",
    "@rudderstack/rudder-sdk-node@3.0.13",
    "cloudevents@10.0.0",
)
SECONDS_MAX = 120
DIRECTLY = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1")
"""What lets libraries reach this machine past a proxy that the machine may have."""


@dataclass(frozen=True)
class Library:
    """A library: the program that uses it, and whether it speaks Segment's API or CloudEvents."""

    name: str
    program: tuple[str, ...]
    is_segment: bool = True

    @contextmanager
    def sending(
        self, url: str, secret: str, together: int, sent: Sequence[Any]
    ) -> Iterator["Sending"]:
        """Let it send, so many together in a batch; it goes on by itself."""
        told = {"TOUCHSTONE_URL": url, "TOUCHSTONE_SECRET": secret}
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(
                [*self._command(), str(together)],
                env={**os.environ, **DIRECTLY, **told, **self._modules()},
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
            ) as process,
        ):
            try:
                assert process.stdin is not None
                process.stdin.write(json.dumps(sent).encode())
                process.stdin.close()
                yield Sending(self.name, process, said)
            finally:
                process.kill()

    @property
    def _is_node(self) -> bool:
        return self.program[0].endswith(".cjs")

    def _command(self) -> list[str]:
        name, *arguments = self.program
        return ["node" if self._is_node else sys.executable, str(PROGRAMS / name), *arguments]

    def _modules(self) -> Mapping[str, str]:
        if not self._is_node:
            return {}
        return {"NODE_PATH": str(node_packages("clients", *NODE_PACKAGES) / "node_modules")}


@dataclass
class Sending:
    """A library at work."""

    name: str
    process: "subprocess.Popen[bytes]"
    said: IO[bytes]

    def end(self) -> None:
        """Wait for it; it has given nothing up."""
        code = self.process.wait(SECONDS_MAX)
        self.said.seek(0)
        assert code == 0, f"{self.name}: {self.said.read().decode()[-4_000:]}"


LIBRARIES = (
    Library("segment-python", ("send_calls.py", "segment.analytics.client")),
    Library("rudder-python", ("send_calls.py", "rudderstack.analytics.client")),
    Library("segment-node", ("send_segment.cjs",)),
    Library("rudder-node", ("send_rudder.cjs",)),
    Library("cloudevents-python", ("send_cloudevents.py",), is_segment=False),
    Library("cloudevents-node", ("send_cloudevents.cjs",), is_segment=False),
)


def token_for(library: Library, shell: Shell) -> str:
    """The secret of a new token, whose source has the name of the library."""
    created = shell(
        *("-o", "json", "token", "create", "--role", "emitter", "--source", library.name)
    )
    return str(created.json["token"])


def recorded(shell: Shell, *options: str) -> dict[str, list[dict[str, Any]]]:
    """What is in the log, by its source."""
    found = defaultdict(list)
    for touchpoint in shell("-o", "json", "log", "list", *options).json:
        found[touchpoint["source"]].append(touchpoint)
    return dict(found)
