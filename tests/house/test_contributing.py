"""The worked examples of CONTRIBUTING.md, carried out as they stand in a copy of the repository."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.code_checks import check_columns, check_function_lengths, check_opening
from tests.house.import_checks import check_libraries, check_rooms
from tests.house.sources import ROOMS, ROOT, Source, told
from tests.house.worked_pages import blocks, calls, carry_out, sections, with_changed_lines

PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
EXAMPLES = {name: body for name, body in sections(PAGE).items() if name.startswith("Example")}
TESTS_OF_ALL_TYPES = ("tests/schemas/test_registry.py", "tests/schemas/test_catalogue.py")
EVERY_EXAMPLE = pytest.mark.parametrize("name", EXAMPLES)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The rooms of the repository and the tests of the words, to be changed at will."""
    for room in ROOMS:
        if (ROOT / room).is_dir():
            leave_out = shutil.ignore_patterns("__pycache__", "*.db*")
            shutil.copytree(ROOT / room, tmp_path / room, ignore=leave_out)
    shutil.copytree(ROOT / "tests/schemas", tmp_path / "tests/schemas")
    (tmp_path / "tests/__init__.py").touch()
    return tmp_path


def run(folder: Path, command: str) -> str:
    """What a command prints when it is run with the code of that folder."""
    program, *arguments = shlex.split(command)
    assert program == "touchstone", command
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TOUCHSTONE_")}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=folder,
        env={**environment, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


@EVERY_EXAMPLE
def test_an_example_does_what_its_page_shows(name: str, copy: Path) -> None:
    shown = 0
    for block in blocks(EXAMPLES[name]):
        carry_out(block, copy)
        for call in calls(block) if block.form == "console" else ():
            printed = run(copy, call.command)
            assert printed.split() == call.output.split(), f"{call.command}\n{printed}"
            shown += 1
    assert shown >= 2


@EVERY_EXAMPLE
def test_an_example_keeps_to_the_house_style(name: str) -> None:
    found = [
        finding
        for block in blocks(EXAMPLES[name])
        if block.form == "python" and block.file
        for check in (check_opening, check_columns, check_function_lengths, check_rooms,
                      check_libraries)
        for finding in check(Source(block.file, block.body))
    ]  # fmt: skip
    assert not found, told(found)


def test_there_is_an_example_of_a_type_of_a_view_and_of_a_mapping() -> None:
    assert [name.rpartition(" ")[2] for name in EXAMPLES] == ["type", "view", "mapping"]


def test_a_new_type_passes_the_tests_that_all_types_pass(copy: Path) -> None:
    for block in blocks(EXAMPLES["Example 1: a touchpoint type"]):
        carry_out(block, copy)
    run(copy, "touchstone schema publish schemas/published")
    assert (copy / "schemas/published/parcel.delivered.v1.json").is_file()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS_OF_ALL_TYPES],
        cwd=copy, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_a_diff_changes_the_lines_that_it_shows() -> None:
    assert with_changed_lines("a\nb\nc\n", " a\n+x\n+y\n...\n-c\n+z\n") == "a\nx\ny\nb\nz\n"


@pytest.mark.parametrize("text", ["b\n", "a\na\n"])
def test_a_diff_of_a_stale_page_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'a' is there"):
        with_changed_lines(text, " a\n+x\n")
