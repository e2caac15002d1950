"""Data sets that nobody of this project made, fetched by package when a test needs them."""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "lifetimes-0.11.3"
FILES = ("CDNOW_sample.txt", "CDNOW_master.txt")
SECONDS_MAX = 120


@pytest.fixture(scope="session")
def cdnow() -> Path:
    """The folder with the CDNOW files; they are fetched once and then found without a network."""
    if not all((CACHE / name).exists() for name in FILES):
        _fetch()
    return CACHE


def _fetch() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        _download(Path(folder))
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in FILES:
                extracted = archive.extract(f"lifetimes/datasets/{name}", folder)
                # In one step, so that tests in other processes never see half a file.
                os.replace(extracted, CACHE / name)


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), "lifetimes==0.11.3"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    if run.returncode:
        pytest.fail(
            "CDNOW could not be fetched. It is part of the package lifetimes 0.11.3; this "
            f"needs pip and a package index, once:\n{run.stderr[-2_000:]}",
            pytrace=False,
        )
