"""What all commands have in common: forms of output, safety of texts, help, exit codes."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.main import COMMANDS, HELP_OPTIONS, touchstone
from cli.output import clean
from tests.cli.facts import IN_CLEAR, described, event, order, record
from tests.cli.running import Shell
from tests.places import Places

WINDOWS = ("customer", "ticket", "loyalty", "consent", "log", "token", "schema", "completion")


@pytest.fixture
def two(shell: Shell) -> Shell:
    record(shell, described(name="Ana"), order("A1", "12.50", "2026-01-05T10:00:00Z"))
    return shell


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_pipe_gets_one_object_a_line(two: Shell) -> None:
    lines = two("log", "list").out.splitlines()
    assert [json.loads(line)["position"] for line in lines] == [1, 2]


def test_json_is_one_array_and_csv_has_a_heading(two: Shell) -> None:
    assert len(json.loads(two("log", "list", "-o", "json").out)) == 2
    assert json.loads(two("-o", "json", "ticket", "list").out) == []
    rows = rows_of(two("log", "list", "-o", "csv").out)
    assert [row["type"] for row in rows] == ["customer.described.v1", "order.completed.v1"]
    assert json.loads(rows[1]["data"])["order_id"] == "A1"


def test_csv_of_one_object_has_a_column_for_each_value(two: Shell) -> None:
    (row,) = rows_of(two("customer", "show", "customer:42", "-o", "csv", *IN_CLEAR).out)
    assert (row["orders.count"], row["traits.name.value"]) == ("1", "Ana")


def test_a_table_has_headings_and_rows(two: Shell) -> None:
    lines = two("customer", "list", "-o", "table").out.splitlines()
    assert "first seen" in lines[1]
    assert "customer:42" in lines[3]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "arguments",
    [("customer", "show", "customer:42"), ("customer", "timeline", "customer:42"),
     ("customer", "list"), ("log", "list"), ("ticket", "list"), ("schema", "list")],
)  # fmt: skip
def test_pages_keep_to_the_width_of_the_terminal(
    two: Shell, monkeypatch: pytest.MonkeyPatch, width: int, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    out = two(*arguments, "-o", "table").out
    assert out
    assert max(map(len, out.splitlines())) <= width


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\tx", "\rx"])
def test_spreadsheets_take_no_text_for_a_formula(shell: Shell, text: str) -> None:
    record(shell, described(name=text))
    asked = ("customer", "list", "-o", "csv", *IN_CLEAR)
    (row,) = rows_of(shell(*asked).out.replace("\r", "␍"))
    assert row["name"] == "'" + text.replace("\r", "␍")
    (plain,) = rows_of(shell(*asked, "--plain-csv").out.replace("\r", "␍"))
    assert plain["name"] == text.replace("\r", "␍")


def test_negative_numbers_stay_numbers_in_csv(shell: Shell) -> None:
    record(shell, described(company="-12.50"))
    (row,) = rows_of(shell("customer", "show", "customer:42", "-o", "csv").out)
    assert row["traits.company.value"] == "-12.50"


def test_no_text_can_steer_the_terminal(shell: Shell) -> None:
    name = "\x1b[31mred\x1b]0;title\x07 \u202egnp\u202c \\[bold]x[/bold] [link=evil]y"
    title = {"ticket_id": "T1", "title": name}
    known = described(name=name)
    record(shell, known, event("ticket.opened.v1", title))
    for arguments in (
        ["customer", "list"], ["customer", "show", "customer:42"], ["ticket", "list"],
        ["customer", "timeline", "customer:42"], ["ticket", "show", "T1"], ["log", "tail"],
        ["log", "list"], ["log", "show", known["id"]],
    ):  # fmt: skip
        out = shell(*arguments, "-o", "table", *IN_CLEAR).out
        assert not set(out) & set("\x1b\x07\u202e\u202c")
    page = shell("customer", "show", "customer:42", "-o", "table", *IN_CLEAR).out
    assert "\\[bold]x[/bold] [link=evil]y" in page


@given(st.text())
def test_what_is_clean_is_printable_and_changes_no_more(text: str) -> None:
    shown = clean(text)
    assert shown.isprintable()
    assert clean(shown) == shown
    assert len(shown) == len(text)


def test_unknown_options_and_commands_fail(shell: Shell) -> None:
    assert shell("customer", "list", "--nonsense").code == 2
    assert shell("customer", "nonsense").code == 2
    assert shell("nonsense").code == 2
    assert shell("customer", "show").code == 2


def test_what_was_refused_makes_a_partial_success(shell: Shell) -> None:
    assert shell("append", stdin=b"{}\n").code == 3


def test_without_a_ledger_every_window_says_so(tmp_path: Path, places: Places) -> None:
    empty = Shell(tmp_path, places.unmade())
    for arguments in (["customer", "list"], ["log", "list"], ["ticket", "show", "T"]):
        ran = empty(*arguments)
        assert (ran.code, ran.out) == (10, "")
        assert "touchstone init" in ran.err


def commands_in(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, help_option_names=HELP_OPTIONS)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands_in(inner, f"{path} {name}")


@pytest.mark.parametrize("name", WINDOWS)
def test_every_command_and_option_of_the_windows_has_help(name: str) -> None:
    top = touchstone.get_command(click.Context(touchstone), name)
    assert top is not None
    for path, command in commands_in(top, name):
        assert command.help, path
        assert not command.get_short_help_str(limit=62).endswith("..."), path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path} {parameter.opts}"
    if isinstance(top, click.Group):
        assert "Examples:" in (top.epilog or "")


@pytest.mark.parametrize("name", WINDOWS)
def test_help_is_reached_by_both_options(shell: Shell, name: str) -> None:
    for option in ("-h", "--help"):
        ran = shell(name, option)
        assert ran.code == 0
        assert len(ran.out.split()) >= 20


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_the_shell(shell: Shell, name: str) -> None:
    ran = shell("completion", name)
    assert ran.code == 0
    assert "_TOUCHSTONE_COMPLETE" in ran.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [("cust", "customer"), ("schema show order.ref", "order.refunded.v1"),
     ("log list --type survey", "survey.answered.v1"), ("customer time", "timeline")],
)  # fmt: skip
def test_shells_are_told_commands_and_types(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, expected: str
) -> None:
    from cli.main import run

    monkeypatch.setenv("_TOUCHSTONE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"touchstone {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    with pytest.raises(SystemExit):
        run([])
    assert capsys.readouterr().out.split() == [f"plain,{expected}"]


def test_all_commands_that_are_listed_can_be_loaded() -> None:
    context = click.Context(touchstone)
    assert all(touchstone.get_command(context, name) is not None for name in COMMANDS)
