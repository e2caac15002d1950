"""Packages of Node.js for tests: fetched once into the cache folder, and found there afterwards."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.servers.guarding import alone

CACHE = Path(__file__).parents[2] / ".cache"
SECONDS_MAX = 300


def node_packages(name: str, *wanted: str) -> Path:
    """The folder `npm-NAME` of the cache, with the wanted packages (`kafkajs@2.2.4`) in it.

    Raises RuntimeError when Node.js is not there, or with npm's complaint.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise RuntimeError(f"{program} cannot be found: install Node.js 18 or later, and npm")
    folder = CACHE / f"npm-{name}"
    with alone(folder):  # workers of a run ask at the same time
        if not all(_is_there(folder, package) for package in wanted):
            _install(folder, wanted)
    return folder


def run_node(script: Path, *arguments: str, seconds: int = SECONDS_MAX) -> str:
    """What a program prints. Raises RuntimeError with its complaint when it fails."""
    return _run(["node", str(script), *arguments], seconds)


def _is_there(folder: Path, package: str) -> bool:
    name, _, version = package.rpartition("@")
    manifest = folder / "node_modules" / name / "package.json"
    return manifest.exists() and json.loads(manifest.read_text("utf-8"))["version"] == version


def _install(folder: Path, wanted: tuple[str, ...]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')
    options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    _run(["npm", "install", *options, "--prefix", str(folder), *wanted], SECONDS_MAX)


def _run(command: list[str], seconds: int) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        complaint = done.stderr.strip() or done.stdout.strip()
        raise RuntimeError(f"{command[0]} failed: {complaint[-2_000:]}")
    return done.stdout
