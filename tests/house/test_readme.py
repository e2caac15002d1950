"""README.md keeps its word: its tour runs as shown, and each guarantee names a test that exists."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

from cli.main import COMMANDS
from tests.house.sources import ROOT, python_files
from tests.house.worked_pages import blocks, calls, carry_out, sections

PAGE = (ROOT / "README.md").read_text("utf-8")
PARTS = sections(PAGE)
LINES_BEFORE_THE_COMMANDS_MAX = 4
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_the_page_begins_with_the_two_commands() -> None:
    opening, _, rest = PAGE.partition("```\n")
    spoken = [line for line in opening.splitlines()[1:] if line.strip()]
    assert len(spoken) <= LINES_BEFORE_THE_COMMANDS_MAX
    assert [line.split("#")[0].strip() for line in rest.splitlines()[:2]] == [
        "make demo",
        "make test",
    ]


def test_the_tour_prints_what_the_page_shows(tmp_path: Path) -> None:
    shown = 0
    for block in blocks(PARTS["Five minutes"]):
        carry_out(block, tmp_path)
        for call in calls(block) if block.form == "console" else ():
            printed = _printed(call.command, tmp_path)
            assert printed.split() == call.output.split(), f"{call.command}\n{printed}"
            shown += 1
    assert shown >= 10


def _printed(command: str, folder: Path) -> str:
    """What somebody sees of a command who runs it on a terminal of 100 columns."""
    touchstone = f"{sys.executable} -m cli.main -o table"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TOUCHSTONE_")}
    done = subprocess.run(
        ["sh", "-c", re.sub(r"\btouchstone\b", touchstone, command, count=1)],
        cwd=folder,
        env={**environment, "COLUMNS": "100", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def test_the_table_of_commands_has_all_of_them() -> None:
    named = re.findall(r"^\| `(\w+)", PARTS["Commands"], re.MULTILINE)
    assert sorted(named) == sorted(COMMANDS)


def test_each_guarantee_names_a_test_that_exists() -> None:
    rows = [line for line in PARTS["What it guarantees"].splitlines() if line.startswith("| ")]
    there = _tests()
    for row in rows[1:]:
        assert _TEST.search(row), f"no test is named in: {row}"
    missing = [
        f"{file}::{name}"
        for file, name in _TEST.findall(PARTS["What it guarantees"])
        if name not in there.get(file, ())
    ]
    assert not missing


def _tests() -> dict[str, set[str]]:
    """The names of all tests, by file; the empty name stands for the whole file."""
    return {
        source.path: {
            "",
            *(
                node.name
                for node in ast.walk(source.tree)
                if isinstance(node, ast.FunctionDef | ast.ClassDef)
            ),
        }
        for source in python_files()
        if source.path.startswith("tests/")
    }
