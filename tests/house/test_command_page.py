"""docs/CLI.md names every command, argument, option and exit code that there is, and no others."""

import re
from collections.abc import Iterator

import click
import pytest

from cli import exits
from cli.main import COMMANDS, HELP_OPTIONS, shared_options, touchstone
from tests.house.sources import ROOT

PAGE = (ROOT / "docs/CLI.md").read_text("utf-8")
SIGNALS = (2, 15)
_HEADING = re.compile(r"^### `touchstone ([^`]+)`$", re.MULTILINE)
_OPTION_ROW = re.compile(r"^\| (`-.*?) \| ", re.MULTILINE)
_OPTION = re.compile(r"`(--?[a-z][a-z-]*)")


def commands() -> Iterator[tuple[str, click.Command]]:
    """(usage without options, command) of every command that does something."""
    ctx = click.Context(touchstone)
    for name in COMMANDS:
        command = touchstone.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            for inner in command.commands.values():
                yield _usage(f"{name} {inner.name}", inner), inner
            if command.invoke_without_command:
                yield name, command
        else:
            yield _usage(name, command), command


def _usage(name: str, command: click.Command) -> str:
    pieces = command.collect_usage_pieces(click.Context(command, help_option_names=HELP_OPTIONS))
    return " ".join([name, *(piece for piece in pieces if piece != "[OPTIONS]")])


def options(parameters: list[click.Parameter]) -> set[str]:
    """The spellings of the options that help shows."""
    shown = [p for p in parameters if isinstance(p, click.Option) and not p.hidden]
    return {spelling for option in shown for spelling in (*option.opts, *option.secondary_opts)}


def options_on(text: str) -> set[str]:
    """The spellings in the first column of the tables of a text."""
    return {name for row in _OPTION_ROW.findall(text) for name in _OPTION.findall(row)}


def sections(text: str) -> dict[str, str]:
    """What the page says of each command, by its usage."""
    parts = _HEADING.split(text)[1:]
    return {usage: body.split("\n## ")[0] for usage, body in zip(*[iter(parts)] * 2, strict=True)}


COMMANDS_BY_USAGE = dict(commands())


def test_the_page_has_every_command_with_its_arguments_and_no_others() -> None:
    assert sorted(sections(PAGE)) == sorted(COMMANDS_BY_USAGE)


@pytest.mark.parametrize("usage", COMMANDS_BY_USAGE)
def test_the_page_has_every_option_of_a_command_and_no_others(usage: str) -> None:
    assert options_on(sections(PAGE)[usage]) == options(COMMANDS_BY_USAGE[usage].params)


def test_the_page_has_the_options_that_all_commands_share() -> None:
    shared = PAGE.partition("## Options of every command")[2].partition("\n## ")[0]
    assert options_on(shared) == options([*shared_options()])


def test_the_page_has_every_exit_code_and_no_others() -> None:
    there = {value for name, value in vars(exits).items() if name.isupper() and name[0] != "_"}
    there = there - {exits.SIGNAL_BASE} | {exits.SIGNAL_BASE + signal for signal in SIGNALS}
    table = PAGE.partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == there


def test_a_page_is_read_by_its_headings_and_the_first_column_of_its_tables() -> None:
    page = "### `touchstone a b [X]`\nSee `--no`.\n| `-n N`, `--new` | like `--old` |\n\n## Next\n"
    assert list(sections(page)) == ["a b [X]"]
    assert options_on(sections(page)["a b [X]"]) == {"-n", "--new"}
