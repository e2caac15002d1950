"""Checks of how code is written: names, lengths, sentences, and what is never left behind."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.house.sources import ROOMS, Finding, Source

FUNCTION_LINES_MAX = 60
COLUMNS_MAX = 100
LINTER_REMARK = re.compile(r"\s+# (?:noqa|type: ignore)\b.*$")
REFUSED_WORDS = frozenset(
    ("util", "utils", "helper", "helpers", "common", "base", "manager", "managers", "misc")
)
PRINTING_ROOMS = ("cli", "bench")
LEFT_BEHIND = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
SKIPPED = ("skip", "skipif", "xfail", "importorskip")
NOT_WRITTEN = "NotImplemented" + "Error"


def check_file_name(source: Source) -> Iterator[Finding]:
    """A file is named after what is in it, not after its being useful."""
    for part in PurePosixPath(source.path).with_suffix("").parts:
        refused = REFUSED_WORDS.intersection(part.lower().split("_"))
        for word in sorted(refused):
            yield source.finding(1, f"{word!r} says nothing: name it after what it holds")


def check_opening(source: Source) -> Iterator[Finding]:
    """A module opens with a sentence that says what it is. Only an empty file needs none."""
    if not source.text.strip():
        return
    opening = ast.get_docstring(source.tree)
    if not opening:
        yield source.finding(1, "no docstring: open with one sentence that says what this is")
    elif not opening.split("\n\n")[0].endswith((".", "?", "!", ":")):
        yield source.finding(1, "the docstring does not open with a sentence: end it with a stop")


def check_function_lengths(source: Source) -> Iterator[Finding]:
    """No function is longer than a screen."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield source.finding(
                    node.lineno,
                    f"{node.name} has {length} lines, {FUNCTION_LINES_MAX} is the limit: "
                    "take a part with a name of its own out of it",
                )


def check_columns(source: Source) -> Iterator[Finding]:
    """No line of code is wider than the limit; a remark to a linter at its end does not count."""
    for number, line in enumerate(source.lines, 1):
        width = len(LINTER_REMARK.sub("", line))
        if width > COLUMNS_MAX:
            yield source.finding(
                number, f"{width} columns, {COLUMNS_MAX} is the limit: break the line"
            )


def check_printing(source: Source) -> Iterator[Finding]:
    """Only the command line speaks to people."""
    if source.room in PRINTING_ROOMS:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            yield source.finding(
                node.lineno, "print outside cli/: return it, or let a caller report it"
            )


def check_nothing_left_undone(source: Source) -> Iterator[Finding]:
    """What is not done is not half there: no marks, no stubs, no test that is not run."""
    for number, line in enumerate(source.lines, 1):
        for mark in LEFT_BEHIND:
            if re.search(rf"\b{mark}\b", line):
                yield source.finding(number, f"{mark}: do it now, or write an issue instead")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id == NOT_WRITTEN:
            yield source.finding(
                node.lineno, f"{NOT_WRITTEN}: write it, or make the method abstract"
            )
        if isinstance(node, ast.Attribute) and node.attr in SKIPPED and _of_pytest(node):
            yield source.finding(
                node.lineno, f"pytest {node.attr}: a test is run, mended or removed"
            )


def _of_pytest(node: ast.Attribute) -> bool:
    owner = node.value
    if isinstance(owner, ast.Attribute):
        return owner.attr == "mark"
    return isinstance(owner, ast.Name) and owner.id in ("pytest", "mark")


def is_code(source: Source) -> bool:
    """Whether lines of this file are held to the width of code; prose and data are not."""
    name = PurePosixPath(source.path)
    return name.suffix in (".py", ".sql") or name.name == "Makefile" or source.room == ".ci"


def runs_at_users(source: Source) -> bool:
    return source.room in ROOMS
