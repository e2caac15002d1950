"""The texts of the repository: no machine in them, and documents that hold together."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.house.sources import Finding, Source, documents, files, told
from tests.house.text_checks import (
    REGISTRY_HOSTS,
    check_links,
    check_machine_paths,
    check_registry_hosts,
    check_title,
)

Check = Callable[[Source], Iterator[Finding]]
MACHINE = "/" + "work"


@pytest.mark.parametrize("check", [check_machine_paths, check_registry_hosts])
def test_no_file_names_a_machine(check: Check) -> None:
    found = [finding for source in files() for finding in check(source)]
    assert not found, told(found)


@pytest.mark.parametrize("check", [check_title, check_links])
def test_every_document_holds_together(check: Check) -> None:
    found = [finding for source in documents() for finding in check(source)]
    assert not found, told(found)


@pytest.mark.parametrize(
    ("check", "text", "blames"),
    [
        (check_machine_paths, f"see {MACHINE}/main", MACHINE),
        (check_machine_paths, f'open("{"/" + "home"}/ana/x")', "home is a folder"),
        (check_registry_hosts, f"https://{REGISTRY_HOSTS[0]}/simple", REGISTRY_HOSTS[0]),
        (check_title, "text\n", "no title"),
        (check_title, "text\n\n# Title\n", "not the first line"),
        (check_title, "# Title\n\n# Another\n", "a second title"),
        (check_links, "# T\n[a](missing.md)", "leads nowhere"),
        (check_links, "# T\n[a](../outside.md)", "leads nowhere"),
        (check_links, "# T\n[a](there.md#no-such)", "no such heading"),
        (check_links, "# T\n![a](missing.png)", "leads nowhere"),
    ],
)
def test_what_is_wrong_in_a_text_is_blamed_with_file_and_line(
    check: Check, text: str, blames: str, tmp_path: Path
) -> None:
    (found,) = _checked(check, text, tmp_path)
    assert blames in str(found)
    assert str(found).startswith(f"page.md:{found.line}: ")


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (check_machine_paths, "GET /customers/home and docs/work/x and ~/tmp"),
        (check_title, "# Title\n\n```\n# a comment\n```\n"),
        (check_links, "# T\n[a](there.md) [b](there.md#a-heading) [c](#t)"),
        (check_links, "# T\n[a](https://example.com/x) and `[b](missing.md)`"),
        (check_links, "# T\n```\n[a](missing.md)\n```\n"),
    ],
)
def test_what_is_right_in_a_text_is_not_blamed(check: Check, text: str, tmp_path: Path) -> None:
    assert not _checked(check, text, tmp_path)


def _checked(check: Check, text: str, root: Path) -> list[Finding]:
    (root / "page.md").write_text(text)
    (root / "there.md").write_text("# There\n\n## A heading\n")
    source = Source("page.md", text)
    return list(check_links(source, root) if check is check_links else check(source))
