"""kcat for tests: from the PATH, else out of Debian's package in the cache folder, without root."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.servers.guarding import alone

PACKAGE = "kcat"
CACHE = Path(__file__).parents[2] / ".cache" / PACKAGE
SECONDS_MAX = 300
MISSING = (
    "kcat cannot be found: install it (Debian, Ubuntu: apt-get install kcat; elsewhere the package "
    "is called kcat or kafkacat)"
)
_WRAPPER = """#!/bin/sh
here=$(dirname "$(dirname "$(readlink -f "$0")")")
LD_LIBRARY_PATH=$(echo "$here"/tree/usr/lib/*-linux-*):$here/tree/usr/lib
export LD_LIBRARY_PATH
exec "$here/tree/usr/bin/kcat" "$@"
"""


def kcat_folder(cache: Path = CACHE) -> Path:
    """The folder that holds a `kcat` which runs. Raises RuntimeError, naming the package."""
    installed = shutil.which(PACKAGE)
    if installed:
        return Path(installed).parent
    cache.mkdir(parents=True, exist_ok=True)
    with alone(cache):  # workers of a run ask at the same time
        program = cache / "kcat" / "bin" / PACKAGE
        if not program.exists():
            _unpack(cache)
        _run([str(program), "-V"])
    return program.parent


def _unpack(cache: Path) -> None:
    """Bring the package, and the libraries that this machine lacks, into the folder in one step."""
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        made = Path(folder) / "made"
        (made / "bin").mkdir(parents=True)
        for package in _downloaded(Path(folder)):
            _run(["dpkg", "-x", str(package), str(made / "tree")])
        (made / "bin" / PACKAGE).write_text(_WRAPPER)
        (made / "bin" / PACKAGE).chmod(0o755)
        made.rename(cache / "kcat")


def _downloaded(folder: Path) -> list[Path]:
    """The package files, fetched with lists of our own: those of the machine may be empty."""
    for name in ("lists/partial", "archives/partial", "packages"):
        (folder / name).mkdir(parents=True)
    places = ["-o", f"Dir::State::lists={folder / 'lists'}", "-o", f"Dir::Cache={folder}"]
    _run(["apt-get", *places, "-o", "Debug::NoLocking=1", "-qq", "update"])
    plan = _run(["apt-get", *places, "--simulate", "--no-install-recommends", "install", PACKAGE])
    needed = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    _run(["apt-get", *places, "-qq", "download", *needed], folder / "packages")
    return sorted((folder / "packages").glob("*.deb"))


def _run(command: list[str], folder: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
    except FileNotFoundError:
        raise RuntimeError(f"{MISSING}; there is no {command[0]} here to fetch it") from None
    if done.returncode:
        raise RuntimeError(f"{MISSING}; fetching it failed:\n{done.stderr.strip()[-2_000:]}")
    return done.stdout
