"""The pages about HTTP keep their word: what they show in `sh` can be pasted, and is answered."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.ledger import open_ledger
from tests.house.sources import ROOT
from tests.house.worked_pages import blocks
from tests.places import SQLitePlaces, a_place
from tests.web.business import business

PAGES = (("README.md", 1), ("docs/HTTP.md", 4))
"""With how many answers each shows the way to."""
SHOWN = "http://127.0.0.1:8080"
PROGRAMS = f"""
touchstone() {{ {sys.executable} -m cli.main "$@"; }}
curl() {{ {sys.executable} -m tests.web.curl "$@"; }}
"""


@pytest.mark.parametrize(("page", "answers"), PAGES)
def test_what_a_page_shows_can_be_pasted(
    page: str, answers: int, sqlite_places: SQLitePlaces, tmp_path: Path
) -> None:
    text = (ROOT / page).read_text("utf-8")
    pasted = "\n".join(block.body for block in blocks(text) if block.form == "sh")
    with (
        a_place(sqlite_places) as address,
        open_ledger(address) as ledger,
        business(ledger) as (running, _),
    ):
        ran = subprocess.run(
            ["sh", "-e", "-u", "-c", PROGRAMS + pasted.replace(SHOWN, running.url)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TOUCHSTONE_LEDGER": address.url},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(ran.stdout.splitlines()) == answers, ran.stdout
    assert '"status":"recorded"' in ran.stdout
