"""Worked examples in a document: the files it writes, the lines it adds, the commands it runs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?:^`(?P<file>[\w./-]+)`[^\n]*:\n\n)?^```(?P<form>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SECTION = re.compile(r"^## ", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of a document; `file` is the one that the line above names, if it does."""

    file: str | None
    form: str
    body: str


@dataclass(frozen=True)
class Call:
    """A command line as it is shown, and what it is shown to print."""

    command: str
    output: str


def sections(text: str) -> dict[str, str]:
    """The parts of a document under its `## ` headings, by heading."""
    parts = _SECTION.split(text)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def blocks(text: str) -> list[Block]:
    """The blocks of code of a section, in their order."""
    return [Block(m["file"], m["form"], m["body"]) for m in _BLOCK.finditer(text)]


def calls(block: Block) -> Iterator[Call]:
    """The commands of a block: each begins with `$ `, and its output follows."""
    for part in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield Call(command, output)


def carry_out(block: Block, folder: Path) -> None:
    """Write the file of a block into the folder, or change its lines as a `diff` says."""
    if block.file is None:
        return
    path = folder / block.file
    if block.form == "diff":
        path.write_text(with_changed_lines(path.read_text("utf-8"), block.body), "utf-8")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.body, "utf-8")


def with_changed_lines(text: str, diff: str) -> str:
    """Put each `+` line behind the one that the diff shows above it, and take `-` lines out.

    Raises ValueError when a line that is shown is not in the text just once: the page is stale.
    """
    lines, place = text.splitlines(), -1
    for shown in diff.splitlines():
        mark, line = shown[:1], shown[1:]
        if mark == "+":
            place += 1
            lines.insert(place, line)
        elif mark in (" ", "-"):
            if lines.count(line) != 1:
                raise ValueError(f"the line {line!r} is there {lines.count(line)} times, not once")
            place = lines.index(line)
            if mark == "-":
                del lines[place]
                place -= 1
    return "\n".join(lines) + "\n"
