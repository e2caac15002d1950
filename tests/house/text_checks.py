"""Checks of texts: what no file may name, and documents whose titles and links hold."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from tests.house.sources import ROOT, Finding, Source

MACHINE_FOLDERS = ("work", "tmp", "root", "home", "Users", "mnt", "opt")
MACHINE_PATH = re.compile(rf"(?<![\w.$}})~/-])/(?:{'|'.join(MACHINE_FOLDERS)})(?=/\w)")
IMAGE_PATHS = ("/opt" + "/kafka",)
"""Of images that docker-compose.yml names, and so of no machine."""

REGISTRY_HOSTS = (
    "pypi" + ".org",
    "python" + "hosted.org",
    "npmjs" + ".org",
    "repo1.maven" + ".org",
    "repo.maven." + "apache.org",
    "proxy.golang" + ".org",
    "crates" + ".io",
    "rubygems" + ".org",
)
_FENCE = re.compile(r"^\s*(```+|~~~+)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\(([^)\s]+)\)")


def check_machine_paths(source: Source) -> Iterator[Finding]:
    """Nothing in the repository knows the machine that it was written on."""
    for number, line in enumerate(source.lines, 1):
        for found in MACHINE_PATH.finditer(line):
            if line.startswith(IMAGE_PATHS, found.start()):
                continue
            yield source.finding(
                number, f"{found[0]} is a folder of one machine: write a relative path"
            )


def check_registry_hosts(source: Source) -> Iterator[Finding]:
    """Where packages come from is settled by whoever installs them."""
    for number, line in enumerate(source.lines, 1):
        for host in REGISTRY_HOSTS:
            if host in line:
                yield source.finding(number, f"names {host}: let the installer choose its registry")


def check_title(source: Source) -> Iterator[Finding]:
    """A document has one title, and begins with it."""
    titles = [(number, line) for number, line in prose(source) if line.startswith("# ")]
    if not titles:
        yield source.finding(1, "no title: begin with one line `# Title`")
        return
    first = next((number for number, line in prose(source) if line.strip()), 1)
    if titles[0][0] != first:
        yield source.finding(titles[0][0], "the title is not the first line: move it there")
    for number, _ in titles[1:]:
        yield source.finding(number, "a second title: make it a section with `## `")


def check_links(source: Source, root: Path = ROOT) -> Iterator[Finding]:
    """Every relative link leads to a file of the repository, and its anchor to a heading."""
    for number, line in prose(source):
        for found in _LINK.finditer(re.sub(r"`[^`]*`", "", line)):
            target = found[1] or found[2]
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            path = root / Path(source.path).parent / unquote(name) if name else root / source.path
            if not path.resolve().is_relative_to(root) or not path.exists():
                yield source.finding(number, f"{target} leads nowhere: mend the path")
            elif anchor and path.suffix == ".md" and anchor not in _anchors(path):
                yield source.finding(number, f"{target}: {path.name} has no such heading")


def prose(source: Source) -> Iterator[tuple[int, str]]:
    """The numbered lines of a document that are not in a block of code."""
    fence: str | None = None
    for number, line in enumerate(source.lines, 1):
        found = _FENCE.match(line)
        if found and fence is None:
            fence = found[1]
        elif found and fence is not None and line.strip() == fence:
            fence = None
        elif fence is None:
            yield number, line


def _anchors(path: Path) -> set[str]:
    """The anchors that headings get: lower case, without punctuation, blanks as hyphens."""
    document = Source(path.name, path.read_text("utf-8"))
    headings = [line.lstrip("#").strip() for _, line in prose(document) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
