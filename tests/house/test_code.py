"""How the code is written: sentences, lengths, names, and nothing left half done."""

from collections.abc import Callable, Iterator

import pytest

from tests.house.code_checks import (
    COLUMNS_MAX,
    FUNCTION_LINES_MAX,
    LEFT_BEHIND,
    NOT_WRITTEN,
    check_columns,
    check_file_name,
    check_function_lengths,
    check_nothing_left_undone,
    check_opening,
    check_printing,
    is_code,
    runs_at_users,
)
from tests.house.sources import Finding, Source, files, python_files, told

Check = Callable[[Source], Iterator[Finding]]


@pytest.mark.parametrize(
    "check",
    [check_file_name, check_opening, check_function_lengths, check_nothing_left_undone],
)
def test_every_python_file_keeps_to_the_house_style(check: Check) -> None:
    found = [finding for source in python_files() for finding in check(source)]
    assert not found, told(found)


def test_only_the_command_line_prints() -> None:
    found = [
        f for source in python_files() if runs_at_users(source) for f in check_printing(source)
    ]
    assert not found, told(found)


def test_no_line_of_code_is_too_wide() -> None:
    found = [finding for source in files() if is_code(source) for finding in check_columns(source)]
    assert not found, told(found)


LONG = "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX


@pytest.mark.parametrize(
    ("check", "path", "text", "blames"),
    [
        (check_file_name, "ledger/utils.py", "", "'utils'"),
        (check_file_name, "tests/common/test_a.py", "", "'common'"),
        (check_file_name, "cli/date_helpers.py", "", "'helpers'"),
        (check_opening, "cli/a.py", "import os\n", "no docstring"),
        (check_opening, "cli/a.py", '"""stuff"""\n', "end it with a stop"),
        (check_function_lengths, "cli/a.py", LONG, f"f has {FUNCTION_LINES_MAX + 1} lines"),
        (check_columns, "cli/a.py", "#" * (COLUMNS_MAX + 1), f"{COLUMNS_MAX + 1} columns"),
        (check_printing, "domain/a.py", "def f():\n    print(1)", "print outside cli/"),
        (check_nothing_left_undone, "cli/a.py", f"# {LEFT_BEHIND[0]}: later", LEFT_BEHIND[0]),
        (check_nothing_left_undone, "cli/a.py", f"raise {NOT_WRITTEN}", NOT_WRITTEN),
        (check_nothing_left_undone, "cli/a.py", f"raise {NOT_WRITTEN}('x')", NOT_WRITTEN),
        (check_nothing_left_undone, "tests/a.py", "pytest.skip('no')", "pytest skip"),
        (check_nothing_left_undone, "tests/a.py", "@pytest.mark.xfail\ndef f(): 1", "pytest xfail"),
    ],
)
def test_what_breaks_the_style_is_blamed_with_file_and_line(
    check: Check, path: str, text: str, blames: str
) -> None:
    (found,) = check(Source(path, text))
    assert blames in str(found)
    assert str(found).startswith(f"{path}:{found.line}: ")


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (check_file_name, "schemas/money.py", ""),
        (check_file_name, "cli/database.py", ""),
        (check_opening, "tests/__init__.py", ""),
        (check_opening, "cli/a.py", '"""What it is.\n\nMore on it"""'),
        (check_function_lengths, "cli/a.py", LONG.rpartition("    x")[0]),
        (check_columns, "cli/a.py", "#" * COLUMNS_MAX),
        (check_printing, "cli/a.py", "print(1)"),
        (check_printing, "domain/a.py", "console.print(1)"),
        (check_nothing_left_undone, "cli/a.py", "total = rows.skip(3)"),
    ],
)
def test_what_keeps_to_the_style_is_not_blamed(check: Check, path: str, text: str) -> None:
    assert not list(check(Source(path, text)))


def test_prose_is_not_held_to_the_width_of_code() -> None:
    assert is_code(Source("Makefile", ""))
    assert is_code(Source("ledger/migrations/sqlite/001_ledger.sql", ""))
    assert not is_code(Source("README.md", ""))
